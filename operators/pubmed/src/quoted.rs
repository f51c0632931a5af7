//! Rows with quoted fields (RFC 4180), parsed strictly: a misplaced quote must not swallow the rows after it.

use memchr::memchr3;

use crate::scan::{count, find_byte, find_either};

/// The result of parsing the first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// The row ends at a line break outside quotes, or with the bytes.
    Whole(Whole),
    /// The bytes end inside a quoted field.
    Open,
    /// Something other than a separator or line end follows a closing quote, or the row spans several lines and has more
    /// fields than the header.
    Misquoted,
}

/// A row with valid quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// Length without the line break.
    pub(crate) len: usize,
    /// Whether the row has a line break; if not, it may continue.
    pub(crate) ended: bool,
    /// Number of fields.
    pub(crate) fields: usize,
    /// Whether a quoted field contains a line break.
    pub(crate) multiline: bool,
    /// Whether a quoted field contains a quote, a separator or a line break, which only quoted fields can.
    pub(crate) needs_quotes: bool,
}

/// Parses the first row. A field is quoted if it begins with a quote; other quotes are ordinary characters.
///
/// `width` is the number of fields of a row. It bounds the work: a misplaced quote is followed across at most that many
/// fields, so restarting at each line takes time proportional to the bytes.
pub(crate) fn first_row(bytes: &[u8], separator: u8, width: usize) -> Row {
    let mut row = Whole { len: 0, ended: false, fields: 1, multiline: false, needs_quotes: false };
    loop {
        let field = &bytes[row.len..];
        if field.first() == Some(&b'"') {
            let Some(closed) = closing_quote(&field[1..], separator) else { return Row::Open };
            let Ok(inside) = closed else { return Row::Misquoted };
            let content = &field[1..=inside];
            count(content.len());
            row.multiline |= find_byte(content, b'\n').is_some();
            row.needs_quotes |= memchr3(b'"', b'\n', separator, content).is_some();
            row.len += inside + 2;
            row.len += usize::from(bytes.get(row.len) == Some(&b'\r'));
        } else {
            row.len += find_either(field, separator, b'\n').unwrap_or(field.len());
        }
        match bytes.get(row.len) {
            None => return Row::Whole(row),
            Some(b'\n') => return Row::Whole(Whole { ended: true, ..row }),
            Some(_) => (row.len, row.fields) = (row.len + 1, row.fields + 1),
        }
        if row.multiline && row.fields > width {
            return Row::Misquoted;
        }
    }
}

/// The position of the closing quote, in the bytes after the opening one: `None` if there is none, an error if it is not
/// followed by the end of the field.
fn closing_quote(bytes: &[u8], separator: u8) -> Option<Result<usize, ()>> {
    let mut at = 0;
    loop {
        at += find_byte(&bytes[at..], b'"')?;
        match &bytes[at + 1..] {
            [b'"', ..] => at += 2,
            [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..] => return Some(Ok(at)),
            [next, ..] if *next == separator => return Some(Ok(at)),
            _ => return Some(Err(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(bytes: &[u8], width: usize) -> Whole {
        match first_row(bytes, b',', width) {
            Row::Whole(row) => row,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn quotes_inside_an_unquoted_field_are_ordinary() {
        let row = whole(b"1,5\" disk\n2", 2);
        assert_eq!((row.len, row.ended, row.fields, row.needs_quotes), (9, true, 2, false));
    }

    #[test]
    fn a_quoted_field_may_contain_line_breaks_and_doubled_quotes() {
        let row = whole(b"1,\"a\n\"\"b\"\r\n2", 2);
        assert_eq!((row.len, row.ended, row.multiline, row.needs_quotes), (10, true, true, true));
        let plain = whole(b"1,\"a\"\n", 2);
        assert!(!plain.multiline && !plain.needs_quotes);
    }

    #[test]
    fn a_misplaced_quote_is_detected() {
        assert_eq!(first_row(b"1,\"a\n2,b\n", b',', 2), Row::Open);
        assert_eq!(first_row(b"1,\"a\n2,\"b\"\n", b',', 2), Row::Misquoted);
        assert_eq!(first_row(b"1,\"a\" b\n", b',', 2), Row::Misquoted);
        // Two misplaced quotes that happen to enclose two lines leave too many fields.
        assert_eq!(first_row(b"1,\"a\n2,b\",c\n", b',', 2), Row::Misquoted);
        assert_eq!(whole(b"1,\"a\",b,c\n", 2).fields, 4, "on one line there are just too many fields");
    }

    proptest! {
        #[test]
        fn rows_end_where_the_csv_crate_says(cells in prop::collection::vec("[a\",\n ]{0,6}", 1..5), more in "[a,\n]{0,5}") {
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            writer.write_record(&cells).unwrap();
            let written = writer.into_inner().unwrap();
            let text = [&written[..], more.as_bytes()].concat();
            let row = whole(&text, cells.len());
            prop_assert_eq!((row.len + 1, row.ended, row.fields), (written.len(), true, cells.len()));
        }
    }
}
