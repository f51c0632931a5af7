//! JSONL: one object per line.

use pubtag_schemas::{Outcome, RejectReason};

use crate::common::{gz, read, read_partial};

#[test]
fn each_line_is_a_citation_with_unchanged_text() {
    let lines = "\u{FEFF}{\"id\": \"doc-1\", \"title\": \"T \\u03b2\", \"abstract\": \" A\\n\\nB \", \"extra\": [1]}\r\n\n\
                 {\"pmid\": 990000002, \"text\": \"only text\"}\n{\"id\": 7, \"title\": \"t\", \"abstract\": null}\n\
                 {\"pmid\": \"990000003\", \"id\": \"x\", \"abstract\": \"a\", \"text\": null}";
    for content in [lines.as_bytes().to_vec(), gz(lines)] {
        let reading = read(content);
        assert_eq!(reading.texts(), ["T β  A\n\nB ", " only text", "t ", " a"]);
        let ids: Vec<_> = reading.citations().iter().map(|c| (c.doc_id.as_str(), c.pmid.map(|p| p.get()))).collect();
        let expected = [("doc-1", None), ("990000002", Some(990_000_002)), ("7", None), ("x", Some(990_000_003))];
        assert_eq!(ids, expected);
        assert_eq!(reading.close.outcome, Outcome::Complete);
    }
}

#[test]
fn a_bad_line_is_rejected_alone() {
    for (line, reason) in [
        ("{\"id\": 1, \"title\": ", RejectReason::Malformed),
        ("not json", RejectReason::Malformed),
        ("[1]", RejectReason::Malformed),
        ("[\"z\", 5, \"t\", \"x\", null]", RejectReason::Malformed),
        ("null", RejectReason::Malformed),
        ("{\"id\": 1, \"title\": 5}", RejectReason::Malformed),
        ("{\"title\": \"t\"}", RejectReason::MissingId),
        ("{\"id\": \"\", \"title\": \"t\"}", RejectReason::MissingId),
        ("{\"id\": 1.5, \"title\": \"t\"}", RejectReason::BadId),
        ("{\"id\": {}, \"title\": \"t\"}", RejectReason::BadId),
        ("{\"pmid\": \"x\", \"title\": \"t\"}", RejectReason::BadId),
        ("{\"id\": 1}", RejectReason::MissingText),
        ("{\"id\": 1, \"title\": null}", RejectReason::MissingText),
    ] {
        let reading = read(format!("{{\"id\": 1, \"text\": \"a\"}}\n{line}\n{{\"id\": 2, \"text\": \"b\"}}\n"));
        assert_eq!((reading.citations().len(), reading.reasons()), (2, vec![reason]), "{line}");
        assert_eq!(reading.rejects()[0].raw, line.trim_end().as_bytes());
        assert_eq!(reading.rejects()[0].place.byte_offset, 23, "{line}");
        assert_eq!(reading.close.outcome, Outcome::Complete, "{line}");
    }
    let latin1 = read(b"{\"id\": 1, \"text\": \"a\"}\n{\"id\": 2, \"text\": \"\xE9\"}\n");
    assert_eq!(latin1.reasons(), [RejectReason::Encoding]);
}

#[test]
fn a_rejected_line_has_its_pmid() {
    let reading = read("{\"pmid\": 990000001}\n");
    assert_eq!(reading.rejects()[0].pmid.map(|pmid| pmid.get()), Some(990_000_001));
}

#[test]
fn a_file_that_ends_inside_a_line_is_quarantined() {
    let whole = "{\"id\": 1, \"text\": \"a\"}\n{\"id\": 2, \"text\": \"é\"}";
    assert_eq!(read(whole).close.outcome, Outcome::Complete, "the last line needs no line break");
    for cut in 24..whole.len() {
        let bytes = &whole.as_bytes()[..cut];
        assert!(read(bytes).quarantine().contains("inside a record"), "cut at {cut}");
        let partial = read_partial(bytes);
        assert_eq!((partial.citations().len(), partial.reasons()), (1, vec![RejectReason::Truncated]));
    }
}

#[test]
fn a_line_that_is_too_long_is_rejected_and_skipped() {
    let long = "x".repeat(17 << 20);
    let reading = read(format!("{{\"id\": 1, \"text\": \"{long}\"}}\n{{\"id\": 2, \"text\": \"b\"}}\n"));
    assert_eq!(reading.reasons(), [RejectReason::TooLarge]);
    assert_eq!(reading.texts(), [" b"]);
}
