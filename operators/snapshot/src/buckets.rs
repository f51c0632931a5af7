//! Writes the buckets of a new snapshot.

use arrow::array::{AsArray, RecordBatch};
use bytes::Bytes;
use pubtag_schemas::snapshot::snapshot_schema;
use uuid::Uuid;

use crate::Error;
use crate::encode::{Encoder, encode_history};
use crate::key::{Entry, Key};
use crate::manifest::Bucket;
use crate::place::{DOCUMENTS, HISTORY, Place};
use crate::rows::{ROWS, Row, gather};

/// Writes rows in order of their keys into buckets of bounded size.
///
/// # Memory
/// One encoded bucket, and the source batches of some rows.
pub(crate) struct BucketWriter<'a> {
    place: &'a Place,
    attempt: Uuid,
    bucket_bytes: u64,
    /// Size at which the current bucket is cut.
    threshold: u64,
    written: Vec<Bucket>,
    open: Option<Open>,
    /// Buckets that were written by this attempt.
    pub(crate) rewritten: u64,
    /// Bytes of their files.
    pub(crate) bytes: u64,
}

struct Open {
    encoder: Encoder,
    /// Rows that are not yet encoded.
    rows: Vec<Row>,
    history: Vec<Entry>,
    annotations: u64,
    memory_bytes: u64,
}

impl<'a> BucketWriter<'a> {
    pub(crate) fn new(place: &'a Place, attempt: Uuid, bucket_bytes: u64) -> Self {
        Self {
            place,
            attempt,
            bucket_bytes,
            threshold: bucket_bytes,
            written: Vec::new(),
            open: None,
            rewritten: 0,
            bytes: 0,
        }
    }

    /// Keeps a bucket as it is.
    pub(crate) async fn keep(&mut self, bucket: &Bucket) -> Result<(), Error> {
        self.cut().await?;
        self.written.push(bucket.clone());
        Ok(())
    }

    /// Begins to rewrite a bucket. One that has grown by half is split; a smaller one may grow further, so that a bucket
    /// is not split for every few rows.
    pub(crate) async fn begin(&mut self, former: Option<&Bucket>) -> Result<(), Error> {
        self.cut().await?;
        let grows = former.is_some_and(|bucket| bucket.memory_bytes < self.bucket_bytes.saturating_mul(3) / 2);
        self.threshold = if grows { self.bucket_bytes.saturating_mul(2) } else { self.bucket_bytes };
        Ok(())
    }

    /// Adds a document: all of its states, and its row if it is live.
    pub(crate) async fn push(&mut self, states: Vec<Entry>, row: Option<Row>) -> Result<(), Error> {
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open::new()?),
        };
        open.memory_bytes += (size_of::<Entry>() * states.len()) as u64;
        open.history.extend(states);
        open.rows.extend(row);
        if open.rows.len() >= ROWS {
            open.flush()?;
        }
        if open.memory_bytes >= self.threshold { self.cut().await } else { Ok(()) }
    }

    /// Ends the current bucket.
    async fn cut(&mut self) -> Result<(), Error> {
        let first = self.open.as_ref().and_then(|open| open.history.first()).map(|entry| entry.key.clone());
        match first {
            Some(first) => self.end(first).await,
            None => Ok(()),
        }
    }

    /// Writes the current bucket, whose first key is given.
    async fn end(&mut self, first: Key) -> Result<(), Error> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        self.threshold = self.bucket_bytes;
        open.flush()?;
        let documents = self.write(DOCUMENTS, open.encoder.finish()?).await?;
        let history = self.write(HISTORY, encode_history(&open.history)?).await?;
        let (annotations, memory_bytes) = (open.annotations, open.memory_bytes);
        self.written.push(Bucket { first, documents, annotations, history, memory_bytes });
        self.rewritten += 1;
        Ok(())
    }

    async fn write(&mut self, directory: &str, (rows, bytes): (u64, Bytes)) -> Result<crate::DataFile, Error> {
        self.bytes += bytes.len() as u64;
        self.place.write_data(directory, self.attempt, rows, bytes).await
    }

    pub(crate) async fn finish(mut self) -> Result<Written, Error> {
        self.cut().await?;
        if self.written.is_empty() {
            self.open = Some(Open::new()?);
            self.end(Key::Pmid(0)).await?;
        }
        Ok(Written { buckets: self.written, rewritten: self.rewritten, bytes: self.bytes })
    }
}

/// All buckets of a snapshot.
pub(crate) struct Written {
    pub(crate) buckets: Vec<Bucket>,
    /// Those that this attempt wrote.
    pub(crate) rewritten: u64,
    /// Bytes of their files.
    pub(crate) bytes: u64,
}

impl Open {
    fn new() -> Result<Self, Error> {
        let encoder = Encoder::new(snapshot_schema())?;
        Ok(Self { encoder, rows: Vec::new(), history: Vec::new(), annotations: 0, memory_bytes: 0 })
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let batch = gather(&self.rows)?;
        self.rows.clear();
        self.annotations += annotations(&batch);
        self.memory_bytes += batch.get_array_memory_size() as u64;
        self.encoder.write(&batch)?;
        Ok(())
    }
}

fn annotations(batch: &RecordBatch) -> u64 {
    let lists = batch.column_by_name("annotations").expect("a column of a snapshot").as_list::<i32>();
    let offsets = lists.value_offsets();
    u64::try_from(offsets[offsets.len() - 1] - offsets[0]).unwrap_or_default()
}
