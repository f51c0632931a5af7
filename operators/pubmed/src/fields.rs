//! Documents made of named fields, shared by JSONL, tables and Parquet.

use pubtag_schemas::{
    AbstractSegment, Citation, CitationText, DocId, Place, Pmid, PmidError, PmidVersion, PubDate, Record, RejectReason,
};

use crate::collector::RecordError;

/// The fields of a document, unparsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) id: Option<String>,
    pub(crate) pmid: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) text: Option<String>,
}

impl Fields {
    /// The citation. Texts are not trimmed or normalised, so that offsets refer to the input.
    pub(crate) fn into_record(self, place: Place) -> Result<Record, RecordError> {
        let pmid = self.pmid.as_deref().map(parse_pmid).transpose()?;
        let doc_id = match (self.id, pmid) {
            (Some(id), _) if id.trim().is_empty() => {
                return Err(RecordError::new(RejectReason::MissingId, "empty id"));
            }
            (Some(id), _) => DocId::new(id),
            (None, Some(pmid)) => pmid.into(),
            (None, None) => return Err(RecordError::new(RejectReason::MissingId, "no id or PMID")),
        };
        if self.title.is_none() && self.text.is_none() {
            return Err(RecordError::new(RejectReason::MissingText, "no title or text"));
        }
        let segment = AbstractSegment { text: self.text.unwrap_or_default(), ..Default::default() };
        Ok(Record::Document(Box::new(Citation {
            doc_id,
            pmid,
            version: PmidVersion::FIRST,
            text: CitationText::new(&self.title.unwrap_or_default(), vec![segment]),
            pub_date: PubDate::default(),
            date_revised: None,
            journal: None,
            language: None,
            place,
        })))
    }
}

pub(crate) fn parse_pmid(text: &str) -> Result<Pmid, RecordError> {
    text.trim().parse().map_err(|error: PmidError| RecordError::new(RejectReason::BadId, error.to_string()))
}
