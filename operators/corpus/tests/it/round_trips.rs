//! Every corpus round-trips through every format, and loses only what the report lists.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{read, shared_data};
use pubtag_corpus::{ConversionReport, ConvertOptions, DiagnosticKind, Format, IobColumns, convert};
use pubtag_schemas::AnnotatedDocument;

/// Every corpus in the shared directory. The texts of the brat corpora are missing there: those of BioC are put beside copies.
fn corpora(data: &Path, scratch: &Path) -> Vec<PathBuf> {
    let directories = [
        "ncbi_disease/inline",
        "ncbi_disease/pubtator",
        "ncbi_disease/iob",
        "bc5cdr_disease/iob",
        "bc5cdr_disease/pubtator",
        "bioc/bconv/bioc_json",
        "bioc/bconv/bioc_xml",
        "bioc/bconv/conll",
        "bioc/bconv/pubtator",
    ];
    let files = |directory: &str| fs::read_dir(data.join(directory)).unwrap().map(|entry| entry.unwrap().path());
    let mut corpora: Vec<PathBuf> =
        directories.iter().flat_map(|directory| files(directory)).filter(|path| !path.ends_with("LICENSE")).collect();
    corpora.extend(["ncbi_disease/nemo", "ncbi_disease/nemo/max_length_40"].map(|directory| data.join(directory)));
    for annotations in files("bioc/bconv/brat") {
        let stem = annotations.file_stem().unwrap().to_str().unwrap().to_owned();
        let (documents, _) = read(&data.join(format!("bioc/bconv/bioc_json/{stem}.json")), None);
        let text: String = documents.iter().map(|document| document.text.as_str()).collect();
        let copy = scratch.join(format!("{stem}.ann"));
        fs::copy(&annotations, &copy).unwrap();
        fs::write(copy.with_extension("txt"), text).unwrap();
        corpora.push(copy);
    }
    corpora.sort();
    corpora
}

/// A corpus as one string of characters other than white space, and the mentions in it: what every format can express.
fn letters(documents: &[AnnotatedDocument]) -> (String, BTreeMap<(usize, usize, String), usize>) {
    let (mut text, mut base, mut mentions) = (String::new(), 0, BTreeMap::new());
    for document in documents {
        let mut before = vec![base; document.text.len() + 1];
        for (byte, char) in document.text.char_indices() {
            base += usize::from(!char.is_whitespace());
            before[byte + 1..=byte + char.len_utf8()].fill(base);
            text.extend((!char.is_whitespace()).then_some(char));
        }
        for mention in &document.mentions {
            let key = (before[mention.bytes.start], before[mention.bytes.end], mention.category.clone());
            *mentions.entry(key).or_default() += 1;
        }
    }
    (text, mentions)
}

fn check(name: &str, original: &[AnnotatedDocument], back: &[AnnotatedDocument], report: &ConversionReport) {
    use DiagnosticKind::{
        Columns, Concepts, Ids, Infons, LineBreaks, MentionSpace, NameChanged, Offsets, Passages, Sentences,
        SentencesJoined, SpaceInserted, Tokens,
    };
    let named = |kinds: &[DiagnosticKind]| kinds.iter().any(|kind| report.diagnostics.things(*kind) > 0);
    let ((text, mentions), (back_text, back_mentions)) = (letters(original), letters(back));
    assert!(text == back_text, "{name}: the text changed");
    for (mention, count) in &back_mentions {
        assert!(mentions.get(mention).is_some_and(|all| all >= count), "{name}: {mention:?} is new");
    }
    assert_eq!(back_mentions.values().sum::<usize>() as u64, report.mentions_written, "{name}: mentions");
    let lost = [DiagnosticKind::Discontinuous, DiagnosticKind::Overlap, DiagnosticKind::Unwritable]
        .map(|kind| report.diagnostics.things(kind));
    assert_eq!(
        report.mentions_read - report.mentions_written,
        lost.iter().sum::<u64>(),
        "{name}: lost mentions are reported"
    );
    if original.len() != back.len() {
        assert!(named(&[Ids]), "{name}: {} documents became {}", original.len(), back.len());
        return;
    }
    for (one, other) in original.iter().zip(back) {
        let name = format!("{name}: {:?}", one.id);
        assert!(one.id == other.id || named(&[Ids, NameChanged]), "{name} became {:?}", other.id);
        assert!(one.text == other.text || named(&[LineBreaks, SpaceInserted, Offsets]), "{name}: text");
        let passages = |document: &AnnotatedDocument| -> Vec<_> {
            document
                .passages
                .iter()
                .map(|p| (p.kind.as_ref().map(|kind| kind.to_lowercase()), p.bytes.clone()))
                .collect()
        };
        assert!(
            passages(one) == passages(other)
                || named(&[Passages, LineBreaks, SpaceInserted])
                || one.passages.is_empty(),
            "{name}: passages"
        );
        assert!(one.infons == other.infons || named(&[Infons, Ids]), "{name}: infons");
        assert!(
            one.sentences == other.sentences
                || named(&[Sentences, SentencesJoined, Offsets])
                || one.sentences.is_empty(),
            "{name}: sentences"
        );
        let tokens = |document: &AnnotatedDocument| {
            document.tokens.iter().map(|token| document.text[token.bytes.clone()].to_owned()).collect::<Vec<_>>()
        };
        assert!(tokens(one) == tokens(other) || named(&[Tokens]) || one.tokens.is_empty(), "{name}: tokens");
        let columns = |document: &AnnotatedDocument| {
            document.tokens.iter().map(|token| token.columns.clone()).collect::<Vec<_>>()
        };
        assert!(
            columns(one) == columns(other) || named(&[Columns, Tokens]) || one.tokens.is_empty(),
            "{name}: columns"
        );
        if one.mentions.len() == other.mentions.len() {
            for (one, other) in sorted(one).into_iter().zip(sorted(other)) {
                assert!(
                    one.concepts.iter().eq(other.concepts.iter()) || named(&[Concepts]),
                    "{name}: {one:?} {other:?}"
                );
                assert!(one.infons == other.infons || named(&[Infons]), "{name}: {one:?} {other:?}");
                assert!(
                    one.text == other.text || named(&[LineBreaks, MentionSpace, DiagnosticKind::MentionText, Offsets]),
                    "{name}: {one:?} {other:?}"
                );
            }
        }
    }
}

/// BioC groups mentions by passage, so their order may differ from the source.
fn sorted(document: &AnnotatedDocument) -> Vec<&pubtag_schemas::Mention> {
    let mut mentions: Vec<_> = document.mentions.iter().collect();
    mentions.sort_by_key(|m| (m.bytes.start, m.bytes.end, &m.category, &m.concepts));
    mentions
}

#[test]
fn every_corpus_round_trips_through_every_format() {
    let Some(data) = shared_data() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let mut trips = 0;
    for corpus in corpora(&data, scratch.path()) {
        let (original, _) = read(&corpus, None);
        for &format in Format::ALL {
            // Two files for each of thousands of sentences take a minute and show no more than hundreds do.
            if format == Format::Brat && original.len() > 1000 {
                continue;
            }
            let out = tempfile::tempdir().unwrap();
            let target = out.path().join("out");
            let report = convert(&corpus, &target, &ConvertOptions::to(format)).unwrap();
            let name = format!("{} to {format}", corpus.display());
            assert_eq!(report.documents_read, original.len() as u64, "{name}");
            let (mut back, diagnostics) = read(&target, Some(format));
            let mut original = original.clone();
            if format == Format::Brat {
                // A directory is read in order of file name.
                original.sort_by_key(|document| document.id.clone());
                back.sort_by_key(|document| document.id.clone());
            }
            check(&name, &original, &back, &report);
            let silent = [DiagnosticKind::StrayTab, DiagnosticKind::MentionSpace];
            let odd: Vec<_> = diagnostics.iter().filter(|diagnostic| !silent.contains(&diagnostic.kind)).collect();
            assert!(odd.is_empty(), "{name}: what was written reads back with {odd:?}");
            trips += 1;
        }
    }
    eprintln!("{trips} round trips");
    assert!(trips >= 300, "{trips}");
}

/// Rewrites a corpus in its own format.
fn rewritten(corpus: &Path, format: Format, columns: IobColumns) -> String {
    let out = tempfile::tempdir().unwrap();
    let target = out.path().join("out");
    let mut options = ConvertOptions::to(format);
    options.write.columns = columns;
    convert(corpus, &target, &options).unwrap();
    fs::read_to_string(target).unwrap()
}

#[test]
fn canonical_files_are_reproduced_byte_for_byte() {
    let Some(data) = shared_data() else { return };
    let in_directory = |directory: &str| {
        fs::read_dir(data.join(directory))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.ends_with("LICENSE"))
            .collect::<Vec<_>>()
    };
    for directory in ["ncbi_disease/iob", "bc5cdr_disease/iob", "ncbi_disease/inline"] {
        let format = if directory.ends_with("iob") { Format::Iob } else { Format::Inline };
        for corpus in in_directory(directory) {
            assert!(
                rewritten(&corpus, format, IobColumns::TokenTag) == fs::read_to_string(&corpus).unwrap(),
                "{}",
                corpus.display()
            );
        }
    }
    for directory in ["ncbi_disease/pubtator", "bc5cdr_disease/pubtator", "bioc/bconv/pubtator"] {
        for corpus in in_directory(directory) {
            // Relations are left out; blank lines at the start and end of a file depend on the writer.
            let source = fs::read_to_string(&corpus).unwrap();
            let lines: Vec<&str> = source.lines().filter(|line| !line.contains("\tCID\t")).collect();
            let again = rewritten(&corpus, Format::PubTator, IobColumns::TokenTag);
            assert!(again.trim_matches('\n') == lines.join("\n").trim_matches('\n'), "{}", corpus.display());
        }
    }
}

#[test]
fn offsets_are_kept_in_the_columns_of_an_iob_file() {
    let Some(data) = shared_data() else { return };
    for corpus in fs::read_dir(data.join("bioc/bconv/conll")).unwrap().map(|entry| entry.unwrap().path()) {
        let source = fs::read_to_string(&corpus).unwrap();
        let without_tags = |text: &str| -> Vec<String> {
            text.lines()
                .map(|line| {
                    if line.starts_with('#') { line } else { line.rsplit_once('\t').map_or(line, |(rest, _)| rest) }
                        .to_owned()
                })
                .collect()
        };
        let again = rewritten(&corpus, Format::Iob, IobColumns::WithOffsets);
        assert_eq!(without_tags(again.trim_end()), without_tags(source.trim_end()), "{}", corpus.display());
    }
}
