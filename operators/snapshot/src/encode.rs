//! Parquet files in memory: those of buckets, histories and changes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::key::{Entry, Key};
use crate::rows::ROWS;

/// zstd's default.
const ZSTD_LEVEL: i32 = 3;
/// Columns with mostly unique values: a dictionary would only cost time and space.
const UNIQUE: [&[&str]; 4] =
    [&["title"], &["abstract"], &["text_sha256"], &["annotations", "list", "element", "annotation_id"]];

/// Encodes batches into one file.
///
/// # Memory
/// The encoded file.
pub(crate) struct Encoder {
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
}

impl Encoder {
    pub(crate) fn new(schema: SchemaRef) -> Result<Self, ParquetError> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_created_by(concat!("pubtag-snapshot ", env!("CARGO_PKG_VERSION")).to_owned());
        for parts in UNIQUE {
            let path = ColumnPath::new(parts.iter().map(|part| (*part).to_owned()).collect());
            properties = properties.set_column_dictionary_enabled(path, false);
        }
        Ok(Self { writer: ArrowWriter::try_new(Vec::new(), schema, Some(properties.build()))?, rows: 0 })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch)
    }

    /// The number of rows and the bytes of the file.
    pub(crate) fn finish(self) -> Result<(u64, Bytes), ParquetError> {
        Ok((self.rows, self.writer.into_inner()?.into()))
    }
}

/// Decodes a file that was written here.
pub(crate) fn decode(bytes: Bytes) -> Result<ParquetRecordBatchReader, ParquetError> {
    ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(ROWS).build()
}

fn history_schema() -> SchemaRef {
    let field = |name, data_type, nullable| Field::new(name, data_type, nullable);
    Arc::new(Schema::new(vec![
        field("pmid", DataType::Int64, true),
        field("doc_id", DataType::Utf8, true),
        field("pmid_version", DataType::Int32, false),
        field("input", DataType::Int32, false),
        field("ordinal", DataType::Int32, false),
        field("deleted", DataType::Boolean, false),
    ]))
}

/// The states of documents as a file.
pub(crate) fn encode_history(entries: &[Entry]) -> Result<(u64, Bytes), ParquetError> {
    let mut encoder = Encoder::new(history_schema())?;
    for entries in entries.chunks(64 * ROWS) {
        encoder.write(&history_batch(entries)?)?;
    }
    encoder.finish()
}

fn history_batch(entries: &[Entry]) -> Result<RecordBatch, ParquetError> {
    let pmid = |entry: &Entry| match entry.key {
        Key::Pmid(pmid) => Some(pmid),
        Key::DocId(_) => None,
    };
    let doc_id = |entry: &Entry| match &entry.key {
        Key::Pmid(_) => None,
        Key::DocId(id) => Some(id.clone()),
    };
    let integers = |of: fn(&Entry) -> i32| -> ArrayRef { Arc::new(entries.iter().map(of).collect::<Int32Array>()) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(entries.iter().map(pmid).collect::<Int64Array>()),
        Arc::new(entries.iter().map(doc_id).collect::<StringArray>()),
        integers(|entry| entry.version),
        integers(|entry| entry.input),
        integers(|entry| entry.ordinal),
        Arc::new(BooleanArray::from(entries.iter().map(|entry| entry.deleted).collect::<Vec<_>>())),
    ];
    Ok(RecordBatch::try_new(history_schema(), columns)?)
}

/// Reads the states of documents.
pub(crate) fn decode_history(bytes: Bytes) -> Result<Vec<Entry>, ParquetError> {
    let mut entries = Vec::new();
    for batch in decode(bytes)? {
        let batch = crate::rows::conform(&batch?, &history_schema())?;
        let integers = |column: usize| batch.column(column).as_primitive::<Int32Type>();
        let (pmids, names) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        let key = |row: usize| match pmids.is_valid(row) {
            true => Key::Pmid(pmids.value(row)),
            false => Key::DocId(names.value(row).to_owned()),
        };
        entries.extend((0..batch.num_rows()).map(|row| Entry {
            key: key(row),
            version: integers(2).value(row),
            input: integers(3).value(row),
            ordinal: integers(4).value(row),
            deleted: batch.column(5).as_boolean().value(row),
        }));
    }
    Ok(entries)
}
