//! Parquet settings of part files: compression, statistics, filters, sort order, provenance.

use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, SchemaDescriptor};
use pubtag_schemas::table::Table;

/// zstd's default. Higher levels would take more CPU time than the model leaves.
const ZSTD_LEVEL: i32 = 3;
/// One look-up in a hundred reads a row group in vain.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Filters are sized for this many distinct values, then folded to what a row group contains.
const BLOOM_MAX_DISTINCT: u64 = 200_000;
/// Columns for looking up documents.
const LOOKED_UP: [&str; 2] = ["doc_id", "pmid"];
/// Columns with mostly unique values: a dictionary would only cost time and space.
const UNIQUE: [&str; 6] = ["annotation_id", "text_sha256", "title", "abstract", "raw", "detail"];
/// Columns whose minimum and maximum are useless.
const UNORDERED: [&str; 3] = ["raw", "abstract", "annotation_id"];
/// The order of the rows, for tables with these columns.
const SORTED_BY: [&str; 3] = ["ordinal", "start_byte", "end_byte"];

/// The properties of a table's part files.
///
/// # Errors
/// Only if the table's schema has no Parquet equivalent, which the tests of this crate rule out.
pub(crate) fn of<T: Table>(provenance: &[KeyValue]) -> Result<WriterProperties, ParquetError> {
    let schema = ArrowSchemaConverter::new().convert(&T::schema())?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by(concat!("pubtag-parquet ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(provenance.to_vec()))
        .set_sorting_columns(Some(sorting_columns(&schema)));
    for name in LOOKED_UP {
        let column = ColumnPath::from(name);
        properties = properties
            .set_column_bloom_filter_enabled(column.clone(), leaf(&schema, name).is_some())
            .set_column_bloom_filter_fpp(column.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(column, BLOOM_MAX_DISTINCT);
    }
    for name in UNIQUE {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(name), false);
    }
    for name in UNORDERED {
        properties = properties.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::None);
    }
    Ok(properties.build())
}

fn sorting_columns(schema: &SchemaDescriptor) -> Vec<SortingColumn> {
    let columns = SORTED_BY.iter().filter_map(|name| leaf(schema, name));
    columns.map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false }).collect()
}

/// The number of a top-level column among the leaves of a schema.
fn leaf(schema: &SchemaDescriptor, name: &str) -> Option<i32> {
    let index = schema.columns().iter().position(|column| column.path().parts() == [name])?;
    i32::try_from(index).ok()
}
