//! Shared by the tests: small inputs, runs of the sink, and a reader of its output.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use futures::StreamExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pubtag_parquet::{CommitLog, Error, Output, ParquetSink, RunSpec, Standing, WriteConfig};
use pubtag_schemas::table::Table;
use pubtag_schemas::{
    AbstractSegment, Annotation, AnnotationSource, Citation, CitationText, Close, Commit, Deletion, Ending, InputUnit,
    Location, Outcome, Packet, Place, PmidVersion, PubDate, Reject, RejectReason, TaggedDocument, TaggedRecord, Tally,
    UnitReport, civil_date,
};
use pubtag_store::{Address, StoreError, StoreOptions};
use pubtag_stream::{Fault, Flow, Meter, Operator, Write};
use uuid::Uuid;

pub(crate) type Tagged = Packet<TaggedRecord>;

/// A file; its content matters only for its hash.
pub(crate) fn unit(index: usize, uri: &str, content: &str) -> Arc<InputUnit> {
    Arc::new(InputUnit {
        index,
        location: Location::File(uri.into()),
        read_once: false,
        sha256: Some(sha256(content.as_bytes())),
        size: Some(content.len() as u64),
        modified_us: Some(1_000_000),
        e_tag: None,
        generation: Some(2026),
        file_seq: Some(7),
    })
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    pubtag_schemas::hex(sha2::Sha256::digest(bytes))
}

pub(crate) fn spec() -> RunSpec {
    let settings = BTreeMap::from([("text".to_owned(), "keep".to_owned())]);
    RunSpec { model_id: "tiny-0123456789ab".into(), model_sha256: "ab".repeat(32), settings, named_after_file: false }
}

pub(crate) fn other_model() -> RunSpec {
    RunSpec { model_id: "large-fedcba987654".into(), model_sha256: "cd".repeat(32), ..spec() }
}

pub(crate) fn config() -> WriteConfig {
    WriteConfig::new(spec(), "pubtag-test 0")
}

/// Parts so small that every packet ends some.
pub(crate) fn tiny_parts() -> WriteConfig {
    WriteConfig { row_group_bytes: NonZeroUsize::MIN, part_bytes: NonZeroUsize::MIN, ..config() }
}

pub(crate) fn document(unit: &Arc<InputUnit>, ordinal: u32, title: &str, mentions: &[&str]) -> TaggedRecord {
    let label = Some("METHODS".to_owned());
    let segment = AbstractSegment { label, nlm_category: None, text: "Wir maßen 𝛽-Zerfälle.".into() };
    let text = CitationText::new(title, vec![segment]);
    let annotations = mentions.iter().map(|mention| {
        let start = text.as_str().find(mention).expect("the mention is in the text");
        // Capitalised mentions are the model's.
        let by_model = mention.starts_with(char::is_uppercase);
        let source = if by_model { AnnotationSource::Model } else { AnnotationSource::Abbreviation };
        Annotation {
            bytes: start..start + mention.len(),
            label: "Disease".into(),
            score: 0.75,
            source,
            concept_ids: Vec::new(),
        }
    });
    let pmid = (1000 + ordinal).try_into().expect("not zero");
    let annotations = annotations.collect();
    let citation = Citation {
        doc_id: pubtag_schemas::Pmid::into(pmid),
        pmid: Some(pmid),
        version: PmidVersion::FIRST,
        text,
        pub_date: PubDate { raw: Some("2003 Spring".into()), year: Some(2003), date: None },
        date_revised: civil_date(2020, 2, 29),
        journal: Some("J Test".into()),
        language: Some("eng".into()),
        place: place(unit, ordinal),
    };
    let (token_count, window_count, model_tokens) = (9, 1, 11);
    let citation = citation.into();
    TaggedRecord::Document(TaggedDocument { citation, annotations, token_count, window_count, model_tokens })
}

pub(crate) fn deletion(unit: &Arc<InputUnit>, ordinal: u32) -> TaggedRecord {
    let pmid = (1000 + ordinal).try_into().expect("not zero");
    TaggedRecord::Deletion(Deletion { pmid, version: PmidVersion::FIRST, place: place(unit, ordinal) })
}

pub(crate) fn reject(unit: &Arc<InputUnit>, ordinal: u32) -> TaggedRecord {
    let detail = "no end tag".to_owned();
    let place = place(unit, ordinal);
    TaggedRecord::Reject(Reject { place, reason: RejectReason::Malformed, detail, pmid: None, raw: b"<a".to_vec() })
}

fn place(unit: &Arc<InputUnit>, ordinal: u32) -> Place {
    Place { unit: unit.clone(), ordinal, byte_offset: u64::from(ordinal) * 100 }
}

/// Four records: two documents, a deletion, a reject; three mentions.
pub(crate) fn records(unit: &Arc<InputUnit>) -> Vec<TaggedRecord> {
    vec![
        document(unit, 0, "Ataxia and ALS.", &["Ataxia", "ALS", "𝛽-Zerfälle"]),
        document(unit, 1, "Nothing here.", &[]),
        deletion(unit, 2),
        reject(unit, 3),
    ]
}

pub(crate) const TALLY: Tally = Tally { citations: 2, deletions: 1, rejects: 1 };

pub(crate) fn close(unit: &Arc<InputUnit>, tally: Tally, outcome: Outcome) -> Tagged {
    let sha256 = unit.sha256.clone().unwrap_or_else(|| sha256(b"from stdin"));
    Packet::Close(Close { unit: unit.clone(), tally, bytes: unit.size.unwrap_or(10), sha256, outcome })
}

/// A whole unit of [`records`], one record per packet.
pub(crate) fn packets(unit: &Arc<InputUnit>) -> Vec<Tagged> {
    let items = records(unit).into_iter().map(|record| Packet::Items(vec![record]));
    let open = [Packet::Open(unit.clone())];
    open.into_iter().chain(items).chain([close(unit, TALLY, Outcome::Complete)]).collect()
}

pub(crate) fn flow(packets: Vec<Tagged>) -> Flow<Tagged> {
    Box::pin(futures::stream::iter(packets.into_iter().map(Ok)))
}

/// Writes packets and returns all reports.
pub(crate) async fn write(
    output: &Output,
    commit_log: &CommitLog,
    config: WriteConfig,
    packets: Vec<Tagged>,
) -> Vec<Result<UnitReport, Fault>> {
    Write::new(ParquetSink::new(output, commit_log, config)).apply(flow(packets), Meter::new("write")).collect().await
}

/// Writes one unit and returns how it ended.
pub(crate) async fn write_one(
    output: &Output,
    commit_log: &CommitLog,
    config: WriteConfig,
    packets: Vec<Tagged>,
) -> Ending {
    let mut reports = write(output, commit_log, config, packets).await;
    assert_eq!(reports.len(), 1, "one report per unit: {reports:?}");
    reports.remove(0).expect("the unit was written").ending
}

/// A whole run over one unit, from opening to finishing.
pub(crate) async fn run_one(folder: &Path, config: WriteConfig, unit: &Arc<InputUnit>) -> Ending {
    let (output, commit_log) = open(folder).await.expect("the output opens");
    let ending = write_one(&output, &commit_log, config, packets(unit)).await;
    output.finish().await.expect("the output can be finished");
    ending
}

pub(crate) async fn open(folder: &Path) -> Result<(Output, CommitLog), Error> {
    let store = Address::from(folder).create(&StoreOptions::default()).map_err(|error| match error {
        StoreError::Folder { path, source } => Error::Folder { path, source },
        other => panic!("{other}"),
    });
    Output::open(store?, Uuid::now_v7()).await
}

/// What a run over one unit would do.
pub(crate) fn plan_one(commit_log: &mut CommitLog, unit: &Arc<InputUnit>, spec: &RunSpec) -> Standing {
    commit_log.plan(std::slice::from_ref(unit), spec).remove(0)
}

/// The commit of a committed unit.
pub(crate) fn committed(ending: Ending) -> Arc<Commit> {
    match ending {
        Ending::Committed(commit) => commit,
        other => panic!("not committed: {other:?}"),
    }
}

/// All files below a directory, relative and sorted.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { walk(&entry, found) } else { found.push(entry) }
        }
    }
    let mut found = Vec::new();
    walk(folder, &mut found);
    let mut names: Vec<_> = found.iter().map(|path| path.strip_prefix(folder).unwrap().display().to_string()).collect();
    names.sort();
    names
}

/// The part files of all tables.
pub(crate) fn parts(folder: &Path) -> Vec<String> {
    files(folder).into_iter().filter(|name| !name.starts_with("_pubtag")).collect()
}

pub(crate) fn markers(folder: &Path) -> Vec<String> {
    files(&folder.join("_pubtag/commits"))
}

/// All rows below `folder/<table>`, as read through the glob.
pub(crate) fn read<T: Table>(folder: &Path) -> RecordBatch {
    let paths = parts(folder).into_iter().filter(|name| name.starts_with(T::NAME) && name.ends_with(".parquet"));
    let batches: Vec<_> = paths.flat_map(|path| read_file(&folder.join(path))).collect();
    concat_batches(&T::schema(), &batches).expect("parts have the table's schema")
}

pub(crate) fn read_file(path: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(path).expect("the part exists");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("the part is Parquet").build().unwrap();
    reader.map(|batch| batch.expect("the part is intact")).collect()
}

pub(crate) fn strings(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    batch[column].as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}
