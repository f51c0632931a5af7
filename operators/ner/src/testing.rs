//! Records for the tests of this crate.

use std::sync::Arc;

use pubtag_schemas::{
    Citation, CitationText, Deletion, DocId, InputUnit, Location, Place, PmidVersion, PubDate, Record, TokenSpan,
    TokenWindow, Tokenized, TokenizedDocument, TokenizedRecord,
};

/// A file.
pub(crate) fn unit(index: usize) -> Arc<InputUnit> {
    Arc::new(InputUnit::new(index, Location::File(format!("/in/{index}.xml"))))
}

fn place() -> Place {
    Place { unit: unit(0), ordinal: 0, byte_offset: 0 }
}

/// A citation with nothing but a title.
pub(crate) fn citation(title: &str) -> Box<Citation> {
    Box::new(Citation {
        doc_id: DocId::new("1"),
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

/// A deletion.
pub(crate) fn deletion<D>() -> Record<D> {
    let pmid = 1.try_into().expect("1 is a PMID");
    Record::Deletion(Deletion { pmid, version: PmidVersion::FIRST, place: place() })
}

/// A document whose windows have these many tokens, one word of one letter each; neighbours do not overlap.
pub(crate) fn document(lengths: &[usize]) -> TokenizedRecord {
    Record::Document(Tokenized::Document(document_of(lengths)))
}

/// The same, not yet a record.
pub(crate) fn document_of(lengths: &[usize]) -> TokenizedDocument {
    let count: usize = lengths.iter().sum();
    let mut first = 0;
    let windows = lengths.iter().map(|&length| {
        let span = |token: u32| TokenSpan { start_byte: 2 * token, end_byte: 2 * token + 1, word: token };
        let end = first + u32::try_from(length).expect("short");
        let window = TokenWindow {
            ids: (first..end).map(|token| token % 7).collect(),
            spans: (first..end).map(|token| Some(span(token))).collect(),
            first_token: first,
            context: 0,
        };
        first = end;
        window
    });
    let (windows, token_count) = (windows.collect(), u32::try_from(count).expect("short"));
    TokenizedDocument { citation: citation(&"a ".repeat(count)), windows, token_count }
}
