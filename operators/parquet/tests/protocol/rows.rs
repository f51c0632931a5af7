//! The contents of an output: accounts for every object, and reads every column of every part.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pubtag_schemas::{Commit, Part, split_superseded};
use pubtag_schemas::{TaggedDocument, TaggedRecord};

use crate::common;
use crate::inputs::{self, BAD, Content, GOOD, Settings};

/// A commit in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) settings: Settings,
    /// Name of the file it was made from.
    pub(crate) name: String,
    pub(crate) attempt: String,
    /// Whether parts are missing or changed.
    pub(crate) is_broken: bool,
    /// The number of its claim.
    pub(crate) number: u32,
}

/// The state of an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) commits: BTreeMap<Content, Seen>,
    /// The highest number of each name's claims, those of contents that have moved included.
    pub(crate) highest: BTreeMap<String, u32>,
    /// Objects that belong to no commit that counts.
    pub(crate) leftovers: Vec<String>,
}

/// Reads all there is. Panics if a commit is whole and its rows are not those of its input.
pub(crate) fn observe(objects: &BTreeMap<String, Bytes>) -> Observed {
    let markers = objects.iter().filter(|(path, _)| path.starts_with("_pubtag/commits/"));
    let markers: Vec<(&String, Commit)> =
        markers.map(|(path, bytes)| (path, serde_json::from_slice(bytes).unwrap())).collect();
    let (_, void) = split_superseded(markers.iter().map(|(_, commit)| commit.clone()).collect());
    let void: HashSet<String> = void.into_iter().map(|commit| commit.attempt_id).collect();
    let mut observed = Observed::default();
    let mut explained: HashSet<&str> = HashSet::from(["_pubtag/output.json"]);
    for (path, commit) in &markers {
        if void.contains(&commit.attempt_id) {
            continue;
        }
        explained.insert(path);
        explained.extend(commit.parts.iter().map(|part| part.path.as_str()));
        let content = content_of(commit);
        let settings = Settings::of(&commit.model_sha256);
        let is_broken = commit.parts.iter().any(|part| !is_whole(part, objects));
        if !is_broken {
            check_rows(content, settings, commit, objects);
        }
        for claim in commit.claims() {
            let highest = observed.highest.entry(inputs::name_of(&claim.uri)).or_default();
            *highest = claim.number.max(*highest);
        }
        let name = inputs::name_of(commit.uri());
        let number = commit.claim.as_ref().map_or(0, |claim| claim.number);
        let seen = Seen { settings, name, attempt: commit.attempt_id.clone(), is_broken, number };
        let twice = observed.commits.insert(content, seen);
        assert_eq!(twice, None, "a content is committed twice");
    }
    let is_left = |path: &&String| !explained.contains(path.as_str()) && !path.starts_with("_pubtag/claims/");
    observed.leftovers = objects.keys().filter(is_left).cloned().collect();
    observed
}

fn content_of(commit: &Commit) -> Content {
    let found = GOOD.chain([BAD]).find(|&content| inputs::sha256(content) == commit.input.sha256);
    let content = found.expect("a commit is of an input that there was");
    assert_ne!(content, BAD, "a damaged input is committed");
    content
}

/// Whether a part is there as its marker says. One of the right length and other bytes is a defect in any case.
fn is_whole(part: &Part, objects: &BTreeMap<String, Bytes>) -> bool {
    let Some(bytes) = objects.get(&part.path).filter(|bytes| bytes.len() as u64 == part.bytes) else { return false };
    assert_eq!(common::sha256(bytes), part.sha256, "{} holds other bytes than its marker says", part.path);
    true
}

fn check_rows(content: Content, settings: Settings, commit: &Commit, objects: &BTreeMap<String, Bytes>) {
    for (table, expected) in expected(content, settings) {
        let mut rows = Vec::new();
        for part in commit.parts.iter().filter(|part| part.table == table) {
            let before = rows.len();
            read(&objects[&part.path], columns(table), &mut rows);
            assert_eq!((rows.len() - before) as u64, part.rows, "{} has other rows than its marker says", part.path);
        }
        assert_eq!(rows, expected, "{table} of content {content} with settings {settings:?}");
    }
}

fn columns(table: &str) -> &'static [&'static str] {
    match table {
        "annotations" => &["doc_id", "mention", "start_byte", "end_byte", "label", "model_id"],
        "documents" => &["doc_id", "ordinal", "status", "title", "model_id"],
        _ => &["ordinal", "reason"],
    }
}

fn read(bytes: &Bytes, columns: &[&str], rows: &mut Vec<String>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap().build().unwrap();
    for batch in reader {
        let batch: RecordBatch = batch.expect("every column of a part can be read");
        rows.extend((0..batch.num_rows()).map(|row| {
            let value = |column: &&str| array_value_to_string(&batch[*column], row).unwrap();
            columns.iter().map(value).collect::<Vec<_>>().join("|")
        }));
    }
}

/// The rows of each table, from the records alone.
fn expected(content: Content, settings: Settings) -> HashMap<&'static str, Vec<String>> {
    let unit = Arc::new(inputs::unit(0, "x", inputs::File { content, modified: 0 }));
    let model = settings.spec().model_id;
    let mut tables: HashMap<&'static str, Vec<String>> =
        ["annotations", "documents", "rejects"].map(|table| (table, Vec::new())).into();
    let mut row = |table: &str, row: String| tables.get_mut(table).unwrap().push(row);
    for record in inputs::records(&unit, content) {
        match record {
            TaggedRecord::Document(TaggedDocument { citation, annotations, .. })
            | TaggedRecord::Cached(TaggedDocument { citation, annotations, .. }) => {
                let (id, text) = (citation.doc_id.as_str(), citation.text.as_str());
                for found in &annotations {
                    let (mention, span) = (&text[found.bytes.clone()], &found.bytes);
                    row("annotations", format!("{id}|{mention}|{}|{}|{}|{model}", span.start, span.end, found.label));
                }
                let status = if annotations.is_empty() { "no_entity" } else { "tagged" };
                let title = citation.text.title();
                row("documents", format!("{id}|{}|{status}|{title}|{model}", citation.place.ordinal));
            }
            TaggedRecord::Deletion(deletion) => {
                row("documents", format!("{}|{}|deleted||{model}", deletion.pmid, deletion.place.ordinal));
            }
            TaggedRecord::Reject(reject) => {
                row("rejects", format!("{}|{}", reject.place.ordinal, reject.reason.as_str()));
            }
        }
    }
    tables
}
