//! The expected rows of records, computed independently of the writer's functions.

use pubtag_schemas::table::Micros;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow, SectionRow};
use pubtag_schemas::{
    Annotation, Citation, Deletion, InputUnit, Place, Reject, SectionKind, TaggedDocument, TaggedRecord,
};
use sha2::{Digest, Sha256};

/// What all rows of an input have in common.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The run.
    pub(crate) run_id: String,
    /// The model.
    pub(crate) model_id: String,
    /// Its SHA-256.
    pub(crate) model_sha256: String,
    /// Whether texts are kept.
    pub(crate) keep_text: bool,
}

/// The rows of the three tables.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// `annotations`.
    pub(crate) annotations: Vec<AnnotationRow>,
    /// `documents`.
    pub(crate) documents: Vec<DocumentRow>,
    /// `rejects`.
    pub(crate) rejects: Vec<RejectRow>,
}

impl Expected {
    /// The rows of some records.
    pub(crate) fn of(records: &[TaggedRecord], origin: &Origin) -> Self {
        let mut expected = Self::default();
        for record in records {
            match record {
                TaggedRecord::Document(document) | TaggedRecord::Cached(document) => {
                    let rows = document.annotations.iter().map(|found| annotation(&document.citation, found, origin));
                    expected.annotations.extend(rows);
                    let cached = Some(matches!(record, TaggedRecord::Cached(_)));
                    expected.documents.push(DocumentRow { cached, ..self::document(document, origin) });
                }
                TaggedRecord::Deletion(gone) => expected.documents.push(deletion(gone, origin)),
                TaggedRecord::Reject(found) => expected.rejects.push(reject(found, origin)),
            }
        }
        expected
    }
}

fn file_name(unit: &InputUnit) -> String {
    unit.uri().rsplit_once('/').map_or(unit.uri(), |(_, name)| name).to_owned()
}

fn int(number: impl TryInto<i32>) -> i32 {
    number.try_into().ok().expect("what is made fits its column")
}

fn chars(text: &str, byte: usize) -> i32 {
    int(text.char_indices().filter(|&(at, _)| at < byte).count())
}

fn hex_sha256(bytes: &[u8]) -> String {
    pubtag_schemas::hex(Sha256::digest(bytes))
}

fn annotation(citation: &Citation, found: &Annotation, origin: &Origin) -> AnnotationRow {
    let (text, Place { unit, ordinal, .. }) = (citation.text.as_str(), &citation.place);
    let (start, end) = (found.bytes.start, found.bytes.end);
    let section = citation.text.sections().iter().rfind(|section| section.bytes.start <= start).expect("a title");
    let section = match &section.kind {
        SectionKind::Title => "title",
        SectionKind::Abstract { label, .. } => label.as_deref().unwrap_or("abstract"),
    };
    let mut id = Vec::new();
    let text_sha256 = hex_sha256(text.as_bytes());
    let numbers = [citation.version.get().to_string(), start.to_string(), end.to_string()];
    for field in [
        citation.doc_id.as_str(),
        &numbers[0],
        &text_sha256,
        &numbers[1],
        &numbers[2],
        &found.label,
        &origin.model_sha256,
    ] {
        id.extend((field.len() as u64).to_le_bytes());
        id.extend(field.as_bytes());
    }
    AnnotationRow {
        annotation_id: hex_sha256(&id)[..32].to_owned(),
        doc_id: citation.doc_id.as_str().to_owned(),
        pmid: citation.pmid.map(|pmid| i64::from(pmid.get())),
        pmid_version: citation.version.get(),
        section: section.to_owned(),
        start_char: chars(text, start),
        end_char: chars(text, end),
        start_byte: int(start),
        end_byte: int(end),
        mention: text[start..end].to_owned(),
        label: found.label.clone(),
        score: found.score,
        concept_ids: if found.concept_ids.is_empty() { None } else { Some(found.concept_ids.clone()) },
        model_id: origin.model_id.clone(),
        run_id: origin.run_id.clone(),
        generation: unit.generation,
        file_seq: unit.file_seq,
        ordinal: int(*ordinal),
        source_file: file_name(unit),
        source: Some(found.source.as_str().to_owned()),
    }
}

fn document(document: &TaggedDocument, origin: &Origin) -> DocumentRow {
    let citation = &document.citation;
    let text = citation.text.as_str();
    let sections = citation.text.sections().iter().map(|section| {
        let (label, nlm_category) = match &section.kind {
            SectionKind::Title => (Some("title".to_owned()), None),
            SectionKind::Abstract { label, nlm_category } => (label.clone(), nlm_category.clone()),
        };
        SectionRow { label, nlm_category, start: chars(text, section.bytes.start), end: chars(text, section.bytes.end) }
    });
    let status = match (document.annotations.len(), document.token_count) {
        (1.., _) => "tagged",
        (0, 0) => "no_text",
        (0, _) => "no_entity",
    };
    DocumentRow {
        doc_id: citation.doc_id.as_str().to_owned(),
        pmid: citation.pmid.map(|pmid| i64::from(pmid.get())),
        pmid_version: citation.version.get(),
        title: origin.keep_text.then(|| citation.text.title().to_owned()),
        r#abstract: origin.keep_text.then(|| citation.text.abstract_text().to_owned()),
        text_sha256: Some(hex_sha256(text.as_bytes())),
        sections: sections.collect(),
        pub_date_raw: citation.pub_date.raw.clone(),
        pub_year: citation.pub_date.year,
        pub_date: citation.pub_date.date,
        date_revised: citation.date_revised,
        journal: citation.journal.clone(),
        language: citation.language.clone(),
        has_abstract: text.len() > citation.text.title().len() + 1,
        char_count: chars(text, text.len()),
        token_count: int(document.token_count),
        window_count: int(document.window_count),
        annotation_count: int(document.annotations.len()),
        status: status.to_owned(),
        ..empty(&citation.place, origin)
    }
}

fn deletion(gone: &Deletion, origin: &Origin) -> DocumentRow {
    DocumentRow {
        doc_id: gone.pmid.to_string(),
        pmid: Some(i64::from(gone.pmid.get())),
        pmid_version: gone.version.get(),
        status: "deleted".to_owned(),
        ..empty(&gone.place, origin)
    }
}

fn empty(place: &Place, origin: &Origin) -> DocumentRow {
    DocumentRow {
        doc_id: String::new(),
        pmid: None,
        pmid_version: 0,
        title: None,
        r#abstract: None,
        text_sha256: None,
        sections: Vec::new(),
        pub_date_raw: None,
        pub_year: None,
        pub_date: None,
        date_revised: None,
        journal: None,
        language: None,
        has_abstract: false,
        char_count: 0,
        token_count: 0,
        window_count: 0,
        annotation_count: 0,
        status: String::new(),
        model_id: origin.model_id.clone(),
        run_id: origin.run_id.clone(),
        processed_at: Micros(0),
        generation: place.unit.generation,
        file_seq: place.unit.file_seq,
        ordinal: int(place.ordinal),
        source_file: file_name(&place.unit),
        cached: Some(false),
    }
}

fn reject(found: &Reject, origin: &Origin) -> RejectRow {
    RejectRow {
        reason: found.reason.to_string(),
        detail: found.detail.clone(),
        pmid: found.pmid.map(|pmid| i64::from(pmid.get())),
        byte_offset: i64::try_from(found.place.byte_offset).expect("what is made fits its column"),
        raw: found.raw.iter().take(64 * 1024).copied().collect(),
        run_id: origin.run_id.clone(),
        generation: found.place.unit.generation,
        file_seq: found.place.unit.file_seq,
        ordinal: int(found.place.ordinal),
        source_file: file_name(&found.place.unit),
    }
}
