//! BioC as a tree, and the way between it and a document; what BioC XML and BioC JSON have in common.
//!
//! BioC (Comeau et al. 2013, <https://bioc.sourceforge.net>): a document has passages, a passage a text with its offset in
//! the document, or sentences that have; annotations have document-wide locations. Offsets count code points in nearly
//! every file, bytes in a few, which is found out from the annotations' own wording.

use std::collections::VecDeque;
use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, ConceptIds, DocId, Mention, Passage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::document::{CharIndex, Fit, fit};
use crate::reader::Item;
use crate::remark::{Notes, RemarkKind, Spot};

/// Space between passages that is filled up; wider gaps are taken for wrong offsets.
const WIDEST_GAP: usize = 1 << 20;
/// Keys of infons that hold concept identifiers, in the order in which they are looked for.
const CONCEPT_KEYS: &[&str] = &["identifier", "cui", "concept_id", "MESH", "OMIM"];
/// Key of the infon that holds a category or the kind of a passage.
const TYPE: &str = "type";

/// A document of a BioC collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BiocDocument {
    #[serde(deserialize_with = "name")]
    pub(crate) id: String,
    pub(crate) infons: Infons,
    pub(crate) passages: Vec<BiocPassage>,
    pub(crate) annotations: Vec<BiocAnnotation>,
    pub(crate) relations: Vec<Value>,
}

/// A passage: its text, or its sentences.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BiocPassage {
    pub(crate) infons: Infons,
    pub(crate) offset: usize,
    pub(crate) text: Option<String>,
    pub(crate) sentences: Vec<BiocSentence>,
    pub(crate) annotations: Vec<BiocAnnotation>,
    pub(crate) relations: Vec<Value>,
}

/// A sentence of a passage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BiocSentence {
    pub(crate) infons: Infons,
    pub(crate) offset: usize,
    pub(crate) text: Option<String>,
    pub(crate) annotations: Vec<BiocAnnotation>,
    pub(crate) relations: Vec<Value>,
}

/// An annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BiocAnnotation {
    #[serde(deserialize_with = "name")]
    pub(crate) id: String,
    pub(crate) infons: Infons,
    pub(crate) text: Option<String>,
    pub(crate) locations: Vec<BiocLocation>,
}

/// Where an annotation, or a part of it, stands in the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BiocLocation {
    pub(crate) offset: usize,
    pub(crate) length: usize,
}

/// Keys and values. JSON in the wild has numbers, nulls and lists there too.
pub(crate) type Infons = Map<String, Value>;

/// A name that some writers give as a number.
fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = Value::deserialize(deserializer)?;
    as_text(&value).ok_or_else(|| serde::de::Error::custom("an id is a text or a number"))
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}

/// What the offsets of a document count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Chars,
    Bytes,
}

/// Appends a BioC document, as far as its offsets make sense, and what there is to say of it.
pub(crate) fn assemble(bioc: &BiocDocument, spot: Spot, out: &mut VecDeque<Item>) {
    let mut remarks = Vec::new();
    let id = Some(bioc.id.as_str()).filter(|id| !id.is_empty());
    let mut notes = Notes::new(&spot, id, &mut remarks);
    let built = build(bioc, Unit::Chars).map(|chars| {
        // Only a misfit is worth a second look.
        let bytes = if chars.misfits.is_empty() { None } else { build(bioc, Unit::Bytes).ok() };
        match bytes.filter(|bytes| bytes.misfits.len() < chars.misfits.len()) {
            Some(bytes) => (bytes, true),
            None => (chars, false),
        }
    });
    let built = built.or_else(|what| build(bioc, Unit::Bytes).map(|bytes| (bytes, true)).map_err(|_| what));
    let (built, bytes) = match built {
        Ok(built) => built,
        Err(what) => {
            notes.add(RemarkKind::BadRecord, 1, what);
            return out.extend(remarks.into_iter().map(Item::Remark));
        }
    };
    notes.add(RemarkKind::OffsetUnit, usize::from(bytes), "offsets count bytes; converted");
    for (kind, what) in built.misfits.into_iter().chain(built.oddities) {
        notes.add(kind, 1, what);
    }
    let relations = bioc.relations.len()
        + bioc
            .passages
            .iter()
            .map(|p| p.relations.len() + p.sentences.iter().map(|s| s.relations.len()).sum::<usize>())
            .sum::<usize>();
    notes.add(RemarkKind::Relations, relations, format!("{relations} relations left out"));
    let infons = bioc.passages.iter().flat_map(|p| &p.sentences).map(|s| s.infons.len()).sum();
    notes.add(RemarkKind::Infons, infons, format!("{infons} keys and values of sentences left out"));
    out.push_back(Item::Document(spot, Box::new(built.document)));
    out.extend(remarks.into_iter().map(Item::Remark));
}

struct Built {
    document: AnnotatedDocument,
    misfits: Vec<(RemarkKind, String)>,
    oddities: Vec<(RemarkKind, String)>,
}

fn build(bioc: &BiocDocument, unit: Unit) -> Result<Built, String> {
    let mut text = Text { text: String::new(), chars: 0, unit };
    let mut passages = Vec::new();
    let mut sentences = Vec::new();
    for passage in &bioc.passages {
        text.fill_to(passage.offset)?;
        let start = text.text.len();
        text.push(passage.text.as_deref().unwrap_or_default());
        for sentence in &passage.sentences {
            let from = text.place(sentence.offset, start, sentence.text.as_deref().unwrap_or_default())?;
            let range = crate::sentences::trim(&text.text, from);
            sentences.extend((!range.is_empty()).then_some(range));
        }
        let mut infons = pairs(&passage.infons);
        let kind = infons.iter().position(|(key, _)| key == TYPE).map(|at| infons.remove(at).1);
        passages.push(Passage { kind, bytes: start..text.text.len(), infons });
    }
    let id = Some(bioc.id.as_str()).filter(|id| !id.is_empty()).map(DocId::new);
    let infons = pairs(&bioc.infons);
    let mut document = AnnotatedDocument { id, text: text.text, passages, sentences, infons, ..Default::default() };
    let index = CharIndex::new(&document.text);
    let (mut misfits, mut oddities) = (Vec::new(), Vec::new());
    for annotation in annotations(bioc) {
        match mention(annotation, &document.text, &index, unit) {
            Ok((mention, oddity)) => {
                document.mentions.push(mention);
                oddities.extend(oddity.map(|what| (RemarkKind::MentionSpace, what)));
            }
            Err(misfit) => misfits.push(misfit),
        }
    }
    Ok(Built { document, misfits, oddities })
}

/// Every annotation, in document order wherever it hangs.
fn annotations(bioc: &BiocDocument) -> impl Iterator<Item = &BiocAnnotation> {
    let inside = bioc.passages.iter().flat_map(|passage| {
        passage.annotations.iter().chain(passage.sentences.iter().flat_map(|sentence| &sentence.annotations))
    });
    inside.chain(&bioc.annotations)
}

fn pairs(infons: &Infons) -> Vec<(String, String)> {
    infons.iter().map(|(key, value)| (key.clone(), as_text(value).unwrap_or_else(|| value.to_string()))).collect()
}

/// A text that grows by passages.
struct Text {
    text: String,
    chars: usize,
    unit: Unit,
}

impl Text {
    fn length(&self) -> usize {
        match self.unit {
            Unit::Chars => self.chars,
            Unit::Bytes => self.text.len(),
        }
    }

    fn push(&mut self, text: &str) {
        self.chars += text.chars().count();
        self.text.push_str(text);
    }

    /// Fills the space before an offset.
    fn fill_to(&mut self, offset: usize) -> Result<(), String> {
        let length = self.length();
        let gap = offset.checked_sub(length).filter(|&gap| gap <= WIDEST_GAP);
        let gap = gap.ok_or_else(|| {
            format!("a passage or sentence begins at offset {offset}, where the text before it ends at {length}")
        })?;
        self.text.extend(std::iter::repeat_n(' ', gap));
        self.chars += gap;
        Ok(())
    }

    /// The place of a sentence: appended, or, where the passage has its text too, found in it.
    fn place(&mut self, offset: usize, passage: usize, sentence: &str) -> Result<Range<usize>, String> {
        if offset >= self.length() {
            self.fill_to(offset)?;
            let start = self.text.len();
            self.push(sentence);
            return Ok(start..self.text.len());
        }
        let start = match self.unit {
            Unit::Chars => CharIndex::new(&self.text).byte(offset).unwrap_or(self.text.len()),
            Unit::Bytes => offset,
        };
        let there = self.text.get(start..).filter(|rest| start >= passage && rest.starts_with(sentence));
        there
            .map(|_| start..start + sentence.len())
            .ok_or_else(|| format!("the sentence at offset {offset} overlaps other text"))
    }
}

type Misfit = (RemarkKind, String);

fn mention(
    annotation: &BiocAnnotation,
    text: &str,
    index: &CharIndex,
    unit: Unit,
) -> Result<(Mention, Option<String>), Misfit> {
    let wording = annotation.text.as_deref();
    let label = || wording.unwrap_or(&annotation.id).to_owned();
    let mut infons = pairs(&annotation.infons);
    let category =
        infons.iter().position(|(key, _)| key == TYPE).map(|at| infons.remove(at).1).filter(|kind| !kind.is_empty());
    let category =
        category.ok_or_else(|| (RemarkKind::BadRecord, format!("the annotation {:?} has no type", label())))?;
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for location in &annotation.locations {
        let end = location.offset.saturating_add(location.length);
        let bytes = match unit {
            Unit::Chars => index.bytes(location.offset..end),
            Unit::Bytes => text.get(location.offset..end).map(|_| location.offset..end),
        };
        let outside = || {
            (
                RemarkKind::OffsetMismatch,
                format!("the annotation {:?} at {}-{end} reaches outside the text", label(), location.offset),
            )
        };
        pieces.push(bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(outside)?);
    }
    let (bytes, gaps) = hull(text, pieces).ok_or_else(|| {
        (RemarkKind::BadRecord, format!("the annotation {:?} has no location, or two that overlap", label()))
    })?;
    let mut mention = Mention { bytes, gaps, text: String::new(), category, concepts: ConceptIds::default(), infons };
    let there = wording_at(text, &mention);
    let wording = wording.unwrap_or(&there);
    let oddity = if mention.gaps.is_empty() {
        match fit(text, index, &mention.bytes, wording) {
            Fit::Exact => None,
            Fit::Space => Some(format!("the annotation {wording:?} differs from the text in white space; kept")),
            Fit::None(what) => return Err((RemarkKind::OffsetMismatch, what)),
        }
    } else if same_pieces(wording, &there) {
        None
    } else {
        return Err((
            RemarkKind::OffsetMismatch,
            format!("the annotation {wording:?} stands where the text has {there:?}"),
        ));
    };
    mention.text = wording.to_owned();
    mention.concepts = take_concepts(&mut mention.infons);
    Ok((mention, oddity))
}

/// From the pieces of a mention, its extent and the gaps in it; gaps of nothing but a line break are none.
pub(crate) fn hull(text: &str, mut pieces: Vec<Range<usize>>) -> Option<(Range<usize>, Vec<Range<usize>>)> {
    pieces.sort_by_key(|piece| piece.start);
    let bytes = pieces.first()?.start..pieces.last()?.end;
    let mut gaps = Vec::new();
    for pair in pieces.windows(2) {
        let gap = pair[0].end..pair[1].start;
        if gap.start > gap.end {
            return None;
        }
        if text[gap.clone()].contains(|c| c != '\n') {
            gaps.push(gap);
        }
    }
    Some((bytes, gaps))
}

/// The text of a mention's pieces, joined by one space.
pub(crate) fn wording_at(text: &str, mention: &Mention) -> String {
    mention.pieces().map(|piece| &text[piece]).collect::<Vec<_>>().join(" ")
}

/// Whether two wordings of a discontinuous mention are the same but for what stands for its gaps (` ... `, ` [...] `).
pub(crate) fn same_pieces(one: &str, other: &str) -> bool {
    let words = |text: &str| -> String {
        text.split_whitespace().filter(|word| !matches!(*word, "..." | "[...]" | "…")).collect()
    };
    words(one) == words(other)
}

fn take_concepts(infons: &mut Vec<(String, String)>) -> ConceptIds {
    let found =
        CONCEPT_KEYS.iter().find_map(|key| infons.iter().position(|(other, _)| other == key).map(|at| (*key, at)));
    let Some((key, at)) = found else { return ConceptIds::default() };
    let value = infons.remove(at).1;
    let bare = key == "OMIM" && !value.is_empty() && !value.contains(':');
    ConceptIds::new(if bare { format!("OMIM:{value}") } else { value })
}

/// A document as BioC. Tokens are not carried, and reported.
pub(crate) fn disassemble(document: &AnnotatedDocument, notes: &mut Notes<'_>) -> BiocDocument {
    let tokens = document.tokens.len();
    notes.add(RemarkKind::Tokens, tokens, format!("the borders of {tokens} tokens left out"));
    let columns: usize = document.tokens.iter().map(|token| token.columns.len()).sum();
    notes.add(RemarkKind::Columns, columns, format!("{columns} columns between token and tag left out"));
    let index = CharIndex::new(&document.text);
    let whole = [Passage { kind: None, bytes: 0..document.text.len(), infons: Vec::new() }];
    let passages = if document.passages.is_empty() { &whole[..] } else { &document.passages };
    let starts = spread(document.text.len(), passages.iter().map(|passage| passage.bytes.start));
    let mut out: Vec<BiocPassage> = Vec::with_capacity(passages.len());
    for (passage, room) in passages.iter().zip(&starts) {
        let bytes = full(&document.text, &passage.bytes, room);
        let mut infons = Infons::new();
        infons.extend(passage.kind.iter().map(|kind| (TYPE.to_owned(), Value::from(kind.as_str()))));
        infons.extend(values(&passage.infons));
        let inside: Vec<&Range<usize>> = document.sentences.iter().filter(|s| room.contains(&s.start)).collect();
        let rooms = spread(bytes.end, std::iter::once(bytes.start).chain(inside.iter().skip(1).map(|s| s.start)));
        let sentences: Vec<BiocSentence> = if inside.is_empty() {
            Vec::new()
        } else {
            rooms.into_iter().map(|room| sentence(document, &index, room)).collect()
        };
        let text = sentences.is_empty().then(|| document.text[bytes.clone()].to_owned());
        out.push(BiocPassage { infons, offset: index.char(bytes.start), text, sentences, ..Default::default() });
    }
    for (number, mention) in document.mentions.iter().enumerate() {
        let annotation = annotation(document, &index, number + 1, mention);
        let at = starts.partition_point(|room| room.start <= mention.bytes.start).saturating_sub(1);
        let passage = &mut out[at];
        let char = index.char(mention.bytes.start);
        let within = passage.sentences.partition_point(|sentence| sentence.offset <= char).checked_sub(1);
        match within.and_then(|within| passage.sentences.get_mut(within)) {
            Some(sentence) => sentence.annotations.push(annotation),
            None => passage.annotations.push(annotation),
        }
    }
    let id = document.id.as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default();
    BiocDocument { id, infons: values(&document.infons).collect(), passages: out, ..Default::default() }
}

/// For each start, the stretch up to the next one.
fn spread(end: usize, starts: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let starts: Vec<usize> = starts.collect();
    let ends = starts.iter().copied().skip(1).chain([end]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end.max(start)).collect()
}

/// A passage, widened over the text behind it unless that is only the spaces that readers fill in themselves.
fn full(text: &str, bytes: &Range<usize>, room: &Range<usize>) -> Range<usize> {
    let behind = text.get(bytes.end..room.end).unwrap_or_default();
    let filled = behind.chars().all(|c| c == ' ') && room.end < text.len();
    bytes.start..if filled { bytes.end } else { room.end }
}

fn sentence(document: &AnnotatedDocument, index: &CharIndex, room: Range<usize>) -> BiocSentence {
    let text = Some(document.text[room.clone()].to_owned());
    BiocSentence { offset: index.char(room.start), text, ..Default::default() }
}

fn annotation(document: &AnnotatedDocument, index: &CharIndex, number: usize, mention: &Mention) -> BiocAnnotation {
    let mut infons = Infons::new();
    infons.insert(TYPE.to_owned(), Value::from(mention.category.as_str()));
    if !mention.concepts.as_str().is_empty() {
        infons.insert(CONCEPT_KEYS[0].to_owned(), Value::from(mention.concepts.as_str()));
    }
    infons.extend(values(&mention.infons));
    let locations = mention.pieces().map(|piece| {
        let offset = index.char(piece.start);
        BiocLocation { offset, length: index.char(piece.end) - offset }
    });
    let locations = locations.collect();
    let text = if mention.text.is_empty() { wording_at(&document.text, mention) } else { mention.text.clone() };
    BiocAnnotation { id: number.to_string(), infons, text: Some(text), locations }
}

fn values(infons: &[(String, String)]) -> impl Iterator<Item = (String, Value)> {
    infons.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str())))
}
