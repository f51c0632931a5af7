//! Document to tree: assigns sentences and annotations to their passages.

use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, Mention, Passage};
use serde_json::Value;

use super::tree::{BiocAnnotation, BiocDocument, BiocLocation, BiocPassage, BiocSentence, CONCEPT_KEYS, Infons, TYPE};
use crate::diagnostic::{DiagnosticKind, Notes};
use crate::document::{CharIndex, wording_at};

/// A document as BioC. Tokens are left out and reported.
pub(crate) fn disassemble(document: &AnnotatedDocument, notes: &mut Notes<'_>) -> BiocDocument {
    let tokens = document.tokens.len();
    notes.add(DiagnosticKind::Tokens, tokens, format!("the boundaries of {tokens} tokens left out"));
    let columns: usize = document.tokens.iter().map(|token| token.columns.len()).sum();
    notes.add(DiagnosticKind::Columns, columns, format!("{columns} columns between token and tag left out"));
    let index = CharIndex::new(&document.text);
    let whole = [Passage { kind: None, bytes: 0..document.text.len(), infons: Vec::new() }];
    let passages = if document.passages.is_empty() { &whole[..] } else { &document.passages };
    let starts = spread(document.text.len(), passages.iter().map(|passage| passage.bytes.start));
    let mut out: Vec<BiocPassage> = Vec::with_capacity(passages.len());
    for (number, (passage, room)) in passages.iter().zip(&starts).enumerate() {
        let bytes = full(&document.text, &passage.bytes, room, number + 1 == passages.len());
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

/// The ranges from each start to the next.
fn spread(end: usize, starts: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let starts: Vec<usize> = starts.collect();
    let ends = starts.iter().copied().skip(1).chain([end]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end.max(start)).collect()
}

/// A passage, extended over the text after it unless that is only the spaces that readers fill in.
fn full(text: &str, bytes: &Range<usize>, room: &Range<usize>, last: bool) -> Range<usize> {
    let behind = text.get(bytes.end..room.end).unwrap_or_default();
    let filled = !last && behind.chars().all(|c| c == ' ');
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
