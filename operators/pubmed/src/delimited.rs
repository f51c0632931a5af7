//! Formats whose records follow each other, separated by delimiters.

use std::io;

use pubtag_schemas::{Place, Pmid, Record, RejectReason};

use crate::collector::{Collector, MAX_RECORD_BYTES, RecordError, too_large};
use crate::record_reader::{End, RecordReader, Step};
use crate::scan::find_byte;
use crate::window::{Ended, Window};

/// A delimited format.
pub(crate) trait Format {
    /// The name of a record in messages.
    const RECORD: &'static str;

    /// The length of the first record, and its length including the delimiter. `None` if these bytes do not contain its end;
    /// `last` if no more bytes follow.
    fn end(&self, bytes: &[u8], last: bool) -> Option<(usize, usize)>;

    /// Looks for the next record inside one that is too large: the number of bytes to skip, and whether it begins there.
    fn resume(&self, bytes: &[u8]) -> (usize, bool) {
        line_end(bytes).map_or((bytes.len(), false), |(_, whole)| (whole, true))
    }

    /// Whether the last record, which has no delimiter, is truncated; `broken_off` if the stream ends at a defect. The record
    /// is not trimmed.
    fn is_cut(&self, record: &[u8], broken_off: bool) -> bool;

    /// Parses a [`trimmed`](Self::trimmed) record.
    fn parse(&self, record: &[u8], place: Place) -> Result<Record, RecordError>;

    /// The record without surrounding white space; blank records become empty.
    fn trimmed<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        record.trim_ascii()
    }

    /// The PMID of an unreadable record, if it is certain.
    fn salvage_pmid(&self, _record: &[u8]) -> Option<Pmid> {
        None
    }
}

/// Reads a delimited format record by record; blank records are skipped.
pub(crate) struct DelimitedReader<F> {
    format: F,
    /// Whether the rest of a record that is too large is being skipped.
    skipping: bool,
}

impl<F: Format> DelimitedReader<F> {
    pub(crate) fn new(format: F) -> Self {
        Self { format, skipping: false }
    }

    fn next(&mut self, window: &mut Window, out: &mut Collector) -> io::Result<Step> {
        if self.skipping {
            return self.skip(window);
        }
        let last = window.ended().is_some() || window.bytes().len() >= MAX_RECORD_BYTES;
        let end = self.format.end(window.bytes(), last);
        if end.is_none() && !last {
            window.fill()?;
            return Ok(Step::More);
        }
        let (len, whole) = end.unwrap_or((window.bytes().len(), window.bytes().len()));
        let record = self.format.trimmed(&window.bytes()[..len]);
        if record.is_empty() {
            window.consume(whole);
            return if end.is_some() { Ok(Step::More) } else { Ok(Step::End(at_end(window, false))) };
        }
        if out.at_limit() {
            return Ok(Step::End(End::Limited));
        }
        if len > MAX_RECORD_BYTES || (end.is_none() && window.ended().is_none()) {
            out.reject(window.offset(), too_large(F::RECORD), self.format.salvage_pmid(record), record);
            self.skipping = end.is_none();
            // The start of this record must not be read as the next one.
            let blank = window.bytes().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            window.consume(end.map_or(len.min(blank + 1), |(_, whole)| whole));
            return Ok(Step::More);
        }
        let broken_off = matches!(window.ended(), Some(Ended::At(_)));
        if end.is_none() && self.format.is_cut(&window.bytes()[..len], broken_off) {
            return Ok(Step::End(at_end(window, true)));
        }
        match self.format.parse(record, out.place(window.offset())) {
            Ok(record) => out.push(record),
            Err(error) => out.reject(window.offset(), error, self.format.salvage_pmid(record), record),
        }
        window.consume(whole);
        Ok(Step::More)
    }

    /// Skips the rest of a record that is too large.
    fn skip(&mut self, window: &mut Window) -> io::Result<Step> {
        let (passed, found) = self.format.resume(window.bytes());
        window.consume(passed);
        self.skipping = !found;
        if self.skipping && !window.fill()? {
            return Ok(Step::End(at_end(window, false)));
        }
        Ok(Step::More)
    }
}

impl<F: Format + Send> RecordReader for DelimitedReader<F> {
    fn step(&mut self, window: &mut Window, out: &mut Collector) -> io::Result<Step> {
        self.next(window, out)
    }

    fn salvage_pmid(&self, record: &[u8]) -> Option<Pmid> {
        self.format.salvage_pmid(record)
    }
}

/// How the stream ends: after its last record or inside one.
fn at_end(window: &Window, in_record: bool) -> End {
    match window.ended() {
        Some(Ended::At(defect)) => End::Damaged { cause: defect.to_string(), in_record },
        _ if in_record => End::Damaged { cause: "file ends inside a record".into(), in_record },
        _ => End::Complete,
    }
}

/// The length of the first line, without and with its line break.
pub(crate) fn line_end(bytes: &[u8]) -> Option<(usize, usize)> {
    find_byte(bytes, b'\n').map(|at| (at, at + 1))
}

/// Bytes as text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, RecordError> {
    std::str::from_utf8(bytes).map_err(|error| RecordError::new(RejectReason::Encoding, format!("not UTF-8 ({error})")))
}
