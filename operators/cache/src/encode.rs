//! Encodes sorted entries as the bytes of a segment.

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::columns::{schema, to_batch};
use crate::entry::Entry;
use crate::error::CacheError;
use crate::spec::{CACHE_VERSION, SpecId};

/// Entries per row group, the smallest piece that is read.
pub(crate) const BLOCK_ENTRIES: usize = 1024;
/// Size in memory, in bytes, of the entries of a row group.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Encodes entries, which are sorted by key.
///
/// # Errors
/// [`CacheError::Encode`].
pub(crate) fn encode(entries: &[Entry], spec: &SpecId) -> Result<Vec<u8>, CacheError> {
    let write = || -> Result<Vec<u8>, ParquetError> {
        let mut writer = ArrowWriter::try_new(Vec::new(), schema(), Some(properties(spec)?))?;
        for block in blocks(entries) {
            writer.write(&to_batch(block, spec)?)?;
            writer.flush()?;
        }
        writer.into_inner()
    };
    write().map_err(|error| CacheError::Encode { problem: error.to_string() })
}

/// Cuts entries into row groups.
fn blocks(mut entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = entries.iter().take(BLOCK_ENTRIES).take_while(|entry| {
            let fits = bytes < BLOCK_BYTES;
            bytes += entry.bytes();
            fits
        });
        let (block, rest) = entries.split_at(fitting.count());
        entries = rest;
        (!block.is_empty()).then_some(block)
    })
}

fn properties(spec: &SpecId) -> Result<WriterProperties, ParquetError> {
    let pair = |name: &str, value: String| KeyValue::new(name.to_owned(), value);
    let provenance =
        vec![pair("pubtag.cache_version", CACHE_VERSION.to_string()), pair("pubtag.cache_spec", spec.to_string())];
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_created_by(concat!("pubtag-cache ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(provenance))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from("locus"), EnabledStatistics::Chunk)
        .set_column_dictionary_enabled(ColumnPath::from("sha256"), false)
        .set_column_dictionary_enabled(ColumnPath::from("checksum"), false)
        .set_column_dictionary_enabled(ColumnPath::from("locus"), false)
        .set_offset_index_disabled(true);
    Ok(properties.build())
}
