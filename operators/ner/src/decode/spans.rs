//! Tags into annotations.

use std::ops::Range;

use pubtag_schemas::{Annotation, AnnotationSource};

use super::words::Words;
use crate::labels::{Iob2, LabelSet};

/// The entities of a document.
#[derive(Debug, Default)]
pub(super) struct Entities {
    found: Vec<Annotation>,
    open: Option<Entity>,
}

/// An entity that may continue with the next word.
#[derive(Debug)]
struct Entity {
    kind: usize,
    bytes: Range<usize>,
    words: usize,
    /// Sum of the probabilities of its words' tags.
    sum: f32,
}

impl Entities {
    /// Adds the first words with their chosen labels. An inside tag that does not continue an entity of its type begins one.
    pub(super) fn add(&mut self, words: &Words, chosen: &[usize], labels: &LabelSet) {
        for (word, &label) in chosen.iter().enumerate() {
            let (bytes, probability) = (&words.bytes[word], words.probability(word, label));
            let tag = labels.tags()[label];
            if let Some(open) = self.open.as_mut().filter(|open| tag == Iob2::Inside(open.kind)) {
                open.bytes.end = bytes.end;
                open.words += 1;
                open.sum += probability;
                continue;
            }
            self.close(labels);
            if let Iob2::Begin(kind) | Iob2::Inside(kind) = tag {
                self.open = Some(Entity { kind, bytes: bytes.clone(), words: 1, sum: probability });
            }
        }
    }

    /// Ends the open entity; drops it if its tokens cover no text (a lone white-space token).
    pub(super) fn close(&mut self, labels: &LabelSet) {
        let Some(Entity { kind, bytes, words, sum }) = self.open.take() else { return };
        if !bytes.is_empty() {
            let label = labels.entity_types()[kind].clone();
            let (score, source) = (sum / words as f32, AnnotationSource::Model);
            self.found.push(Annotation { bytes, label, score, source, concept_ids: Vec::new() });
        }
    }

    /// All entities, in text order.
    pub(super) fn into_annotations(self) -> Vec<Annotation> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [&str; 5] = ["O", "B-D", "I-D", "B-G", "I-G"];

    /// The annotations of words three bytes apart, as (start, end, label, score in percent).
    fn spans(names: &[&str]) -> Vec<(usize, usize, String, u32)> {
        let labels =
            LabelSet::from_id2label(&LABELS.iter().map(|name| (*name).to_owned()).enumerate().collect()).unwrap();
        let chosen: Vec<_> = names.iter().map(|name| LABELS.iter().position(|label| label == name).unwrap()).collect();
        // The first word has a probability of 50%, each further one 10% less.
        let probabilities = (0..names.len()).flat_map(|word| [0.5 - 0.1 * word as f32; 5]).collect();
        let bytes = (0..names.len()).map(|word| 3 * word..3 * word + 2).collect();
        let words = Words { bytes, probabilities, labels: 5 };
        let flat =
            |found: Annotation| (found.bytes.start, found.bytes.end, found.label, (found.score * 100.0).round() as u32);
        let mut entities = Entities::default();
        entities.add(&words, &chosen, &labels);
        entities.close(&labels);
        entities.into_annotations().into_iter().map(flat).collect()
    }

    #[test]
    fn an_entity_spans_its_words_and_its_score_is_their_mean() {
        assert_eq!(spans(&["B-D", "I-D", "I-D", "O"]), [(0, 8, "D".to_owned(), 40)]);
    }

    #[test]
    fn a_begin_tag_or_another_type_begins_an_entity() {
        let expected = [(0, 2, "D".to_owned(), 50), (3, 5, "D".to_owned(), 40), (6, 8, "G".to_owned(), 30)];
        assert_eq!(spans(&["B-D", "B-D", "I-G"]), expected);
        assert_eq!(spans(&["O", "I-D"]), [(3, 5, "D".to_owned(), 40)]);
        assert!(spans(&["O", "O"]).is_empty());
    }
}
