//! Parquet: a document a row.

use std::fs::File;
use std::io;
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use pubtag_schemas::{Pmid, RejectReason};
use pubtag_stream::without_panic;

use crate::collector::{Collector, Flaw};
use crate::fields::Fields;
use crate::options::TextColumns;
use crate::parquet_claims;
use crate::reader::{End, MAX_RECORD_BYTES, Step, Steps};
use crate::table::ColumnPlaces;
use crate::window::Window;

/// Rows that are decoded at once: as many as have about so many bytes, but not more.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: i64 = 4 << 20;

/// Reads a file, a row at a time.
///
/// *Memory*: a page of each needed column, and 256 rows or 4 MiB of them. A record larger than those of other formats may
/// be is a reject. A row has no place in bytes: its number stands for it.
pub(crate) struct ParquetReader {
    batches: ParquetRecordBatchReader,
    columns: ColumnPlaces,
    batch: Option<RecordBatch>,
    row: usize,
    /// Of the row, over all batches.
    number: u64,
}

impl ParquetReader {
    /// Opens a file.
    ///
    /// # Errors
    /// Says why it cannot be read, or which column is missing.
    pub(crate) fn open(path: &Path, asked: &TextColumns) -> Result<Self, String> {
        // The library panics at some damaged metadata.
        without_panic(|| Self::open_sound(path, asked)).unwrap_or_else(|problem| Err(damaged(&problem)))
    }

    fn open_sound(path: &Path, asked: &TextColumns) -> Result<Self, String> {
        let mut file = File::open(path).map_err(|error| error.to_string())?;
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        parquet_claims::check(&mut file, length).map_err(|error| damaged(&error))?;
        let mut pages = file.try_clone().map_err(|error| error.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
        let groups = builder.metadata().row_groups().iter().map(|group| i128::from(group.num_rows().max(0)));
        let (rows, bytes): (i128, _) = (groups.sum(), length);
        // Ids differ, so a document takes more than a bit: a damaged file may claim billions in a few hundred bytes.
        if rows > 8 * i128::from(bytes) {
            return Err(damaged(&format!("it claims {rows} rows in {bytes} bytes")));
        }
        let fields = builder.schema().fields().clone();
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let places = ColumnPlaces::find(&names, asked)?;
        let mut needed: Vec<usize> =
            [places.id, places.pmid, places.title, places.text].into_iter().flatten().collect();
        needed.sort_unstable();
        needed.dedup();
        if let Some(field) = needed.iter().map(|at| &fields[*at]).find(|field| !is_readable(field.data_type())) {
            let (name, kind) = (field.name(), field.data_type());
            return Err(format!("its column {name:?} is of type {kind}; texts are strings, ids strings or integers"));
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), needed.iter().copied());
        for group in builder.metadata().row_groups() {
            let columns = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
            for (start, bytes) in columns.map(|(_, column)| column.byte_range()) {
                let end = length.min(start.saturating_add(bytes));
                parquet_claims::check_pages(&mut pages, start, end).map_err(|error| damaged(&error))?;
            }
        }
        let rows_at_once = batch_rows(builder.metadata(), &mask);
        let batches = builder.with_projection(mask).with_batch_size(rows_at_once).build();
        let within = |place: Option<usize>| place.and_then(|place| needed.iter().position(|at| *at == place));
        let columns = ColumnPlaces {
            id: within(places.id),
            pmid: within(places.pmid),
            title: within(places.title),
            text: within(places.text),
        };
        Ok(Self { batches: batches.map_err(|error| damaged(&error))?, columns, batch: None, row: 0, number: 0 })
    }

    /// Reads the next row.
    fn next(&mut self, out: &mut Collector) -> Step {
        let Some(batch) = &self.batch else {
            let next = without_panic(|| self.batches.next().map(|batch| batch.map_err(|error| error.to_string())));
            return match next.unwrap_or_else(|problem| Some(Err(problem))) {
                None => Step::End(End::Complete),
                Some(Ok(batch)) => {
                    (self.batch, self.row) = (Some(batch), 0);
                    Step::More
                }
                Some(Err(error)) => {
                    Step::End(End::Damaged { cause: format!("its data are damaged ({error})"), in_record: false })
                }
            };
        };
        if self.row == batch.num_rows() {
            self.batch = None;
            return Step::More;
        }
        if out.at_limit() {
            return Step::End(End::Limited);
        }
        let fields = fields_of(&self.columns, batch, self.row).and_then(within_bounds);
        match fields.and_then(|fields| fields.into_record(out.place(self.number))) {
            Ok(record) => out.push(record),
            Err(flaw) => out.reject(self.number, flaw, None, &[]),
        }
        self.row += 1;
        self.number += 1;
        Step::More
    }
}

impl Steps for ParquetReader {
    fn step(&mut self, _: &mut Window, out: &mut Collector) -> io::Result<Step> {
        Ok(self.next(out))
    }

    fn salvage_pmid(&self, _: &[u8]) -> Option<Pmid> {
        None
    }
}

/// How many rows to decode at once, by what the row groups say of their size.
fn batch_rows(metadata: &ParquetMetaData, mask: &ProjectionMask) -> usize {
    let fitting = |group: &RowGroupMetaData| {
        let columns = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        let bytes: i64 = columns.map(|(_, column)| column.uncompressed_size().max(0)).fold(0, i64::saturating_add);
        BATCH_BYTES.saturating_mul(group.num_rows().max(1)) / bytes.max(1)
    };
    let fewest = metadata.row_groups().iter().map(fitting).min().unwrap_or(1);
    usize::try_from(fewest).unwrap_or(1).clamp(1, BATCH_ROWS)
}

/// The fields of a record that is not too large.
fn within_bounds(fields: Fields) -> Result<Fields, Flaw> {
    let texts = [&fields.id, &fields.pmid, &fields.title, &fields.text];
    let bytes: usize = texts.into_iter().flatten().map(String::len).sum();
    if bytes > MAX_RECORD_BYTES {
        let detail = format!("the row is longer than {} MiB", MAX_RECORD_BYTES >> 20);
        return Err(Flaw::new(RejectReason::TooLarge, detail));
    }
    Ok(fields)
}

fn damaged(error: &dyn std::fmt::Display) -> String {
    format!("it is no sound Parquet file ({error}); fetch it again")
}

fn is_readable(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_readable(values),
        kind => kind.is_integer(),
    }
}

fn fields_of(columns: &ColumnPlaces, batch: &RecordBatch, row: usize) -> Result<Fields, Flaw> {
    columns.fields(|at| {
        let array = batch.column(at);
        if array.is_null(row) {
            return Ok(None);
        }
        let options = FormatOptions::default();
        let cell = ArrayFormatter::try_new(array, &options).and_then(|cells| cells.value(row).try_to_string());
        cell.map(Some).map_err(|error| Flaw::new(RejectReason::Malformed, error.to_string()))
    })
}
