//! nbib, tables, Parquet and plain text.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use pubtag_pubmed::{InputFormat, ReadOptions, TextColumns};
use pubtag_schemas::{Outcome, RejectReason, civil_date};

use crate::common::{Files, gz, plain, read, read_all, read_partial, read_with, set};

const NBIB: &str = "\nPMID- 990000001\nOWN - NLM\nLR  - 20200427\nDP  - 2003 Spring\nTI  - Ataxia in mice: a study of\n      two strains.\n\
                    AB  - AIM: To see. RESULTS: 5 < 6, and \u{3b2}-thalassemia\n      was seen.\nCI  - Copyright.\nLA  - eng\nLA  - fre\n\
                    TA  - J Tests\nJT  - Journal of tests\nSO  - J Tests. 2003.\n\n\
                    PMID- 990000002\r\nBTI - A book\r\nLA  - eng\r\nSO  - x\r\n";

#[test]
fn nbib_gives_the_text_of_the_same_citation_in_xml() {
    for content in [NBIB.as_bytes().to_vec(), gz(NBIB)] {
        let reading = read(content);
        assert_eq!(reading.close.outcome, Outcome::Complete);
        assert_eq!(reading.pmids(), [990_000_001, 990_000_002]);
        let first = reading.citations()[0];
        assert_eq!(first.language.as_deref(), Some("eng,fre"));
        assert_eq!(first.journal.as_deref(), Some("J Tests"));
        assert_eq!(first.pub_date.raw.as_deref(), Some("2003 Spring"));
        assert_eq!(first.date_revised, civil_date(2020, 4, 27));
        let xml = "<PubmedArticle><MedlineCitation><PMID>990000001</PMID><Article><ArticleTitle>Ataxia in <i>mice</i>: a \
                   study of two strains.</ArticleTitle><Abstract><AbstractText Label=\"AIM\">To see.</AbstractText>\
                   <AbstractText Label=\"RESULTS\">5 &lt; 6, and β-thalassemia was seen.</AbstractText></Abstract>\
                   </Article></MedlineCitation></PubmedArticle>";
        let from_xml = read(set(xml));
        assert_eq!(reading.texts(), [from_xml.texts()[0], "A book "]);
        let place = &reading.records[1];
        let pubtag_schemas::Record::Document(second) = place else { panic!("a citation") };
        assert_eq!(second.place.byte_offset as usize, NBIB.find("PMID- 990000002").unwrap());
    }
}

/// nbib wraps lines, so white space in a text cannot be restored.
#[test]
fn nbib_differs_from_xml_only_in_repeated_blanks_at_line_ends() {
    let nbib = read("PMID- 990000001\nTI  - A  b\n      c.\nSO  - x\n");
    let xml = read(set("<PubmedArticle><MedlineCitation><PMID>990000001</PMID><Article><ArticleTitle>A  b  c.\
                          </ArticleTitle></Article></MedlineCitation></PubmedArticle>"));
    assert_eq!((nbib.texts(), xml.texts()), (vec!["A  b c. "], vec!["A  b  c. "]));
}

#[test]
fn a_bad_nbib_record_is_rejected_alone_and_a_truncated_one_quarantines_the_file() {
    for (bad, reason) in [
        ("PMID- x\nTI  - t\n", RejectReason::BadId),
        ("PMID- 990000009\nTI  - t\nTI  - u\n", RejectReason::Malformed),
        ("PMID- 990000009\nno tag\n", RejectReason::Malformed),
    ] {
        let reading = read(format!("PMID- 990000001\nTI  - a\n\n{bad}\nPMID- 990000002\nTI  - b\n"));
        assert_eq!((reading.pmids(), reading.reasons()), (vec![990_000_001, 990_000_002], vec![reason]), "{bad}");
    }
    let latin1 = read(b"PMID- 990000001\nTI  - \xE9\nPMID- 990000002\nTI  - b\n");
    assert_eq!((latin1.pmids(), latin1.reasons()), (vec![990_000_002], vec![RejectReason::Encoding]));
    assert_eq!(latin1.rejects()[0].pmid.map(|pmid| pmid.get()), Some(990_000_001));
    let cut = "PMID- 990000001\nTI  - a\nSO  - x\n\nPMID- 990000002\nTI  - half a ti";
    assert!(read(cut).quarantine().contains("inside a record"));
    let partial = read_partial(cut);
    assert_eq!((partial.pmids(), partial.reasons()), (vec![990_000_001], vec![RejectReason::Truncated]));
}

#[test]
fn an_nbib_file_that_ends_at_a_line_is_cut_if_all_other_records_end_in_their_source() {
    let cut = "PMID- 990000001\nTI  - a\nSO  - x\n\nPMID- 990000002\nTI  - b\nAB  - half an\n";
    assert!(read(cut).quarantine().contains("inside a record"));
    let wrapped = format!("{cut}SO  - x, which is\n      wrapped\n");
    assert_eq!(read(wrapped).pmids(), [990_000_001, 990_000_002]);
    let without = cut.replace("SO  - x\n", "");
    assert_eq!(read(without).close.outcome, Outcome::Complete);
}

#[test]
fn any_text_in_utf16_is_converted() {
    let utf16 = |text: &str, unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<_>>();
    let csv = "\u{FEFF}id,text\n1,Größe β\n2,b\n";
    for content in [utf16(csv, u16::to_le_bytes), utf16(csv, u16::to_be_bytes), gz(utf16(csv, u16::to_le_bytes))] {
        for format in [None, Some(InputFormat::Csv)] {
            let reading = read_with(&content, ReadOptions { format, ..Default::default() });
            assert_eq!(reading.texts(), [" Größe β", " b"], "{format:?}");
        }
    }
    let jsonl = utf16("\u{FEFF}{\"id\": 1, \"text\": \"a\"}\n", u16::to_le_bytes);
    assert_eq!(read(jsonl).texts(), [" a"]);
}

#[test]
fn a_record_with_two_texts_is_rejected_unless_one_is_named() {
    let line = b"{\"id\": 1, \"text\": \"ataxia\", \"abstract\": \"flu\"}\n{\"id\": 2, \"text\": \"b\", \"abstract\": \"b\"}\n";
    let reading = read(line);
    assert_eq!((reading.texts(), reading.reasons()), (vec![" b"], vec![RejectReason::Malformed]));
    let columns = TextColumns { text: Some("text".into()), ..Default::default() };
    let named = ReadOptions { columns, ..Default::default() };
    assert_eq!(read_with(line, named.clone()).texts(), [" ataxia", " b"]);
    let table = b"id,text,abstract\n1,ataxia,flu\n";
    assert!(read(table).quarantine().contains("--text-column"), "{}", read(table).quarantine());
    assert_eq!(read_with(table, named).texts(), [" ataxia"]);
}

#[test]
fn tables_are_detected_by_their_header_or_the_given_columns() {
    let csv = "\u{FEFF}pmid,title,abstract\r\n990000001,\"Ataxia, new\",\"a \"\"b\"\"\nc\"\r\n990000002,T,\n";
    let tsv = csv.replace(',', "\t").replace("Ataxia\t", "Ataxia,");
    for content in [csv.as_bytes().to_vec(), gz(csv), tsv.into_bytes()] {
        let reading = read(content);
        assert_eq!(reading.texts(), ["Ataxia, new a \"b\"\nc", "T "]);
        assert_eq!(reading.pmids(), [990_000_001, 990_000_002]);
    }
    let named = ReadOptions {
        columns: TextColumns { id: Some("key".into()), text: Some("body".into()), title: None },
        ..Default::default()
    };
    let reading = read_with(b"key,title,body\nk1,unused,\xC3\xA9 text\n", named.clone());
    assert_eq!(reading.texts(), [" é text"]);
    assert_eq!(reading.citations()[0].doc_id.as_str(), "k1");
    let lines = "{\"key\": 7, \"title\": \"unused\", \"body\": \"é text\"}\n{\"key\": \"k2\", \"abstract\": \"x\"}\n";
    let reading = read_with(lines.as_bytes(), named.clone());
    assert_eq!((reading.texts(), reading.reasons()), (vec![" é text"], vec![RejectReason::MissingText]));
    assert_eq!(reading.citations()[0].doc_id.as_str(), "7");
    let as_csv = ReadOptions { format: Some(InputFormat::Csv), ..named };
    let missing = read_with(b"key,text\nk1,x\n", as_csv);
    assert!(missing.quarantine().contains("\"body\""), "{}", missing.quarantine());
    let unknown = read("key;body\nk1;x\n");
    assert!(unknown.quarantine().contains("--text-column"), "{}", unknown.quarantine());
}

#[test]
fn a_bad_row_is_rejected_alone_and_a_truncated_one_quarantines_the_file() {
    let reading = read(b"id,text\n1,a\n2,b,c\n,d\n3,\xE9\n4,e\n");
    let found = (reading.texts(), reading.reasons());
    let reasons = vec![RejectReason::Malformed, RejectReason::MissingId, RejectReason::Encoding];
    assert_eq!(found, (vec![" a", " e"], reasons));
    assert_eq!(reading.rejects()[0].place.byte_offset, 12);
    assert!(read("id,title,text\n1,a,b\n2,c").quarantine().contains("inside a record"));
    assert_eq!(read("id,text\n1,a").close.outcome, Outcome::Complete, "the last row needs no line break");
}

/// A table with one row per line; some titles begin with an unbalanced quote.
fn titles(separator: char) -> String {
    let title = |number| if number % 60 == 0 { "\"Smart drugs" } else { "Gout" };
    let row = |number| format!("{number}{separator}{} of {number}\n", title(number));
    format!("pmid{separator}title\n{}", (1..=3000).map(row).collect::<String>())
}

#[test]
fn an_unbalanced_quote_in_a_tsv_is_an_ordinary_character() {
    let reading = read(titles('\t'));
    assert_eq!((reading.citations().len(), reading.rejects().len()), (3000, 0));
    assert_eq!(reading.texts()[59], "\"Smart drugs of 60 ");
    let quoted = read("pmid\ttitle\n1\t\"What is gout?\"\n2\t\"Smart\" drugs\n3\t\n");
    assert_eq!(quoted.texts(), ["\"What is gout?\" ", "\"Smart\" drugs ", " "]);
}

#[test]
fn an_unbalanced_quote_in_a_csv_costs_one_row() {
    let reading = read(titles(','));
    assert_eq!((reading.citations().len(), reading.reasons()), (2950, vec![RejectReason::Malformed; 50]));
    let detail = &reading.rejects()[0].detail;
    assert!(detail.contains("without a closing quote"), "{detail}");
    assert_eq!(reading.rejects()[0].raw, b"60,\"Smart drugs of 60");
}

#[test]
fn an_unclosed_quote_costs_one_row_in_a_file_of_any_size() {
    let rows: String = (1..=200_000).map(|number| format!("{number},{}\n", "gout ".repeat(20))).collect();
    assert!(rows.len() > 16 << 20, "longer than a record may be");
    let reading = read(format!("id,text\n0,\"open\n{rows}"));
    assert_eq!((reading.citations().len(), reading.reasons()), (200_000, vec![RejectReason::Malformed]));
    let last = read("id,text\n1,a\n2,\"open\n");
    assert_eq!((last.texts(), last.reasons()), (vec![" a"], vec![RejectReason::Malformed]));
    assert!(read("id,text\n1,a\n2,\"open").quarantine().contains("inside a record"), "it may be truncated");
}

#[test]
fn text_after_a_closing_quote_is_a_reject_and_a_carriage_return_is_text() {
    let reading = read("id,text\n1,\"Smart\" drugs\n2,b\rc\r\n3,\"c\"\r\n");
    assert_eq!((reading.texts(), reading.reasons()), (vec![" b\rc", " c"], vec![RejectReason::Malformed]));
}

#[test]
fn the_record_after_one_that_is_too_large_is_read_wherever_blocks_are_split() {
    for extra in 0..8 {
        let large = "x".repeat((17 << 20) + extra);
        let nbib = read(format!("\nPMID- 1\nTI  - {large}\nPMID- 2\nTI  - b\n"));
        assert_eq!((nbib.pmids(), nbib.reasons()), (vec![2], vec![RejectReason::TooLarge]), "{extra}");
    }
    let csv = read(format!("id,text\n1,\"{}\n2,b\n", "x".repeat(17 << 20)));
    assert_eq!((csv.texts(), csv.reasons()), (vec![" b"], vec![RejectReason::TooLarge]));
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// A file of many rows.
pub(crate) fn parquet_of(rows: i64) -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=rows));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((1..=rows).map(|number| format!("text {number}"))));
    parquet(vec![("id", ids), ("text", texts)])
}

#[test]
fn a_row_of_parquet_that_is_too_large_is_rejected_alone() {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let long = "x".repeat(9 << 20);
    let titles: ArrayRef = Arc::new(StringArray::from(vec!["a", &long, "c"]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![&*long, &long, ""]));
    let reading = read(parquet(vec![("id", ids), ("title", titles), ("text", texts)]));
    assert_eq!((reading.citations().len(), reading.reasons()), (2, vec![RejectReason::TooLarge]));
}

#[test]
fn parquet_gives_one_document_per_row_and_the_whole_file_is_hashed() {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(990_000_001), None, Some(990_000_003)]));
    let titles: ArrayRef = Arc::new(StringArray::from(vec![Some("Gout"), Some("x"), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("β"), Some("y"), None]));
    let bytes = parquet(vec![("other", ids.clone()), ("title", titles), ("pmid", ids), ("abstract", texts)]);
    let reading = read(&bytes);
    assert_eq!(reading.texts(), ["Gout β"]);
    assert_eq!(reading.reasons(), [RejectReason::MissingId, RejectReason::MissingText]);
    assert_eq!(reading.close.bytes as usize, bytes.len());
    assert_eq!(reading.close.outcome, Outcome::Complete);

    let damaged = read(&bytes[..bytes.len() - 9]);
    assert!(damaged.quarantine().contains("Parquet"), "{}", damaged.quarantine());
    let floats: ArrayRef = Arc::new(arrow::array::Float64Array::from(vec![1.0]));
    let bad_type = read(parquet(vec![("id", floats.clone()), ("text", floats)]));
    assert!(bad_type.quarantine().contains("Float64"), "{}", bad_type.quarantine());
}

#[test]
fn parquet_honours_the_limit_and_is_read_in_packets() {
    let bytes = parquet_of(1000);
    let reading = read(&bytes);
    assert_eq!(reading.citations().len(), 1000);
    assert!(reading.packets.len() > 10);
    let limited = read_with(&bytes, ReadOptions { limit: Some(300), ..Default::default() });
    assert_eq!((limited.citations().len(), limited.close.outcome), (300, Outcome::Limited));
}

#[test]
fn plain_text_is_read_by_line_or_file_on_request() {
    let files = Files::new(&[("note.txt", " Gout was seen.\n\nNo ataxia.\n".as_bytes())]);
    let as_format =
        |format| read_all(files.unit("note.txt"), ReadOptions { format: Some(format), ..Default::default() });
    let lines = as_format(InputFormat::Lines);
    let ids: Vec<_> = lines.citations().iter().map(|citation| citation.doc_id.as_str()).collect();
    assert_eq!((lines.texts(), ids), (vec![" Gout was seen.", " No ataxia."], vec!["note.txt:1", "note.txt:2"]));
    let text = as_format(InputFormat::Text);
    assert_eq!(text.texts(), [" Gout was seen.\n\nNo ataxia."]);
    assert_eq!(text.citations()[0].doc_id.as_str(), "note");
    assert!(read_all(files.unit("note.txt"), ReadOptions::default()).quarantine().contains("--input-format"));
}

#[test]
fn truncated_gzip_quarantines_every_format() {
    for content in [NBIB.to_owned(), "id,text\n1,a\n2,b\n".repeat(50), set(&plain(1))] {
        let whole = gz(&content);
        let reading = read(&whole[..whole.len() - 12]);
        assert!(matches!(reading.close.outcome, Outcome::Quarantined(_)), "{content:.20}");
    }
}

/// Found by fuzzing: footers that claim more rows than the file has bits, or longer lists than they have bytes; a column
/// before the start of the file; page headers with such lists, a size of a gigabyte, or an overlong number.
#[test]
fn a_damaged_parquet_file_does_not_keep_the_reader_busy() {
    for (found, problem) in [
        ("parquet-claims-rows", "claim"),
        ("parquet-claims-elements", "metadata claim more than they contain"),
        ("parquet-negative-column", "invalid Parquet file"),
        ("parquet-page-claims", "page headers claim more than they contain"),
        ("parquet-page-inflates", "page headers claim more than they contain"),
        ("parquet-page-long-number", "page headers claim more than they contain"),
    ] {
        let known = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/known/inputs").join(found);
        let content = std::fs::read(known).unwrap();
        let options = ReadOptions { format: Some(InputFormat::Parquet), ..Default::default() };
        let reading = read_with(&content[1..], options);
        assert!(reading.quarantine().contains(problem), "{found}: {}", reading.quarantine());
    }
}
