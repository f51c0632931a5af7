//! Properties of all inputs.

use proptest::prelude::*;
use pubtag_schemas::{Outcome, Record};

use crate::common::{article, gz, plain, read, read_partial, set};

/// A piece of a title or abstract.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Reference(char),
    Section(String),
    Comment,
    Instruction,
    Element(&'static str, Vec<Piece>),
}

impl Piece {
    fn xml(&self) -> String {
        match self {
            Self::Text(text) => text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
            Self::Reference(c) => format!("&#{};", *c as u32),
            Self::Section(text) => format!("<![CDATA[{text}]]>"),
            Self::Comment => "<!-- a <b> comment -->".into(),
            Self::Instruction => "<?an instruction?>".into(),
            Self::Element(name, inner) => format!("<{name} a='1'>{}</{name}>", xml(inner)),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Section(text) => text.clone(),
            Self::Reference(c) => c.to_string(),
            Self::Comment | Self::Instruction => String::new(),
            Self::Element(_, inner) => text(inner),
        }
    }
}

fn xml(pieces: &[Piece]) -> String {
    pieces.iter().map(Piece::xml).collect()
}

fn text(pieces: &[Piece]) -> String {
    pieces.iter().map(Piece::text).collect()
}

/// The white space rule, implemented again: the text is split into runs, and each is handled by itself.
fn normalised(text: &str) -> String {
    let blank = |c: char| " \t\r\n".contains(c);
    let mut runs: Vec<String> = Vec::new();
    for c in text.chars() {
        match runs.last_mut() {
            Some(run) if run.chars().all(blank) == blank(c) => run.push(c),
            _ => runs.push(c.into()),
        }
    }
    let last = runs.len().saturating_sub(1);
    let judge = |(at, run): (usize, String)| match run.chars().all(blank) {
        true if at == 0 || at == last => String::new(),
        true if run.contains(['\r', '\n']) => " ".into(),
        _ => run,
    };
    runs.into_iter().enumerate().map(judge).collect()
}

fn characters() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => prop::char::range('a', 'z'),
        2 => prop::sample::select(vec![' ', '\t', '\n', '\r']),
        1 => prop::sample::select(vec!['<', '>', '&', '"', '\'', ']', '-']),
        1 => prop::sample::select(vec!['é', 'β', '\u{A0}', '\u{2028}', '中', '𝛽', '😀', '\u{301}']),
    ];
    prop::collection::vec(character, 0..12).prop_map(String::from_iter)
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let leaf = prop_oneof![
        4 => characters().prop_map(Piece::Text),
        1 => prop::sample::select(vec!['<', '&', '\n', '\r', ' ', 'β', '𝛽']).prop_map(Piece::Reference),
        1 => characters().prop_map(|text| Piece::Section(text.replace("]]>", ""))),
        1 => Just(Piece::Comment),
        1 => Just(Piece::Instruction),
    ];
    let names = vec!["b", "i", "u", "sub", "sup", "mml:math", "mml:mi", "DispFormula"];
    let piece = leaf.prop_recursive(3, 16, 4, move |inner| {
        (prop::sample::select(names.clone()), prop::collection::vec(inner, 0..4))
            .prop_map(|(name, inner)| Piece::Element(name, inner))
    });
    prop::collection::vec(piece, 0..6)
}

/// A label; attribute values contain no line breaks (XML 1.0, 3.3.3).
fn labels() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[A-Z][A-Z &<'β]{0,8}[A-Z]")
}

fn citation() -> impl Strategy<Value = (String, String)> {
    (pieces(), prop::collection::vec((labels(), pieces()), 0..4)).prop_map(|(title, segments)| {
        let escaped = |label: &String| label.replace('&', "&amp;").replace('<', "&lt;");
        let segment_xml = |(label, inner): &(Option<String>, Vec<Piece>)| {
            let label = label.as_ref().map(|label| format!(" Label=\"{}\"", escaped(label))).unwrap_or_default();
            format!("<AbstractText{label}>{}</AbstractText>", xml(inner))
        };
        let record = article(990_000_001, &xml(&title), &segments.iter().map(segment_xml).collect::<String>());
        let texts: Vec<_> = segments
            .iter()
            .map(|(label, inner)| (label, normalised(&text(inner))))
            .filter(|(_, text)| !text.is_empty())
            .map(|(label, text)| label.as_ref().map_or(text.clone(), |label| format!("{label}: {text}")))
            .collect();
        (record, format!("{} {}", normalised(&text(&title)), texts.join(" ")))
    })
}

/// Pieces of PubMed files in random order.
fn soup() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "<PubmedArticleSet>",
        "</PubmedArticleSet>",
        "<PubmedArticle>",
        "</PubmedArticle>",
        "<MedlineCitation>",
        "</MedlineCitation>",
        "<PMID>",
        "7</PMID>",
        "<DeleteCitation>",
        "</DeleteCitation>",
        "<PubmedBookArticle/>",
        "<PubmedArticle",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<!DOCTYPE a [",
        "]>",
        "\"",
        "<",
        ">",
        "&",
        "x",
        "<Article>",
        "</Article>",
        "<ArticleTitle>t</ArticleTitle>",
        "\n",
    ]);
    prop::collection::vec(word, 0..30).prop_map(|words| words.concat())
}

/// A cell of a table as written: raw, or correctly quoted.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a\" ]{0,5}",
        1 => "[a\", ]{0,5}".prop_map(|text| format!("\"{}\"", text.replace('"', "\"\""))),
    ]
}

fn three_records() -> String {
    set(&(0..3).map(|n| plain(990_000_001 + n)).collect::<Vec<_>>().join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_text_follows_the_rules((record, expected) in citation()) {
        let reading = read(set(&record));
        prop_assert_eq!(reading.reasons(), [], "{}", record);
        prop_assert_eq!(reading.texts(), [expected], "{}", record);
    }

    #[test]
    fn one_wrong_byte_costs_one_record(at in 0.0..1.0_f64, byte: u8, victim in 0..3_u32) {
        let mut content = three_records().into_bytes();
        let record = plain(990_000_001 + victim);
        let start = memchr::memmem::find(&content, record.as_bytes()).expect("the record is in the file");
        content[start + (at * record.len() as f64) as usize] = byte;
        let reading = read(&content);
        prop_assert_eq!(&reading.close.outcome, &Outcome::Complete);
        let others: Vec<_> = (0..3).filter(|&n| n != victim).map(|n| 990_000_001 + n).collect();
        let met = reading.pmids();
        prop_assert!(others.iter().all(|pmid| met.contains(pmid)), "{:?} of {}", met, String::from_utf8_lossy(&content));
        prop_assert!((3..=4).contains(&reading.records.len()), "{:?}", reading.rejects());
    }

    #[test]
    fn no_corruption_breaks_the_reconciliation(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40), packed: bool) {
        let mut content = if packed { gz(three_records()) } else { three_records().into_bytes() };
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        // The helpers check the reconciliation.
        read(&content);
        read_partial(&content);
    }

    #[test]
    fn every_line_of_a_table_is_a_document_or_a_reject(rows in prop::collection::vec((cell(), cell()), 1..12), tabs: bool) {
        let rows = rows.iter().enumerate().map(|(number, (title, text))| format!("{number},{title},{text}\n"));
        let lines: Vec<String> = std::iter::once("id,title,text\n".to_owned()).chain(rows).collect();
        let content = lines.concat();
        let reading = read(if tabs { content.replace(',', "\t") } else { content });
        let mut offsets = lines.iter().scan(0, |at, line| {
            *at += line.len() as u64;
            Some(*at)
        });
        for record in &reading.records {
            let offset = match record {
                Record::Document(citation) => citation.place.byte_offset,
                Record::Reject(reject) => reject.place.byte_offset,
                Record::Deletion(_) | Record::Cached(_) => unreachable!("tables delete nothing"),
            };
            prop_assert_eq!(Some(offset), offsets.next(), "{:?}", lines);
        }
        prop_assert_eq!(reading.records.len(), lines.len() - 1, "{:?}", lines);
    }

    #[test]
    fn no_soup_of_markup_breaks_the_reconciliation(soup in soup()) {
        read(&soup);
        read_partial(set(&soup));
    }
}

#[test]
fn a_file_cut_at_any_byte_is_quarantined_or_complete() {
    let records =
        format!("{}{}<DeleteCitation><PMID>7</PMID></DeleteCitation>", plain(990_000_001), plain(990_000_002));
    let content = set(&records);
    let end = content.trim_end().len();
    let whole = read(&content);
    for cut in 0..content.len() {
        let partial = read_partial(&content[..cut]);
        let complete = cut >= end;
        let unreadable = cut <= content.find("<PubmedArticleSet").unwrap();
        match &partial.close.outcome {
            Outcome::Complete => assert!(complete, "cut at {cut}"),
            Outcome::Partial(_) => assert!(!complete, "cut at {cut}"),
            Outcome::Quarantined(_) => assert!(unreadable, "cut at {cut}: {}", partial.quarantine()),
            Outcome::Limited => panic!("nothing was limited"),
        }
        let sound: Vec<_> = partial.records.iter().filter(|r| !matches!(r, Record::Reject(_))).collect();
        assert!(partial.rejects().len() <= 1 && sound.len() <= whole.records.len(), "cut at {cut}");
    }
    let packed = gz(&content);
    for cut in 0..packed.len() {
        read(&packed[..cut]).quarantine();
    }
}
