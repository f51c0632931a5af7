//! Records → rows → Parquet in a store → read back: the same rows, and no defects.
//!
//! Shared with the fuzz target of the writer (`tests/fuzz`).

pub(crate) mod expected;
pub(crate) mod made;

use std::sync::Arc;

use arrow::array::{RecordBatch, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use futures::StreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pubtag_parquet::{Depth, Event, Output, ParquetSink, RunSpec, TextPolicy, VerifyConfig, WriteConfig, verify};
use pubtag_schemas::table::Table;
use pubtag_schemas::{Close, Commit, Ending, Outcome, Packet, TaggedRecord};
use pubtag_store::Store;
use pubtag_stream::{Flow, Meter, Operator, Write};
use tokio::runtime::Runtime;
use uuid::Uuid;

use self::expected::{Expected, Origin};
use self::made::Made;

/// How an input was split.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Borders {
    /// Rows of all tables.
    pub(crate) rows: usize,
    /// Row groups of the part with most of them.
    pub(crate) row_groups: usize,
    /// Parts of the table with most of them.
    pub(crate) parts: usize,
}

/// Writes the records determined by bytes, reads them back and compares; panics at the first difference.
pub(crate) fn check(bytes: &[u8], runtime: &Runtime) -> Borders {
    let made = Made::of(bytes);
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let settings = [("text".to_owned(), if made.keep_text { "keep" } else { "hash" }.to_owned())].into();
    let spec = RunSpec {
        model_id: "tiny@0123456789ab".into(),
        model_sha256: "cd".repeat(32),
        settings,
        named_after_file: false,
    };
    let commit = runtime.block_on(written(&made, spec.clone(), store.clone()));
    let origin = Origin {
        run_id: commit.run_id.to_string(),
        model_id: spec.model_id,
        model_sha256: spec.model_sha256,
        keep_text: made.keep_text,
    };
    let expected = Expected::of(&made.records, &origin);
    let mut borders = Borders::default();
    compare(&expected.annotations, &commit, &*store, runtime, &mut borders);
    compare(&expected.documents, &commit, &*store, runtime, &mut borders);
    compare(&expected.rejects, &commit, &*store, runtime, &mut borders);
    check_verified(store, runtime);
    borders
}

async fn written(made: &Made, spec: RunSpec, store: Arc<dyn ObjectStore>) -> Arc<Commit> {
    let run_id = Uuid::now_v7();
    let (output, commit_log) = Output::open(Store::new("memory", store), run_id).await.expect("an empty store");
    let config = WriteConfig {
        text: if made.keep_text { TextPolicy::Keep } else { TextPolicy::Hash },
        row_group_bytes: made.row_group_bytes,
        part_bytes: made.part_bytes,
        ..WriteConfig::new(spec, "round trip")
    };
    let write = Write::new(ParquetSink::new(&output, &commit_log, config));
    let reports: Vec<_> = write.apply(packets(made), Meter::new("write")).collect().await;
    output.finish().await.expect("the store takes everything");
    match reports.into_iter().next() {
        Some(Ok(report)) => match report.ending {
            Ending::Committed(commit) => commit,
            other => panic!("not committed: {other:?}"),
        },
        other => panic!("not written: {other:?}"),
    }
}

fn packets(made: &Made) -> Flow<Packet<TaggedRecord>> {
    let close = Close {
        unit: made.unit.clone(),
        tally: made.tally,
        bytes: 0,
        sha256: made.unit.sha256.clone().unwrap_or_default(),
        outcome: Outcome::Complete,
    };
    let items = made.records.chunks(made.packet.get()).map(|records| Packet::Items(records.to_vec()));
    let packets: Vec<_> =
        [Packet::Open(made.unit.clone())].into_iter().chain(items).chain([Packet::Close(close)]).map(Ok).collect();
    Box::pin(futures::stream::iter(packets))
}

fn compare<T: Table>(
    expected: &[T],
    commit: &Commit,
    store: &dyn ObjectStore,
    runtime: &Runtime,
    borders: &mut Borders,
) {
    let parts: Vec<_> = commit.parts.iter().filter(|part| part.table == T::NAME).collect();
    let mut batches = Vec::new();
    for part in &parts {
        let get = async { store.get(&Path::from(&*part.path)).await?.bytes().await };
        let bytes = runtime.block_on(get).expect("a part that its marker names");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a footer");
        borders.row_groups = borders.row_groups.max(reader.metadata().num_row_groups());
        batches.extend(reader.build().expect("columns that can be read").map(|batch| batch.expect("a page")));
    }
    borders.parts = borders.parts.max(parts.len());
    borders.rows += expected.len();
    let found = concat_batches(&T::schema(), &batches).expect("the table's schema");
    let expected = T::to_batch(expected).expect("the table's rows");
    // Compared column by column: the difference of two whole tables would be unreadable.
    let (found, expected) = (without_time(found), without_time(expected));
    assert_eq!(found.num_rows(), expected.num_rows(), "rows of {}", T::NAME);
    for (field, (found, expected)) in found.schema().fields().iter().zip(found.columns().iter().zip(expected.columns()))
    {
        assert_eq!(found, expected, "{}.{}", T::NAME, field.name());
    }
}

/// The rows without times.
fn without_time(rows: RecordBatch) -> RecordBatch {
    let Ok(index) = rows.schema().index_of("processed_at") else { return rows };
    let mut columns = rows.columns().to_vec();
    columns[index] = Arc::new(TimestampMicrosecondArray::from(vec![0; rows.num_rows()]).with_timezone("UTC"));
    RecordBatch::try_new(rows.schema(), columns).expect("a column of the same type")
}

fn check_verified(store: Arc<dyn ObjectStore>, runtime: &Runtime) {
    let config = VerifyConfig { depth: Depth::Full, threads: std::num::NonZeroUsize::MIN };
    let mut lines = Vec::new();
    let verified = verify(Store::new("memory", store), config, runtime.handle(), |event| {
        if let Event::Found(defect) = event {
            lines.push(defect.to_string());
        }
    });
    assert_eq!(lines, [""; 0]);
    assert_eq!(verified.expect("an output").inputs, 1);
}
