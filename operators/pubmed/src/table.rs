//! CSV and TSV (RFC 4180): a header, then a record a row; a quoted field may hold line breaks.

use csv::{ByteRecord, ReaderBuilder};
use pubtag_schemas::{Place, Record, RejectReason};

use crate::collector::Flaw;
use crate::delimited::{Format, utf8};
use crate::fields::Fields;
use crate::options::TextColumns;

/// A table whose header has been read.
#[derive(Debug)]
pub(crate) struct Table {
    separator: u8,
    columns: ColumnPlaces,
    width: usize,
}

/// Which columns a document is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnPlaces {
    pub(crate) id: Option<usize>,
    pub(crate) pmid: Option<usize>,
    pub(crate) title: Option<usize>,
    pub(crate) text: Option<usize>,
}

impl ColumnPlaces {
    /// Finds the columns that are asked for, or those that are called what JSONL calls them.
    ///
    /// # Errors
    /// Says which is missing.
    pub(crate) fn find(names: &[String], asked: &TextColumns) -> Result<Self, String> {
        let place = |name: &str| names.iter().position(|known| known.trim() == name);
        let wanted = |name: &str| {
            place(name).map(Some).ok_or_else(|| format!("it has no column {name:?}; it has {}", names.join(", ")))
        };
        let mut found = Self { pmid: place("pmid").or_else(|| place("PMID")), ..Self::default() };
        found.id = match &asked.id {
            Some(name) => wanted(name)?,
            None => place("id"),
        };
        match &asked.text {
            Some(name) => found.text = wanted(name)?,
            None => (found.title, found.text) = (place("title"), place("abstract").or_else(|| place("text"))),
        }
        if let Some(name) = &asked.title {
            found.title = wanted(name)?;
        }
        // A column that is named for the id is it, and its PMID where that is what it is called.
        if asked.id.is_some() && found.id != found.pmid {
            found.pmid = None;
        }
        if found.id.or(found.pmid).is_none() {
            return Err(format!("no column is called id or pmid; name one of {} with --id-column", names.join(", ")));
        }
        if found.title.or(found.text).is_none() {
            let names = names.join(", ");
            return Err(format!("no column is called title, abstract or text; name one of {names} with --text-column"));
        }
        Ok(found)
    }

    /// A document of what a row holds in these columns. A cell without a value is none.
    pub(crate) fn fields(&self, mut cell: impl FnMut(usize) -> Result<Option<String>, Flaw>) -> Result<Fields, Flaw> {
        let mut at = |place: Option<usize>| place.map_or(Ok(None), &mut cell);
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Fields {
            id: given(at(self.id)?),
            pmid: given(at(self.pmid)?),
            title: at(self.title)?,
            text: at(self.text)?,
        })
    }
}

impl Table {
    /// Reads a header; also says how long it is, its line break included. `None` if its end is not among these bytes.
    pub(crate) fn open(bytes: &[u8], separator: u8, asked: &TextColumns) -> Option<Result<(Self, usize), String>> {
        let (len, whole) = row_end(bytes, separator)?;
        Some(Self::of_header(&bytes[..len], separator, asked).map(|table| (table, whole)))
    }

    fn of_header(header: &[u8], separator: u8, asked: &TextColumns) -> Result<Self, String> {
        let names = row(header, separator).map_err(|flaw| flaw.detail)?;
        let names: Vec<String> = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok(Self { separator, columns: ColumnPlaces::find(&names, asked)?, width: names.len() })
    }
}

impl Format for Table {
    const RECORD: &'static str = "row";

    fn end(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        row_end(bytes, self.separator)
    }

    /// A blank at the end may be an empty field.
    fn trimmed<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        record.strip_suffix(b"\r").unwrap_or(record)
    }

    /// A row of all columns is whole even without its line break, unless the stream broke off.
    fn is_cut(&self, record: &[u8], broken_off: bool) -> bool {
        broken_off || row(record, self.separator).is_ok_and(|row| row.len() < self.width)
    }

    fn parse(&self, record: &[u8], place: Place) -> Result<Record, Flaw> {
        utf8(record)?;
        let row = row(record, self.separator)?;
        if row.len() != self.width {
            let detail = format!("the row has {} fields, the header {}", row.len(), self.width);
            return Err(Flaw::new(RejectReason::Malformed, detail));
        }
        let cell = |at: usize| utf8(&row[at]).map(|text| Some(text.to_owned()));
        self.columns.fields(cell)?.into_record(place)
    }
}

/// The end of the first row: a line break outside quotes. A field is quoted if a quote begins it.
fn row_end(bytes: &[u8], separator: u8) -> Option<(usize, usize)> {
    let (mut quoted, mut field_start) = (false, true);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            // A doubled quote ends the field and begins it again.
            b'"' if quoted => (quoted, field_start) = (false, true),
            b'"' if field_start => quoted = true,
            b'\n' if !quoted => return Some((at, at + 1)),
            _ => field_start = byte == separator && !quoted,
        }
    }
    None
}

fn row(record: &[u8], separator: u8) -> Result<ByteRecord, Flaw> {
    let malformed = |detail: String| Flaw::new(RejectReason::Malformed, detail);
    let mut reader = ReaderBuilder::new().has_headers(false).delimiter(separator).from_reader(record);
    let mut row = ByteRecord::new();
    match reader.read_byte_record(&mut row) {
        Ok(true) => Ok(row),
        Ok(false) => Err(malformed("the row is empty".to_owned())),
        Err(error) => Err(malformed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn columns_are_found_by_name_or_by_custom() {
        let columns = names(&["pmid", "title", "abstract", "notes"]);
        let found = ColumnPlaces::find(&columns, &TextColumns::default()).unwrap();
        assert_eq!(found, ColumnPlaces { id: None, pmid: Some(0), title: Some(1), text: Some(2) });
        let asked = TextColumns { text: Some("notes".into()), ..Default::default() };
        let found = ColumnPlaces::find(&columns, &asked).unwrap();
        assert_eq!((found.title, found.text), (None, Some(3)));
        let asked = TextColumns { id: Some("key".into()), ..Default::default() };
        assert!(ColumnPlaces::find(&columns, &asked).unwrap_err().contains("\"key\""));
        assert!(ColumnPlaces::find(&names(&["a", "b"]), &TextColumns::default()).unwrap_err().contains("--id-column"));
    }

    #[test]
    fn quotes_inside_a_field_are_ordinary() {
        assert_eq!(row_end(b"1,5\" disk\n2", b','), Some((9, 10)));
        assert_eq!(row_end(b"1,\"a\n\"\"b\"\n2", b','), Some((9, 10)));
        assert_eq!(row_end(b"1,\"a\n", b','), None);
    }

    proptest! {
        #[test]
        fn rows_end_where_the_csv_library_says(cells in prop::collection::vec("[a\",\n ]{0,6}", 1..5), more in "[a,\n]{0,5}") {
            let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
            writer.write_record(&cells).unwrap();
            let written = writer.into_inner().unwrap();
            let text = [&written[..], more.as_bytes()].concat();
            let (len, whole) = row_end(&text, b',').unwrap();
            prop_assert_eq!(whole, written.len());
            if cells.iter().any(|cell| !cell.is_empty()) {
                let found = row(&text[..len], b',').unwrap();
                prop_assert_eq!(found.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect::<Vec<_>>(), cells);
            }
        }
    }
}
