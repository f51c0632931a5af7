//! Reads a unit packet by packet.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use pubtag_schemas::{Close, InputUnit, Outcome, Pmid, Record, RejectReason};

use crate::collector::{Collector, MAX_RECORDS, RecordError};
use crate::delimited::DelimitedReader;
use crate::disk::{Disk, READ_BYTES};
use crate::gzip::Gunzip;
use crate::jsonl::Jsonl;
use crate::nbib::Nbib;
use crate::options::TextColumns;
use crate::parquet_rows::ParquetReader;
use crate::plain::Plain;
use crate::record_reader::{End, RecordReader, Step};
use crate::sniff::{self, Content, HEAD_BYTES};
use crate::table::Table;
use crate::window::{Ended, Window};
use crate::xml::XmlReader;
use crate::{PubmedError, ReadOptions};

/// The reader of an unreadable input.
struct Unreadable(End);

impl RecordReader for Unreadable {
    fn step(&mut self, _: &mut Window, _: &mut Collector) -> io::Result<Step> {
        Ok(Step::End(self.0.clone()))
    }

    fn salvage_pmid(&self, _: &[u8]) -> Option<Pmid> {
        None
    }
}

/// A unit being read.
pub(crate) struct UnitReader {
    unit: Arc<InputUnit>,
    options: ReadOptions,
    disk: Disk,
    window: Window,
    format: Box<dyn RecordReader + Send>,
    out: Collector,
    end: Option<End>,
}

impl UnitReader {
    /// Opens a unit and detects its format.
    pub(crate) fn open(unit: Arc<InputUnit>, options: ReadOptions) -> Result<Self, PubmedError> {
        let disk = Disk::open(&unit, &options.buckets)?;
        let (window, format) = open_content(&disk, &options).map_err(PubmedError::io(unit.uri(), "read"))?;
        let out = Collector::new(unit.clone(), options.limit);
        Ok(Self { unit, options, disk, window, format, out, end: None })
    }

    /// Number of bytes read from disk so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.disk.bytes_read()
    }

    /// The records of the next packet; `None` at the end.
    pub(crate) fn next_records(&mut self) -> Result<Option<Vec<Record>>, PubmedError> {
        while self.end.is_none() && !self.out.is_full() {
            match self.format.step(&mut self.window, &mut self.out).map_err(PubmedError::io(self.unit.uri(), "read"))? {
                Step::More => (),
                Step::End(end) => self.end_with(end),
            }
            if self.out.overflowed() {
                self.end = Some(End::Unreadable(format!("more than {MAX_RECORDS} records; split the file")));
            }
        }
        let records = self.out.take();
        Ok((!records.is_empty()).then_some(records))
    }

    fn end_with(&mut self, end: End) {
        if let End::Damaged { cause, in_record: true } = &end
            && self.options.accept_partial
        {
            let error = RecordError::new(RejectReason::Truncated, cause.clone());
            let raw = self.window.bytes();
            self.out.reject(self.window.offset(), error, self.format.salvage_pmid(raw), raw);
        }
        self.end = Some(end);
    }

    /// Reads the rest of the file for its checksums, and closes the unit with its outcome.
    pub(crate) fn close(self) -> Result<Close, PubmedError> {
        let checked = self.disk.clone().finish(&self.unit)?;
        let end = self.end.clone().unwrap_or(End::Limited);
        let outcome = match (end, checked.changed, checked.mismatch) {
            (_, Some(changed), _) => self.quarantined(&format!("changed while being read ({changed}); run again")),
            (End::Unreadable(cause), ..) => self.quarantined(&cause),
            (End::Damaged { cause, .. }, _, mismatch) => self.damaged(&cause, mismatch),
            (_, _, Some(mismatch)) => self.quarantined(&format!("{mismatch}; download both again")),
            (End::Limited, ..) => Outcome::Limited,
            (End::Complete, ..) => Outcome::Complete,
        };
        let tally = self.out.tally();
        Ok(Close { unit: self.unit, tally, bytes: checked.bytes, sha256: checked.sha256, outcome })
    }

    fn quarantined(&self, reason: &str) -> Outcome {
        Outcome::Quarantined(format!("{}: {reason}", self.unit.uri()))
    }

    fn damaged(&self, cause: &str, mismatch: Option<String>) -> Outcome {
        let read_to = self.window.offset();
        let records = self.out.tally().records();
        let mismatch = mismatch.map(|mismatch| format!("; {mismatch}")).unwrap_or_default();
        let reason = format!("{cause} (read to byte {read_to} of the content, after {records} records){mismatch}");
        if self.options.accept_partial {
            Outcome::Partial(format!("{}: {reason}", self.unit.uri()))
        } else {
            self.quarantined(&format!("{reason}; download it again, or keep the records read with --accept-partial"))
        }
    }
}

/// Detects the compression, encoding and format of an input.
fn open_content(disk: &Disk, options: &ReadOptions) -> io::Result<(Window, Box<dyn RecordReader + Send>)> {
    let mut rest = BufReader::with_capacity(READ_BYTES, disk.clone());
    let mut head = Vec::new();
    (&mut rest).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let content = sniff::content(&head, options);
    if content == Content::Parquet && disk.is_object() {
        return open_spooled(head, rest, options);
    }
    let compressed = content == Content::Gzip;
    let whole: Box<dyn BufRead + Send> = Box::new(Cursor::new(head).chain(rest));
    let mut window = Window::new(if compressed { Box::new(Gunzip::new(whole)) } else { Box::new(whole) });
    window.fill()?;
    // Parquet is read through the same open file, so that what is hashed is what is read.
    let file = disk.file()?;
    let format = open_format(file, &mut window, compressed, options).unwrap_or_else(|end| Box::new(Unreadable(end)));
    Ok((window, format))
}

/// Parquet in a store is copied to a temporary file, because it is read out of order and must not be fetched twice.
fn open_spooled(
    head: Vec<u8>,
    mut rest: impl Read,
    options: &ReadOptions,
) -> io::Result<(Window, Box<dyn RecordReader + Send>)> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut Cursor::new(&head).chain(&mut rest), &mut file)?;
    let mut window = Window::new(Box::new(Cursor::new(head)));
    window.fill()?;
    let format = open_format(Some(file), &mut window, false, options).unwrap_or_else(|end| Box::new(Unreadable(end)));
    Ok((window, format))
}

fn open_format(
    file: Option<File>,
    window: &mut Window,
    compressed: bool,
    options: &ReadOptions,
) -> Result<Box<dyn RecordReader + Send>, End> {
    let unreadable = |what: &str| Err(End::Unreadable(what.to_owned()));
    let content = sniff::content(window.bytes(), options);
    if !matches!(content, Content::Gzip | Content::Xml(Some(_)) | Content::Utf16(_) | Content::Parquet) {
        window.consume(sniff::bom_len(window.bytes()));
    }
    match (content, window.ended()) {
        (Content::Xml(None), _) => Ok(Box::new(XmlReader::new(false))),
        (Content::Xml(Some(encoding)), _) => {
            window.transcode(encoding);
            Ok(Box::new(XmlReader::new(true)))
        }
        (Content::Utf16(encoding), _) => {
            window.transcode(encoding);
            window.fill().map_err(|error| End::Unreadable(error.to_string()))?;
            open_format(None, window, compressed, options)
        }
        (Content::Jsonl, _) => Ok(Box::new(DelimitedReader::new(Jsonl { columns: options.columns.clone() }))),
        (Content::Nbib, _) => Ok(Box::new(DelimitedReader::new(Nbib::default()))),
        (Content::Lines, _) => Ok(Box::new(DelimitedReader::new(Plain::Lines))),
        (Content::Text, _) => Ok(Box::new(DelimitedReader::new(Plain::Document))),
        (Content::Table { separator }, _) => open_table(window, separator, &options.columns),
        (Content::Parquet, _) if compressed => unreadable("gzipped Parquet file; decompress it first"),
        (Content::Parquet, _) => match file {
            None => unreadable("Parquet cannot be read from a pipe; give a file"),
            Some(file) => Ok(Box::new(ParquetReader::open(file, &options.columns).map_err(End::Unreadable)?)),
        },
        (Content::Empty, Some(Ended::At(defect))) => Err(End::Damaged { cause: defect.to_string(), in_record: false }),
        (Content::Empty, _) if compressed => unreadable("empty gzip data"),
        (Content::Empty, _) => unreadable("empty file"),
        (Content::Gzip, _) => unreadable("gzip inside gzip; decompress it once"),
        (Content::Other(what), _) => unreadable(what),
    }
}

fn open_table(window: &mut Window, separator: u8, columns: &TextColumns) -> Result<Box<dyn RecordReader + Send>, End> {
    let blank = window.bytes().iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    window.consume(blank);
    let opened = Table::open(window.bytes(), separator, columns);
    let header = opened.ok_or_else(|| End::Unreadable("header of the table has no end".to_owned()))?;
    let (table, len) = header.map_err(End::Unreadable)?;
    window.consume(len);
    Ok(Box::new(DelimitedReader::new(table)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover;

    fn opened(content: &[u8]) -> (tempfile::NamedTempFile, UnitReader) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), content).expect("the file is writable");
        let options = ReadOptions::default();
        let path = file.path().to_str().expect("a UTF-8 path").to_owned();
        let unit = discover(&[path], &options).expect("the file exists").units.remove(0);
        let reader = UnitReader::open(unit, options).expect("the file can be opened");
        (file, reader)
    }

    #[test]
    fn parquet_is_read_from_the_file_that_is_hashed() {
        let table = |text: &str| {
            let columns = [("id", "1"), ("text", text)];
            let columns = columns.map(|(name, value)| {
                let array: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(vec![value]));
                (name, array)
            });
            let batch = arrow::array::RecordBatch::try_from_iter(columns).expect("columns of one length");
            let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
            writer.write(&batch).expect("memory is writable");
            writer.into_inner().expect("memory is writable")
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [path, other] = ["in.parquet", "other"].map(|name| directory.path().join(name));
        std::fs::write(&path, table("first")).expect("the file is writable");
        std::fs::write(&other, table("second")).expect("the file is writable");
        let options = ReadOptions::default();
        let unit = discover(&[path.display().to_string()], &options).expect("the file exists").units.remove(0);
        let disk = Disk::open(&unit, &options.buckets).expect("the file can be opened");
        // The file is replaced between opening it for hashing and opening it for reading rows.
        std::fs::rename(&other, &path).expect("the file can be renamed");
        let (mut window, mut format) = open_content(&disk, &options).expect("no I/O error");
        let mut out = Collector::new(unit.clone(), None);
        while let Step::More = format.step(&mut window, &mut out).expect("no I/O error") {}
        let records = out.take();
        let [Record::Document(citation)] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!(citation.text.as_str(), " first");
        let changed = disk.finish(&unit).expect("no I/O error").changed;
        assert!(changed.is_some_and(|how| how.contains("another file")));
    }

    #[test]
    fn a_unit_of_more_records_than_ordinals_is_quarantined() {
        for (records, complete) in [(2, true), (3, true), (4, false)] {
            let rows: String = (0..records).map(|number| format!("{number},x\n")).collect();
            let (_file, mut reader) = opened(format!("id,text\n{rows}").as_bytes());
            reader.out = Collector::new(reader.unit.clone(), None).with_capacity(3);
            let read: usize =
                std::iter::from_fn(|| reader.next_records().expect("no I/O error")).map(|of| of.len()).sum();
            assert_eq!(read, records.min(3));
            let outcome = reader.close().expect("no I/O error").outcome;
            assert_eq!(outcome == Outcome::Complete, complete, "{records}: {outcome:?}");
        }
    }
}
