//! Which tag each word gets.

use super::words::Words;
use crate::labels::Tag;

/// The most probable label of each word; the first of equals.
pub(super) fn argmax(words: &Words) -> Vec<usize> {
    let best = |row: &[f32]| (1..row.len()).fold(0, |best, label| if row[label] > row[best] { label } else { best });
    words.rows().map(best).collect()
}

/// The most probable sequence of labels that is valid IOB2 (Viterbi, 1967; a transition is allowed or not).
pub(super) fn viterbi(words: &Words, tags: &[Tag]) -> Vec<usize> {
    let labels = tags.len();
    let mut scores = vec![0.0_f64; labels]; // of the best valid sequence that ends in each label
    let mut before: Vec<usize> = Vec::with_capacity(words.bytes.len() * labels); // the label before, on that sequence
    for (word, row) in words.rows().enumerate() {
        let best = |label: usize| {
            let reachable = (0..labels).filter(|&last| follows(tags[last], tags[label]));
            reachable.max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a)))
        };
        let start = |label: usize| (!matches!(tags[label], Tag::Inside(_))).then_some(label);
        let step = |label: usize| {
            let last = if word == 0 { start(label) } else { best(label) };
            let so_far = last.map_or(f64::NEG_INFINITY, |last| scores[last]);
            (last.unwrap_or(label), so_far + f64::from(row[label].max(f32::MIN_POSITIVE)).ln())
        };
        let steps: Vec<_> = (0..labels).map(step).collect();
        before.extend(steps.iter().map(|(last, _)| last));
        scores = steps.into_iter().map(|(_, score)| score).collect();
    }
    trace_back(&scores, &before)
}

/// Whether IOB2 allows `next` after `last`: an inside tag only within an entity of its type.
fn follows(last: Tag, next: Tag) -> bool {
    match next {
        Tag::Inside(_) if last == next => true,
        Tag::Inside(kind) => last == Tag::Begin(kind),
        Tag::Outside | Tag::Begin(_) => true,
    }
}

fn trace_back(scores: &[f64], before: &[usize]) -> Vec<usize> {
    let labels = scores.len();
    let mut label = (1..labels).fold(0, |best, label| if scores[label] > scores[best] { label } else { best });
    let mut chosen = vec![0; before.len() / labels];
    for (word, place) in chosen.iter_mut().enumerate().rev() {
        *place = label;
        label = before[word * labels + label];
    }
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAGS: [Tag; 5] = [Tag::Outside, Tag::Begin(0), Tag::Inside(0), Tag::Begin(1), Tag::Inside(1)];

    fn words(rows: &[[f32; 5]]) -> Words {
        Words { bytes: vec![0..1; rows.len()], probabilities: rows.concat(), labels: 5 }
    }

    fn is_valid(chosen: &[usize]) -> bool {
        let tags = chosen.iter().map(|&label| TAGS[label]);
        let before = std::iter::once(Tag::Outside).chain(tags.clone());
        before.zip(tags).all(|(last, next)| follows(last, next))
    }

    fn log_probability(chosen: &[usize], rows: &[[f32; 5]]) -> f64 {
        chosen.iter().zip(rows).map(|(&label, row)| f64::from(row[label]).ln()).sum()
    }

    #[test]
    fn an_inside_tag_after_outside_is_mended_at_the_least_cost() {
        // By itself the first word is O, the second I.
        let rows = [[0.5, 0.4, 0.1, 0.0, 0.0], [0.1, 0.1, 0.8, 0.0, 0.0]];
        assert_eq!(argmax(&words(&rows)), [0, 2]);
        assert_eq!(viterbi(&words(&rows), &TAGS), [1, 2]);
    }

    #[test]
    fn an_inside_tag_of_another_type_is_never_chosen() {
        let rows = [[0.0, 0.9, 0.0, 0.1, 0.0], [0.1, 0.0, 0.2, 0.0, 0.7]];
        assert_eq!(viterbi(&words(&rows), &TAGS), [1, 2]);
    }

    #[test]
    fn no_words_give_no_tags() {
        assert!(viterbi(&words(&[]), &TAGS).is_empty());
        assert!(argmax(&words(&[])).is_empty());
    }

    fn all_sequences(length: usize) -> impl Iterator<Item = Vec<usize>> {
        (0..5_usize.pow(u32::try_from(length).unwrap()))
            .map(move |mut number| {
                let digit = |_| {
                    let label = number % 5;
                    number /= 5;
                    label
                };
                (0..length).map(digit).collect::<Vec<_>>()
            })
            .filter(|sequence| is_valid(sequence))
    }

    proptest! {
        #[test]
        fn viterbi_finds_the_best_of_all_valid_sequences(
            rows in prop::collection::vec(prop::array::uniform5(0.01_f32..1.0), 1..5),
        ) {
            let chosen = viterbi(&words(&rows), &TAGS);
            prop_assert!(is_valid(&chosen));
            let best = all_sequences(rows.len()).map(|other| log_probability(&other, &rows)).fold(f64::MIN, f64::max);
            prop_assert!((log_probability(&chosen, &rows) - best).abs() < 1e-9);
        }

        #[test]
        fn viterbi_is_argmax_where_argmax_is_valid(
            rows in prop::collection::vec(prop::array::uniform5(0.01_f32..1.0), 1..20),
        ) {
            let simple = argmax(&words(&rows));
            if is_valid(&simple) {
                prop_assert_eq!(viterbi(&words(&rows), &TAGS), simple);
            }
        }
    }
}
