//! Small records for tests; part of the crate only with the feature `testing`.

use std::sync::Arc;

use crate::{
    Citation, CitationText, Close, Deletion, DocId, InputUnit, Location, Outcome, Packet, Place, PmidVersion, PubDate,
    Record, Reject, RejectReason, Tally,
};

/// The input file `/in/<index>.xml`.
pub fn unit(index: usize) -> Arc<InputUnit> {
    Arc::new(InputUnit::new(index, Location::File(format!("/in/{index}.xml"))))
}

/// A citation that has only a title, which is its id too.
pub fn citation(title: &str) -> Box<Citation> {
    Box::new(Citation {
        doc_id: DocId::new(title),
        pmid: None,
        version: PmidVersion::FIRST,
        text: CitationText::new(title, vec![]),
        pub_date: PubDate::default(),
        date_revised: None,
        journal: None,
        language: None,
        place: place(),
    })
}

/// A record with such a citation.
pub fn document(title: &str) -> Record {
    Record::Document(citation(title))
}

/// The deletion of PMID 7.
pub fn deletion<D>() -> Record<D> {
    let pmid = 7.try_into().expect("7 is a PMID");
    Record::Deletion(Deletion { pmid, version: PmidVersion::FIRST, place: place() })
}

/// A record that could not be parsed.
pub fn reject<D>() -> Record<D> {
    let (reason, detail) = (RejectReason::Malformed, String::new());
    Record::Reject(Reject { place: place(), reason, detail, pmid: None, raw: Vec::new() })
}

/// The end of a unit that was read completely.
pub fn close<T>(index: usize) -> Packet<T> {
    let (tally, outcome) = (Tally::default(), Outcome::Complete);
    Packet::Close(Close { unit: unit(index), tally, bytes: 0, sha256: String::new(), outcome })
}

fn place() -> Place {
    Place { unit: unit(0), ordinal: 0, byte_offset: 0 }
}
