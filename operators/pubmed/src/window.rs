//! A window over the next bytes of a stream, which grows on demand.

use std::io::{self, Cursor, Read};

use encoding_rs::Encoding;
use encoding_rs_io::DecodeReaderBytesBuilder;

use crate::gzip::{Defect, defect_of};
use crate::scan::count;

const INITIAL_BYTES: usize = 1024 * 1024;

/// The bytes of a stream that have not been consumed yet, and their offset.
///
/// *Memory*: at least 1 MiB, and twice the largest number of bytes needed at once.
pub(crate) struct Window {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    ended: Option<Ended>,
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// At its end.
    AtEnd,
    /// At a defect; nothing after it can be read.
    At(Defect),
}

impl Window {
    pub(crate) fn new(source: Box<dyn Read + Send>) -> Self {
        Self { source, buffer: Vec::new(), start: 0, end: 0, offset: 0, ended: None }
    }

    /// The bytes in the window.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The offset of the first byte in the stream.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// How the stream ended, once no more bytes can be read.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Consumes the first bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start, "only bytes in the window can be consumed");
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads more bytes; false if the stream has ended.
    ///
    /// Each call at least doubles the window, so that searching it again after each call is cheap overall.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let before = self.end - self.start;
        let wanted = (2 * before).max(INITIAL_BYTES);
        self.make_room(wanted);
        while self.ended.is_none() && self.end - self.start < wanted {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = Some(Ended::AtEnd),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.ended = Some(Ended::At(defect_of(&error).ok_or(error)?)),
            }
        }
        Ok(self.end - self.start > before)
    }

    fn make_room(&mut self, wanted: usize) {
        count(self.end - self.start);
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
    }

    /// Converts the rest of the stream to UTF-8; from here on, offsets count bytes of that text.
    pub(crate) fn transcode(&mut self, encoding: &'static Encoding) {
        let pending = Cursor::new(self.bytes().to_vec());
        let source = std::mem::replace(&mut self.source, Box::new(io::empty()));
        let source = DecodeReaderBytesBuilder::new().encoding(Some(encoding)).build(pending.chain(source));
        *self = Self::new(Box::new(source));
    }
}
