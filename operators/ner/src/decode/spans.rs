//! Tags into annotations.

use std::ops::Range;

use pubtag_schemas::Annotation;

use super::words::Words;
use crate::labels::{LabelSet, Tag};

/// Joins the words of each entity. An inside tag that follows nothing of its type begins an entity.
pub(super) fn annotations(words: &Words, chosen: &[usize], labels: &LabelSet) -> Vec<Annotation> {
    let mut found = Vec::new();
    let mut word = 0;
    while word < chosen.len() {
        let (Tag::Begin(kind) | Tag::Inside(kind)) = labels.tags()[chosen[word]] else {
            word += 1;
            continue;
        };
        let more = chosen[word + 1..].iter().take_while(|&&label| labels.tags()[label] == Tag::Inside(kind)).count();
        let entity = word..word + 1 + more;
        word = entity.end;
        found.extend(annotation(words, chosen, entity, &labels.entity_types()[kind]));
    }
    found
}

/// The annotation of an entity; none if its tokens stand for no text (a lone white-space token).
fn annotation(words: &Words, chosen: &[usize], entity: Range<usize>, label: &str) -> Option<Annotation> {
    let bytes = words.bytes[entity.start].start..words.bytes[entity.end - 1].end;
    let count = entity.len() as f32;
    let score = entity.map(|word| words.probability(word, chosen[word])).sum::<f32>() / count;
    (!bytes.is_empty()).then(|| Annotation { bytes, label: label.to_owned(), score })
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
        // The first word is certain by 50%, every further one by 10% less.
        let probabilities = (0..names.len()).flat_map(|word| [0.5 - 0.1 * word as f32; 5]).collect();
        let bytes = (0..names.len()).map(|word| 3 * word..3 * word + 2).collect();
        let words = Words { bytes, probabilities, labels: 5 };
        let flat =
            |found: Annotation| (found.bytes.start, found.bytes.end, found.label, (found.score * 100.0).round() as u32);
        annotations(&words, &chosen, &labels).into_iter().map(flat).collect()
    }

    #[test]
    fn an_entity_runs_from_its_first_word_to_its_last_and_scores_their_mean() {
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
