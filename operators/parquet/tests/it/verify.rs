//! Verifies outputs: a clean one has no defects, and each kind of damage is one line.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float32Array, Int32Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Float32Type, Int32Type};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use pubtag_parquet::{Depth, Event, TextPolicy, Verified, VerifyConfig, WriteConfig, verify};
use pubtag_schemas::{Commit, Outcome, Packet, Tally};
use pubtag_store::Store;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::common::*;

const FULL: Depth = Depth::Full;
const QUICK: Depth = Depth::Quick;

/// An output of one input: [`records`], one part per table.
struct Sample {
    dir: tempfile::TempDir,
    runtime: Runtime,
    commit: Arc<Commit>,
}

impl Sample {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: WriteConfig) -> Self {
        let (dir, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
        let commit = committed(runtime.block_on(run_one(dir.path(), config, &unit(0, "/in/a.xml", "a"))));
        Self { dir, runtime, commit }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Path of the part of a table, below the output.
    fn part(&self, table: &str) -> String {
        self.commit.parts.iter().find(|part| part.table == table).unwrap().path.clone()
    }

    fn marker(&self) -> String {
        format!("_pubtag/commits/{}.json", &self.commit.input.sha256[..32])
    }

    fn edit_marker(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.path(&self.marker());
        let mut marker: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut marker);
        fs::write(path, marker.to_string()).unwrap();
    }

    /// Edits the bytes of a part without changing its marker.
    fn edit_bytes(&self, table: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        let path = self.path(&self.part(table));
        let mut bytes = fs::read(&path).unwrap();
        edit(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    /// Updates a part's entry in its marker to match the file.
    fn vouch(&self, table: &str) {
        let part = self.part(table);
        let bytes = fs::read(self.path(&part)).unwrap();
        let rows = read_file(&self.path(&part)).iter().map(RecordBatch::num_rows).sum::<usize>();
        self.vouch_for(table, &bytes, rows);
    }

    fn vouch_for(&self, table: &str, bytes: &[u8], rows: usize) {
        self.edit_marker(|marker| {
            let part = marker["parts"].as_array_mut().unwrap().iter_mut().find(|part| part["table"] == table).unwrap();
            (part["bytes"], part["sha256"], part["rows"]) = (bytes.len().into(), sha256(bytes).into(), rows.into());
        });
    }

    /// Rewrites a part with other rows and updates its marker.
    fn rewrite(&self, table: &str, edit: impl FnOnce(RecordBatch) -> RecordBatch) {
        let path = self.path(&self.part(table));
        let batches = read_file(&path);
        let batch = edit(concat_batches(&batches[0].schema(), &batches).unwrap());
        let attempt = KeyValue::new("pubtag.attempt_id".to_owned(), self.commit.attempt_id.clone());
        let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![attempt])).build();
        let mut writer =
            ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        self.vouch(table);
    }

    fn verify(&self, depth: Depth) -> (Vec<String>, Verified) {
        verified(self.dir.path(), &self.runtime, depth)
    }

    /// The lines, with short names for the files of the sample.
    fn lines(&self, depth: Depth) -> Vec<String> {
        let short = |line: String| {
            let line = line.replace(&self.part("annotations"), "A").replace(&self.part("documents"), "D");
            line.replace(&self.part("rejects"), "R").replace(&self.marker(), "M")
        };
        let mut lines: Vec<_> = self.verify(depth).0.into_iter().map(short).collect();
        lines.sort();
        lines
    }

    /// The only line in full depth.
    fn line(&self) -> String {
        let lines = self.lines(FULL);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines.into_iter().next().unwrap()
    }
}

fn verified(folder: &Path, runtime: &Runtime, depth: Depth) -> (Vec<String>, Verified) {
    let config = VerifyConfig { depth, threads: NonZeroUsize::new(2).unwrap() };
    let mut lines = Vec::new();
    let found = verify(Store::directory(folder).unwrap(), config, runtime.handle(), |event| {
        if let Event::Found(defect) = event {
            lines.push(defect.to_string());
        }
    });
    lines.sort();
    let found = found.unwrap();
    assert_eq!(found.defects, lines.len() as u64);
    (lines, found)
}

/// A batch with one column replaced.
fn with(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let index = batch.schema().index_of(name).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[index] = column;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

/// A batch with one value of an integer column changed.
fn with_int(batch: &RecordBatch, name: &str, row: usize, value: i32) -> RecordBatch {
    let mut values = batch[name].as_primitive::<Int32Type>().values().to_vec();
    values[row] = value;
    with(batch, name, Arc::new(Int32Array::from(values)))
}

/// A batch with one value of a text column changed.
fn with_text(batch: &RecordBatch, name: &str, row: usize, value: Option<&str>) -> RecordBatch {
    let mut values = strings(batch, name);
    values[row] = value.map(str::to_owned);
    with(batch, name, Arc::new(StringArray::from(values)))
}

/// These rows of a batch, in this order.
fn rows(batch: &RecordBatch, rows: &[u32]) -> RecordBatch {
    take_record_batch(batch, &UInt32Array::from(rows.to_vec())).unwrap()
}

#[test]
fn a_clean_output_has_no_defects() {
    for config in [config(), tiny_parts()] {
        let sample = Sample::with(config);
        for depth in [FULL, QUICK] {
            let (lines, found) = sample.verify(depth);
            assert_eq!(lines, [""; 0]);
            assert_eq!((found.inputs, found.parts), (1, sample.commit.parts.len() as u64));
            assert_eq!(found.rows.values().sum::<u64>(), 7);
            assert_eq!((found.live_files, found.documents_without_text), (0, 0));
        }
    }
}

#[test]
fn an_input_without_records_is_clean() {
    let (dir, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let unit = unit(0, "/in/empty.xml", "");
    let packets = vec![Packet::Open(unit.clone()), close(&unit, Tally::default(), Outcome::Complete)];
    runtime.block_on(async {
        let (output, commit_log) = open(dir.path()).await.unwrap();
        write_one(&output, &commit_log, config(), packets).await;
        output.finish().await.unwrap();
    });
    assert_eq!(verified(dir.path(), &runtime, FULL).0, [""; 0]);
}

#[test]
fn texts_that_were_not_kept_are_counted_and_the_rest_is_checked() {
    let mut spec = spec();
    spec.settings.insert("text".into(), "hash".into());
    let sample = Sample::with(WriteConfig { spec, text: TextPolicy::Hash, ..config() });
    let (lines, found) = sample.verify(FULL);
    assert_eq!((lines, found.documents_without_text), (vec![], 2));
    sample.rewrite("annotations", |batch| with_int(&batch, "end_byte", 1, 15));
    assert_eq!(
        sample.line(),
        "A: byte offsets do not match the mention's length: expected Some(3), found Some(4) (row 1, record 0)"
    );
}

#[test]
fn two_commits_of_one_pubmed_file_are_a_defect() {
    let sample = Sample::new();
    let other = unit(1, "/in/b.xml", "b");
    committed(sample.runtime.block_on(run_one(sample.dir.path(), config(), &other)));
    for (content, directory) in [("a", "/mirror"), ("b", "/moved")] {
        let path = sample.path(&format!("_pubtag/commits/{}.json", &sha256(content.as_bytes())[..32]));
        let mut marker: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let uri = format!("{directory}/pubmed26n0002.xml.gz");
        (marker["input"]["uri"], marker["claim"]["uri"]) = (json!(uri), json!(uri));
        fs::write(path, marker.to_string()).unwrap();
    }
    let (lines, _) = sample.verify(QUICK);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("another commit of the same PubMed file counts, too: pubmed26n0002 in _pubtag/"),
        "{lines:?}"
    );
}

#[test]
fn nothing_is_written() {
    let sample = Sample::new();
    sample.edit_bytes("rejects", |bytes| bytes[20] ^= 1);
    let state = || -> Vec<_> {
        let names = files(sample.dir.path());
        names.iter().map(|name| (name.clone(), fs::metadata(sample.path(name)).unwrap().modified().unwrap())).collect()
    };
    let before = state();
    sample.verify(FULL);
    assert_eq!(before, state());
}

#[test]
fn a_flipped_byte_of_a_page_is_one_line() {
    let sample = Sample::new();
    sample.edit_bytes("annotations", |bytes| bytes[100] ^= 1);
    let line = sample.line();
    assert!(line.starts_with("A: SHA-256 differs from the marker's: expected "), "{line}");
    assert_eq!(sample.lines(QUICK), [""; 0], "the footer is whole");
}

#[test]
fn a_page_that_cannot_be_decoded_is_named_with_its_column() {
    let sample = Sample::new();
    let at = {
        use parquet::file::reader::{FileReader, SerializedFileReader};
        let file = fs::File::open(sample.path(&sample.part("documents"))).unwrap();
        let metadata = SerializedFileReader::new(file).unwrap().metadata().clone();
        let columns = metadata.row_group(0).columns();
        let title = columns.iter().find(|column| column.column_path().string() == "title").unwrap();
        let (start, length) = title.byte_range();
        start as usize..(start + length) as usize
    };
    sample.edit_bytes("documents", |bytes| bytes[at].fill(0xff));
    let bytes = fs::read(sample.path(&sample.part("documents"))).unwrap();
    sample.vouch_for("documents", &bytes, 3);
    let line = sample.line();
    assert!(line.starts_with("D: not decodable: ") && line.ends_with(" (row group 0, column title)"), "{line}");
}

#[test]
fn a_truncated_part_is_one_line_in_either_depth() {
    let sample = Sample::new();
    let bytes = sample.commit.parts[0].bytes;
    sample.edit_bytes("annotations", |bytes| bytes.truncate(bytes.len() - 10));
    let expected = format!("A: length differs from the marker's: expected {bytes} bytes, found {}", bytes - 10);
    assert_eq!(sample.lines(FULL), [expected.as_str()]);
    assert_eq!(sample.lines(QUICK), [expected]);
}

#[test]
fn a_truncated_part_that_matches_its_marker_is_not_readable() {
    let sample = Sample::new();
    sample.edit_bytes("annotations", |bytes| bytes.truncate(bytes.len() - 10));
    let bytes = fs::read(sample.path(&sample.part("annotations"))).unwrap();
    sample.vouch_for("annotations", &bytes, 3);
    for depth in [FULL, QUICK] {
        let lines = sample.lines(depth);
        assert!(lines.len() == 1 && lines[0].starts_with("A: not readable as Parquet: "), "{lines:?}");
    }
}

#[test]
fn a_missing_part_is_one_line_in_either_depth() {
    let sample = Sample::new();
    fs::remove_file(sample.path(&sample.part("rejects"))).unwrap();
    let expected = format!("R: missing: expected {} bytes, found no file", sample.commit.parts[2].bytes);
    assert_eq!(sample.lines(FULL), [expected.as_str()]);
    assert_eq!(sample.lines(QUICK), [expected]);
}

#[test]
fn extra_parts_and_unknown_files_are_one_line_each() {
    let sample = Sample::new();
    let part = sample.part("annotations");
    let extra = part.replace("-000.parquet", "-001.parquet");
    fs::copy(sample.path(&part), sample.path(&extra)).unwrap();
    fs::write(sample.path("documents/notes.txt"), "notes").unwrap();
    fs::create_dir(sample.path("rejects/old")).unwrap();
    fs::copy(sample.path(&part), sample.path(&format!("rejects/old/{}", extra.rsplit('/').next().unwrap()))).unwrap();
    let bytes = sample.commit.parts[0].bytes;
    let lines = sample.lines(QUICK);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], format!("{extra}: no marker names this part: {bytes} bytes"));
    assert_eq!(lines[1], "documents/notes.txt: not written by pubtag: 5 bytes");
    assert!(
        lines[2].starts_with("rejects/old/") && lines[2].ends_with(&format!("not written by pubtag: {bytes} bytes"))
    );
}

#[test]
fn parts_of_a_live_run_are_counted_and_those_of_a_dead_run_are_defects() {
    let sample = Sample::new();
    let (output, _) = sample.runtime.block_on(open(sample.dir.path())).unwrap();
    let part = format!("annotations/b-{}-00000-000.parquet", output.run_id());
    fs::write(sample.path(&part), "half").unwrap();
    let (lines, found) = sample.verify(FULL);
    assert_eq!((lines, found.live_files), (vec![], 1));
    drop(output);
    let (lines, found) = sample.verify(FULL);
    assert_eq!((lines, found.live_files), (vec![format!("{part}: no marker names this part: 4 bytes")], 0));
}

#[test]
fn a_marker_that_does_not_parse_leaves_its_parts_without_one() {
    let sample = Sample::new();
    let path = sample.path(&sample.marker());
    let marker = fs::read(&path).unwrap();
    fs::write(path, &marker[..marker.len() / 2]).unwrap();
    let lines = sample.lines(FULL);
    let starts =
        ["A: no marker names this part: ", "D: no marker names ", "M: not a marker: EOF", "R: no marker names "];
    assert!(lines.len() == 4 && lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{lines:#?}");
}

#[test]
fn a_marker_without_a_table_and_the_part_it_omits_are_defects() {
    let sample = Sample::new();
    sample.edit_marker(|marker| drop(marker["parts"].as_array_mut().unwrap().pop()));
    let bytes = sample.commit.parts[2].bytes;
    let expected =
        ["M: has no part for a table: rejects".into(), format!("R: no marker names this part: {bytes} bytes")];
    assert_eq!(sample.lines(FULL), expected);
}

#[test]
fn counts_edited_in_a_marker_are_one_line_each() {
    let line_of = |edit: fn(&mut Value)| {
        let sample = Sample::new();
        sample.edit_marker(edit);
        sample.line()
    };
    assert_eq!(
        line_of(|marker| marker["tally"]["citations"] = json!(3)),
        "M: citations read differ from their rows: expected 3, found 2"
    );
    assert_eq!(
        line_of(|marker| marker["tally"]["deletions"] = json!(0)),
        "M: deletions read differ from their rows: expected 0, found 1"
    );
    assert_eq!(
        line_of(|marker| marker["tally"]["rejects"] = json!(2)),
        "M: rejects read differ from their rows: expected 2, found 1"
    );
    assert_eq!(
        line_of(|marker| marker["statuses"]["tagged"] = json!(2)),
        "M: statuses differ from the rows: expected 1 deleted + 1 no_entity + 2 tagged, found 1 deleted + 1 \
         no_entity + 1 tagged"
    );
    assert_eq!(
        line_of(|marker| marker["parts"][1]["rows"] = json!(4)),
        "D: row count differs from the marker's: expected 4, found 3"
    );
    let line = line_of(|marker| marker["parts"][1]["sha256"] = json!("00"));
    assert!(line.starts_with("D: SHA-256 differs from the marker's: expected 00, found "), "{line}");
}

#[test]
fn a_quick_check_reconciles_the_row_counts_in_footers() {
    let sample = Sample::new();
    sample.edit_marker(|marker| marker["tally"]["citations"] = json!(3));
    assert_eq!(sample.lines(QUICK), ["M: records read differ from the rows of documents: expected 4, found 3"]);
}

#[test]
fn swapped_parts_are_one_line_each() {
    let sample = Sample::new();
    let other = committed(sample.runtime.block_on(run_one(sample.dir.path(), config(), &unit(1, "/in/b.xml", "b"))));
    let (one, two) = (sample.path(&sample.commit.parts[0].path), sample.path(&other.parts[0].path));
    fs::rename(&one, sample.path("x")).unwrap();
    fs::rename(&two, &one).unwrap();
    fs::rename(sample.path("x"), &two).unwrap();
    let lines = sample.lines(FULL);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("differs from the marker's: expected")), "{lines:?}");
}

#[test]
fn a_part_of_another_attempt_is_named_even_if_it_matches_the_marker() {
    let sample = Sample::new();
    let other = committed(sample.runtime.block_on(run_one(sample.dir.path(), config(), &unit(1, "/in/b.xml", "b"))));
    fs::copy(sample.path(&other.parts[0].path), sample.path(&sample.part("annotations"))).unwrap();
    sample.vouch("annotations");
    let expected = format!(
        "A: written by a different attempt than its marker's: expected {}, found {}",
        sample.commit.attempt_id, other.attempt_id
    );
    assert_eq!(sample.lines(FULL), [expected.as_str()]);
    assert_eq!(sample.lines(QUICK), [expected]);
}

#[test]
fn a_doubled_marker_is_one_line() {
    let sample = Sample::new();
    fs::copy(sample.path(&sample.marker()), sample.path("_pubtag/commits/copy.json")).unwrap();
    let line = sample.line();
    let name = sample.marker().rsplit('/').next().unwrap().to_owned();
    assert_eq!(
        line,
        format!("_pubtag/commits/copy.json: name does not match the marker's input: expected {name}, found copy.json")
    );
}

#[test]
fn a_marker_that_names_the_parts_of_another_is_one_line() {
    let sample = Sample::new();
    let mut marker: Value = serde_json::from_slice(&fs::read(sample.path(&sample.marker())).unwrap()).unwrap();
    marker["input"]["sha256"] = json!("f".repeat(64));
    marker["attempt_id"] = json!("another");
    let name = format!("_pubtag/commits/{}.json", "f".repeat(32));
    fs::write(sample.path(&name), marker.to_string()).unwrap();
    assert_eq!(sample.line(), format!("{name}: names a part of another marker: A"));
}

#[test]
fn a_superseded_marker_is_a_defect_once_the_replacing_run_has_ended() {
    let (dir, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let run = |content: &str| {
        let config = WriteConfig { overwrite: true, ..config() };
        committed(runtime.block_on(run_one(dir.path(), config, &unit(0, "/in/a.xml", content))))
    };
    let old = run("old");
    let marker = format!("_pubtag/commits/{}", markers(dir.path())[0]);
    let names: Vec<String> = old.parts.iter().map(|part| part.path.clone()).chain([marker.clone()]).collect();
    let kept: Vec<Vec<u8>> = names.iter().map(|name| fs::read(dir.path().join(name)).unwrap()).collect();
    let new = run("new content");
    assert_eq!(verified(dir.path(), &runtime, FULL).0, [""; 0]);
    names.iter().zip(kept).for_each(|(name, bytes)| fs::write(dir.path().join(name), bytes).unwrap());
    assert_eq!(
        verified(dir.path(), &runtime, FULL).0,
        [format!("{marker}: superseded but not removed: 7 rows count twice, replaced by {}", new.attempt_id)]
    );
    let lock = fs::File::create(dir.path().join(format!("_pubtag/attempts/{}.lock", new.run_id))).unwrap();
    lock.lock().unwrap();
    assert_eq!(verified(dir.path(), &runtime, FULL).0, [""; 0], "the run that replaced it may be about to remove it");
}

#[test]
fn offsets_that_are_shifted_are_one_line_each() {
    let line_of = |edit: fn(RecordBatch) -> RecordBatch| {
        let sample = Sample::new();
        sample.rewrite("annotations", edit);
        sample.line()
    };
    assert_eq!(
        line_of(|batch| with_int(&with_int(&batch, "start_byte", 1, 12), "end_byte", 1, 15)),
        "A: mention differs from the text at its byte offsets: expected \"ALS\", found \"LS.\" (row 1, record 0)"
    );
    assert_eq!(
        line_of(|batch| with_int(&with_int(&batch, "start_char", 1, 12), "end_char", 1, 15)),
        "A: start_char does not match start_byte: expected 11, found 12 (row 1, record 0)"
    );
    assert_eq!(
        line_of(|batch| with_int(&batch, "end_char", 2, 46)),
        "A: character offsets do not match the mention's length: expected Some(10), found Some(11) (row 2, record 0)"
    );
    // The mention's characters counted as if they were bytes: ß and 𝛽 are before and in it.
    assert_eq!(
        line_of(|batch| {
            let bytes = |name: &str| batch[name].as_primitive::<Int32Type>().value(2);
            let (start, end) = (bytes("start_byte"), bytes("end_byte"));
            with_int(&with_int(&batch, "start_char", 2, start), "end_char", 2, end)
        }),
        "A: character offsets do not match the mention's length: expected Some(10), found Some(14) (row 2, record 0)"
    );
}

#[test]
fn annotations_that_contradict_their_document_are_one_line_each() {
    let line_of = |edit: fn(RecordBatch) -> RecordBatch| {
        let sample = Sample::new();
        sample.rewrite("annotations", edit);
        sample.line()
    };
    assert_eq!(
        line_of(|batch| with_text(&batch, "mention", 0, Some("ataxia"))),
        "A: mention differs from the text at its byte offsets: expected \"ataxia\", found \"Ataxia\" (row 0, record 0)"
    );
    assert_eq!(
        line_of(|batch| with_text(&batch, "section", 2, Some("RESULTS"))),
        "A: section does not match start_char: expected \"METHODS\", found \"RESULTS\" (row 2, record 0)"
    );
    assert_eq!(
        line_of(|batch| with_text(&batch, "doc_id", 2, Some("7"))),
        "A: doc_id differs from its document's: expected \"1000\", found \"7\" (row 2, record 0)"
    );
    assert_eq!(
        line_of(|batch| with_int(&batch, "pmid_version", 0, 2)),
        "A: pmid_version differs from its document's: expected 1, found 2 (row 0, record 0)"
    );
    assert_eq!(
        line_of(|batch| {
            let mut scores = batch["score"].as_primitive::<Float32Type>().values().to_vec();
            scores[1] = f32::NAN;
            with(&batch, "score", Arc::new(Float32Array::from(scores)))
        }),
        "A: score is not a probability: NaN (row 1, record 0)"
    );
    let run_id = line_of(|batch| with_text(&batch, "run_id", 0, Some("x")));
    assert!(run_id.starts_with("A: run_id differs from the marker's: expected"), "{run_id}");
    assert_eq!(
        line_of(|batch| with_text(&batch, "source_file", 1, Some("b.xml"))).split(" (").next(),
        Some("A: source_file differs from the marker's: expected \"a.xml\", found \"b.xml\"")
    );
}

#[test]
fn duplicate_missing_and_misordered_rows_are_separate_lines() {
    let lines_of = |table: &str, order: &[u32]| {
        let sample = Sample::new();
        sample.rewrite(table, |batch| rows(&batch, order));
        sample.edit_marker(|marker| {
            let count = order.len() as u64;
            match table {
                "documents" => marker["tally"]["citations"] = json!(count - 1),
                "rejects" => marker["tally"]["rejects"] = json!(count),
                _ => {}
            }
        });
        let lines = sample.lines(FULL);
        lines.into_iter().filter(|line| !line.starts_with("M: ")).collect::<Vec<_>>()
    };
    let id = strings(&Sample::new().rows_of("annotations"), "annotation_id")[1].clone().unwrap();
    assert_eq!(lines_of("annotations", &[0, 1, 1, 2]), [format!("A: duplicate annotation_id: {id} (row 2, record 0)")]);
    assert_eq!(
        lines_of("annotations", &[0, 2]),
        ["D: annotation_count does not match the rows: expected 2, found 3 (row 0, record 0)"]
    );
    let out_of_order = lines_of("annotations", &[1, 0, 2]);
    assert!(out_of_order.contains(&"A: rows are out of order (row 1, record 0)".to_owned()), "{out_of_order:?}");
    assert_eq!(lines_of("documents", &[0, 1, 1, 2]), ["D: duplicate record (row 2, record 1)"]);
    assert_eq!(lines_of("documents", &[1, 2]), ["A: annotation without a document (row 0, record 0, and 2 more)"]);
    assert_eq!(lines_of("documents", &[0, 2, 1]), ["D: rows are out of order (row 2, record 1)"]);
    assert_eq!(lines_of("rejects", &[0, 0]), ["R: duplicate record (row 1, record 3)"]);
}

#[test]
fn a_record_among_documents_and_rejects_is_one_line() {
    let sample = Sample::new();
    sample.rewrite("rejects", |batch| with_int(&batch, "ordinal", 0, 1));
    assert_eq!(sample.line(), "D: record is also a reject (row 1, record 1)");
}

#[test]
fn documents_that_contradict_themselves_are_one_line_each() {
    let line_of = |edit: fn(RecordBatch) -> RecordBatch| {
        let sample = Sample::new();
        sample.rewrite("documents", edit);
        sample.line()
    };
    let line = line_of(|batch| with_text(&batch, "title", 1, Some("Nothing there.")));
    assert!(
        line.starts_with("D: text_sha256 does not match the text: expected \"") && line.ends_with("(row 1, record 1)")
    );
    assert_eq!(
        line_of(|batch| with_int(&batch, "char_count", 1, 7)).split(" (").next(),
        Some("D: char_count does not match the text: expected 44, found 7")
    );
    assert_eq!(line_of(|batch| with_text(&batch, "abstract", 1, None)), "D: text is missing (row 1, record 1)");
    assert_eq!(
        line_of(|batch| with_text(&batch, "text_sha256", 0, None)),
        "D: text_sha256 is missing (row 0, record 0)"
    );
    assert_eq!(
        line_of(|batch| with_int(&batch, "token_count", 1, 0)),
        "D: status does not match the counts: expected \"no_text\", found \"no_entity\" (row 1, record 1)"
    );
    assert_eq!(
        line_of(|batch| with_int(&batch, "generation", 2, 2025)),
        "D: generation and file_seq differ within an input: expected [Some(2026), Some(7)], found [Some(2025), Some(7)] \
         (row 2, record 2)"
    );
}

#[test]
fn a_schema_that_is_not_the_tables_is_one_line_in_either_depth() {
    let without_last = |batch: RecordBatch| {
        let keep: Vec<usize> = (0..batch.num_columns() - 1).collect();
        batch.project(&keep).unwrap()
    };
    let sample = Sample::new();
    sample.rewrite("rejects", without_last);
    assert_eq!(sample.line(), "R: column is missing: source_file");
    let sample = Sample::new();
    sample.rewrite("rejects", |batch| batch.project(&[1, 0, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap());
    for depth in [FULL, QUICK] {
        let lines = sample.lines(depth);
        assert!(lines.len() == 1 && lines[0].starts_with("R: column differs from the table's: expected "), "{lines:?}");
    }
}

#[test]
fn what_is_not_an_output_or_is_newer_is_an_error() {
    let (dir, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
    let config = VerifyConfig { depth: FULL, threads: NonZeroUsize::MIN };
    let error = |folder: &Path| {
        verify(Store::directory(folder).unwrap(), config, runtime.handle(), |_| ()).unwrap_err().to_string()
    };
    assert!(error(dir.path()).contains("not an output of pubtag"));
    assert!(Store::directory(&dir.path().join("nowhere")).is_err());
    let sample = Sample::new();
    sample.edit_marker(|marker| marker["version"] = json!(99));
    assert!(error(sample.dir.path()).contains("has version 99"));
    fs::write(sample.path("_pubtag/output.json"), "{\"schema_version\": 99}").unwrap();
    assert!(error(sample.dir.path()).contains("output.json has version 99"));
}

impl Sample {
    fn rows_of(&self, table: &str) -> RecordBatch {
        read_file(&self.path(&self.part(table))).remove(0)
    }
}

#[test]
fn a_run_id_that_no_run_has_is_dead() {
    let sample = Sample::new();
    let part = format!("rejects/b-{}-00000-000.parquet", Uuid::now_v7());
    fs::write(sample.path(&part), "").unwrap();
    assert_eq!(sample.line(), format!("{part}: no marker names this part: 0 bytes"));
}
