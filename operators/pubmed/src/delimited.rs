//! Formats whose records stand one behind the other, told apart by what is between them.

use std::io;

use pubtag_schemas::{Place, Pmid, Record, RejectReason};

use crate::collector::{Collector, MAX_RECORD_BYTES, RecordError, too_large};
use crate::record_reader::{End, RecordReader, Step};
use crate::scan::find_byte;
use crate::window::{Ended, Window};

/// A format of that kind.
pub(crate) trait Format {
    /// What a record is called in messages.
    const RECORD: &'static str;

    /// How long the first record is, and how long it is together with what ends it. `None` if its end is not among
    /// these bytes; `last` says that they are the last.
    fn end(&self, bytes: &[u8], last: bool) -> Option<(usize, usize)>;

    /// Looks for the next record within one that is too large: how many bytes to pass over, and whether it begins there.
    fn resume(&self, bytes: &[u8]) -> (usize, bool) {
        line_end(bytes).map_or((bytes.len(), false), |(_, whole)| (whole, true))
    }

    /// Whether the last record, which nothing ends, is the beginning of a longer one; `broken_off` if the stream ends
    /// at a defect. The white space around it is still there.
    fn is_cut(&self, record: &[u8], broken_off: bool) -> bool;

    /// Reads a record that is [`trimmed`](Self::trimmed).
    fn parse(&self, record: &[u8], place: Place) -> Result<Record, RecordError>;

    /// The record without the white space around it; nothing is left of one that is none.
    fn trimmed<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        record.trim_ascii()
    }

    /// The PMID of a record that cannot be read, where it can be told without guessing.
    fn salvage_pmid(&self, _record: &[u8]) -> Option<Pmid> {
        None
    }
}

/// Reads a format, a record at a time; blank ones are passed over.
pub(crate) struct DelimitedReader<F> {
    format: F,
    /// A record that is too large was rejected, and its end is still to be found.
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
            // What begins the record must not be taken for the next one.
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

    /// Passes over the rest of a record that is too large.
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

/// How the stream ends, behind its last whole record or in the middle of one.
fn at_end(window: &Window, in_record: bool) -> End {
    match window.ended() {
        Some(Ended::At(defect)) => End::Damaged { cause: defect.to_string(), in_record },
        _ if in_record => End::Damaged { cause: "it ends inside a record".into(), in_record },
        _ => End::Complete,
    }
}

/// The end of the first line.
pub(crate) fn line_end(bytes: &[u8]) -> Option<(usize, usize)> {
    find_byte(bytes, b'\n').map(|at| (at, at + 1))
}

/// Bytes as text.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, RecordError> {
    std::str::from_utf8(bytes)
        .map_err(|error| RecordError::new(RejectReason::Encoding, format!("it is not UTF-8 ({error})")))
}
