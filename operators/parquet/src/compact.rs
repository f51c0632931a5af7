//! The compacted log: copies of markers in one object, so that an output of many inputs is not read marker by marker.
//!
//! It is never the truth. An entry counts only for the marker that is listed with the same ETag; without a log, or with an old
//! or damaged one, markers are read instead. It may be deleted at any time.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::WriterProperties;

use crate::layout;
use crate::objects::Objects;

/// Entries that are encoded at a time: of a few KiB each, so that any number of commits stays below the limits of Arrow.
const ENCODED_AT_ONCE: usize = 1024;

/// A marker as it was read.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    marker: String,
    e_tag: String,
    json: String,
}

impl Entry {
    /// A marker; `None` if the store has no ETags.
    pub(crate) fn new(meta: &ObjectMeta, json: &str) -> Option<Self> {
        Some(Self { marker: meta.location.to_string(), e_tag: meta.e_tag.clone()?, json: json.to_owned() })
    }
}

/// The log, by marker.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: HashMap<String, Entry>,
}

impl Log {
    /// Reads the log; it is empty if it cannot be read.
    pub(crate) async fn read(objects: &Objects) -> Self {
        let found = objects.read(&Path::from(layout::LOG)).await;
        let Ok(Some((bytes, _))) = found else { return Self::default() };
        let decoded = tokio::task::spawn_blocking(move || pubtag_stream::without_panic(|| decode(bytes))).await;
        match decoded {
            Ok(Ok(Ok(entries))) => Self { entries },
            _ => {
                tracing::debug!(log = objects.full_name(&Path::from(layout::LOG)), "the log of commits is damaged");
                Self::default()
            }
        }
    }

    /// The content of a listed marker, if it has not changed.
    pub(crate) fn get(&self, meta: &ObjectMeta) -> Option<&str> {
        let entry = self.entries.get(meta.location.as_ref())?;
        // Some stores quote ETags only in answers to single objects.
        let bare = |e_tag: &str| e_tag.trim_matches('"').to_owned();
        (Some(bare(&entry.e_tag)) == meta.e_tag.as_deref().map(bare)).then_some(&*entry.json)
    }

    /// Takes the entry of a listed marker.
    pub(crate) fn take(&mut self, meta: &ObjectMeta) -> Option<Entry> {
        self.entries.remove(meta.location.as_ref())
    }

    /// Replaces the log; a failure only costs time later.
    pub(crate) async fn write(objects: &Objects, entries: Vec<Entry>) {
        let path = Path::from(layout::LOG);
        let encoded = tokio::task::spawn_blocking(move || encode(&entries)).await;
        let Ok(Ok(bytes)) = encoded else { return };
        if let Err(error) = objects.store().put(&path, bytes.into()).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the log of commits was not written");
        }
    }
}

/// *Memory*: the encoded log and some entries, not all of them once more.
fn encode(entries: &[Entry]) -> ParquetResult<Vec<u8>> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch(&[])?.schema(), Some(properties))?;
    for entries in entries.chunks(ENCODED_AT_ONCE) {
        writer.write(&batch(entries)?)?;
    }
    writer.into_inner()
}

fn batch(entries: &[Entry]) -> ParquetResult<RecordBatch> {
    let column = |value: fn(&Entry) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(entries.iter().map(value)))
    };
    let columns = [("marker", column(|e| &e.marker)), ("e_tag", column(|e| &e.e_tag)), ("commit", column(|e| &e.json))];
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn decode(bytes: Bytes) -> ParquetResult<HashMap<String, Entry>> {
    let mut entries = HashMap::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
        let batch = batch?;
        let column = |name: &str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| ParquetError::General(format!("no column {name}")))
        };
        let (markers, e_tags, commits) = (column("marker")?, column("e_tag")?, column("commit")?);
        for row in 0..batch.num_rows() {
            let [marker, e_tag, json] = [markers, e_tags, commits].map(|column| column.value(row).to_owned());
            entries.insert(marker.clone(), Entry { marker, e_tag, json });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_logged_is_read_again_and_damage_is_an_error() {
        let entry =
            |n: usize| Entry { marker: format!("m{n}"), e_tag: format!("\"{n}\""), json: "{\"x\": \"β\"}".repeat(n) };
        let entries: Vec<Entry> = (0..3000).map(entry).collect();
        let bytes = encode(&entries).unwrap();
        let log = Log { entries: decode(bytes.clone().into()).unwrap() };
        let meta = |n: usize, e_tag: &str| ObjectMeta {
            location: Path::from(format!("m{n}")),
            last_modified: Default::default(),
            size: 0,
            e_tag: Some(e_tag.to_owned()),
            version: None,
        };
        assert_eq!(log.get(&meta(2999, "\"2999\"")), Some(&*entries[2999].json));
        assert_eq!(log.get(&meta(2999, "\"3000\"")), None, "a marker that has changed");
        assert_eq!(log.get(&meta(3000, "\"3000\"")), None, "a marker that is new");
        assert!(decode(bytes[..bytes.len() / 2].to_vec().into()).is_err());
    }
}
