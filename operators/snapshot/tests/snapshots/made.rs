//! Made outputs: inputs with documents and annotations, in memory.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use arrow::array::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use pubtag_schemas::table::{Micros, Table};
use pubtag_schemas::tables::{AnnotationRow, DocumentRow};
use pubtag_schemas::{COMMIT_VERSION, Commit, CommitOutcome, Input, Part, Tally};
use pubtag_snapshot::{Committed, Key, Parts, SnapshotConfig};
use pubtag_stream::Fault;
use uuid::Uuid;

/// A record of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Key,
    pub(crate) version: i32,
    /// `None` deletes. The text decides the annotations, too.
    pub(crate) text: Option<u8>,
}

/// An input: its place among the others, and its records.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) generation: Option<i32>,
    pub(crate) file_seq: Option<i32>,
    pub(crate) is_update: bool,
    pub(crate) records: Vec<Record>,
}

pub(crate) fn record(pmid: i64, version: i32, text: Option<u8>) -> Record {
    Record { key: Key::Pmid(pmid), version, text }
}

/// An output in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    inputs: BTreeMap<usize, (Made, Committed)>,
    batches: HashMap<String, RecordBatch>,
    commits: u32,
}

impl Output {
    /// Commits an input; returns a number for [`remove`](Self::remove).
    pub(crate) fn add(&mut self, made: Made) -> usize {
        let attempt = self.commits;
        self.commits += 1;
        let number = attempt as usize;
        let run_id = Uuid::from_u128(u128::from(attempt) + 1);
        let directory = if made.is_update { "updatefiles" } else { "baseline" };
        let name = match (made.generation, made.file_seq) {
            (Some(year), Some(seq)) => format!("pubmed{}n{seq:04}.xml.gz", year % 100),
            _ => format!("own-{attempt}.jsonl"),
        };
        let part = |table: &str| Part {
            table: table.to_owned(),
            path: format!("{table}/{run_id}-{attempt}.parquet"),
            rows: made.records.len() as u64,
            bytes: 0,
            sha256: String::new(),
        };
        let parts = vec![part("annotations"), part("documents")];
        let documents: Vec<_> =
            (0..).zip(&made.records).map(|(ordinal, r)| document(ordinal, r, &made, run_id, &name)).collect();
        let annotations: Vec<_> =
            documents.iter().flat_map(|row| (0..row.annotation_count).map(|at| annotation(row, at))).collect();
        self.batches.insert(parts[0].path.clone(), AnnotationRow::to_batch(&annotations).unwrap());
        self.batches.insert(parts[1].path.clone(), DocumentRow::to_batch(&documents).unwrap());
        let commit = commit(run_id, format!("/mirror/{directory}/{name}"), parts);
        let (generation, file_seq) = (made.generation, made.file_seq);
        self.inputs.insert(number, (made, Committed { commit, generation, file_seq }));
        number
    }

    /// Removes a commit, as one that another supersedes. Its parts are gone.
    pub(crate) fn remove(&mut self, number: usize) {
        let (_, committed) = self.inputs.remove(&number).unwrap();
        for part in committed.commit.parts {
            self.batches.remove(&part.path).unwrap();
        }
    }

    pub(crate) fn made(&self, number: usize) -> Made {
        self.inputs[&number].0.clone()
    }

    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.inputs.keys().copied().collect()
    }

    pub(crate) fn committed(&self) -> Vec<Committed> {
        self.inputs.values().map(|(_, committed)| committed.clone()).collect()
    }

    /// Whether an input of a generation names a document.
    pub(crate) fn names(&self, key: &Key, in_force: Option<i32>) -> bool {
        let counts = |made: &Made| made.generation.is_none() || made.generation == in_force;
        let mut counting = self.inputs.values().map(|(made, _)| made).filter(|made| counts(made));
        counting.any(|made| made.records.iter().any(|record| record.key == *key))
    }

    /// The live documents of a generation: version and text. Files are applied one after another.
    pub(crate) fn expected(&self, in_force: Option<i32>) -> BTreeMap<Key, (i32, u8)> {
        let mut inputs: Vec<_> = self.inputs.iter().map(|(number, (made, _))| (made, *number)).collect();
        inputs.retain(|(made, _)| made.generation.is_none() || made.generation == in_force);
        inputs.sort_by_key(|(made, number)| (made.generation, made.file_seq, *number));
        let mut live: BTreeMap<Key, BTreeMap<i32, u8>> = BTreeMap::new();
        for record in inputs.iter().flat_map(|(made, _)| &made.records) {
            let versions = live.entry(record.key.clone()).or_default();
            match record.text {
                Some(text) => drop(versions.insert(record.version, text)),
                None => drop(versions.remove(&record.version)),
            }
        }
        let current = |(key, versions): (Key, BTreeMap<i32, u8>)| Some((key, versions.into_iter().next_back()?));
        live.into_iter().filter_map(current).collect()
    }
}

impl Parts for Output {
    fn rows<'a>(&'a self, part: &'a Part, _: Option<&'a [&'a str]>) -> BoxStream<'a, Result<RecordBatch, Fault>> {
        const ROWS: usize = 3;
        let batch = &self.batches[&part.path];
        let starts = (0..batch.num_rows()).step_by(ROWS);
        let slices = starts.map(|start| Ok(batch.slice(start, ROWS.min(batch.num_rows() - start))));
        futures::stream::iter(slices).boxed()
    }
}

fn commit(run_id: Uuid, uri: String, parts: Vec<Part>) -> Commit {
    Commit {
        version: COMMIT_VERSION,
        fingerprint: String::new(),
        input: Input { uri, sha256: run_id.to_string(), key: None, size: None, modified_us: None, e_tag: None },
        attempt_id: format!("{run_id}-00000"),
        run_id,
        model_id: "m-0".into(),
        model_sha256: String::new(),
        settings: BTreeMap::new(),
        program: String::new(),
        parts,
        tally: Tally::default(),
        statuses: BTreeMap::new(),
        outcome: CommitOutcome::Complete,
        supersedes: Vec::new(),
        claim: None,
        former_claims: Vec::new(),
        committed_at: String::new(),
    }
}

fn document(ordinal: i32, record: &Record, made: &Made, run_id: Uuid, name: &str) -> DocumentRow {
    let (pmid, doc_id) = match &record.key {
        Key::Pmid(pmid) => (Some(*pmid), pmid.to_string()),
        Key::DocId(id) => (None, id.clone()),
    };
    let text = record.text.map(|text| format!("text {text}"));
    DocumentRow {
        doc_id,
        pmid,
        pmid_version: record.version,
        title: text.clone(),
        r#abstract: text.clone(),
        text_sha256: text,
        sections: Vec::new(),
        pub_date_raw: None,
        pub_year: None,
        pub_date: None,
        date_revised: None,
        journal: None,
        language: None,
        has_abstract: true,
        char_count: 6,
        token_count: 2,
        window_count: 1,
        annotation_count: record.text.map_or(0, |text| i32::from(text % 4)),
        status: if record.text.is_some() { "tagged" } else { "deleted" }.into(),
        model_id: "m-0".into(),
        run_id: run_id.to_string(),
        processed_at: Micros(0),
        generation: made.generation,
        file_seq: made.file_seq,
        ordinal,
        source_file: name.to_owned(),
        cached: Some(false),
    }
}

fn annotation(document: &DocumentRow, at: i32) -> AnnotationRow {
    let text = document.title.clone().unwrap_or_default();
    AnnotationRow {
        annotation_id: format!("{text}-{at}"),
        doc_id: document.doc_id.clone(),
        pmid: document.pmid,
        pmid_version: document.pmid_version,
        section: "title".into(),
        start_char: at,
        end_char: at + 1,
        start_byte: at,
        end_byte: at + 1,
        mention: text,
        label: "Disease".into(),
        score: 0.5,
        concept_ids: None,
        model_id: document.model_id.clone(),
        run_id: document.run_id.clone(),
        generation: document.generation,
        file_seq: document.file_seq,
        ordinal: document.ordinal,
        source_file: document.source_file.clone(),
        source: Some("model".into()),
    }
}

/// Buckets of a few documents, and a few rows per sorted run.
pub(crate) fn small(bucket_bytes: u64) -> SnapshotConfig {
    SnapshotConfig {
        program: "test".into(),
        generation: None,
        baselines: pubtag_snapshot::Baselines::new(),
        bucket_bytes,
        sort_bytes: 30_000,
        scratch: std::env::temp_dir(),
        keep: NonZeroUsize::new(2).unwrap(),
        is_alone: true,
    }
}
