//! Whether a Parquet file's metadata can be what they claim, before anything is built after them.
//!
//! The metadata are a struct of the Thrift compact protocol
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>). A damaged one may claim a list of
//! billions of elements in a few bytes, which a reader then counts through one by one, for hours if such lists are nested.
//! Here a count that the bytes behind it cannot hold is an error.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Length of the metadata and magic number, at the end of the file.
const TAIL: u64 = 8;
/// The metadata's structs are nested less deeply.
const MOST_DEPTH: usize = 32;

/// Reads a file's metadata through.
///
/// # Errors
/// If they claim more than their bytes hold, or the file cannot be read. Everything else is left to the reader.
pub(crate) fn check(file: &mut File, length: u64) -> io::Result<()> {
    let mut tail = [0; TAIL as usize];
    if length < TAIL {
        return Ok(());
    }
    file.seek(SeekFrom::Start(length - TAIL))?;
    file.read_exact(&mut tail)?;
    let (claimed, _) = tail.split_at(4);
    let metadata = u64::from(u32::from_le_bytes(claimed.try_into().expect("four bytes")));
    let Some(start) = (length - TAIL).checked_sub(metadata) else { return Ok(()) };
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(metadata).read_to_end(&mut bytes)?;
    let walked = Walk(&bytes).structure(0);
    file.rewind()?;
    walked.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "its metadata claim more than they hold"))
}

/// What is left to read. Every method gives `None` where the bytes end too early or a count cannot be true.
struct Walk<'a>(&'a [u8]);

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn structure(&mut self, depth: usize) -> Option<()> {
        if depth > MOST_DEPTH {
            return None;
        }
        loop {
            let header = self.byte()?;
            match header & 0x0f {
                0 => return Some(()),
                // A boolean field's value is in its type.
                1 | 2 => self.field_id(header)?,
                kind => {
                    self.field_id(header)?;
                    self.value(kind, depth)?;
                }
            }
        }
    }

    /// A field's id follows where it is not counted from the one before.
    fn field_id(&mut self, header: u8) -> Option<()> {
        if header >> 4 == 0 { self.number().map(drop) } else { Some(()) }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 => {
                let header = self.byte()?;
                let count = if header >> 4 == 15 { self.number()? } else { u64::from(header >> 4) };
                self.elements(count, &[header & 0x0f], depth)
            }
            11 => match self.number()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    self.elements(count, &[kinds >> 4, kinds & 0x0f], depth)
                }
            },
            12 => self.structure(depth + 1),
            13 => self.skip(16),
            _ => None,
        }
    }

    /// Every element takes a byte at least.
    fn elements(&mut self, count: u64, kinds: &[u8], depth: usize) -> Option<()> {
        if depth > MOST_DEPTH || count > self.0.len() as u64 {
            return None;
        }
        (0..count).try_for_each(|_| kinds.iter().try_for_each(|&kind| self.value(kind, depth + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_beyond_the_bytes_is_refused_and_a_true_one_is_not() {
        // Field 1, a list of two 32-bit numbers; field 2, a text; field 3, true; the end.
        let sound = [0x19, 0x25, 0x02, 0x04, 0x18, 0x03, b'a', b'b', b'c', 0x11, 0x00];
        assert!(Walk(&sound).structure(0).is_some());
        // The same list claims two billion booleans.
        let claims = [0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
        assert!(Walk(&claims).structure(0).is_none());
        assert!(Walk(&[0x1c; 100]).structure(0).is_none());
        assert!(Walk(&sound[..6]).structure(0).is_none());
    }
}
