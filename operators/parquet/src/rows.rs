//! Tagged records to rows of the three tables; everything that readers rely on is checked here.

use std::collections::BTreeMap;
use std::sync::Arc;

use pubtag_schemas::mentions::mention_row;
use pubtag_schemas::table::{Micros, int, too_large};
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow, SectionRow, Status};
use pubtag_schemas::{
    Annotation, CharOffsets, Citation, CitationText, Deletion, MAX_RAW_BYTES, Place, PubDate, Reject, Section,
    SectionKind, TaggedDocument, TaggedRecord,
};

use crate::{Error, RunSpec, TextPolicy, digest};

/// Hex digits of an annotation's id, from a SHA-256: 128 bits.
const ID_DIGITS: usize = 32;

/// What all rows of a unit have in common.
#[derive(Clone, Debug)]
pub(crate) struct Provenance {
    pub(crate) run_id: String,
    pub(crate) spec: Arc<RunSpec>,
    pub(crate) text: TextPolicy,
    pub(crate) processed_at: Micros,
}

/// Rows of the three tables, in input order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) annotations: Vec<AnnotationRow>,
    pub(crate) documents: Vec<DocumentRow>,
    pub(crate) rejects: Vec<RejectRow>,
}

/// Row counts of a unit, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowCounts {
    pub(crate) annotations: u64,
    pub(crate) rejects: u64,
    pub(crate) statuses: BTreeMap<Status, u64>,
    last_ordinal: Option<u32>,
}

impl RowCounts {
    pub(crate) fn status(&self, status: Status) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    pub(crate) fn citations(&self) -> u64 {
        self.statuses.values().sum::<u64>() - self.status(Status::Deleted)
    }

    /// Counts a row and checks that records arrive in input order.
    fn count(&mut self, place: &Place, status: Option<Status>) -> Result<(), String> {
        if let Some(last) = self.last_ordinal.filter(|&last| place.ordinal <= last) {
            return Err(format!("record {last} came before it"));
        }
        self.last_ordinal = Some(place.ordinal);
        match status {
            Some(status) => *self.statuses.entry(status).or_default() += 1,
            None => self.rejects += 1,
        }
        Ok(())
    }
}

/// Annotation rows held at a time.
const SLICE: usize = 4096;

/// Receives annotation rows before all rows of their packet exist.
pub(crate) type PassOn<'a> = dyn FnMut(&[AnnotationRow]) -> Result<(), Error> + 'a;

impl Rows {
    /// Adds the rows of a record.
    ///
    /// # Errors
    /// If the record violates a guarantee of the previous stages: an annotation outside of the text, a number out of
    /// range, a record out of order.
    ///
    /// Annotations are passed on in slices of [`SLICE`]: one long document may have as many as a file.
    pub(crate) fn push(
        &mut self,
        record: TaggedRecord,
        by: &Provenance,
        counts: &mut RowCounts,
        pass_on: &mut PassOn<'_>,
    ) -> Result<(), Error> {
        match record {
            TaggedRecord::Document(document) => self.push_document(&document, false, by, counts, pass_on),
            TaggedRecord::Cached(document) => self.push_document(&document, true, by, counts, pass_on),
            TaggedRecord::Deletion(deletion) => self.push_deletion(&deletion, by, counts),
            TaggedRecord::Reject(reject) => self.push_reject(reject, by, counts),
        }
    }

    fn push_document(
        &mut self,
        document: &TaggedDocument,
        cached: bool,
        by: &Provenance,
        counts: &mut RowCounts,
        pass_on: &mut PassOn<'_>,
    ) -> Result<(), Error> {
        let citation = &document.citation;
        let fail = |why| broken(&citation.place, citation.doc_id.as_str(), why);
        let text_sha256 = digest::of(citation.text.as_str().as_bytes());
        let mut before = None;
        let mut offsets = CharOffsets::new(citation.text.as_str());
        for annotation in &document.annotations {
            let row = annotation_row(citation, annotation, &text_sha256, &mut offsets, by).map_err(fail)?;
            if before.replace(span(&row)).is_some_and(|before| before > span(&row)) {
                return Err(fail(format!("annotation at byte {} is out of order", row.start_byte)));
            }
            self.annotations.push(row);
            if self.annotations.len() >= SLICE {
                pass_on(&self.annotations)?;
                self.annotations.clear();
            }
        }
        counts.annotations += document.annotations.len() as u64;
        let status = status(document);
        counts.count(&citation.place, Some(status)).map_err(fail)?;
        let row = document_row(document, status, text_sha256, by).map_err(fail)?;
        self.documents.push(DocumentRow { cached: Some(cached), ..row });
        Ok(())
    }

    fn push_deletion(&mut self, deletion: &Deletion, by: &Provenance, counts: &mut RowCounts) -> Result<(), Error> {
        let doc_id = deletion.pmid.to_string();
        let fail = |why| broken(&deletion.place, &doc_id, why);
        counts.count(&deletion.place, Some(Status::Deleted)).map_err(fail)?;
        self.documents.push(deletion_row(deletion, by).map_err(fail)?);
        Ok(())
    }

    fn push_reject(&mut self, reject: Reject, by: &Provenance, counts: &mut RowCounts) -> Result<(), Error> {
        let doc_id = reject.pmid.map_or("not known".to_owned(), |pmid| pmid.to_string());
        let place = reject.place.clone();
        let fail = |why| broken(&place, &doc_id, why);
        counts.count(&place, None).map_err(fail)?;
        self.rejects.push(reject_row(reject, by).map_err(fail)?);
        Ok(())
    }
}

fn span(row: &AnnotationRow) -> (i32, i32) {
    (row.start_byte, row.end_byte)
}

fn status(document: &TaggedDocument) -> Status {
    match document {
        TaggedDocument { annotations, .. } if !annotations.is_empty() => Status::Tagged,
        TaggedDocument { token_count: 0, .. } => Status::NoText,
        _ => Status::NoEntity,
    }
}

fn annotation_row(
    citation: &Citation,
    annotation: &Annotation,
    text_sha256: &str,
    offsets: &mut CharOffsets<'_>,
    by: &Provenance,
) -> Result<AnnotationRow, String> {
    Ok(AnnotationRow {
        annotation_id: annotation_id(citation, annotation, text_sha256, &by.spec.model_sha256),
        doc_id: citation.doc_id.as_str().to_owned(),
        pmid: citation.pmid.map(|pmid| pmid.get().into()),
        pmid_version: citation.version.get(),
        model_id: by.spec.model_id.clone(),
        run_id: by.run_id.clone(),
        generation: citation.place.unit.generation,
        file_seq: citation.place.unit.file_seq,
        ordinal: int(citation.place.ordinal, "ordinal")?,
        source_file: citation.place.unit.file_name().to_owned(),
        ..mention_row(&citation.text, annotation, offsets)?
    })
}

/// The id is the same in every run for the same mention, text and model.
fn annotation_id(citation: &Citation, annotation: &Annotation, text_sha256: &str, model_sha256: &str) -> String {
    let version = citation.version.get().to_string();
    let [start, end] = &[annotation.bytes.start, annotation.bytes.end].map(|offset| offset.to_string());
    let fields = [citation.doc_id.as_str(), &version, text_sha256, start, end, &annotation.label, model_sha256];
    let mut id = digest::of_fields(fields.into_iter().map(str::as_bytes));
    id.truncate(ID_DIGITS);
    id
}

fn document_row(
    document: &TaggedDocument,
    status: Status,
    text_sha256: String,
    by: &Provenance,
) -> Result<DocumentRow, String> {
    let TaggedDocument { citation, annotations, token_count, window_count, model_tokens: _ } = document;
    let Citation { text, place, .. } = &**citation;
    let keep = |part: &str| (by.text == TextPolicy::Keep).then(|| part.to_owned());
    let (sections, char_count) = section_rows(text)?;
    Ok(DocumentRow {
        doc_id: citation.doc_id.as_str().to_owned(),
        pmid: citation.pmid.map(|pmid| pmid.get().into()),
        pmid_version: citation.version.get(),
        title: keep(text.title()),
        r#abstract: keep(text.abstract_text()),
        text_sha256: Some(text_sha256),
        sections,
        pub_date_raw: citation.pub_date.raw.clone(),
        pub_year: citation.pub_date.year,
        pub_date: citation.pub_date.date,
        date_revised: citation.date_revised,
        journal: citation.journal.clone(),
        language: citation.language.clone(),
        has_abstract: !text.abstract_text().is_empty(),
        char_count,
        token_count: int(*token_count, "token_count")?,
        window_count: int(*window_count, "window_count")?,
        annotation_count: int(annotations.len(), "annotation_count")?,
        status: status.as_str().to_owned(),
        ..empty_document(place, by)?
    })
}

fn deletion_row(deletion: &Deletion, by: &Provenance) -> Result<DocumentRow, String> {
    Ok(DocumentRow {
        doc_id: deletion.pmid.to_string(),
        pmid: Some(deletion.pmid.get().into()),
        pmid_version: deletion.version.get(),
        status: Status::Deleted.as_str().to_owned(),
        ..empty_document(&deletion.place, by)?
    })
}

/// A row of `documents` with its provenance and nothing else.
fn empty_document(place: &Place, by: &Provenance) -> Result<DocumentRow, String> {
    let PubDate { raw, year, date } = PubDate::default();
    Ok(DocumentRow {
        doc_id: String::new(),
        pmid: None,
        pmid_version: 1,
        title: None,
        r#abstract: None,
        text_sha256: None,
        sections: Vec::new(),
        pub_date_raw: raw,
        pub_year: year,
        pub_date: date,
        date_revised: None,
        journal: None,
        language: None,
        has_abstract: false,
        char_count: 0,
        token_count: 0,
        window_count: 0,
        annotation_count: 0,
        status: String::new(),
        model_id: by.spec.model_id.clone(),
        run_id: by.run_id.clone(),
        processed_at: by.processed_at,
        generation: place.unit.generation,
        file_seq: place.unit.file_seq,
        ordinal: int(place.ordinal, "ordinal")?,
        source_file: place.unit.file_name().to_owned(),
        cached: Some(false),
    })
}

fn reject_row(reject: Reject, by: &Provenance) -> Result<RejectRow, String> {
    let Reject { place, reason, detail, pmid, mut raw } = reject;
    raw.truncate(MAX_RAW_BYTES);
    Ok(RejectRow {
        reason: reason.as_str().to_owned(),
        detail,
        pmid: pmid.map(|pmid| pmid.get().into()),
        byte_offset: i64::try_from(place.byte_offset).map_err(|_| too_large("byte_offset"))?,
        raw,
        run_id: by.run_id.clone(),
        generation: place.unit.generation,
        file_seq: place.unit.file_seq,
        ordinal: int(place.ordinal, "ordinal")?,
        source_file: place.unit.file_name().to_owned(),
    })
}

/// A text's sections, and the number of characters of the whole text.
fn section_rows(text: &CitationText) -> Result<(Vec<SectionRow>, i32), String> {
    let mut offsets = CharOffsets::new(text.as_str());
    let mut chars = |byte| {
        let count = offsets.at(byte).ok_or_else(|| format!("section border {byte} is inside a character"))?;
        int(count, "character offset")
    };
    let mut rows = Vec::with_capacity(text.sections().len());
    for Section { kind, bytes } in text.sections() {
        let (label, nlm_category) = match kind {
            SectionKind::Title => (Some("title".to_owned()), None),
            SectionKind::Abstract { label, nlm_category } => (label.clone(), nlm_category.clone()),
        };
        rows.push(SectionRow { label, nlm_category, start: chars(bytes.start)?, end: chars(bytes.end)? });
    }
    Ok((rows, chars(text.as_str().len())?))
}

fn broken(place: &Place, doc_id: &str, why: String) -> Error {
    Error::Record { uri: place.unit.uri().to_owned(), ordinal: place.ordinal, doc_id: doc_id.to_owned(), why }
}
