//! Reads a snapshot as a consumer does.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pubtag_snapshot::{Committed, DataFile, Error, Key, Manifest, Place, SnapshotConfig, Summary};

use crate::made::Output;

pub(crate) type State = BTreeMap<Key, (i32, u8)>;

pub(crate) fn place(store: Arc<dyn ObjectStore>) -> Place {
    Place { name: "snapshot".into(), store }
}

pub(crate) fn in_memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// The rows of a file, in order; `change` is empty if it has no such column.
async fn rows(place: &Place, file: &DataFile) -> Vec<(Key, i32, u8, String)> {
    let bytes = place.store.get(&Path::from(&*file.path)).await.unwrap().bytes().await.unwrap();
    let batches = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let rows: Vec<_> = batches.flat_map(|batch| live(&batch.unwrap())).collect();
    assert_eq!(rows.len() as u64, file.rows);
    rows
}

/// The documents of a batch that are not deletions.
pub(crate) fn live(batch: &RecordBatch) -> Vec<(Key, i32, u8, String)> {
    let column = |name| batch.column_by_name(name).unwrap();
    let pmids = column("pmid").as_primitive::<Int64Type>();
    let strings = |name| column(name).as_string::<i32>();
    let (ids, titles, statuses) = (strings("doc_id"), strings("title"), strings("status"));
    let versions = column("pmid_version").as_primitive::<Int32Type>();
    let annotations = column("annotations").as_list::<i32>();
    let document = |row| {
        let key = match pmids.is_valid(row) {
            true => Key::Pmid(pmids.value(row)),
            false => Key::DocId(ids.value(row).to_owned()),
        };
        let text: u8 = titles.value(row).strip_prefix("text ").unwrap().parse().unwrap();
        let mentions = annotations.value(row);
        let mentions = mentions.as_struct().column_by_name("mention").unwrap().as_string::<i32>();
        assert_eq!(mentions.len(), usize::from(text % 4), "annotations of {key:?}");
        assert!(mentions.iter().flatten().all(|mention| mention == titles.value(row)), "annotations of {key:?}");
        let change = batch.column_by_name("change").map(|kinds| kinds.as_string::<i32>().value(row).to_owned());
        (key, versions.value(row), text, change.unwrap_or_default())
    };
    (0..batch.num_rows()).filter(|row| statuses.value(*row) != "deleted").map(document).collect()
}

/// All documents of a snapshot. Checks that they are in order, each once, in the bucket of their key.
pub(crate) async fn state(place: &Place, manifest: &Manifest) -> State {
    let mut state = State::new();
    for (number, bucket) in manifest.buckets.iter().enumerate() {
        let next = manifest.buckets.get(number + 1).map(|next| &next.first);
        for (key, version, text, _) in rows(place, &bucket.documents).await {
            assert!(state.last_key_value().is_none_or(|(last, _)| *last < key), "{key:?} is out of order");
            assert!(key >= bucket.first && next.is_none_or(|next| key < *next), "{key:?} is in the wrong bucket");
            state.insert(key, (version, text));
        }
    }
    assert_eq!(state.len() as u64, manifest.documents);
    let annotations: u64 = state.values().map(|(_, text)| u64::from(text % 4)).sum();
    assert_eq!(annotations, manifest.annotations);
    state
}

/// The published documents.
pub(crate) async fn published(place: &Place) -> State {
    match Manifest::latest(place).await.unwrap() {
        Some(manifest) => state(place, &manifest).await,
        None => State::new(),
    }
}

/// Applies the changes of a snapshot to the state before it.
pub(crate) async fn apply(place: &Place, manifest: &Manifest, mut state: State) -> State {
    for file in &manifest.changes.as_ref().unwrap().files {
        for (key, version, text, change) in rows(place, file).await {
            let former = match &*change {
                "deleted" => state.remove(&key),
                _ => state.insert(key.clone(), (version, text)),
            };
            match &*change {
                "inserted" => assert_eq!(former, None, "{key:?} is inserted"),
                "updated" => assert!(former.is_some_and(|former| former != (version, text)), "{key:?} is updated"),
                _ => assert_eq!(former, Some((version, text)), "{key:?} is deleted"),
            }
        }
    }
    state
}

/// Publishes a snapshot after the latest one.
pub(crate) async fn snapshot(
    place: &Place,
    output: &Output,
    commits: &[Committed],
    config: &SnapshotConfig,
) -> Result<Summary, Error> {
    let former = Manifest::latest(place).await?;
    pubtag_snapshot::snapshot(place, former, output, commits, config).await
}
