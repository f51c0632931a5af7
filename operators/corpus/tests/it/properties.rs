//! Generated documents round-trip through each format, as far as it can express them.

use std::ops::Range;
use std::path::Path;

use crate::common::read;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use pubtag_corpus::{CorpusWriter, Diagnostic, DiagnosticKind, Format, IobColumns, Spot, WriteOptions, segment};
use pubtag_schemas::{AnnotatedDocument, ConceptIds, DocId, Layout, Mention, Passage, Token};

/// What a format can express, which decides what is generated for it.
#[derive(Clone, Copy)]
struct Shape {
    two_parts: bool,
    breaks: bool,
    gaps: bool,
    overlaps: bool,
    concepts: bool,
    infons: bool,
}

const EVERYTHING: Shape =
    Shape { two_parts: true, breaks: true, gaps: true, overlaps: true, concepts: true, infons: true };

/// Letters, syntax of the formats, combining accents, characters outside the BMP, unusual spaces.
const PIECES: &[&str] = &[
    "a",
    "B",
    "9",
    "ill",
    " ",
    " ",
    "  ",
    ".",
    "-",
    "(",
    ")",
    "<",
    ">",
    "&",
    "&amp;",
    "\"",
    "'",
    "|",
    "|t|",
    "#",
    "=",
    "\\",
    "é",
    "e\u{301}",
    "\u{338}",
    "𝛽",
    "👩\u{200d}🔬",
    "\u{a0}",
    "\u{2003}",
    "\u{feff}",
    "O",
    "B-X",
    "T1",
    "1\u{2028}2",
];

fn text(breaks: bool) -> impl Strategy<Value = String> {
    let pieces: Vec<&str> =
        PIECES.iter().copied().chain(if breaks { vec!["\n", "\t", "\n\n"] } else { vec![] }).collect();
    vec(select(pieces), 0..30).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    fn rough_mention()(ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()), gap in any::<bool>(),
        category in select(vec!["Disease", "Gene-2", "é"]), concepts in select(vec!["", "D1", "D1|OMIM:2", "MESH:D3+C4", "-1"]),
        infon in select(vec![None, Some(("level", "2")), Some(("x", "a=b <c> \"d\""))]),
    ) -> (Mention, prop::sample::Index, prop::sample::Index, bool) {
        let infons = infon.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
        let mention = Mention { concepts: ConceptIds::new(concepts), infons, ..Mention::new("", 0..0, category) };
        (mention, ends.0, ends.1, gap)
    }
}

/// Snaps a rough mention to character boundaries of a text.
fn place(
    text: &str,
    rough: &(Mention, prop::sample::Index, prop::sample::Index, bool),
    shape: Shape,
) -> Option<Mention> {
    let borders: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
    let (one, other) = (rough.1.index(borders.len()), rough.2.index(borders.len()));
    let (start, end) = (one.min(other), one.max(other).min(one.min(other) + 12));
    let bytes = borders[start]..borders[end];
    let mut mention = Mention { text: text[bytes.clone()].to_owned(), bytes: bytes.clone(), ..rough.0.clone() };
    if mention.text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').is_empty() {
        return None;
    }
    if shape.gaps && rough.3 && end - start >= 3 {
        let gap = borders[start + 1]..borders[end - 1];
        let solid = |range: Range<usize>| !text[range].trim().is_empty();
        if solid(gap.clone()) && solid(bytes.start..gap.start) && solid(gap.end..bytes.end) {
            mention.gaps = vec![gap];
            mention.text = mention.pieces().map(|piece| &text[piece]).collect::<Vec<_>>().join(" ");
        }
    }
    if !shape.concepts {
        mention.concepts = ConceptIds::default();
    }
    if !shape.infons {
        mention.infons.clear();
    }
    Some(mention)
}

fn document(shape: Shape) -> impl Strategy<Value = AnnotatedDocument> {
    (text(shape.breaks && !shape.two_parts), text(shape.breaks), vec(rough_mention(), 0..6)).prop_map(
        move |(title, body, rough)| {
            let text = if shape.two_parts { format!("{title} {body}") } else { body };
            let passages = match shape.two_parts {
                true => {
                    vec![Passage::new("title", 0..title.len()), Passage::new("abstract", title.len() + 1..text.len())]
                }
                false => vec![],
            };
            let mut mentions: Vec<Mention> = rough.iter().filter_map(|rough| place(&text, rough, shape)).collect();
            mentions.sort_by_key(|mention| mention.bytes.start);
            if !shape.overlaps {
                let mut end = 0;
                mentions.retain(|mention| {
                    let apart =
                        mention.bytes.start >= end && !(shape.two_parts && mention.bytes.contains(&title.len()));
                    end = if apart { mention.bytes.end } else { end };
                    apart
                });
            }
            AnnotatedDocument { text, passages, mentions, ..Default::default() }
        },
    )
}

fn documents(shape: Shape) -> impl Strategy<Value = Vec<AnnotatedDocument>> {
    vec(document(shape), 1..4).prop_map(|mut documents| {
        for (number, document) in documents.iter_mut().enumerate() {
            document.id = Some(DocId::new((number + 1).to_string()));
        }
        documents
    })
}

/// Sentences of tokens, each a document, as in an IOB file without document lines.
fn tagged() -> impl Strategy<Value = Vec<AnnotatedDocument>> {
    let token = select(vec!["a", "B", "-", ".", "é", "e\u{301}", "𝛽", "#", "=", "O", "B-X", "\u{a0}", "|"]);
    let sentence = vec((token, select(vec!["O", "O", "B", "I"]), select(vec!["Disease", "Gene-2"])), 1..8);
    vec(sentence, 1..5).prop_map(|sentences| sentences.iter().map(|sentence| joined(sentence)).collect())
}

fn joined(sentence: &[(&str, &str, &str)]) -> AnnotatedDocument {
    let mut document = AnnotatedDocument { layout: Layout::Joined, ..Default::default() };
    let mut mentions: Vec<(Range<usize>, &str)> = Vec::new();
    let mut open = false;
    for (token, tag, category) in sentence {
        if !document.text.is_empty() {
            document.text.push(' ');
        }
        let start = document.text.len();
        document.text.push_str(token);
        let bytes = start..document.text.len();
        match (*tag, mentions.last_mut()) {
            ("I", Some((mention, _))) if open => mention.end = bytes.end,
            ("B", _) => mentions.push((bytes.clone(), category)),
            _ => {}
        }
        open = *tag == "B" || (*tag == "I" && open);
        document.tokens.push(Token::from(bytes));
    }
    document.sentences.push(0..document.text.len());
    document.mentions =
        mentions.into_iter().map(|(bytes, category)| Mention::new(&document.text, bytes, category)).collect();
    document
}

fn write(documents: &[AnnotatedDocument], target: &Path, format: Format, columns: IobColumns) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let options = WriteOptions { columns, overwrite: true, ..Default::default() };
    let mut writer = CorpusWriter::create(target, format, options).unwrap();
    for (i, document) in documents.iter().enumerate() {
        let spot = Spot { file: "generated".into(), line: i as u64 + 1 };
        writer.write(&spot, document, &mut diagnostics).unwrap();
    }
    writer.finish().unwrap();
    diagnostics
}

/// Writes and reads back.
fn there_and_back(documents: &[AnnotatedDocument], format: Format) -> Vec<AnnotatedDocument> {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("out");
    write(documents, &target, format, IobColumns::TokenTag);
    read(&target, Some(format)).0
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn bioc_json_keeps_everything(documents in documents(EVERYTHING)) {
        prop_assert_eq!(there_and_back(&documents, Format::BiocJson), documents);
    }

    #[test]
    fn bioc_xml_keeps_everything(documents in documents(EVERYTHING)) {
        prop_assert_eq!(there_and_back(&documents, Format::BiocXml), documents);
    }

    #[test]
    fn brat_keeps_everything_but_passages(mut documents in documents(Shape { two_parts: false, ..EVERYTHING })) {
        // A brat mention begins and ends inside a line; others are trimmed, with a diagnostic.
        let inside = |text: &str| !text.starts_with('\n') && !text.ends_with('\n');
        for AnnotatedDocument { text, mentions, .. } in &mut documents {
            mentions.retain(|mention| mention.pieces().all(|piece| inside(&text[piece])));
        }
        let whole = |mut document: AnnotatedDocument| {
            // brat writes tabs and line breaks in a mention as spaces.
            document.mentions.iter_mut().for_each(|mention| mention.text = mention.text.replace(['\n', '\t'], " "));
            document
        };
        let back: Vec<_> = there_and_back(&documents, Format::Brat).into_iter().map(whole).collect();
        prop_assert_eq!(back, documents.into_iter().map(whole).collect::<Vec<_>>());
    }

    #[test]
    fn jsonl_keeps_continuous_mentions(documents in documents(Shape { two_parts: false, gaps: false, infons: false, ..EVERYTHING })) {
        prop_assert_eq!(there_and_back(&documents, Format::Jsonl), documents);
    }

    #[test]
    fn pubtator_keeps_title_abstract_and_mentions(documents in documents(Shape { breaks: false, gaps: false, infons: false, ..EVERYTHING })) {
        prop_assert_eq!(there_and_back(&documents, Format::PubTator), documents);
    }

    #[test]
    fn the_inline_format_keeps_mentions_without_overlaps(
        documents in documents(Shape { breaks: false, gaps: false, overlaps: false, concepts: false, infons: false, two_parts: true }),
    ) {
        prop_assert_eq!(there_and_back(&documents, Format::Inline), documents);
    }

    #[test]
    fn iob_and_nemo_keep_tokens_and_tags(documents in tagged()) {
        prop_assert_eq!(there_and_back(&documents, Format::Iob), documents.clone());
        prop_assert_eq!(there_and_back(&documents, Format::Nemo), documents);
    }

    #[test]
    fn iob_with_offsets_keeps_documents_and_offsets(documents in documents(Shape { gaps: false, overlaps: false, ..EVERYTHING })) {
        let out = tempfile::tempdir().unwrap();
        let target = out.path().join("out");
        write(&documents, &target, Format::Iob, IobColumns::WithOffsets);
        let (back, _) = read(&target, Some(Format::Iob));
        prop_assert_eq!(back.len(), documents.len());
        for (one, other) in documents.iter().zip(&back) {
            let places = |document: &AnnotatedDocument| -> Vec<_> {
                let chars = |byte: usize| document.text[..byte].chars().count();
                let trimmed = |mention: &Mention| {
                    let text = &document.text[mention.bytes.clone()];
                    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
                    let start = mention.bytes.start + text.len() - text.trim_start_matches(blank).len();
                    (chars(start), chars(start + text.trim_matches(blank).len()), mention.category.clone())
                };
                document.mentions.iter().map(trimmed).collect()
            };
            prop_assert_eq!(&one.id, &other.id);
            prop_assert_eq!(places(one), places(other));
        }
    }

    /// Every format accepts every document, and each mention is in the file or in the diagnostics.
    #[test]
    fn no_mention_is_lost_silently(documents in documents(EVERYTHING)) {
        for &format in Format::ALL {
            let out = tempfile::tempdir().unwrap();
            let target = out.path().join("out");
            let diagnostics = write(&documents, &target, format, IobColumns::TokenTag);
            let lost = [DiagnosticKind::Discontinuous, DiagnosticKind::Overlap, DiagnosticKind::Unwritable];
            let named: u64 = diagnostics.iter().filter(|diagnostic| lost.contains(&diagnostic.kind)).map(|diagnostic| diagnostic.count).sum();
            let all: usize = documents.iter().map(|document| document.mentions.len()).sum();
            let has_token = documents.iter().any(|document| !segment(document).tokens.is_empty());
            let back = if has_token || !matches!(format, Format::Iob | Format::Nemo) { read(&target, Some(format)).0 } else { vec![] };
            let found: usize = back.iter().map(|document| document.mentions.len()).sum();
            prop_assert_eq!(found as u64 + named, all as u64, "{}: {:?}", format, diagnostics);
        }
    }

    #[test]
    fn every_letter_is_in_a_token_and_every_token_in_one_sentence(documents in documents(EVERYTHING)) {
        for document in &documents {
            let cut = segment(document);
            prop_assert!(cut.is_sound());
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '\u{feff}').collect::<String>();
            let tokens: String = cut.tokens.iter().map(|token| &cut.text[token.bytes.clone()]).collect();
            prop_assert_eq!(letters(&tokens), letters(&cut.text));
            prop_assert!(cut.tokens.iter().all(|token| !cut.text[token.bytes.clone()].contains(char::is_whitespace)));
            let inside = |token: &Token| cut.sentences.iter().filter(|s| s.start <= token.bytes.start && token.bytes.end <= s.end).count();
            prop_assert!(cut.tokens.iter().all(|token| inside(token) == 1));
            for mention in &cut.mentions {
                let reach = mention.bytes.clone();
                let bytes = reach.start..reach.end;
                prop_assert!(cut.tokens.iter().all(|t| t.bytes.end <= bytes.start || t.bytes.start >= bytes.start));
                prop_assert!(cut.tokens.iter().all(|t| t.bytes.start >= bytes.end || t.bytes.end <= bytes.end));
            }
        }
    }
}
