//! The tokenizer's windows of any text: in order, inside the text, none too long, every token in one.
#![no_main]

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pubtag_tokenize::{WindowSize, WindowTokenizer};

const MAX_TOKENS: usize = 24;

static TOKENIZER: LazyLock<WindowTokenizer> = LazyLock::new(|| {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/tiny-bert");
    let max_tokens = NonZeroUsize::new(MAX_TOKENS).expect("not 0");
    WindowTokenizer::open(directory, WindowSize { max_tokens, stride: 6 }).expect("a fixture")
});

fuzz_target!(|text: &str| {
    let found = TOKENIZER.tokenize(text, &[]).expect("any text can be tokenized");
    let mut reached = 0;
    for window in &found.windows {
        assert!(window.ids.len() <= MAX_TOKENS && window.ids.len() == window.spans.len());
        let spans: Vec<_> = window.spans.iter().flatten().collect();
        assert!(spans.iter().all(|span| text.get(span.bytes()).is_some()), "spans are on character boundaries");
        assert!(window.first_token <= reached, "no token is left out");
        reached = window.first_token + u32::try_from(spans.len()).expect("few");
    }
    assert_eq!(reached, found.token_count);
});
