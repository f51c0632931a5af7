//! Tree to document: places passages by their offsets, and detects the unit of the offsets.

use std::collections::VecDeque;
use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, ConceptIds, DocId, Mention, Passage};

use super::tree::{BiocAnnotation, BiocDocument, CONCEPT_KEYS, Infons, TYPE, as_text};
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::document::{CharIndex, Fit, fit, hull, same_pieces, wording_at};
use crate::reader::Item;

/// The widest gap between passages; a wider one means that the offsets are wrong.
const WIDEST_GAP: usize = 1 << 20;

/// The unit of the offsets of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Chars,
    Bytes,
}

/// Appends a BioC document and its diagnostics.
pub(crate) fn assemble(bioc: &BiocDocument, spot: Spot, out: &mut VecDeque<Item>) {
    let mut diagnostics = Vec::new();
    let id = Some(bioc.id.as_str()).filter(|id| !id.is_empty());
    let mut notes = Notes::new(&spot, id, &mut diagnostics);
    let built = build(bioc, Unit::Chars).map(|chars| {
        // Bytes are tried only if some annotation does not match.
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
            notes.add(DiagnosticKind::BadRecord, 1, what);
            return out.extend(diagnostics.into_iter().map(Item::Diagnostic));
        }
    };
    notes.add(DiagnosticKind::OffsetUnit, usize::from(bytes), "offsets in bytes converted to code points");
    for (kind, what) in built.misfits.into_iter().chain(built.oddities) {
        notes.add(kind, 1, what);
    }
    let relations = bioc.relations.len()
        + bioc
            .passages
            .iter()
            .map(|p| p.relations.len() + p.sentences.iter().map(|s| s.relations.len()).sum::<usize>())
            .sum::<usize>();
    notes.add(DiagnosticKind::Relations, relations, format!("{relations} relations left out"));
    let infons = bioc.passages.iter().flat_map(|p| &p.sentences).map(|s| s.infons.len()).sum();
    notes.add(DiagnosticKind::Infons, infons, format!("{infons} keys and values of sentences left out"));
    out.push_back(Item::Document(spot, Box::new(built.document)));
    out.extend(diagnostics.into_iter().map(Item::Diagnostic));
}

struct Built {
    document: AnnotatedDocument,
    misfits: Vec<(DiagnosticKind, String)>,
    oddities: Vec<(DiagnosticKind, String)>,
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
            let range = pubtag_schemas::trimmed(&text.text, from);
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
                oddities.extend(oddity.map(|what| (DiagnosticKind::MentionSpace, what)));
            }
            Err(misfit) => misfits.push(misfit),
        }
    }
    Ok(Built { document, misfits, oddities })
}

/// All annotations, at every level of the tree.
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

    /// Fills the text with spaces up to an offset.
    fn fill_to(&mut self, offset: usize) -> Result<(), String> {
        let length = self.length();
        let gap = offset.checked_sub(length).filter(|&gap| gap <= WIDEST_GAP);
        let gap = gap.ok_or_else(|| {
            format!("passage or sentence at offset {offset}, but the text before it ends at {length}")
        })?;
        self.text.extend(std::iter::repeat_n(' ', gap));
        self.chars += gap;
        Ok(())
    }

    /// The range of a sentence: appended, or found in the text of the passage if it has one.
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
            .ok_or_else(|| format!("sentence at offset {offset} overlaps other text"))
    }
}

type Misfit = (DiagnosticKind, String);

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
        category.ok_or_else(|| (DiagnosticKind::BadRecord, format!("annotation {:?} has no type", label())))?;
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for location in &annotation.locations {
        let end = location.offset.saturating_add(location.length);
        let bytes = match unit {
            Unit::Chars => index.bytes(location.offset..end),
            Unit::Bytes => text.get(location.offset..end).map(|_| location.offset..end),
        };
        let outside = || {
            (
                DiagnosticKind::OffsetMismatch,
                format!("annotation {:?} at {}-{end} is outside the text", label(), location.offset),
            )
        };
        pieces.push(bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(outside)?);
    }
    let (bytes, gaps) = hull(text, pieces).ok_or_else(|| {
        (DiagnosticKind::BadRecord, format!("annotation {:?} has no location, or overlapping ones", label()))
    })?;
    let mut mention = Mention { bytes, gaps, text: String::new(), category, concepts: ConceptIds::default(), infons };
    let there = wording_at(text, &mention);
    let wording = wording.unwrap_or(&there);
    let oddity = if mention.gaps.is_empty() {
        match fit(text, index, &mention.bytes, wording) {
            Fit::Exact => None,
            Fit::Space => Some(format!("annotation {wording:?} differs from the text in white space; kept")),
            Fit::None(what) => return Err((DiagnosticKind::OffsetMismatch, what)),
        }
    } else if same_pieces(wording, &there) {
        None
    } else {
        return Err((
            DiagnosticKind::OffsetMismatch,
            format!("annotation {wording:?} does not match the text at its offsets, {there:?}"),
        ));
    };
    mention.text = wording.to_owned();
    mention.concepts = take_concepts(&mut mention.infons);
    Ok((mention, oddity))
}

fn take_concepts(infons: &mut Vec<(String, String)>) -> ConceptIds {
    let found =
        CONCEPT_KEYS.iter().find_map(|key| infons.iter().position(|(other, _)| other == key).map(|at| (*key, at)));
    let Some((key, at)) = found else { return ConceptIds::default() };
    let value = infons.remove(at).1;
    let bare = key == "OMIM" && !value.is_empty() && !value.contains(':');
    ConceptIds::new(if bare { format!("OMIM:{value}") } else { value })
}
