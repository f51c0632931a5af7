//! Tables with a header: CSV (RFC 4180) and TSV.
//!
//! CSV fields may be quoted, and quoted fields may contain line breaks. If a row has a misplaced quote, its first line is
//! rejected and reading continues at the next line, so that no row is swallowed by another. TSV is not quoted according to its
//! registration (<https://www.iana.org/assignments/media-types/text/tab-separated-values>): quotes are ordinary characters,
//! and titles may begin with them. But spreadsheets and data frames write quoted TSV; see [`Table::is_quoted`].

use csv::{ByteRecord, ReaderBuilder, Terminator};
use pubtag_schemas::{Place, Record, RejectReason};

use crate::collector::RecordError;
use crate::delimited::{Format, line_end, utf8};
use crate::fields::Fields;
use crate::options::TextColumns;
use crate::quoted::{Row, Whole, first_row};

/// A table whose header has been read.
#[derive(Debug)]
pub(crate) struct Table {
    separator: u8,
    /// Whether fields may be quoted.
    quoted: bool,
    columns: ColumnPlaces,
    /// Number of columns.
    width: usize,
}

/// The positions of the columns of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnPlaces {
    pub(crate) id: Option<usize>,
    pub(crate) pmid: Option<usize>,
    pub(crate) title: Option<usize>,
    pub(crate) text: Option<usize>,
}

impl ColumnPlaces {
    /// Finds the columns given by the user, or those named like the fields of JSONL.
    ///
    /// # Errors
    /// A column is missing, or two have its name.
    pub(crate) fn find(names: &[String], asked: &TextColumns) -> Result<Self, String> {
        let place = |name: &str| {
            let mut places = (0..names.len()).filter(|at| names[*at].trim() == name);
            match (places.next(), places.next()) {
                (_, Some(_)) => Err(format!("two columns are named {name:?}; rename one of them")),
                (place, None) => Ok(place),
            }
        };
        let either =
            |one: &str, other: &str| place(one).and_then(|found| found.map_or_else(|| place(other), |at| Ok(Some(at))));
        let one_of = |one: &str, other: &str| match (place(one)?, place(other)?) {
            (Some(_), Some(_)) => {
                Err(format!("columns {one:?} and {other:?}; name the one to read with --text-column"))
            }
            (one, other) => Ok(one.or(other)),
        };
        let wanted = |name: &str| {
            place(name)?.map(Some).ok_or_else(|| format!("no column {name:?}; columns are {}", names.join(", ")))
        };
        let mut found = Self { pmid: either("pmid", "PMID")?, ..Self::default() };
        found.id = match &asked.id {
            Some(name) => wanted(name)?,
            None => place("id")?,
        };
        match &asked.text {
            Some(name) => found.text = wanted(name)?,
            None => (found.title, found.text) = (place("title")?, one_of("abstract", "text")?),
        }
        if let Some(name) = &asked.title {
            found.title = wanted(name)?;
        }
        // If the user gives the id column, another PMID column is ignored.
        if asked.id.is_some() && found.id != found.pmid {
            found.pmid = None;
        }
        if found.id.or(found.pmid).is_none() {
            return Err(format!("no column id or pmid; give one of {} with --id-column", names.join(", ")));
        }
        if found.title.or(found.text).is_none() {
            let names = names.join(", ");
            return Err(format!("no column title, abstract or text; give one of {names} with --text-column"));
        }
        Ok(found)
    }

    /// The fields of a document from the cells of a row.
    pub(crate) fn fields(
        &self,
        mut cell: impl FnMut(usize) -> Result<Option<String>, RecordError>,
    ) -> Result<Fields, RecordError> {
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
    /// Reads a header; also returns its length including the line break. `None` if these bytes do not contain its end.
    ///
    /// The bytes after the header decide whether fields are quoted.
    pub(crate) fn open(bytes: &[u8], separator: u8, asked: &TextColumns) -> Option<Result<(Self, usize), String>> {
        // A TSV with a quoted column name has quoted fields.
        let line = &bytes[..line_end(bytes).map_or(bytes.len(), |(len, _)| len)];
        let quoted = separator != b'\t' || line.split(|byte| *byte == separator).any(|name| name.starts_with(b"\""));
        let unread = Self { separator, quoted, columns: ColumnPlaces::default(), width: usize::MAX };
        let (len, whole) = unread.end(bytes, false)?;
        let named = unread.with_header(unread.trimmed(&bytes[..len]), asked);
        Some(named.map(|table| (Self { quoted: quoted || table.is_quoted(&bytes[whole..]), ..table }, whole)))
    }

    fn with_header(&self, header: &[u8], asked: &TextColumns) -> Result<Self, String> {
        let names = self.cells(header).map_err(|error| error.detail)?;
        let names: Vec<String> = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok(Self { columns: ColumnPlaces::find(&names, asked)?, width: names.len(), ..*self })
    }

    /// Whether the rows of a TSV are quoted.
    ///
    /// An unquoted title may begin with a quote or be enclosed in quotes. A doubled quote, a tab or a line break between quotes
    /// shows that a writer quoted the field; a misplaced quote shows that it did not.
    fn is_quoted(&self, mut rows: &[u8]) -> bool {
        let (mut quoted, mut plain) = (0, 0);
        loop {
            let passed = match self.first_row(rows) {
                Row::Whole(Whole { ended: false, .. }) | Row::Open => return quoted > plain,
                Row::Whole(row) => {
                    quoted += usize::from(row.needs_quotes);
                    row.len + 1
                }
                Row::Misquoted => {
                    plain += 1;
                    line_end(rows).map_or(rows.len(), |(_, whole)| whole)
                }
            };
            rows = &rows[passed..];
        }
    }

    /// The first row, with quoted fields. Rows joined by a stray quote count as misquoted.
    fn first_row(&self, bytes: &[u8]) -> Row {
        match first_row(bytes, self.separator, self.width) {
            Row::Whole(row) if row.multiline && self.is_several(&bytes[..row.len]) => Row::Misquoted,
            row => row,
        }
    }

    /// Whether a row is probably several rows, joined by two misplaced quotes: each of its lines could be a row.
    fn is_several(&self, row: &[u8]) -> bool {
        let mut lines = row.split(|byte| *byte == b'\n').map(|line| (self.could_be_a_row(line), self.kind_of_id(line)));
        let Some((_, first)) = lines.next() else { return false };
        lines.all(|(could_be, kind)| could_be && kind == first)
    }

    /// Whether a line has enough separators for a row; quoted fields may add more.
    fn could_be_a_row(&self, line: &[u8]) -> bool {
        memchr::memchr_iter(self.separator, line).count() + 1 >= self.width
    }

    /// Whether the id of a line has digits, letters and other characters.
    fn kind_of_id(&self, line: &[u8]) -> [bool; 3] {
        let place = self.columns.id.or(self.columns.pmid).unwrap_or_default();
        let id = line.split(|byte| *byte == self.separator).nth(place).unwrap_or_default();
        let id = || id.iter().filter(|byte| **byte != b'"');
        let letter = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
        let other = |byte: &u8| !letter(byte) && !byte.is_ascii_digit();
        [id().any(u8::is_ascii_digit), id().any(letter), id().any(other)]
    }

    /// The fields of a row without its line break.
    fn cells(&self, row: &[u8]) -> Result<ByteRecord, RecordError> {
        let malformed = |detail: String| RecordError::new(RejectReason::Malformed, detail);
        if self.quoted {
            match first_row(row, self.separator, usize::MAX) {
                Row::Whole(_) => (),
                Row::Open => return Err(malformed("quoted field without a closing quote on its line".to_owned())),
                Row::Misquoted => {
                    let detail = "text after the closing quote of a field; quotes inside quoted fields must be doubled";
                    return Err(malformed(detail.to_owned()));
                }
            }
        }
        let mut reader = ReaderBuilder::new();
        reader.has_headers(false).delimiter(self.separator).quoting(self.quoted).terminator(Terminator::Any(b'\n'));
        let mut cells = ByteRecord::new();
        match reader.from_reader(row).read_byte_record(&mut cells) {
            Ok(true) => Ok(cells),
            Ok(false) => Err(malformed("empty row".to_owned())),
            Err(error) => Err(malformed(error.to_string())),
        }
    }
}

impl Format for Table {
    const RECORD: &'static str = "row";

    /// A row with a misplaced quote ends after its first line; the next line is another row.
    fn end(&self, bytes: &[u8], last: bool) -> Option<(usize, usize)> {
        if !self.quoted {
            return line_end(bytes);
        }
        match self.first_row(bytes) {
            Row::Whole(row) => row.ended.then_some((row.len, row.len + 1)),
            Row::Open if !last => None,
            Row::Open | Row::Misquoted => line_end(bytes),
        }
    }

    /// White space is kept, because it may be a field.
    fn trimmed<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        record.strip_suffix(b"\r").unwrap_or(record)
    }

    /// A row with all columns is complete even without a line break, unless the stream ended at a defect.
    fn is_cut(&self, record: &[u8], broken_off: bool) -> bool {
        let open = || self.quoted && first_row(record, self.separator, usize::MAX) == Row::Open;
        broken_off || open() || self.cells(self.trimmed(record)).is_ok_and(|cells| cells.len() < self.width)
    }

    fn parse(&self, record: &[u8], place: Place) -> Result<Record, RecordError> {
        utf8(record)?;
        let cells = self.cells(record)?;
        if cells.len() != self.width {
            let detail = format!("{} fields, but the header has {}", cells.len(), self.width);
            return Err(RecordError::new(RejectReason::Malformed, detail));
        }
        let cell = |at: usize| utf8(&cells[at]).map(|text| Some(text.to_owned()));
        self.columns.fields(cell)?.into_record(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn columns_are_found_by_default_or_given_names() {
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
    fn two_columns_of_one_name_are_an_error_if_they_are_read() {
        let columns = names(&["id", "title", "notes", "title", "notes"]);
        let refused = ColumnPlaces::find(&columns, &TextColumns::default()).unwrap_err();
        assert_eq!(refused, "two columns are named \"title\"; rename one of them");
        let asked = TextColumns { text: Some("notes".into()), ..Default::default() };
        assert!(ColumnPlaces::find(&columns, &asked).unwrap_err().contains("\"notes\""));
        assert!(ColumnPlaces::find(&names(&["id", "x", "text", "x"]), &TextColumns::default()).is_ok());
    }

    fn opened(text: &str, separator: u8) -> Table {
        Table::open(text.as_bytes(), separator, &TextColumns::default()).unwrap().unwrap().0
    }

    #[test]
    fn a_tsv_is_quoted_only_if_its_rows_show_it() {
        let quoted = |rows: &str| opened(&format!("id\ttext\n{rows}"), b'\t').quoted;
        assert!(!quoted("1\t\"Smart\" drugs\n2\t\"What is gout?\"\n3\t5\" disk\n"));
        assert!(quoted("1\t\"Smart \"\"drugs\"\"\"\n2\tx\n"), "a doubled quote");
        assert!(quoted("1\t\"a\tb\"\n2\tx\n"), "a tab");
        assert!(quoted("1\t\"a\nb\"\n2\tx\n"), "a line break");
        assert!(!quoted("1\t\"Smart drugs\n2\tof gout\"\n3\tx\n"), "two rows that only look joined");
        assert!(!quoted("1\t\"Smart\" drugs\n2\t\"Other\" drugs\n3\t\"\"\"x\"\n"), "most fields show that it is not");
        assert!(opened("\"id\"\ttext\n1\tx\n", b'\t').quoted, "a quoted name");
        assert!(opened("id,text\n1,x\n", b',').quoted, "CSV always");
    }

    #[test]
    fn rows_joined_by_stray_quotes_are_distinguished_from_a_multiline_field() {
        let table = opened("id,title,text\n", b',');
        assert!(table.is_several(b"1,\"Smart,x\n2,foo,y\n3,Other\",z"));
        assert!(!table.is_several(b"1,a,\"One line\nand gout, ataxia, fever\""), "its id would be of words");
        assert!(!table.is_several(b"1,a,\"One line\n2,foo,y\nthe end\""), "not every line could be a row");
    }
}
