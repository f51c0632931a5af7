//! Logits of any values through every aggregation and decoding: annotations in order, inside the text, apart.
#![no_main]

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pubtag_ner::{Aggregation, Checkpoint, Decoder, Decoding, LabelSet};
use pubtag_tokenize::{WindowSize, WindowTokenizer};

static MODEL: LazyLock<(WindowTokenizer, LabelSet)> = LazyLock::new(|| {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/tiny-bert");
    let size = WindowSize { max_tokens: NonZeroUsize::new(24).expect("not 0"), stride: 6 };
    let tokenizer = WindowTokenizer::open(directory, size).expect("a fixture");
    (tokenizer, Checkpoint::open(directory).expect("a fixture").labels().clone())
});

fuzz_target!(|data: (&str, &[u8])| {
    let (text, bytes) = data;
    let (tokenizer, labels) = &*MODEL;
    let windows = tokenizer.tokenize(text, &[]).expect("any text can be tokenized").windows;
    let tokens: usize = windows.iter().map(|window| window.ids.len()).sum();
    let values: Vec<f32> = bytes.iter().cycle().take(if bytes.is_empty() { 0 } else { tokens * labels.count() })
        .map(|byte| f32::from(*byte) / 8.0 - 16.0).collect();
    if values.len() < tokens * labels.count() {
        return;
    }
    for aggregation in [Aggregation::Simple, Aggregation::First, Aggregation::Average, Aggregation::Max] {
        for decoding in [Decoding::Viterbi, Decoding::Argmax] {
            let decoder = Decoder::new(labels.clone(), aggregation, decoding);
            let mut end = 0;
            for annotation in decoder.decode(&windows, &mut values.chunks_exact(labels.count())) {
                assert!(annotation.bytes.start >= end && !annotation.bytes.is_empty(), "in order and apart");
                assert!(text.get(annotation.bytes.clone()).is_some() && (0.0..=1.0001).contains(&annotation.score));
                end = annotation.bytes.end;
            }
        }
    }
});
