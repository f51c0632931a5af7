//! Every reader of annotated corpora that reads one stream. The first byte says which; the rest is the file.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use pubtag_corpus::{Format, Item, TagOptions, from_reader, segment};

fuzz_target!(|data: &[u8]| {
    let Some((&kind, content)) = data.split_first() else { return };
    let formats = ["inline", "pubtator", "bioc-xml", "bioc-json", "iob", "jsonl"];
    let format: Format = formats[usize::from(kind) % formats.len()].parse().expect("a known format");
    let reader = std::io::Cursor::new(content.to_vec());
    let Ok(documents) = from_reader(reader, &Arc::from("fuzz"), format, &TagOptions::default()) else { return };
    for item in documents {
        let Ok(item) = item else { return };
        if let Item::Document(_, document) = item {
            for mention in &document.mentions {
                assert!(document.text.get(mention.bytes.clone()).is_some(), "a mention lies in its text");
            }
            let segmented = segment(&document);
            for token in &segmented.tokens {
                assert!(segmented.text.get(token.bytes.clone()).is_some(), "a token lies in its text");
            }
        }
    }
});
