//! Rows of record batches, taken from many and put together again.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, new_null_array};
use arrow::compute::{cast, interleave_record_batch};
use arrow::datatypes::{Fields, Int32Type, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use pubtag_schemas::tables::Status;

use crate::key::{Entry, Key};

/// Rows that are copied at once.
pub(crate) const ROWS: usize = 1024;

/// A row of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) batch: Arc<RecordBatch>,
    pub(crate) index: usize,
}

/// Copies rows into one batch; they must have the same columns, and there must be at least one.
pub(crate) fn gather<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Result<RecordBatch, ArrowError> {
    let (mut batches, mut numbers): (Vec<&RecordBatch>, HashMap<*const RecordBatch, usize>) = Default::default();
    let mut indices = Vec::new();
    for row in rows {
        let number = *numbers.entry(Arc::as_ptr(&row.batch)).or_insert_with(|| {
            batches.push(&row.batch);
            batches.len() - 1
        });
        indices.push((number, row.index));
    }
    interleave_record_batch(&batches, &indices)
}

/// The columns of a batch by name: null for those it does not have, which older versions did not write.
pub(crate) fn columns(batch: &RecordBatch, fields: &Fields) -> Result<Vec<ArrayRef>, ArrowError> {
    let column = |field: &arrow::datatypes::FieldRef| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
        Some(column) => cast(column, field.data_type()),
        None if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
        None => Err(ArrowError::SchemaError(format!("column {} is missing", field.name()))),
    };
    fields.iter().map(column).collect()
}

/// A batch with exactly these columns.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(schema.clone(), columns(batch, schema.fields())?)
}

/// What each row of a batch of documents is a state of.
pub(crate) fn entries(batch: &RecordBatch, input: impl Fn(usize) -> i32) -> Vec<Entry> {
    let column = |name| batch.column_by_name(name).expect("conforms to the schema of documents");
    let (pmids, names) = (column("pmid").as_primitive::<Int64Type>(), column("doc_id").as_string::<i32>());
    let integers = |name| -> &Int32Array { column(name).as_primitive::<Int32Type>() };
    let (versions, ordinals) = (integers("pmid_version"), integers("ordinal"));
    let statuses = column("status").as_string::<i32>();
    let key = |row: usize| match pmids.is_valid(row) {
        true => Key::Pmid(pmids.value(row)),
        false => Key::DocId(names.value(row).to_owned()),
    };
    let entry = |row| Entry {
        key: key(row),
        version: versions.value(row),
        input: input(row),
        ordinal: ordinals.value(row),
        deleted: statuses.value(row) == Status::Deleted.as_str(),
    };
    (0..batch.num_rows()).map(entry).collect()
}
