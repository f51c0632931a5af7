//! Parses the bytes of a record into a citation or deletion.

use pubtag_schemas::{
    AbstractSegment, Citation, CitationText, Date, Deletion, Place, Pmid, PmidVersion, PubDate, Record, RejectReason,
};

use super::elements::Elements;
use super::grammar::RecordKind;
use super::text::clean;
use crate::collector::RecordError;
use crate::date::DateParts;

/// Parses a record from its start tag to its end tag.
///
/// # Errors
/// Why the record is rejected.
pub(crate) fn parse(kind: RecordKind, bytes: &[u8], place: Place) -> Result<Record, RecordError> {
    parse_fields(kind, bytes, place).map_err(|problem| match std::str::from_utf8(bytes) {
        Err(error) => RecordError::new(
            RejectReason::Encoding,
            format!("not UTF-8 (at byte {} of the record)", error.valid_up_to()),
        ),
        Ok(_) => problem,
    })
}

fn parse_fields(kind: RecordKind, bytes: &[u8], place: Place) -> Result<Record, RecordError> {
    check_control_characters(bytes)?;
    let (mut elements, start) = Elements::open(bytes)?;
    if kind == RecordKind::Deletion {
        let version = elements.attribute(&start, "Version")?;
        let (pmid, version) = identity(&elements.text()?, version.as_deref())?;
        elements.finish()?;
        return Ok(Record::Deletion(Deletion { pmid, version, place }));
    }
    let mut fields = Fields::default();
    match kind {
        RecordKind::Medline => fields.read_medline_citation(&mut elements)?,
        _ => fields.read_record(&mut elements)?,
    }
    elements.finish()?;
    fields.into_citation(place).map(|citation| Record::Document(Box::new(citation)))
}

/// XML allows only tabs and line breaks among the control characters, even escaped.
fn check_control_characters(bytes: &[u8]) -> Result<(), RecordError> {
    let allowed = |byte: u8| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r');
    // Without an early exit the loop is vectorised.
    if bytes.iter().fold(true, |all, &byte| all & allowed(byte)) {
        return Ok(());
    }
    let at = bytes.iter().position(|&byte| !allowed(byte)).unwrap_or_default();
    let detail = format!("control character {:#04x} (at byte {at} of the record)", bytes[at]);
    Err(RecordError::new(RejectReason::Malformed, detail))
}

/// The fields of a citation.
#[derive(Default)]
struct Fields {
    pmid: Option<(Pmid, PmidVersion)>,
    title: Option<String>,
    book_title: Option<String>,
    segments: Vec<AbstractSegment>,
    pub_date: PubDate,
    date_revised: Option<Date>,
    iso_abbreviation: Option<String>,
    journal_title: Option<String>,
    languages: Vec<String>,
    /// Number of `MedlineCitation` or `BookDocument` elements; two mean that two records were merged.
    citations: usize,
    /// Number of `Article` elements.
    articles: usize,
}

impl Fields {
    /// `PubmedArticle` or `PubmedBookArticle`
    fn read_record(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        while let Some(child) = elements.child()? {
            match child.name().into_inner() {
                "MedlineCitation" => self.read_medline_citation(elements)?,
                "BookDocument" => self.read_book_document(elements)?,
                _ => elements.skip()?,
            }
        }
        Ok(())
    }

    fn read_medline_citation(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        self.citations += 1;
        while let Some(child) = elements.child()? {
            match child.name().into_inner() {
                "PMID" => self.read_pmid(elements, elements.attribute(&child, "Version")?)?,
                "DateRevised" => self.date_revised = read_date(elements)?.day(),
                "Article" => self.read_article(elements)?,
                _ => elements.skip()?,
            }
        }
        Ok(())
    }

    fn read_article(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        self.articles += 1;
        while let Some(child) = elements.child()? {
            match child.name().into_inner() {
                "ArticleTitle" => self.read_title(elements)?,
                "Abstract" => self.read_abstract(elements)?,
                "Journal" => self.read_journal(elements)?,
                "Language" => self.read_language(elements)?,
                _ => elements.skip()?,
            }
        }
        Ok(())
    }

    fn read_book_document(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        self.citations += 1;
        while let Some(child) = elements.child()? {
            match child.name().into_inner() {
                "PMID" => self.read_pmid(elements, elements.attribute(&child, "Version")?)?,
                "ArticleTitle" => self.read_title(elements)?,
                "Abstract" => self.read_abstract(elements)?,
                "Book" => self.read_book(elements)?,
                "Language" => self.read_language(elements)?,
                "DateRevised" => self.date_revised = read_date(elements)?.day(),
                _ => elements.skip()?,
            }
        }
        Ok(())
    }

    fn read_pmid(&mut self, elements: &mut Elements<'_>, version: Option<String>) -> Result<(), RecordError> {
        let identity = identity(&elements.text()?, version.as_deref())?;
        match self.pmid.replace(identity) {
            None => Ok(()),
            Some(_) => Err(RecordError::new(RejectReason::Malformed, "more than one PMID")),
        }
    }

    fn read_title(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        match self.title.replace(clean(&elements.text()?)) {
            None => Ok(()),
            Some(_) => Err(RecordError::new(RejectReason::Malformed, "more than one ArticleTitle")),
        }
    }

    fn read_abstract(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        while let Some(child) = elements.child()? {
            if child.name().into_inner() != "AbstractText" {
                elements.skip()?;
                continue;
            }
            let given = |value: Option<String>| value.map(|value| clean(&value)).filter(|value| !value.is_empty());
            let label = given(elements.attribute(&child, "Label")?);
            let nlm_category = given(elements.attribute(&child, "NlmCategory")?);
            self.segments.push(AbstractSegment { label, nlm_category, text: clean(&elements.text()?) });
        }
        Ok(())
    }

    fn read_journal(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        while let Some(child) = elements.child()? {
            match child.name().into_inner() {
                "JournalIssue" => self.read_issue(elements)?,
                "ISOAbbreviation" => self.iso_abbreviation = Some(clean(&elements.text()?)),
                "Title" => self.journal_title = Some(clean(&elements.text()?)),
                _ => elements.skip()?,
            }
        }
        Ok(())
    }

    fn read_issue(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        while let Some(child) = elements.child()? {
            match child.name().into_inner() {
                "PubDate" => self.pub_date = read_date(elements)?.pub_date(),
                _ => elements.skip()?,
            }
        }
        Ok(())
    }

    fn read_book(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        while let Some(child) = elements.child()? {
            match child.name().into_inner() {
                "BookTitle" => self.book_title = Some(clean(&elements.text()?)),
                "PubDate" => self.pub_date = read_date(elements)?.pub_date(),
                _ => elements.skip()?,
            }
        }
        Ok(())
    }

    fn read_language(&mut self, elements: &mut Elements<'_>) -> Result<(), RecordError> {
        self.languages.push(clean(&elements.text()?));
        Ok(())
    }

    /// The record of a whole book has no `ArticleTitle`; its title is that of the book.
    fn into_citation(self, place: Place) -> Result<Citation, RecordError> {
        if self.citations > 1 || self.articles > 1 {
            return Err(RecordError::new(RejectReason::Malformed, "more than one citation in a record"));
        }
        let (pmid, version) = self.pmid.ok_or_else(|| RecordError::new(RejectReason::MissingId, "no PMID"))?;
        let title = self.title.or(self.book_title).unwrap_or_default();
        let given = |text: &String| !text.is_empty();
        let languages: Vec<String> = self.languages.into_iter().filter(given).collect();
        Ok(Citation {
            doc_id: pmid.into(),
            pmid: Some(pmid),
            version,
            text: CitationText::new(&title, self.segments),
            pub_date: self.pub_date,
            date_revised: self.date_revised,
            journal: self.iso_abbreviation.filter(given).or(self.journal_title.filter(given)),
            language: (!languages.is_empty()).then(|| languages.join(",")),
            place,
        })
    }
}

fn read_date(elements: &mut Elements<'_>) -> Result<DateParts, RecordError> {
    let mut parts = DateParts::default();
    while let Some(child) = elements.child()? {
        let part = match child.name().into_inner() {
            "Year" => &mut parts.year,
            "Month" => &mut parts.month,
            "Day" => &mut parts.day,
            "Season" => &mut parts.season,
            "MedlineDate" => &mut parts.medline_date,
            _ => {
                elements.skip()?;
                continue;
            }
        };
        *part = Some(clean(&elements.text()?));
    }
    Ok(parts)
}

/// `PMID` and its `Version` [default: 1].
fn identity(pmid: &str, version: Option<&str>) -> Result<(Pmid, PmidVersion), RecordError> {
    let bad = |detail: String| RecordError::new(RejectReason::BadId, detail);
    let pmid = clean(pmid);
    if pmid.is_empty() {
        return Err(RecordError::new(RejectReason::MissingId, "empty PMID"));
    }
    let number = pmid.parse().map_err(|error: pubtag_schemas::PmidError| bad(error.to_string()))?;
    let version = version.map_or(Ok(PmidVersion::FIRST), |version| version.trim().parse());
    Ok((number, version.map_err(|error| bad(format!("PMID {number}: {error}")))?))
}

/// The PMID of an unreadable record, if it is certain.
///
/// The PMID of the citation comes first in the record; after the start of the article there are those of others.
pub(crate) fn salvage_pmid(bytes: &[u8]) -> Option<Pmid> {
    let own = &bytes[..memchr::memmem::find(bytes, b"<Article").unwrap_or(bytes.len())];
    let own = &own[..memchr::memmem::find(own, b"<CommentsCorrections").unwrap_or(own.len())];
    let tag = &own[memchr::memmem::find(own, b"<PMID")?..];
    let content = &tag[memchr::memchr(b'>', tag)? + 1..];
    let text = &content[..memchr::memmem::find(content, b"</PMID")?];
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}
