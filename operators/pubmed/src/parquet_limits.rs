//! Checks that the metadata and page headers of a Parquet file do not claim more than the file can contain.
//!
//! The parquet crate (60.1) limits only the lists that it decodes from the footer: lists in unknown fields and all lists in
//! page headers are skipped element by element without a limit, so a few damaged bytes can keep it busy for hours. It also
//! allocates whatever size a page header claims; so this second, minimal Thrift reader runs first.
//!
//! Metadata and page headers are structs of the Thrift compact protocol
//! (<https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>). An element count larger than the
//! remaining bytes is an error. So is a list of booleans, which neither struct contains and whose elements the crate takes to
//! be empty, and everything that the crate would parse differently from this module, because such a list could be hidden
//! behind it: a number of more than 64 bits, or a page header field whose type is not that of its id.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes at the end of the file: the length of the metadata and the magic number.
const TAIL: u64 = 8;
/// Maximum nesting depth of structs.
const MOST_DEPTH: usize = 32;
/// Maximum length of a page header that is checked; most are much shorter.
const MOST_HEADER: u64 = 64 << 10;
const FIRST_LOOK: u64 = 256;
/// Fields of `PageHeader` in `parquet.thrift`: `uncompressed_page_size` and `compressed_page_size`, of four numbers, and
/// the structs `data_page_header`, `dictionary_page_header` and `data_page_header_v2`, which begin with some numbers.
const INFLATED_SIZE: i16 = 2;
const PAGE_SIZE: i16 = 3;
const DATA_PAGE: i16 = 5;
const DICTIONARY_PAGE: i16 = 7;
const DATA_PAGE_2: i16 = 8;
/// Types of a field: a 32-bit number, a struct.
const NUMBER: u8 = 5;
const STRUCT: u8 = 12;
/// Maximum size of a page in bytes; writers use about a million.
const MOST_INFLATED: i32 = 256 << 20;

/// Checks the metadata of a file.
///
/// # Errors
/// The metadata claim more than they contain, or the file cannot be read. All other errors are left to the parquet crate.
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
    let walked = Walk::new(&bytes).structure(0);
    file.rewind()?;
    walked.ok_or_else(|| claims_too_much("metadata"))
}

/// Checks the page headers of a column at bytes `start` to `end` of a file.
///
/// # Errors
/// A header claims more than it contains, or the file cannot be read. All other errors are left to the parquet crate.
pub(crate) fn check_pages(file: &mut File, mut start: u64, end: u64) -> io::Result<()> {
    let (mut bytes, mut look) = (Vec::new(), FIRST_LOOK);
    while start < end {
        file.seek(SeekFrom::Start(start))?;
        bytes.clear();
        file.by_ref().take(look.min(end - start)).read_to_end(&mut bytes)?;
        let mut walk = Walk::new(&bytes);
        match walk.page_header() {
            Some(size) => (start, look) = (start + (bytes.len() - walk.left.len()) as u64 + size, FIRST_LOOK),
            None if walk.claims_too_much => return Err(claims_too_much("page headers")),
            None if look < MOST_HEADER => look *= 2,
            None => break,
        }
    }
    Ok(())
}

fn claims_too_much(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} claim more than they contain"))
}

/// A parser over some bytes. Every method returns `None` if the bytes end too early or a claim cannot be true.
struct Walk<'a> {
    left: &'a [u8],
    /// Whether a claim cannot be true.
    claims_too_much: bool,
}

impl<'a> Walk<'a> {
    fn new(left: &'a [u8]) -> Self {
        Self { left, claims_too_much: false }
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.left.split_first()?;
        self.left = rest;
        Some(*first)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.left = self.left.get(usize::try_from(bytes).ok()?..)?;
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
        // The parquet crate reads on to the end of an overlong number.
        self.believe(false)?;
        None
    }

    /// A zigzag-encoded number; the caller truncates it to its width, as the parquet crate does.
    fn signed(&mut self) -> Option<i64> {
        let folded = self.number()?;
        Some((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    fn structure(&mut self, depth: usize) -> Option<()> {
        self.believe(depth <= MOST_DEPTH)?;
        while let (_, kind @ 1..) = self.field(0)? {
            self.field_value(kind, depth)?;
        }
        Some(())
    }

    /// A page header; returns the size of the page that follows it.
    fn page_header(&mut self) -> Option<u64> {
        let (mut size, mut id) = (None, 0);
        loop {
            let (field, kind) = self.field(id)?;
            id = field;
            match (id, kind) {
                (_, 0) => return size,
                (PAGE_SIZE, NUMBER) => size = u64::try_from(self.signed()? as i32).ok(),
                (INFLATED_SIZE, NUMBER) => {
                    let inflated = self.signed()? as i32;
                    self.believe((0..=MOST_INFLATED).contains(&inflated))?;
                }
                (1..=4, NUMBER) => drop(self.number()?),
                (DATA_PAGE, STRUCT) => self.numbers_first(4)?,
                (DICTIONARY_PAGE, STRUCT) => self.numbers_first(2)?,
                (DATA_PAGE_2, STRUCT) => self.numbers_first(6)?,
                (1..=4 | DATA_PAGE | DICTIONARY_PAGE | DATA_PAGE_2, _) => self.believe(false)?,
                (_, kind) => self.field_value(kind, 0)?,
            }
        }
    }

    /// A struct whose fields up to an id are read as numbers by the parquet crate, whatever their type.
    fn numbers_first(&mut self, last: i16) -> Option<()> {
        let mut id = 0;
        loop {
            let (field, kind) = self.field(id)?;
            id = field;
            if kind == 0 {
                return Some(());
            }
            self.believe(id > last || kind == NUMBER)?;
            self.field_value(kind, 1)?;
        }
    }

    /// Id and type of the next field; type 0 is the end. The id is relative to the one before, or explicit.
    fn field(&mut self, before: i16) -> Option<(i16, u8)> {
        let header = self.byte()?;
        let id = match (header >> 4, header & 0x0f) {
            (0, 1..) => self.signed()? as i16,
            (step, _) => before.saturating_add(i16::from(step)),
        };
        Some((id, header & 0x0f))
    }

    /// The value of a field; that of a boolean is in its type.
    fn field_value(&mut self, kind: u8, depth: usize) -> Option<()> {
        if matches!(kind, 1 | 2) { Some(()) } else { self.value(kind, depth) }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            3 => self.skip(1),
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
            STRUCT => self.structure(depth + 1),
            13 => self.skip(16),
            _ => None,
        }
    }

    /// Continues if a claim can be true.
    fn believe(&mut self, can_be_true: bool) -> Option<()> {
        self.claims_too_much |= !can_be_true;
        can_be_true.then_some(())
    }

    /// A list; every element takes at least one byte.
    fn elements(&mut self, count: u64, kinds: &[u8], depth: usize) -> Option<()> {
        let booleans = kinds.iter().any(|kind| matches!(kind, 1 | 2));
        let most = if booleans { 0 } else { self.left.len() as u64 };
        self.believe(count <= most && depth <= MOST_DEPTH)?;
        (0..count).try_for_each(|_| kinds.iter().try_for_each(|&kind| self.value(kind, depth + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_beyond_the_bytes_is_an_error() {
        // Field 1, a list of two 32-bit numbers; field 2, a text; field 3, true; the end.
        let sound = [0x19, 0x25, 0x02, 0x04, 0x18, 0x03, b'a', b'b', b'c', 0x11, 0x00];
        assert!(Walk::new(&sound).structure(0).is_some());
        // The same list claims two billion numbers; two booleans.
        for claims in [&[0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00][..], &[0x19, 0x21, 0x00, 0x00, 0x00]] {
            let mut walk = Walk::new(claims);
            assert!(walk.structure(0).is_none() && walk.claims_too_much, "{claims:x?}");
        }
        let mut deep = Walk::new(&[0x1c; 100]);
        assert!(deep.structure(0).is_none() && deep.claims_too_much);
        let mut cut = Walk::new(&sound[..6]);
        assert!(cut.structure(0).is_none() && !cut.claims_too_much);
    }

    #[test]
    fn pages_are_skipped_by_their_size() {
        // Type 0, 9 bytes, 4 of them compressed, an empty struct; four bytes of the page.
        let page = [0x15, 0x00, 0x15, 0x12, 0x15, 0x08, 0x2c, 0x00, 0x00, 1, 2, 3, 4];
        let mut walk = Walk::new(&page);
        assert_eq!((walk.page_header(), walk.left), (Some(4), &page[9..]));
        // The compressed size as a 64-bit number; the dictionary's header as a text; in the data page's, a text for a number.
        for other in [
            &[0x15, 0x00, 0x15, 0x12, 0x16, 0x08, 0x00][..],
            &[0x15, 0x04, 0x15, 0x12, 0x15, 0x08, 0x48, 0x00, 0x00],
            &[0x15, 0x00, 0x15, 0x12, 0x15, 0x08, 0x2c, 0x15, 0x02, 0x18, 0x00, 0x00, 0x00],
        ] {
            let mut walk = Walk::new(other);
            assert!(walk.page_header().is_none() && walk.claims_too_much, "{other:x?}");
        }
        // The second page's header claims two billion structs in a field that no page has.
        let claims = [0x15, 0x00, 0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00];
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &[&page[..], &claims].concat()).unwrap();
        assert!(check_pages(&mut file, 0, page.len() as u64).is_ok());
        assert!(check_pages(&mut file, 0, (page.len() + claims.len()) as u64).is_err());
    }
}
