//! One part: its bytes, its footer and its row groups.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use pubtag_schemas::{Commit, Part};
use pubtag_stream::without_panic;

use super::defect::Defect;
use super::object::{Extract, Object};

/// Rows per batch.
const BATCH_ROWS: usize = 1024;

/// Bytes at the end of a file, enough for most footers.
const FOOTER_BYTES: u64 = 64 * 1024;

/// The footer of a part whose file matches its marker.
#[derive(Clone, Debug)]
pub(super) struct Footer {
    metadata: ArrowReaderMetadata,
}

impl Footer {
    /// Reads a footer and checks it against the marker and the table's schema.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(object: &Object<'_>, part: &Part, commit: &Commit, table: &Schema) -> Result<Self, Defect> {
        let unreadable = |why: String| Defect::new(&part.path, "not readable as Parquet").found(why);
        let footer = Self { metadata: without_panic(|| load(object)).flatten().map_err(unreadable)? };
        footer.check_rows(part)?;
        check_schema(footer.metadata.schema(), table, &part.path)?;
        footer.check_attempt(part, commit)?;
        Ok(footer)
    }

    fn check_rows(&self, part: &Part) -> Result<(), Defect> {
        let metadata = self.metadata.metadata();
        let groups: i64 = metadata.row_groups().iter().map(|group| group.num_rows()).sum();
        let rows = metadata.file_metadata().num_rows();
        if rows != groups {
            let defect = Defect::new(&part.path, "row count in the footer differs from its row groups");
            return Err(defect.expected(groups, rows));
        }
        match u64::try_from(rows) {
            Ok(rows) if rows == part.rows => Ok(()),
            _ => Err(Defect::new(&part.path, "row count differs from the marker's").expected(part.rows, rows)),
        }
    }

    fn check_attempt(&self, part: &Part, commit: &Commit) -> Result<(), Defect> {
        let pairs = self.metadata.metadata().file_metadata().key_value_metadata();
        let said = pairs.into_iter().flatten().find(|pair| pair.key == "pubtag.attempt_id");
        match said.and_then(|pair| pair.value.as_deref()) {
            Some(attempt) if attempt == commit.attempt_id => Ok(()),
            other => {
                let defect = Defect::new(&part.path, "written by a different attempt than its marker's");
                Err(defect.expected(&commit.attempt_id, other.unwrap_or("none")))
            }
        }
    }
}

fn load(object: &Object<'_>) -> Result<ArrowReaderMetadata, String> {
    let mut reader = ParquetMetaDataReader::new();
    let mut wanted = object.len.min(FOOTER_BYTES);
    loop {
        let tail = object.read(object.len - wanted..object.len).map_err(|error| error.to_string())?;
        match reader.try_parse_sized(&tail, object.len) {
            Ok(()) => break,
            Err(ParquetError::NeedMoreData(needed)) if (wanted + 1..=object.len).contains(&(needed as u64)) => {
                wanted = needed as u64;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    let metadata = reader.finish().map_err(|error| error.to_string())?;
    ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()).map_err(|error| error.to_string())
}

/// A file has the table's columns, or the first of them if it was written before the others were added.
pub(super) fn check_schema(file: &Schema, table: &Schema, path: &str) -> Result<(), Defect> {
    let defect = |what| Defect::new(path, what);
    for (index, field) in file.fields().iter().enumerate() {
        match table.fields().get(index) {
            Some(known) if known == field => {}
            Some(known) => return Err(defect("column differs from the table's").expected(known, field)),
            None => return Err(defect("column is unknown to this version of pubtag").found(field.name())),
        }
    }
    Ok(())
}

/// The rows of a part with all columns, one row group in memory at a time. Ends after the first error.
pub(super) struct PartRows<'a> {
    object: Object<'a>,
    part: &'a Part,
    /// Called with the size of every row group.
    read: &'a dyn Fn(u64),
    metadata: ArrowReaderMetadata,
    next_group: usize,
    group: Option<Box<dyn Iterator<Item = Result<RecordBatch, String>>>>,
    decoded: u64,
    done: bool,
}

impl<'a> PartRows<'a> {
    pub(super) fn new(object: Object<'a>, part: &'a Part, footer: &Footer, read: &'a dyn Fn(u64)) -> Self {
        let metadata = footer.metadata.clone();
        Self { object, part, read, metadata, next_group: 0, group: None, decoded: 0, done: false }
    }

    fn step(&mut self) -> Result<Option<RecordBatch>, Defect> {
        loop {
            if let Some(group) = &mut self.group {
                match without_panic(|| group.next()) {
                    Ok(Some(Ok(batch))) => {
                        self.decoded += batch.num_rows() as u64;
                        return Ok(Some(batch));
                    }
                    Ok(None) => self.group = None,
                    Ok(Some(Err(why))) | Err(why) => return Err(self.undecodable(self.next_group - 1, &why)),
                }
            } else if self.next_group < self.metadata.metadata().num_row_groups() {
                let group = self.next_group;
                self.next_group += 1;
                let reader = without_panic(|| self.open(group, ProjectionMask::all())).flatten();
                self.group = Some(reader.map_err(|why| self.undecodable(group, &why))?);
                (self.read)(self.range(group).map_or(0, |range| range.end - range.start));
            } else if self.decoded == self.part.rows {
                return Ok(None);
            } else {
                let defect = Defect::new(&self.part.path, "decoded rows differ from the marker's");
                return Err(defect.expected(self.part.rows, self.decoded));
            }
        }
    }

    fn open(
        &self,
        group: usize,
        columns: ProjectionMask,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, String>>>, String> {
        let range = self.range(group).ok_or("a column lies outside of the file")?;
        let start = range.start;
        let bytes = self.object.read(range).map_err(|error| error.to_string())?;
        let reader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(Extract { start, bytes }, self.metadata.clone());
        let reader = reader.with_row_groups(vec![group]).with_batch_size(BATCH_ROWS).with_projection(columns);
        let batches = reader.build().map_err(|error| error.to_string())?;
        Ok(Box::new(batches.map(|batch| batch.map_err(|error| error.to_string()))))
    }

    /// The byte range of a row group's columns in the file.
    fn range(&self, group: usize) -> Option<Range<u64>> {
        let columns = self.metadata.metadata().row_group(group).columns();
        let ranges: Vec<Range<u64>> = columns
            .iter()
            .map(|column| {
                let (start, length) = column.byte_range();
                Some(start..start.checked_add(length).filter(|&end| end <= self.object.len)?)
            })
            .collect::<Option<_>>()?;
        let start = ranges.iter().map(|range| range.start).min()?;
        Some(start..ranges.iter().map(|range| range.end).max()?)
    }

    /// Finds the columns that cannot be decoded by reading each on its own.
    fn undecodable(&self, group: usize, why: &str) -> Defect {
        let schema = self.metadata.parquet_schema();
        let broken = (0..schema.num_columns()).filter(|&leaf| {
            let column = ProjectionMask::leaves(schema, [leaf]);
            let read = || self.open(group, column)?.try_for_each(|batch| batch.map(drop));
            without_panic(read).flatten().is_err()
        });
        let names: Vec<String> = broken.map(|leaf| schema.column(leaf).path().string()).collect();
        let place = match names.as_slice() {
            [] => format!("row group {group}"),
            names => format!("row group {group}, column {}", names.join(", ")),
        };
        Defect::new(&self.part.path, "not decodable").found(why).at(place)
    }
}

impl Iterator for PartRows<'_> {
    type Item = Result<RecordBatch, Defect>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.step().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};
    use pubtag_schemas::table::Table;
    use pubtag_schemas::tables::DocumentRow;

    use super::*;

    fn line(change: impl FnOnce(&mut Vec<Field>)) -> Option<String> {
        let table = DocumentRow::schema();
        let mut fields: Vec<Field> = table.fields().iter().map(|field| field.as_ref().clone()).collect();
        change(&mut fields);
        check_schema(&Schema::new(fields), &table, "p").err().map(|defect| defect.to_string())
    }

    #[test]
    fn a_file_may_lack_the_columns_that_were_added_last() {
        assert_eq!(line(|_| ()), None);
        assert_eq!(line(|fields| fields.truncate(20)), None);
    }

    #[test]
    fn a_column_renamed_retyped_moved_or_added_is_named() {
        let starts = |line: Option<String>, start: &str| {
            assert!(line.as_ref().is_some_and(|line| line.starts_with(start)), "{line:?}");
        };
        starts(line(|fields| fields[1].set_name("pmcid")), "p: column differs from the table's: expected Field");
        starts(
            line(|fields| fields[1].set_data_type(DataType::Utf8)),
            "p: column differs from the table's: expected Field",
        );
        starts(line(|fields| fields.swap(3, 4)), "p: column differs from the table's");
        starts(
            line(|fields| fields[2].set_metadata(arrow::datatypes::Metadata::default())),
            "p: column differs from the table's",
        );
        let added = line(|fields| fields.push(Field::new("new", DataType::Int32, true)));
        assert_eq!(added.as_deref(), Some("p: column is unknown to this version of pubtag: new"));
    }
}
