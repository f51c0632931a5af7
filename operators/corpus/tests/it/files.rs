//! Whole files: a bad file is an error that names it, and no file is read further than needed.

use std::fs;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use crate::common::read;
use pubtag_corpus::{ConvertOptions, CorpusError, Format, Item, TagOptions, convert, from_reader, open};

fn error(path: &Path, format: Option<Format>) -> String {
    let opened = open(path, format, &TagOptions::default());
    let error = match opened {
        Ok(corpus) => corpus.documents.filter_map(Result::err).next(),
        Err(error) => Some(error),
    };
    error.expect("the file is bad").to_string()
}

#[test]
fn a_bad_file_is_an_error_that_names_it_and_the_cause() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let cases = [
        (file("empty.tsv", "\n\n"), None, "contains no documents"),
        (file("prose.txt", "Call me Ishmael.\nSome years ago\n"), None, "unknown corpus format"),
        (file("labels_train.txt", "O O\n"), None, "text_train.txt, which belongs to it"),
        (file("x.ann", "T1\tD 0 3\till\n"), None, "x.txt, which belongs to it"),
        (file("stray.tsv", "a\tI-D\nb\tO\nc\tB-D\n\n"), Some(Format::Iob), "cannot follow the start of the sentence"),
        (file("not.xml", "a\tO\n"), Some(Format::BiocXml), "contains no documents"),
        (directory.path().join("absent"), None, "cannot be read"),
        (directory.path().to_owned(), Some(Format::Nemo), "neither `.ann` files nor a pair"),
    ];
    for (path, format, expected) in cases {
        let error = error(&path, format);
        assert!(error.contains(expected) && error.starts_with(&*path.to_string_lossy()), "{error}");
    }
}

#[test]
fn a_failed_conversion_leaves_no_output() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.json");
    fs::write(&input, "{\"documents\": [{\"id\": \"1\", \"passages\": []}, {\"id\"").unwrap();
    let output = directory.path().join("out.jsonl");
    let failed = convert(&input, &output, &ConvertOptions::to(Format::Jsonl));
    assert!(matches!(failed, Err(CorpusError::Malformed { .. })), "{failed:?}");
    let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["in.json"]);
}

/// The same bytes repeated without end.
struct Endless {
    bytes: &'static [u8],
    at: usize,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = &self.bytes[self.at..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at = (self.at + length) % self.bytes.len();
        Ok(length)
    }
}

#[test]
fn documents_are_streamed_from_an_endless_file() {
    let cases = [
        (Format::Inline, "", "1\tT\tA <category=\"D\">b</category>\n"),
        (Format::PubTator, "", "1|t|T\n1|a|A b\n1\t2\t3\tA\tD\tX\n\n"),
        (
            Format::BiocXml,
            "<collection>",
            "<document><id>1</id><passage><offset>0</offset><text>A</text></passage></document>",
        ),
        (Format::BiocJson, "{\"documents\":[{\"id\":\"0\",\"passages\":[]}", ",{\"id\":\"1\",\"passages\":[]}"),
        (Format::Iob, "", "A\tO\nb\tB-D\n\n"),
        (Format::Jsonl, "", "{\"id\":\"1\",\"text\":\"A\"}\n"),
    ];
    for (format, head, bytes) in cases {
        let endless = Endless { bytes: bytes.as_bytes(), at: 0 };
        let input = BufReader::new(Cursor::new(head).chain(endless));
        let documents = from_reader(input, &Arc::from("endless"), format, &TagOptions::default()).unwrap();
        let first = documents.filter(|item| matches!(item, Ok(Item::Document(..)))).take(100);
        assert_eq!(first.count(), 100, "{format}");
    }
}

#[test]
fn documents_with_the_same_name_get_different_files() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("in.jsonl");
    fs::write(&input, "{\"id\":\"a/b\",\"text\":\"one\"}\n{\"id\":\"a/b\",\"text\":\"two\"}\n{\"text\":\"three\"}\n")
        .unwrap();
    let output = directory.path().join("brat");
    let report = convert(&input, &output, &ConvertOptions::to(Format::Brat)).unwrap();
    assert_eq!(report.files.len(), 6);
    let (back, _) = read(&output, None);
    let ids: Vec<_> = back.iter().map(|d| (d.id.as_ref().unwrap().as_str(), d.text.as_str())).collect();
    assert_eq!(ids, [("a/b", "one"), ("a/b.2", "two"), ("document-000003", "three")]);
    assert_eq!(report.diagnostics.kept.len(), 2, "{:?}", report.diagnostics);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["diagnostics"]["counts"]["name_changed"], serde_json::json!({"count": 2, "things": 2}));
}
