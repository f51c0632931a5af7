//! The Parquet sink: writes the parts of a unit and commits them.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;

use object_store::path::Path;
use pubtag_schemas::{COMMIT_VERSION, Close, Commit, CommitOutcome, Ending, Input, InputUnit, Part, TaggedRecord};
use pubtag_stream::{Attempt, Fault, Meter, Sink, spawn_blocking};

use crate::age::Age;
use crate::encode::Chunk;
use crate::encoding::Encoding;
use crate::layout::{self, AttemptId};
use crate::publish::{Prepared, Terms};
use crate::upload::{Upload, check};
use crate::{CommitLog, Output, WriteConfig};

/// Writes tagged records as three Parquet tables, each unit committed by one marker.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Arc;
///
/// use futures::StreamExt;
/// use pubtag_parquet::{Output, ParquetSink, RunSpec, Tables, WriteConfig};
/// use pubtag_schemas::{Close, InputUnit, Location, Outcome, Packet, Tally};
/// use pubtag_store::Store;
/// use pubtag_stream::{Flow, Meter, Operator, Write};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let spec = RunSpec {
///     model_id: "tiny@abababababab".to_owned(),
///     model_sha256: "ab".repeat(32),
///     settings: BTreeMap::from([("text".to_owned(), "keep".to_owned())]),
///     named_after_file: false,
/// };
/// let store = Store::directory(folder.path())?;
/// let (output, commit_log) = Output::open(store.clone(), uuid::Uuid::now_v7()).await?;
/// let write = Write::new(ParquetSink::new(&output, &commit_log, WriteConfig::new(spec, "example 1.0")));
///
/// // One file without records.
/// let unit = Arc::new(InputUnit::new(0, Location::File("/in/a.xml".to_owned())));
/// let (sha256, outcome) = ("cd".repeat(32), Outcome::Complete);
/// let close = Close { unit: unit.clone(), tally: Tally::default(), bytes: 0, sha256, outcome };
/// let packets: Flow<_> = Box::pin(futures::stream::iter([Packet::Open(unit), Packet::Close(close)]).map(Ok));
/// let reports: Vec<_> = write.apply(packets, Meter::new("write")).collect().await;
/// output.finish().await?;
///
/// assert!(reports.iter().all(Result::is_ok));
/// assert_eq!(Tables::open(store).await?.commits()[0].input.uri, "/in/a.xml");
/// # Ok(())
/// # }
/// ```
///
/// - *Memory*: for each table, one row group (encoded, at most `row_group_bytes` of rows) and one piece of an upload
///   (8 MiB; in an object store one part, at most 64 MiB).
/// - *Cancellation*: a step that has begun runs to its end; [`Output::finish`] waits for it, then sweeps uncommitted parts.
/// - *Rejects*: become rows of `rejects`. A record that violates a guarantee of the previous stages is a fault.
#[derive(Clone, Debug)]
pub struct ParquetSink {
    output: Output,
    commit_log: Arc<CommitLog>,
    config: Arc<WriteConfig>,
}

impl ParquetSink {
    /// A sink for an output. `commit_log` is what was committed when the output was opened, with the run's inputs planned.
    pub fn new(output: &Output, commit_log: &CommitLog, config: WriteConfig) -> Self {
        let config = if output.liveness().is_some() { config } else { config.in_single_puts() };
        Self { output: output.clone(), commit_log: Arc::new(commit_log.clone()), config: Arc::new(config) }
    }
}

impl Sink for ParquetSink {
    type Attempt = ParquetAttempt;

    async fn begin(&self, unit: Arc<InputUnit>) -> Result<ParquetAttempt, Fault> {
        let id = self.output.next_attempt();
        let encoding = Some(Encoding::begin(&unit, id, &self.config)?);
        let begun = Age::begin();
        Ok(ParquetAttempt { sink: self.clone(), unit, id, begun, encoding, uploads: HashMap::new(), parts: Vec::new() })
    }

    fn uninterrupted<T: Send + 'static>(
        &self,
        step: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Fault>> + Send {
        self.output.uninterrupted(step)
    }
}

/// A unit being written.
pub struct ParquetAttempt {
    sink: ParquetSink,
    unit: Arc<InputUnit>,
    id: AttemptId,
    begun: Age,
    /// `None` while it is on a blocking thread.
    encoding: Option<Encoding>,
    uploads: HashMap<&'static str, Upload>,
    parts: Vec<Part>,
}

impl Attempt for ParquetAttempt {
    /// Encodes records on a blocking thread and uploads finished pieces.
    async fn write(&mut self, records: Vec<TaggedRecord>, meter: &Meter) -> Result<(), Fault> {
        let mut encoding = self.take_encoding();
        let (encoding, chunks) = spawn_blocking(meter, move || {
            let chunks = encoding.write(records);
            (encoding, chunks)
        })
        .await?;
        self.encoding = Some(encoding);
        self.send(chunks?, meter).await
    }

    async fn finish(self, close: &Close, outcome: CommitOutcome, meter: &Meter) -> Result<Ending, Fault> {
        let ParquetSink { commit_log, config, .. } = self.sink.clone();
        let prepared = self.prepare(close, outcome, meter).await?;
        let overwrite = config.overwrite || config.reissued.contains(close.unit.uri());
        let terms = Terms { commit_log: &commit_log, spec: &config.spec, overwrite };
        let published = prepared.publish(terms).await?;
        Ok(published.clean_up().await?)
    }

    /// In an object store, nothing is removed.
    async fn abandon(self) {
        if self.sink.output.liveness().is_none() {
            return;
        }
        let objects = self.sink.output.objects();
        for upload in self.uploads.into_values() {
            let path = upload.path().clone();
            if let Err(error) = upload.abort().await {
                tracing::warn!(error = &error as &dyn StdError, part = %path, "an unfinished part was not removed");
            }
        }
        let parts = self.parts.iter().map(|part| Path::from(part.path.as_str())).collect();
        if let Err(error) = objects.delete(parts).await {
            tracing::warn!(error = &error as &dyn StdError, "an uncommitted part was not removed");
        }
    }
}

impl ParquetAttempt {
    fn take_encoding(&mut self) -> Encoding {
        self.encoding.take().expect("an encoding comes back from every write that did not fail")
    }

    /// Finishes the parts, reconciles them with the source's counts, and builds the commit.
    async fn prepare(mut self, close: &Close, outcome: CommitOutcome, meter: &Meter) -> Result<Prepared, Fault> {
        let encoding = self.take_encoding();
        encoding.check_reconciliation(close.tally)?;
        let statuses = encoding.statuses();
        let chunks = spawn_blocking(meter, move || encoding.finish()).await?;
        self.send(chunks?, meter).await?;
        let (config, sha256) = (&self.sink.config, close.sha256.clone());
        let spec = &config.spec;
        let key = spec.key(&self.unit, &sha256).into_owned();
        let commit = Commit {
            version: COMMIT_VERSION,
            fingerprint: spec.fingerprint(&key),
            input: Input::new(&self.unit, sha256, key),
            attempt_id: self.id.to_string(),
            run_id: self.id.run_id,
            model_id: spec.model_id.clone(),
            model_sha256: spec.model_sha256.clone(),
            settings: spec.settings.clone(),
            program: config.program.clone(),
            parts: self.parts,
            tally: close.tally,
            statuses,
            outcome,
            supersedes: Vec::new(),
            claim: None,
            former_claims: Vec::new(),
            committed_at: jiff::Timestamp::now().to_string(),
        };
        Ok(Prepared { output: self.sink.output, unit: self.unit, commit, begun: self.begun })
    }

    /// Uploads encoded pieces. A finished part is read back: no marker may name it unless the store has it as sent.
    async fn send(&mut self, chunks: Vec<Chunk>, meter: &Meter) -> Result<(), Fault> {
        let objects = self.sink.output.objects();
        for Chunk { table, bytes, end } in chunks {
            let number = self.parts.iter().filter(|part| part.table == table).count();
            let mut upload = self.uploads.remove(table).unwrap_or_else(|| {
                let path = layout::part(table, &self.unit, self.id, number);
                Upload::new(objects.store().clone(), path, self.sink.config.piece_bytes)
            });
            upload.put(bytes).await.map_err(objects.failed("write", upload.path()))?;
            let Some(end) = end else {
                self.uploads.insert(table, upload);
                continue;
            };
            let path = upload.path().clone();
            upload.complete().await.map_err(objects.failed("write", &path))?;
            let (table, name) = (table.to_owned(), path.to_string());
            let part = Part { table, path: name, rows: end.rows, bytes: end.bytes, sha256: end.sha256 };
            // Recorded before the check: a part that cannot be committed has to be removed.
            self.parts.push(part.clone());
            check(objects, &part, meter).await?;
        }
        Ok(())
    }
}
