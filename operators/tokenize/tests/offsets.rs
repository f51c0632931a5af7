//! Spans are right in any Unicode, for both kinds of tokenizers, and windows lose nothing.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use pubtag_schemas::{TokenSpan, TokenWindow};
use pubtag_tokenize::{TokenizeError, WindowSize, WindowTokenizer, Windows};
use tokenizers::Tokenizer;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::roberta::RobertaProcessing;

const CLS: u32 = 2;
const SEP: u32 = 3;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-bert")
}

fn size(max_tokens: usize, stride: usize) -> WindowSize {
    WindowSize { max_tokens: NonZeroUsize::new(max_tokens).unwrap(), stride }
}

/// Lower-casing WordPiece.
fn bert(max_tokens: usize, stride: usize) -> WindowTokenizer {
    WindowTokenizer::open(fixture(), size(max_tokens, stride)).unwrap()
}

/// Byte-level BPE as RoBERTa's, without merges: a token for every byte.
fn bytewise(max_tokens: usize, stride: usize) -> WindowTokenizer {
    let mut alphabet: Vec<_> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let letters = alphabet.iter().map(char::to_string);
    let tokens: Vec<_> = ["<s>".to_owned(), "</s>".to_owned()].into_iter().chain(letters).zip(0_u32..).collect();
    let vocabulary: [_; 258] = tokens.try_into().unwrap();
    let model = BPE::builder().vocab_and_merges(vocabulary, vec![]);
    let mut tokenizer = Tokenizer::new(model.build().unwrap());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    // Offsets that include the space before a word: they must not reach a span.
    let processor = RobertaProcessing::new(("</s>".into(), 1), ("<s>".into(), 0)).trim_offsets(false);
    tokenizer.with_post_processor(Some(processor));
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path().join("tokenizer.json"), false).unwrap();
    WindowTokenizer::open(folder.path(), size(max_tokens, stride)).unwrap()
}

/// The text of each token of all windows, each token once.
fn pieces(tokenizer: &WindowTokenizer, text: &str) -> Vec<String> {
    let Windows { windows, token_count } = tokenizer.tokenize(text, &[]).unwrap();
    let tokens = tokens(&windows);
    assert_eq!(tokens.len(), token_count as usize);
    tokens.values().map(|(_, span)| text[span.bytes()].to_owned()).collect()
}

/// Id and span of each token, by its number in the document; overlapping windows must agree.
fn tokens(windows: &[TokenWindow]) -> BTreeMap<u32, (u32, TokenSpan)> {
    let mut all = BTreeMap::new();
    for window in windows {
        assert_eq!(window.ids.len(), window.spans.len());
        let of_text = window.ids.iter().zip(&window.spans).filter_map(|(&id, span)| span.map(|span| (id, span)));
        for (number, token) in (window.first_token..).zip(of_text) {
            assert_eq!(*all.entry(number).or_insert(token), token, "token {number} differs between windows");
        }
    }
    all
}

#[test]
fn every_window_is_wrapped_in_special_tokens() {
    let Windows { windows, token_count } = bert(10, 2).tokenize(&"gene ".repeat(20), &[]).unwrap();
    assert_eq!((windows.len(), token_count), (3, 20));
    assert_eq!(windows.iter().map(|window| window.first_token).collect::<Vec<_>>(), [0, 6, 12]);
    for window in &windows {
        assert_eq!((window.ids[0], *window.ids.last().unwrap()), (CLS, SEP));
        assert_eq!((window.spans[0], *window.spans.last().unwrap()), (None, None));
        assert_eq!(window.ids.len(), 10);
    }
}

#[test]
fn truncation_and_padding_in_the_file_are_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut value: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture().join("tokenizer.json")).unwrap()).unwrap();
    value["truncation"] =
        serde_json::json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    value["padding"] = serde_json::json!({"strategy": {"Fixed": 50}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    std::fs::write(folder.path().join("tokenizer.json"), value.to_string()).unwrap();
    let tokenizer = WindowTokenizer::open(folder.path(), size(64, 16)).unwrap();
    assert_eq!(tokenizer.tokenize(&"gene ".repeat(20), &[]).unwrap(), bert(64, 16).tokenize(&"gene ".repeat(20), &[]).unwrap());
}

#[test]
fn a_text_without_tokens_has_no_windows() {
    for text in ["", " ", "\u{a0}\r\n\u{2009}"] {
        assert_eq!(bert(64, 16).tokenize(text, &[]).unwrap(), Windows { windows: vec![], token_count: 0 }, "{text:?}");
    }
}

#[test]
fn spans_are_bytes_of_the_original_text() {
    let bert = bert(64, 16);
    for (text, expected) in [
        ("Colon cancer", &["Colon", "cancer"][..]),
        // An accent as a mark of its own, and as part of its letter; both are stripped before look-up.
        ("cafe\u{301} x", &["c", "a", "f", "e", "x"]),
        ("é x", &["é", "x"]),
        // Lower-casing makes two characters of this one.
        ("\u{130}x y", &["\u{130}", "x", "y"]),
        // Not in the vocabulary as a ligature: the word is one unknown token.
        ("\u{fb01}brosis x", &["\u{fb01}brosis", "x"]),
        // Chinese characters are words of their own.
        ("癌症x", &["癌", "症", "x"]),
        // Outside the basic plane, and an emoji of several code points.
        ("𝛽 x", &["𝛽", "x"]),
        ("👩‍🔬 x", &["👩‍🔬", "x"]),
        // White space that is not ASCII.
        ("a\u{a0}b\u{2009}c\u{202f}d", &["a", "b", "c", "d"]),
        ("a\r\nb", &["a", "b"]),
        // Characters that are dropped: a soft hyphen's span is nobody's, a NUL's neither.
        ("a\u{0}b", &["a", "b"]),
    ] {
        assert_eq!(pieces(&bert, text), expected, "{text:?}");
    }
}

#[test]
fn byte_level_spans_are_whole_characters_without_the_space_before() {
    assert_eq!(pieces(&bytewise(64, 16), "a é"), ["a", "", "é", "é"]);
    assert_eq!(pieces(&bytewise(64, 16), "𝛽"), ["𝛽"; 4]);
}

#[test]
fn words_are_numbered_through_the_document() {
    let Windows { windows, .. } = bert(8, 2).tokenize("Familial (de-ficiency) tumors, tumors", &[]).unwrap();
    let words: Vec<_> = tokens(&windows).values().map(|(_, span)| span.word).collect();
    // famil ##ial | ( | de | - | f ##i ##c … | ) | tumor ##s | , | tumor ##s
    assert_eq!(words.first_chunk(), Some(&[0, 0, 1, 2, 3, 4, 4]));
    assert_eq!(words.last_chunk(), Some(&[5, 6, 6, 7, 8, 8]));
}

#[test]
fn a_special_token_spelled_out_is_that_token_as_in_transformers() {
    let Windows { windows, .. } = bert(64, 16).tokenize("a [SEP] b", &[]).unwrap();
    assert_eq!(windows[0].ids[2], SEP);
    assert_eq!(windows[0].spans[2].unwrap().bytes(), 2..7);
}

#[test]
fn a_vocabulary_alone_gives_the_same_windows() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["vocab.txt", "tokenizer_config.json"] {
        std::fs::copy(fixture().join(file), folder.path().join(file)).unwrap();
    }
    let from_vocabulary = WindowTokenizer::open(folder.path(), size(64, 16)).unwrap();
    for text in ["Hereditary Colon Cancer; café, 癌症 [SEP] 𝛽 (BRCA-1)", "x", "", "naïve [MASK] ß"] {
        assert_eq!(from_vocabulary.tokenize(text, &[]).unwrap(), bert(64, 16).tokenize(text, &[]).unwrap(), "{text:?}");
    }
}

#[test]
fn a_cased_vocabulary_stays_cased() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocab.txt"), "[UNK]\n[CLS]\n[SEP]\nGene\ngene\n").unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"do_lower_case": false}"#).unwrap();
    let tokenizer = WindowTokenizer::open(folder.path(), size(64, 16)).unwrap();
    assert_eq!(tokenizer.tokenize("Gene gene", &[]).unwrap().windows[0].ids, [1, 3, 4, 2]);
}

#[test]
fn a_folder_without_a_usable_tokenizer_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let open = |max_tokens| WindowTokenizer::open(folder.path(), size(max_tokens, 16)).unwrap_err();
    assert!(matches!(open(64), TokenizeError::Missing { .. }));
    std::fs::write(folder.path().join("vocab.txt"), "[UNK]\n[SEP]\n").unwrap();
    assert!(open(64).to_string().contains("it has no [CLS]"), "{}", open(64));
    std::fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
    assert!(matches!(open(64), TokenizeError::Invalid { .. }));
    // Wherever the file breaks off, within the decoder too, it is an error and no panic.
    let whole = std::fs::read_to_string(fixture().join("tokenizer.json")).unwrap();
    for end in (0..whole.trim_end().len()).filter(|end| whole.is_char_boundary(*end)).step_by(7) {
        std::fs::write(folder.path().join("tokenizer.json"), &whole[..end]).unwrap();
        assert!(matches!(open(64), TokenizeError::Invalid { .. }), "cut at {end}");
    }
    std::fs::copy(fixture().join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    assert!(matches!(open(18), TokenizeError::NoRoom { max_tokens: 18, special: 2, stride: 16 }));
    assert!(WindowTokenizer::open(folder.path(), size(19, 16)).is_ok());
}

/// Texts of everything: words of the vocabulary, marks, wide characters, odd white space, anything else.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-zA-Z]{1,8}",
        1 => prop::sample::select(vec![
            "familial", "é", "e\u{301}\u{323}", "\u{130}", "\u{fb03}", "癌", "𝛽", "👩‍🔬", "\u{a0}", "\u{2009}", "\u{202f}",
            "\r\n", "\u{ad}", "\u{0}", "(", "-", "[SEP]", "\u{fffd}", "ẞ", "ŉ", "\u{1e9e}",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        3 => Just(" ".to_owned()),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn check(tokenizer: &WindowTokenizer, text: &str, max_tokens: usize, stride: usize) {
    let Windows { windows, token_count } = tokenizer.tokenize(text, &[]).unwrap();
    let tokens = tokens(&windows);
    assert!(tokens.keys().copied().eq(0..token_count), "every token is in some window");
    let mut last = TokenSpan { start_byte: 0, end_byte: 0, word: 0 };
    for (_, span) in tokens.values() {
        let piece = text.get(span.bytes()).expect("in bounds and on character boundaries");
        assert_eq!(piece.trim(), piece);
        assert!(span.start_byte >= last.start_byte && span.end_byte >= last.end_byte, "{last:?} then {span:?}");
        assert!(span.word == last.word || span.word == last.word + 1);
        last = *span;
    }
    for pair in windows.windows(2) {
        assert_eq!(pair[0].ids.len(), max_tokens);
        assert!(pair[0].first_token as usize + max_tokens - 2 - pair[1].first_token as usize >= stride);
    }
}

proptest! {
    #[test]
    fn spans_and_windows_keep_their_laws(text in texts(), max_tokens in 6_usize..20) {
        let stride = (max_tokens - 2) / 3;
        check(&bert(max_tokens, stride), &text, max_tokens, stride);
        check(&bytewise(max_tokens, stride), &text, max_tokens, stride);
    }
}
