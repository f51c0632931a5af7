//! The tagged MEDLINE format, which PubMed exports as `nbib` (NLM, "MEDLINE/PubMed Data Element (Field) Descriptions").
//!
//! A field is a tag in four columns, `- ` and a value; lines that begin with six blanks continue the value above. Structured
//! abstracts have their labels in the text (`AIM: …`), so the text is that of the same citation in XML, but its sections are
//! not known. Lines are joined by one space: the texts differ where the XML has more than one.

use std::cell::Cell;

use pubtag_schemas::{
    AbstractSegment, Citation, CitationText, Date, Place, Pmid, PmidVersion, Record, RejectReason, civil_date,
};

use crate::collector::RecordError;
use crate::date::DateParts;
use crate::delimited::{Format, utf8};
use crate::fields::parse_pmid;
use crate::scan::find;

/// The start of every record.
pub(crate) const START: &[u8] = b"PMID- ";
const NEXT: &[u8] = b"\nPMID- ";

/// The nbib format.
#[derive(Debug, Default)]
pub(crate) struct Nbib {
    /// Whether the records so far end in their source, `SO`, as all that PubMed exports do; `None` if there are none.
    ends_in_source: Cell<Option<bool>>,
}

impl Format for Nbib {
    const RECORD: &'static str = "record";

    /// A record ends where the next one begins.
    fn end(&self, bytes: &[u8], _: bool) -> Option<(usize, usize)> {
        let body = bytes.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let from = (body + START.len()).min(bytes.len());
        let next = find(&bytes[from..], NEXT)? + from + 1;
        Some((next, next))
    }

    /// The start of a record may be split at the end of the bytes, so these are kept.
    fn resume(&self, bytes: &[u8]) -> (usize, bool) {
        match find(bytes, NEXT) {
            Some(at) => (at + 1, true),
            None => ((bytes.len() + 1).saturating_sub(NEXT.len()), false),
        }
    }

    /// Nothing marks the end of the last record: it is complete if it ends in its source, `SO`, or, unless all others do, if
    /// its last line has a line break.
    fn is_cut(&self, record: &[u8], broken_off: bool) -> bool {
        let needs_source = self.ends_in_source.get() == Some(true) || !record.ends_with(b"\n");
        broken_off || needs_source && !ends_in_source(record)
    }

    fn parse(&self, record: &[u8], place: Place) -> Result<Record, RecordError> {
        let others = self.ends_in_source.get().unwrap_or(true);
        self.ends_in_source.set(Some(others && ends_in_source(record)));
        let mut fields = Tagged::default();
        for field in fields_of(utf8(record)?)? {
            fields.take(field)?;
        }
        fields.into_citation(place).map(|citation| Record::Document(Box::new(citation)))
    }

    fn salvage_pmid(&self, record: &[u8]) -> Option<Pmid> {
        let line = record.strip_prefix(START)?.split(|byte| *byte == b'\n').next()?;
        parse_pmid(std::str::from_utf8(line).ok()?).ok()
    }
}

/// Whether the last field of a record is its source.
fn ends_in_source(record: &[u8]) -> bool {
    let is_tag = |line: &&[u8]| !line.starts_with(b" ") && !line.trim_ascii().is_empty();
    let last_tag = record.rsplit(|byte| *byte == b'\n').find(is_tag);
    last_tag.is_some_and(|line| line.starts_with(b"SO  -"))
}

/// A tag and its value, lines joined.
type Field<'a> = (&'a str, String);

fn fields_of(record: &str) -> Result<Vec<Field<'_>>, RecordError> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    for line in record.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        match (line.strip_prefix("      "), fields.last_mut()) {
            (Some(more), Some((_, value))) => {
                value.push(' ');
                value.push_str(more.trim_start());
            }
            _ => {
                let (tag, value) = tagged(line).ok_or_else(|| {
                    let start: String = line.chars().take(40).collect();
                    RecordError::new(RejectReason::Malformed, format!("line without a tag: {start:?}"))
                })?;
                fields.push((tag, value.to_owned()));
            }
        }
    }
    Ok(fields)
}

/// `TI  - value`; the blank before an empty value may be missing.
fn tagged(line: &str) -> Option<(&str, &str)> {
    let (tag, rest) = line.split_at_checked(4)?;
    let value = rest.strip_prefix('-')?;
    let tag = tag.trim_end();
    let is_tag = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    is_tag.then_some((tag, value.trim()))
}

/// The fields of a record that are read.
#[derive(Default)]
struct Tagged {
    pmid: Option<Pmid>,
    title: Option<String>,
    book_title: Option<String>,
    abstract_text: Option<String>,
    published: Option<String>,
    revised: Option<String>,
    abbreviation: Option<String>,
    journal: Option<String>,
    languages: Vec<String>,
}

impl Tagged {
    fn take(&mut self, (tag, value): Field<'_>) -> Result<(), RecordError> {
        let place = match tag {
            "PMID" if self.pmid.is_some() => {
                return Err(RecordError::new(RejectReason::Malformed, "more than one PMID"));
            }
            "PMID" => {
                self.pmid = Some(parse_pmid(&value)?);
                return Ok(());
            }
            "LA" => {
                self.languages.push(value);
                return Ok(());
            }
            "TI" => &mut self.title,
            "BTI" => &mut self.book_title,
            "AB" => &mut self.abstract_text,
            "DP" => &mut self.published,
            "LR" => &mut self.revised,
            "TA" => &mut self.abbreviation,
            "JT" => &mut self.journal,
            _ => return Ok(()),
        };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(RecordError::new(RejectReason::Malformed, format!("more than one {tag}"))),
        }
    }

    fn into_citation(self, place: Place) -> Result<Citation, RecordError> {
        let pmid = self.pmid.ok_or_else(|| RecordError::new(RejectReason::MissingId, "no PMID"))?;
        let title = self.title.or(self.book_title).unwrap_or_default();
        let text = self.abstract_text.unwrap_or_default();
        Ok(Citation {
            doc_id: pmid.into(),
            pmid: Some(pmid),
            version: PmidVersion::FIRST,
            text: CitationText::new(&title, vec![AbstractSegment { text, ..Default::default() }]),
            pub_date: self.published.map_or_else(DateParts::default, |words| date_parts(&words)).pub_date(),
            date_revised: self.revised.and_then(|digits| day_of(&digits)),
            journal: self.abbreviation.or(self.journal),
            language: (!self.languages.is_empty()).then(|| self.languages.join(",")),
            place,
        })
    }
}

/// `2020 Apr 27`, `2020 Apr` or `2020`; anything else is kept verbatim, like `MedlineDate` in XML.
fn date_parts(words: &str) -> DateParts {
    let parts: Vec<&str> = words.split(' ').collect();
    let is_number = |word: &str, digits: usize| word.len() <= digits && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_month = |word: &str| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let given = |word: &&str| Some((*word).to_owned());
    match parts.as_slice() {
        [year] if is_number(year, 4) => DateParts { year: given(year), ..Default::default() },
        [year, month] if is_number(year, 4) && is_month(month) => {
            DateParts { year: given(year), month: given(month), ..Default::default() }
        }
        [year, month, day] if is_number(year, 4) && is_month(month) && is_number(day, 2) => {
            DateParts { year: given(year), month: given(month), day: given(day), ..Default::default() }
        }
        _ => DateParts { medline_date: Some(words.to_owned()), ..Default::default() },
    }
}

/// `20200427`
fn day_of(digits: &str) -> Option<Date> {
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u8>().ok();
    civil_date(digits.get(..4)?.parse().ok()?, number(4..6)?, number(6..8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_tags_need_their_columns() {
        let record = "PMID- 1\nTI  - One\n      two.\nAB  - AIM: x.\r\n      y\nLA  - eng\nSO  -\n";
        let fields = fields_of(record).expect("well formed");
        assert_eq!(fields[1], ("TI", "One two.".to_owned()));
        assert_eq!(fields[2], ("AB", "AIM: x. y".to_owned()));
        assert_eq!(fields.last().map(|(tag, _)| *tag), Some("SO"));
        for bad in ["TI - x", "no tag at all", "ti  - x", "é  - x"] {
            assert!(fields_of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_record_ends_where_the_next_begins() {
        let text = b"\nPMID- 1\nTI  - a\n\nPMID- 2\n";
        assert_eq!(Nbib::default().end(text, false), Some((18, 18)));
        assert_eq!(Nbib::default().end(&text[18..], true), None);
        assert_eq!(Nbib::default().end(b"\n\n", true), None);
    }

    #[test]
    fn dates_equal_those_of_the_xml() {
        assert_eq!(date_parts("2020 Apr 27").pub_date().date, civil_date(2020, 4, 27));
        assert_eq!(date_parts("2003 Spring").pub_date().raw.as_deref(), Some("2003 Spring"));
        assert_eq!(date_parts("1998 Dec-1999 Jan").pub_date().year, Some(1998));
        assert_eq!(day_of("20041117"), civil_date(2004, 11, 17));
        assert_eq!(day_of("2004"), None);
    }
}
