//! Arbitrary bytes to the records of an input: valid, but as odd as possible.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use pubtag_schemas::{
    AbstractSegment, Annotation, AnnotationSource, Citation, CitationText, Date, Deletion, DocId, InputUnit, Location,
    Place, Pmid, PmidVersion, PubDate, Reject, RejectReason, TaggedDocument, TaggedRecord, Tally, civil_date,
};

/// Letters, spaces and symbols of one to four bytes, and some that are error-prone for readers.
const CHARS: [char; 16] = [
    'a',
    'B',
    ' ',
    '.',
    '"',
    '\\',
    '\0',
    '\n',
    '\u{1b}',
    'ß',
    '\u{301}',
    '癌',
    '\u{2028}',
    '\u{feff}',
    '𝛽',
    '\u{10ffff}',
];

const LABELS: [&str; 4] = ["Disease", "Chemical", "", "β|Gene"];

const REASONS: [RejectReason; 7] = [
    RejectReason::Malformed,
    RejectReason::Encoding,
    RejectReason::MissingId,
    RejectReason::BadId,
    RejectReason::TooLarge,
    RejectReason::MissingText,
    RejectReason::Truncated,
];

/// An input's records, and how to write them.
#[derive(Debug)]
pub(crate) struct Made {
    /// The input.
    pub(crate) unit: Arc<InputUnit>,
    /// The records in input order.
    pub(crate) records: Vec<TaggedRecord>,
    /// Their counts.
    pub(crate) tally: Tally,
    /// Records per packet.
    pub(crate) packet: NonZeroUsize,
    /// Bytes of a row group, in memory.
    pub(crate) row_group_bytes: NonZeroUsize,
    /// Encoded bytes of a part.
    pub(crate) part_bytes: NonZeroUsize,
    /// Whether texts are kept.
    pub(crate) keep_text: bool,
}

impl Made {
    /// Interprets bytes as decisions until they run out.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let draw = &mut Draw(bytes);
        let bound = |bytes: u32| NonZeroUsize::MIN.saturating_add(bytes as usize);
        let (packet, keep_text) = (bound(draw.below(9)), draw.below(4) > 0);
        let (row_group_bytes, part_bytes) = (bound(draw.below(1 << 12)), bound(draw.below(1 << 14)));
        let unit = Arc::new(InputUnit {
            index: 0,
            location: match draw.below(3) {
                0 => Location::File("/in/pubmed26n0007.xml.gz".to_owned()),
                1 => Location::File("/in/a b.jsonl".to_owned()),
                _ => Location::Stdin,
            },
            read_once: false,
            sha256: Some("ab".repeat(32)),
            size: None,
            modified_us: None,
            e_tag: None,
            generation: draw.maybe(|draw| draw.int()),
            file_seq: draw.maybe(|draw| draw.int()),
        });
        let (mut records, mut tally, mut ordinal) = (Vec::new(), Tally::default(), 0);
        while !draw.0.is_empty() {
            ordinal += 1 + draw.below(2);
            let place = Place { unit: unit.clone(), ordinal, byte_offset: u64::from(draw.number()) << draw.below(32) };
            records.push(record(place, &mut tally, draw));
        }
        Self { unit, records, tally, packet, row_group_bytes, part_bytes, keep_text }
    }
}

fn record(place: Place, tally: &mut Tally, draw: &mut Draw<'_>) -> TaggedRecord {
    match draw.below(6) {
        0 => {
            tally.deletions += 1;
            TaggedRecord::Deletion(Deletion { pmid: pmid(draw), version: version(draw), place })
        }
        1 => {
            tally.rejects += 1;
            let length = if draw.below(50) == 0 { 70_000 } else { draw.below(200) as usize };
            let raw = draw.bytes(length);
            let (reason, detail, pmid) = (REASONS[draw.below(7) as usize], text(draw), draw.maybe(pmid));
            TaggedRecord::Reject(Reject { place, reason, detail, pmid, raw })
        }
        kind => {
            tally.citations += 1;
            let document = document(place, draw);
            if kind == 2 { TaggedRecord::Cached(document) } else { TaggedRecord::Document(document) }
        }
    }
}

fn document(place: Place, draw: &mut Draw<'_>) -> TaggedDocument {
    let title = text(draw);
    let segment = |draw: &mut Draw<'_>| {
        let (label, nlm_category) = (draw.maybe(text), draw.maybe(text));
        AbstractSegment { label, nlm_category, text: text(draw) }
    };
    let segments = (0..draw.below(4)).map(|_| segment(draw)).collect();
    let text_of = CitationText::new(&title, segments);
    let annotations = annotations(text_of.as_str(), draw);
    let pmid = draw.maybe(pmid);
    let citation = Citation {
        doc_id: pmid.map_or_else(|| DocId::new(text(draw)), DocId::from),
        pmid,
        version: version(draw),
        text: text_of,
        pub_date: PubDate { raw: draw.maybe(text), year: draw.maybe(|draw| draw.int()), date: date(draw) },
        date_revised: date(draw),
        journal: draw.maybe(text),
        language: draw.maybe(text),
        place,
    };
    let token_count = draw.below(1 << 30);
    let (window_count, model_tokens) = (draw.below(1 << 30), token_count);
    TaggedDocument { citation: citation.into(), annotations, token_count, window_count, model_tokens }
}

/// Distinct spans of characters in text order.
fn annotations(text: &str, draw: &mut Draw<'_>) -> Vec<Annotation> {
    let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let last = borders.len() as u32 - 1;
    let span = |draw: &mut Draw<'_>| {
        let start = draw.below(last);
        let end = last.min(start + 1 + draw.below(6));
        (borders[start as usize], borders[end as usize])
    };
    let spans: BTreeSet<(usize, usize)> = (0..draw.below(8)).map(|_| span(draw)).collect();
    let annotation = |(start, end)| Annotation {
        bytes: start..end,
        label: LABELS[draw.below(4) as usize].to_owned(),
        score: f32::from(draw.byte()) / 255.0,
        source: [AnnotationSource::Model, AnnotationSource::Abbreviation][draw.below(2) as usize],
        concept_ids: (0..draw.below(3)).map(|_| LABELS[draw.below(4) as usize].to_owned()).collect(),
    };
    spans.into_iter().map(annotation).collect()
}

fn pmid(draw: &mut Draw<'_>) -> Pmid {
    Pmid::try_from(draw.number().max(1)).expect("at least 1")
}

fn version(draw: &mut Draw<'_>) -> PmidVersion {
    let number = 1 + (draw.number() >> draw.below(32)).min(i32::MAX as u32 - 1);
    number.to_string().parse().expect("from 1 to what the column holds")
}

fn date(draw: &mut Draw<'_>) -> Option<Date> {
    let (month, day) = (draw.below(14) as u8, draw.below(33) as u8);
    civil_date(draw.below(10_001) as i32, month, day)
}

fn text(draw: &mut Draw<'_>) -> String {
    let length = if draw.below(20) == 0 { draw.below(3000) } else { draw.below(24) };
    (0..length).map(|_| CHARS[draw.below(16) as usize]).collect()
}

/// Bytes as decisions; zeros after the last.
struct Draw<'a>(&'a [u8]);

impl Draw<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    fn int(&mut self) -> i32 {
        self.number().cast_signed()
    }

    /// A number below a bound, from as many bytes as the bound needs.
    fn below(&mut self, bound: u32) -> u32 {
        let number = match bound {
            0..=0x100 => u32::from(self.byte()),
            0x101..=0x1_0000 => u32::from(self.byte()) << 8 | u32::from(self.byte()),
            _ => self.number(),
        };
        number % bound.max(1)
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() & 1 == 1).then(|| draw(self))
    }
}
