//! What a snapshot changes for those who have loaded the one before.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use pubtag_schemas::snapshot::{change_schema, snapshot_schema};
use uuid::Uuid;

use crate::Error;
use crate::encode::Encoder;
use crate::manifest::Changes;
use crate::place::{CHANGES, Place};
use crate::rows::{ROWS, Row, gather};

/// Columns that say where a row comes from: a new baseline changes them in every row.
const PROVENANCE: [&str; 7] = ["run_id", "processed_at", "generation", "file_seq", "ordinal", "source_file", "cached"];
/// Scores may differ in their last digits when the same text is tagged again.
const UNSTABLE: &str = "score";

/// Collects the changes from one snapshot to the next.
///
/// # Memory
/// One encoded file, and the source batches of some rows.
pub(crate) struct ChangeWriter<'a> {
    place: &'a Place,
    attempt: Uuid,
    snapshot: u64,
    file_bytes: u64,
    pairs: Vec<(Option<Row>, Option<Row>)>,
    file: Option<(Encoder, u64)>,
    changes: Changes,
}

impl<'a> ChangeWriter<'a> {
    pub(crate) fn new(place: &'a Place, attempt: Uuid, snapshot: u64, file_bytes: u64) -> Self {
        Self { place, attempt, snapshot, file_bytes, pairs: Vec::new(), file: None, changes: Changes::default() }
    }

    /// Notes the former row of a document and its new one.
    pub(crate) async fn push(&mut self, former: Option<Row>, new: Option<Row>) -> Result<(), Error> {
        if former.is_some() || new.is_some() {
            self.pairs.push((former, new));
        }
        if self.pairs.len() >= ROWS { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let pairs = std::mem::take(&mut self.pairs);
        let mut differ = different(&pairs)?.into_iter();
        let (mut rows, mut kinds) = (Vec::new(), Vec::new());
        for (former, new) in pairs {
            let (kind, count, row) = match (former, new) {
                (Some(_), Some(new)) if differ.next() == Some(true) => ("updated", &mut self.changes.updated, new),
                (None, Some(new)) => ("inserted", &mut self.changes.inserted, new),
                (Some(former), None) => ("deleted", &mut self.changes.deleted, former),
                _ => continue,
            };
            *count += 1;
            kinds.push(kind);
            rows.push(row);
        }
        if rows.is_empty() { Ok(()) } else { self.write(&rows, kinds).await }
    }

    async fn write(&mut self, rows: &[Row], kinds: Vec<&str>) -> Result<(), Error> {
        let batch = gather(rows)?;
        let numbers = Int64Array::from_value(i64::try_from(self.snapshot).unwrap_or(i64::MAX), rows.len());
        let added: [ArrayRef; 2] = [Arc::new(StringArray::from(kinds)), Arc::new(numbers)];
        let columns = batch.columns().iter().cloned().chain(added).collect();
        let batch = RecordBatch::try_new(change_schema(), columns)?;
        let (encoder, bytes) = match &mut self.file {
            Some(file) => file,
            none => none.insert((Encoder::new(change_schema())?, 0)),
        };
        encoder.write(&batch)?;
        *bytes += batch.get_array_memory_size() as u64;
        if *bytes >= self.file_bytes { self.end_file().await } else { Ok(()) }
    }

    async fn end_file(&mut self) -> Result<(), Error> {
        let Some((encoder, _)) = self.file.take() else { return Ok(()) };
        let (rows, bytes) = encoder.finish()?;
        self.changes.files.push(self.place.write_data(CHANGES, self.attempt, rows, bytes).await?);
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<Changes, Error> {
        self.flush().await?;
        self.end_file().await?;
        Ok(self.changes)
    }
}

/// Whether the rows of each whole pair differ in their content.
fn different(pairs: &[(Option<Row>, Option<Row>)]) -> Result<Vec<bool>, ArrowError> {
    let whole = || pairs.iter().filter_map(|(former, new)| former.as_ref().zip(new.as_ref()));
    if whole().next().is_none() {
        return Ok(Vec::new());
    }
    let schema = snapshot_schema();
    let fields = schema.fields().iter().filter(|field| !PROVENANCE.contains(&field.name().as_str()));
    let fields = fields.map(|field| SortField::new(stable_type(field.data_type()))).collect();
    let converter = RowConverter::new(fields)?;
    let former = converter.convert_columns(&content(&gather(whole().map(|(former, _)| former))?)?)?;
    let new = converter.convert_columns(&content(&gather(whole().map(|(_, new)| new))?)?)?;
    Ok(former.iter().zip(new.iter()).map(|(former, new)| former != new).collect())
}

/// The columns that are compared.
fn content(batch: &RecordBatch) -> Result<Vec<ArrayRef>, ArrowError> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns());
    let compared = columns.filter(|(field, _)| !PROVENANCE.contains(&field.name().as_str()));
    compared.map(|(_, column)| stable(column)).collect()
}

/// A column without scores.
fn stable(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::List(item) = stable_type(column.data_type()) else { return Ok(column.clone()) };
    let list = column.as_list::<i32>();
    let DataType::Struct(members) = item.data_type() else { return Ok(column.clone()) };
    let values = list.values().as_struct();
    let kept = members.iter().filter_map(|member| values.column_by_name(member.name()).cloned()).collect();
    let values = StructArray::try_new(members.clone(), kept, values.nulls().cloned())?;
    let list = ListArray::try_new(item, list.offsets().clone(), Arc::new(values), list.nulls().cloned())?;
    Ok(Arc::new(list))
}

fn stable_type(data_type: &DataType) -> DataType {
    let DataType::List(item) = data_type else { return data_type.clone() };
    let DataType::Struct(members) = item.data_type() else { return data_type.clone() };
    let kept = members.iter().filter(|member| member.name() != UNSTABLE).cloned().collect();
    let item = Field::new(item.name(), DataType::Struct(kept), item.is_nullable());
    DataType::List(Arc::new(item))
}
