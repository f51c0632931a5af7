//! Parquet: one document per row.

use std::fs::File;
use std::io;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use pubtag_schemas::{Pmid, RejectReason};
use pubtag_stream::without_panic;

use crate::collector::{Collector, MAX_RECORD_BYTES, RecordError, too_large};
use crate::fields::Fields;
use crate::options::TextColumns;
use crate::parquet_limits;
use crate::record_reader::{End, RecordReader, Step};
use crate::table::ColumnPlaces;
use crate::window::Window;

/// Number of rows decoded at once.
const BATCH_ROWS: usize = 256;

/// Reads a Parquet file row by row.
///
/// *Memory*: the pages of the needed columns of one row group, and 256 rows. The byte offset of a row is its number.
pub(crate) struct ParquetReader {
    batches: ParquetRecordBatchReader,
    columns: ColumnPlaces,
    batch: Option<RecordBatch>,
    row: usize,
    /// Number of the row in the file.
    number: u64,
}

impl ParquetReader {
    /// Opens a file; moves its position.
    ///
    /// # Errors
    /// The file cannot be read, or a column is missing.
    pub(crate) fn open(file: File, asked: &TextColumns) -> Result<Self, String> {
        // The parquet crate panics at some damaged metadata.
        without_panic(|| Self::open_sound(file, asked)).unwrap_or_else(|problem| Err(damaged(&problem)))
    }

    fn open_sound(mut file: File, asked: &TextColumns) -> Result<Self, String> {
        let length = file.metadata().map_err(|error| error.to_string())?.len();
        parquet_limits::check(&mut file, length).map_err(|error| damaged(&error))?;
        let mut pages = file.try_clone().map_err(|error| error.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
        let groups = builder.metadata().row_groups().iter().map(|group| i128::from(group.num_rows().max(0)));
        let (rows, bytes): (i128, _) = (groups.sum(), length);
        // Ids differ, so a row takes more than a bit; a damaged file may claim billions of rows in a few hundred bytes.
        if rows > 8 * i128::from(bytes) {
            return Err(damaged(&format!("claims {rows} rows in {bytes} bytes")));
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
            return Err(format!("column {name:?} has type {kind}; texts must be strings, ids strings or integers"));
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), needed.iter().copied());
        let columns = builder.metadata().row_groups().iter().flat_map(|group| group.columns().iter().enumerate());
        let columns = columns.filter(|(leaf, _)| mask.leaf_included(*leaf)).map(|(_, column)| column.byte_range());
        let mut unclaimed = length;
        for (start, bytes) in columns {
            // Columns do not overlap; a damaged file may claim the same bytes a million times.
            let end = length.min(start.saturating_add(bytes));
            let left = unclaimed.checked_sub(end.saturating_sub(start));
            unclaimed = left.ok_or_else(|| damaged(&"columns claim more bytes than the file has"))?;
            parquet_limits::check_pages(&mut pages, start, end).map_err(|error| damaged(&error))?;
        }
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
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
                    Step::End(End::Damaged { cause: format!("corrupt Parquet data ({error})"), in_record: false })
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
        match fields_of(&self.columns, batch, self.row).and_then(|fields| fields.into_record(out.place(self.number))) {
            Ok(record) => out.push(record),
            Err(error) => out.reject(self.number, error, None, &[]),
        }
        self.row += 1;
        self.number += 1;
        Step::More
    }
}

impl RecordReader for ParquetReader {
    fn step(&mut self, _: &mut Window, out: &mut Collector) -> io::Result<Step> {
        Ok(self.next(out))
    }

    fn salvage_pmid(&self, _: &[u8]) -> Option<Pmid> {
        None
    }
}

fn damaged(error: &dyn std::fmt::Display) -> String {
    format!("invalid Parquet file ({error})")
}

fn is_readable(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_readable(values),
        kind => kind.is_integer(),
    }
}

fn fields_of(columns: &ColumnPlaces, batch: &RecordBatch, row: usize) -> Result<Fields, RecordError> {
    let mut left = MAX_RECORD_BYTES;
    columns.fields(|at| {
        let array = batch.column(at);
        if array.is_null(row) {
            return Ok(None);
        }
        let options = FormatOptions::default();
        let cell = ArrayFormatter::try_new(array, &options).and_then(|cells| cells.value(row).try_to_string());
        let cell = cell.map_err(|error| RecordError::new(RejectReason::Malformed, error.to_string()))?;
        left = left.checked_sub(cell.len()).ok_or_else(|| too_large("row"))?;
        Ok(Some(cell))
    })
}
