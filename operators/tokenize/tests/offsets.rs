//! Spans are correct for any Unicode text and both kinds of tokenizers, and windows lose no token.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use pubtag_schemas::{TokenSpan, TokenWindow};
use pubtag_tokenize::{Context, TokenizeError, WindowSize, WindowTokenizer, Windows};
use tokenizers::Tokenizer;
use tokenizers::models::bpe::{BPE, Vocab};
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

/// Byte-level BPE as in RoBERTa, without merges: one token per byte.
fn bytewise(max_tokens: usize, stride: usize) -> WindowTokenizer {
    byte_level(&[], max_tokens, stride)
}

/// Byte-level BPE with merges, in order of priority.
fn byte_level(merges: &[(&str, &str)], max_tokens: usize, stride: usize) -> WindowTokenizer {
    let folder = tempfile::tempdir().unwrap();
    byte_level_tokenizer(merges, folder.path());
    WindowTokenizer::open(folder.path(), size(max_tokens, stride)).unwrap()
}

/// The library's own tokenizer, also saved in a directory.
fn byte_level_tokenizer(merges: &[(&str, &str)], folder: &Path) -> Tokenizer {
    let mut alphabet: Vec<_> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let letters = alphabet.iter().map(char::to_string);
    let merged = merges.iter().map(|(one, other)| format!("{one}{other}"));
    let tokens = ["<s>".to_owned(), "</s>".to_owned()].into_iter().chain(letters).chain(merged).zip(0_u32..);
    let vocabulary: Vocab = tokens.collect();
    let merges: Vec<_> = merges.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect();
    let model = BPE::builder().vocab_and_merges(vocabulary, merges);
    let mut tokenizer = Tokenizer::new(model.build().unwrap());
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    // Offsets that include the space before a word, which spans must not.
    let processor = RobertaProcessing::new(("</s>".into(), 1), ("<s>".into(), 0)).trim_offsets(false);
    tokenizer.with_post_processor(Some(processor));
    tokenizer.save(folder.join("tokenizer.json"), false).unwrap();
    tokenizer
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
fn truncation_and_padding_in_the_file_are_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let mut value: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture().join("tokenizer.json")).unwrap()).unwrap();
    value["truncation"] =
        serde_json::json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    value["padding"] = serde_json::json!({"strategy": {"Fixed": 50}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"});
    std::fs::write(folder.path().join("tokenizer.json"), value.to_string()).unwrap();
    let tokenizer = WindowTokenizer::open(folder.path(), size(64, 16)).unwrap();
    assert_eq!(
        tokenizer.tokenize(&"gene ".repeat(20), &[]).unwrap(),
        bert(64, 16).tokenize(&"gene ".repeat(20), &[]).unwrap()
    );
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
        // Combining and precomposed accents; both are stripped before look-up.
        ("cafe\u{301} x", &["c", "a", "f", "e", "x"]),
        ("é x", &["é", "x"]),
        // Two characters after lower-casing.
        ("\u{130}x y", &["\u{130}", "x", "y"]),
        // The ligature is not in the vocabulary: the word is one unknown token.
        ("\u{fb01}brosis x", &["\u{fb01}brosis", "x"]),
        // Each Chinese character is a word.
        ("癌症x", &["癌", "症", "x"]),
        // Outside the basic plane, and an emoji of several code points.
        ("𝛽 x", &["𝛽", "x"]),
        ("👩‍🔬 x", &["👩‍🔬", "x"]),
        // White space that is not ASCII.
        ("a\u{a0}b\u{2009}c\u{202f}d", &["a", "b", "c", "d"]),
        ("a\r\nb", &["a", "b"]),
        // Dropped characters belong to no span.
        ("a\u{0}b", &["a", "b"]),
    ] {
        assert_eq!(pieces(&bert, text), expected, "{text:?}");
    }
}

#[test]
fn byte_level_spans_are_whole_characters_without_the_preceding_space() {
    assert_eq!(pieces(&bytewise(64, 16), "a é"), ["a", "", "é", "é"]);
    assert_eq!(pieces(&bytewise(64, 16), "𝛽"), ["𝛽"; 4]);
}

#[test]
fn words_are_numbered_across_the_document() {
    let Windows { windows, .. } = bert(8, 2).tokenize("Familial (de-ficiency) tumors, tumors", &[]).unwrap();
    let words: Vec<_> = tokens(&windows).values().map(|(_, span)| span.word).collect();
    // famil ##ial | ( | de | - | f ##i ##c … | ) | tumor ##s | , | tumor ##s
    assert_eq!(words.first_chunk(), Some(&[0, 0, 1, 2, 3, 4, 4]));
    assert_eq!(words.last_chunk(), Some(&[5, 6, 6, 7, 8, 8]));
}

#[test]
fn a_special_token_in_the_text_is_that_token_as_in_transformers() {
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
fn the_settings_take_precedence_over_the_tokenizer_as_in_transformers() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture().join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    let ids = || {
        WindowTokenizer::open(folder.path(), size(64, 16)).unwrap().tokenize("Cancer", &[]).unwrap().windows[0]
            .ids
            .clone()
    };
    let settings = |json: &str| std::fs::write(folder.path().join("tokenizer_config.json"), json).unwrap();
    let lower = ids();
    settings(r#"{"do_lower_case": false}"#);
    assert_ne!(ids(), lower, "the vocabulary has lower case only");
    for same in [r#"{"do_lower_case": true}"#, "{}"] {
        settings(same);
        assert_eq!(ids(), lower, "{same}");
    }
}

#[test]
fn a_directory_without_a_valid_tokenizer_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let open = |max_tokens| WindowTokenizer::open(folder.path(), size(max_tokens, 16)).unwrap_err();
    assert!(matches!(open(64), TokenizeError::Missing { .. }));
    std::fs::write(folder.path().join("vocab.txt"), "[UNK]\n[SEP]\n").unwrap();
    assert!(open(64).to_string().contains("[CLS] is missing"), "{}", open(64));
    std::fs::write(folder.path().join("tokenizer.json"), "{").unwrap();
    assert!(matches!(open(64), TokenizeError::Invalid { .. }));
    // A file that is cut anywhere, even in the decoder, is an error and not a panic.
    let whole = std::fs::read_to_string(fixture().join("tokenizer.json")).unwrap();
    for end in (0..whole.trim_end().len()).filter(|end| whole.is_char_boundary(*end)).step_by(7) {
        std::fs::write(folder.path().join("tokenizer.json"), &whole[..end]).unwrap();
        assert!(matches!(open(64), TokenizeError::Invalid { .. }), "cut at {end}");
    }
    std::fs::copy(fixture().join("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    assert!(matches!(open(18), TokenizeError::NoRoom { max_tokens: 18, special: 2, stride: 16 }));
    assert!(WindowTokenizer::open(folder.path(), size(19, 16)).is_ok());
}

/// Texts of words in the vocabulary, marks, wide characters, unusual white space and anything else.
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

#[test]
fn each_context_is_tokenized_separately_and_windows_are_in_text_order() {
    let text = "Familial gout is. Colon cancer (e.g. a tumor) in many families of patients with it. Gene. No";
    let context = Context::Words(NonZeroUsize::new(4).unwrap());
    let contexts =
        ["Familial gout is.", "Colon cancer (e.g. a tumor) in many families of patients with it.", "Gene. No"];
    for tokenizer in [bert(10, 2), bytewise(10, 2)] {
        let Windows { windows, token_count } = tokenizer.clone().with_context(context).tokenize(text, &[]).unwrap();
        let mut expected = Vec::new();
        let (mut first_token, mut word) = (0, 0);
        for (context, part) in (0..).zip(contexts) {
            let start = u32::try_from(text.find(part).unwrap()).unwrap();
            let alone = tokenizer.tokenize(part, &[]).unwrap();
            let moved = |span: TokenSpan| TokenSpan {
                start_byte: span.start_byte + start,
                end_byte: span.end_byte + start,
                word: span.word + word,
            };
            let of_context: Vec<_> = alone
                .windows
                .into_iter()
                .map(|window| TokenWindow {
                    ids: window.ids,
                    spans: window.spans.into_iter().map(|span| span.map(moved)).collect(),
                    first_token: window.first_token + first_token,
                    context,
                })
                .collect();
            word = of_context
                .iter()
                .flat_map(|window| window.spans.iter().flatten())
                .map(|span| span.word + 1)
                .max()
                .unwrap();
            first_token += alone.token_count;
            expected.extend(of_context);
        }
        assert_eq!((windows, token_count), (expected, first_token));
    }
}

#[test]
fn a_border_ends_a_sentence_and_can_end_a_context() {
    let tokenizer = bert(64, 16).with_context(Context::Words(NonZeroUsize::new(2).unwrap()));
    let contexts = |borders: &[usize]| {
        let windows = tokenizer.tokenize("Colon cancer gene cell", borders).unwrap().windows;
        windows.iter().map(|window| window.context).collect::<Vec<_>>()
    };
    assert_eq!(contexts(&[]), [0]);
    assert_eq!(contexts(&[0, 12, 13, 22]), [0, 1]);
}

/// A text of words, marks and numbers that is too long to be tokenized at once.
fn long_texts() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        6 => "[a-z]{1,9}", 2 => "[A-Z][a-z]{0,9}", 1 => "[0-9]{1,4}(\\.[0-9]{1,2})?",
        1 => prop::sample::select(vec!["é", "İ", "癌症", "𝛽", "e\u{301}", "don't", "(-)-x", "a,b", "[SEP]", "…", "p<0.05"]).prop_map(str::to_owned),
    ];
    let gap = prop_oneof![20 => Just(" "), 2 => Just(", "), 1 => Just("  "), 1 => Just(" \n"), 1 => Just(" (")];
    prop::collection::vec((word, gap), 300..400).prop_map(|words| {
        let once: String = words.into_iter().flat_map(|(word, gap)| [word, gap.to_owned()]).collect();
        once.repeat(150_000 / once.len() + 1)
    })
}

/// Ids and spans, without surrounding white space, of a text that is tokenized as a whole.
fn at_once(tokenizer: &Tokenizer, text: &str) -> Vec<(u32, usize, usize)> {
    let encoding = tokenizer.encode(text, false).unwrap();
    let token = |(&id, &(start, end)): (&u32, &(usize, usize))| {
        let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
        let token = &text[start..end];
        let start = start + token.len() - token.trim_start().len();
        (id, start, start + token.trim().len())
    };
    encoding.get_ids().iter().zip(encoding.get_offsets()).map(token).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_long_text_has_the_same_tokens_and_words_as_when_tokenized_at_once(text in long_texts()) {
        const MERGES: [(&str, &str); 8] =
            [("Ġ", "a"), ("Ġ", "t"), ("e", "r"), ("Ġt", "h"), ("i", "n"), ("Ġa", "n"), ("o", "n"), ("Ċ", "Ġ")];
        let folder = tempfile::tempdir().unwrap();
        for (ours, theirs) in [
            (bert(64, 16), Tokenizer::from_file(fixture().join("tokenizer.json")).unwrap()),
            (byte_level(&MERGES, 64, 16), byte_level_tokenizer(&MERGES, folder.path())),
        ] {
            let Windows { windows, token_count } = ours.tokenize(&text, &[]).unwrap();
            let found = tokens(&windows);
            prop_assert_eq!(found.len(), token_count as usize);
            let expected = at_once(&theirs, &text);
            let found: Vec<_> =
                found.values().map(|(id, span)| (*id, span.start_byte as usize, span.end_byte as usize)).collect();
            prop_assert!(found == expected, "first difference: {:?}", found.iter().zip(&expected).find(|(one, other)| one != other));
            check(&ours, &text, 64, 16);
        }
    }
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
    fn spans_and_windows_keep_their_invariants(text in texts(), max_tokens in 6_usize..20) {
        let stride = (max_tokens - 2) / 3;
        check(&bert(max_tokens, stride), &text, max_tokens, stride);
        check(&bytewise(max_tokens, stride), &text, max_tokens, stride);
    }
}
