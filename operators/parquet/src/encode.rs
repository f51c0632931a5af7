//! Encodes rows into the bytes of part files; row groups and parts are bounded in bytes, and hashed on the way.

use std::num::NonZeroUsize;

use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use pubtag_schemas::table::Table;
use sha2::{Digest, Sha256};

use crate::{digest, properties};

/// Bounds of a part file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Size in memory, in bytes, of the rows of a row group.
    pub(crate) row_group_bytes: NonZeroUsize,
    /// Encoded bytes after which a part is closed.
    pub(crate) part_bytes: NonZeroUsize,
}

/// A piece of a part file, in order; the last one has an `end`.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) table: &'static str,
    pub(crate) bytes: Bytes,
    pub(crate) end: Option<PartEnd>,
}

/// Totals of a finished part.
#[derive(Debug)]
pub(crate) struct PartEnd {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// Encodes the rows of one table into one part after another.
///
/// # Memory
/// The encoded pages and dictionaries of one row group.
pub(crate) struct Encoder<T> {
    bounds: Bounds,
    provenance: Vec<KeyValue>,
    /// `None` between a full part and the next row.
    part: Option<OpenPart>,
    table: std::marker::PhantomData<fn(T)>,
}

struct OpenPart {
    writer: ArrowWriter<Vec<u8>>,
    hasher: Sha256,
    bytes: u64,
    rows: u64,
    /// Size in memory, in bytes, of the current row group's rows.
    group_bytes: usize,
}

impl<T: Table> Encoder<T> {
    /// Begins the first part, so that one exists even without rows.
    pub(crate) fn new(bounds: Bounds, provenance: Vec<KeyValue>) -> Result<Self, ParquetError> {
        let part = Some(OpenPart::begin::<T>(&provenance)?);
        Ok(Self { bounds, provenance, part, table: std::marker::PhantomData })
    }

    /// Encodes rows; finished pieces are appended to `out`.
    pub(crate) fn write(&mut self, mut rows: &[T], out: &mut Vec<Chunk>) -> Result<(), ParquetError> {
        while !rows.is_empty() {
            let part = match &mut self.part {
                Some(part) => part,
                none => none.insert(OpenPart::begin::<T>(&self.provenance)?),
            };
            let fitting = part.write_some(rows, self.bounds.row_group_bytes.get())?;
            rows = &rows[fitting..];
            let bytes = part.take();
            if part.size() >= self.bounds.part_bytes.get() {
                self.end_part(bytes, out)?;
            } else if !bytes.is_empty() {
                out.push(Chunk { table: T::NAME, bytes, end: None });
            }
        }
        Ok(())
    }

    /// Ends the last part.
    pub(crate) fn finish(mut self, out: &mut Vec<Chunk>) -> Result<(), ParquetError> {
        self.end_part(Bytes::new(), out)
    }

    fn end_part(&mut self, before: Bytes, out: &mut Vec<Chunk>) -> Result<(), ParquetError> {
        let Some(part) = self.part.take() else { return Ok(()) };
        let (bytes, end) = part.close()?;
        out.push(Chunk { table: T::NAME, bytes: before, end: None });
        out.push(Chunk { table: T::NAME, bytes, end: Some(end) });
        Ok(())
    }
}

impl OpenPart {
    fn begin<T: Table>(provenance: &[KeyValue]) -> Result<Self, ParquetError> {
        let options = ArrowWriterOptions::new().with_properties(properties::of::<T>(provenance)?);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), T::schema(), options)?;
        Ok(Self { writer, hasher: Sha256::new(), bytes: 0, rows: 0, group_bytes: 0 })
    }

    /// Encodes as many rows as fit into the current row group, at least one, and ends it if it is full.
    fn write_some<T: Table>(&mut self, rows: &[T], row_group_bytes: usize) -> Result<usize, ParquetError> {
        let mut fitting = 0;
        while fitting < rows.len() && self.group_bytes < row_group_bytes {
            self.group_bytes += rows[fitting].heap_bytes();
            fitting += 1;
        }
        self.writer.write(&T::to_batch(&rows[..fitting])?)?;
        self.rows += fitting as u64;
        if self.group_bytes >= row_group_bytes {
            self.writer.flush()?;
            self.group_bytes = 0;
        }
        Ok(fitting)
    }

    /// Encoded bytes, including the current row group.
    fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Takes the bytes that the writer has finished, as `AsyncArrowWriter` does.
    fn take(&mut self) -> Bytes {
        let bytes = std::mem::take(self.writer.inner_mut());
        self.hasher.update(&bytes);
        self.bytes += bytes.len() as u64;
        bytes.into()
    }

    fn close(mut self) -> Result<(Bytes, PartEnd), ParquetError> {
        self.writer.finish()?;
        let bytes = self.take();
        Ok((bytes, PartEnd { rows: self.rows, bytes: self.bytes, sha256: digest::finish(self.hasher) }))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::RecordBatch;
    use arrow::compute::concat_batches;
    use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use pubtag_schemas::table::Micros;
    use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow, SectionRow};
    use pubtag_schemas::{Date, civil_date};

    use super::*;

    fn day() -> impl Strategy<Value = Date> {
        (1..=9999, 1..=12u8, 1..=28u8).prop_map(|(y, m, d)| civil_date(y, m, d).expect("every month has 28 days"))
    }

    prop_compose! {
        fn annotation()(
            text in vec(any::<String>(), 6), numbers in any::<[i32; 6]>(), pmid in any::<Option<i64>>(),
            score in any::<f32>(), concept_ids in option::of(vec(any::<String>(), 0..3)),
            generation in any::<Option<i32>>(), file_seq in any::<Option<i32>>(), source in any::<Option<String>>(),
        ) -> AnnotationRow {
            let [annotation_id, doc_id, section, mention, label, model_id] = text.try_into().expect("six were generated");
            let [pmid_version, start_char, end_char, start_byte, end_byte, ordinal] = numbers;
            AnnotationRow {
                annotation_id, doc_id: doc_id.clone(), pmid, pmid_version, section, start_char, end_char, start_byte,
                end_byte, mention, label, score, concept_ids, model_id, run_id: doc_id.clone(), generation, file_seq,
                ordinal, source_file: doc_id, source,
            }
        }
    }

    prop_compose! {
        fn section()(
            label in any::<Option<String>>(), nlm_category in any::<Option<String>>(), start in any::<i32>(), end in any::<i32>(),
        ) -> SectionRow {
            SectionRow { label, nlm_category, start, end }
        }
    }

    prop_compose! {
        fn document()(
            doc_id in any::<String>(), pmid in any::<Option<i64>>(), numbers in any::<[i32; 6]>(),
            texts in vec(any::<Option<String>>(), 6), sections in vec(section(), 0..4), pub_year in any::<Option<i32>>(),
            pub_date in option::of(day()), date_revised in option::of(day()), has_abstract in any::<bool>(),
            processed_at in any::<i64>(), generation in any::<Option<i32>>(),
        ) -> DocumentRow {
            let [title, r#abstract, text_sha256, pub_date_raw, journal, language] = texts.try_into().expect("six were generated");
            let [pmid_version, char_count, token_count, window_count, annotation_count, ordinal] = numbers;
            DocumentRow {
                status: doc_id.clone(), model_id: doc_id.clone(), run_id: doc_id.clone(), source_file: doc_id.clone(),
                doc_id, pmid, pmid_version, title, r#abstract, text_sha256, sections, pub_date_raw, pub_year, pub_date,
                date_revised, journal, language, has_abstract, char_count, token_count, window_count, annotation_count,
                processed_at: Micros(processed_at), generation, file_seq: generation, ordinal,
                cached: pmid.map(|pmid| pmid > 0),
            }
        }
    }

    prop_compose! {
        fn reject()(
            reason in any::<String>(), detail in any::<String>(), pmid in any::<Option<i64>>(), byte_offset in any::<i64>(),
            raw in vec(any::<u8>(), 0..200), generation in any::<Option<i32>>(), ordinal in any::<i32>(),
        ) -> RejectRow {
            let run_id = reason.clone();
            let source_file = detail.clone();
            RejectRow { reason, detail, pmid, byte_offset, raw, run_id, generation, file_seq: generation, ordinal, source_file }
        }
    }

    /// Encodes rows and returns the bytes of each part with its totals.
    fn encode<T: Table>(rows: &[T], bounds: Bounds) -> Vec<(Vec<u8>, PartEnd)> {
        let mut chunks = Vec::new();
        let mut encoder = Encoder::new(bounds, Vec::new()).unwrap();
        for some in rows.chunks(7) {
            encoder.write(some, &mut chunks).unwrap();
        }
        encoder.finish(&mut chunks).unwrap();
        let (mut parts, mut open) = (Vec::new(), Vec::new());
        for chunk in chunks {
            open.extend_from_slice(&chunk.bytes);
            if let Some(end) = chunk.end {
                parts.push((std::mem::take(&mut open), end));
            }
        }
        assert!(open.is_empty(), "bytes after the end of the last part");
        parts
    }

    fn decode<T: Table>(bytes: &[u8]) -> RecordBatch {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).unwrap().build().unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        concat_batches(&T::schema(), &batches).unwrap()
    }

    fn check_round_trip<T: Table>(rows: &[T], row_group_bytes: usize, part_bytes: usize) {
        let bound = |bytes| NonZeroUsize::new(bytes).unwrap();
        let parts = encode(rows, Bounds { row_group_bytes: bound(row_group_bytes), part_bytes: bound(part_bytes) });
        assert!(!parts.is_empty(), "a part exists even without rows");
        let mut from = 0;
        for (bytes, end) in &parts {
            assert_eq!((end.bytes, &end.sha256), (bytes.len() as u64, &digest::of(bytes)));
            let to = from + usize::try_from(end.rows).unwrap();
            // Compared by Arrow: NaN equals NaN, and null is not the empty string.
            assert_eq!(decode::<T>(bytes), T::to_batch(&rows[from..to]).unwrap());
            check_row_groups(bytes, &rows[from..to], row_group_bytes);
            from = to;
        }
        assert_eq!(from, rows.len(), "rows are missing");
    }

    /// Without its last row, a row group is below its bound; with it, only the last group of a part may be.
    fn check_row_groups<T: Table>(bytes: &[u8], rows: &[T], row_group_bytes: usize) {
        let file = ArrowReaderMetadata::load(&Bytes::copy_from_slice(bytes), Default::default()).unwrap();
        let groups = file.metadata().row_groups();
        let mut from = 0;
        for (index, group) in groups.iter().enumerate() {
            let to = from + usize::try_from(group.num_rows()).unwrap();
            let bytes = |rows: &[T]| rows.iter().map(Table::heap_bytes).sum::<usize>();
            assert!(bytes(&rows[from..to - 1]) < row_group_bytes, "row group {index} is too large");
            assert!(
                index + 1 == groups.len() || bytes(&rows[from..to]) >= row_group_bytes,
                "row group {index} is small"
            );
            from = to;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_written_is_read_again(
            annotations in vec(annotation(), 0..60), documents in vec(document(), 0..40), rejects in vec(reject(), 0..40),
            row_group_bytes in 1..20_000usize, part_bytes in 1..60_000usize,
        ) {
            check_round_trip(&annotations, row_group_bytes, part_bytes);
            check_round_trip(&documents, row_group_bytes, part_bytes);
            check_round_trip(&rejects, row_group_bytes, part_bytes);
        }
    }
}
