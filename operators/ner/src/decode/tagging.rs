//! Choosing the tag of each word.

use super::words::Words;
use crate::labels::Iob2;

/// The most probable label of each word; the first of ties.
pub(super) fn argmax(words: &Words) -> Vec<usize> {
    words.rows().map(most_probable).collect()
}

/// The label with the highest probability; the first of ties.
pub(crate) fn most_probable(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, label| if row[label] > row[best] { label } else { best })
}

/// Words to collect before looking for tags that are final.
const WAITING: usize = 256;

/// Finds the most probable valid IOB2 sequence word by word (Viterbi, 1967; a transition is either allowed or not).
#[derive(Debug)]
pub(super) struct Viterbi {
    /// Score of the best valid sequence that ends in each label; empty before the first word.
    scores: Vec<f64>,
    /// `[words, labels]` for words that are not final: the previous label on that sequence.
    before: Vec<usize>,
    labels: usize,
    /// Number of words at which to look again.
    look_at: usize,
}

impl Viterbi {
    pub(super) fn new(labels: usize) -> Self {
        Self { scores: Vec::new(), before: Vec::new(), labels, look_at: WAITING }
    }

    /// Processes new words and returns labels for the first words: all if these are the `last`, otherwise those that no later
    /// word can change. Words without a label must be passed again.
    pub(super) fn choose(&mut self, words: &Words, tags: &[Iob2], last: bool) -> Vec<usize> {
        for row in words.rows().skip(self.before.len() / self.labels) {
            self.step(row, tags);
        }
        if last {
            let chosen = self.best().map_or_else(Vec::new, |best| self.trace_back(best));
            (self.scores, self.before, self.look_at) = (Vec::new(), Vec::new(), WAITING);
            return chosen;
        }
        if words.count() < self.look_at {
            return Vec::new();
        }
        let settled = self.settled();
        self.before.drain(..settled.len() * self.labels);
        self.look_at = WAITING + 2 * (words.count() - settled.len());
        settled
    }

    fn step(&mut self, row: &[f32], tags: &[Iob2]) {
        let (scores, labels) = (&self.scores, self.labels);
        let best = |label: usize| {
            let reachable = (0..labels).filter(|&last| follows(tags[last], tags[label]));
            reachable.max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a)))
        };
        let start = |label: usize| (!matches!(tags[label], Iob2::Inside(_))).then_some(label);
        let step = |label: usize| {
            let first = scores.is_empty();
            let last = if first { start(label) } else { best(label) };
            let so_far = last.map_or(f64::NEG_INFINITY, |last| if first { 0.0 } else { scores[last] });
            (last.unwrap_or(label), so_far + f64::from(row[label].max(f32::MIN_POSITIVE)).ln())
        };
        let steps: Vec<_> = (0..labels).map(step).collect();
        self.before.extend(steps.iter().map(|(last, _)| last));
        self.scores = steps.into_iter().map(|(_, score)| score).collect();
    }

    /// The last label of the best sequence; the first of ties.
    fn best(&self) -> Option<usize> {
        let scores = &self.scores;
        (0..scores.len()).reduce(|best, label| if scores[label] > scores[best] { label } else { best })
    }

    /// The labels of the words so far, on the best sequence that ends in `label`.
    fn trace_back(&self, mut label: usize) -> Vec<usize> {
        let mut chosen = vec![0; self.before.len() / self.labels];
        for (word, place) in chosen.iter_mut().enumerate().rev() {
            *place = label;
            label = self.before[word * self.labels + label];
        }
        chosen
    }

    /// The common beginning of all sequences that can still become the best.
    fn settled(&self) -> Vec<usize> {
        let possible = (0..self.labels).filter(|&label| self.scores[label] > f64::NEG_INFINITY);
        let mut sequences = possible.map(|label| self.trace_back(label));
        let mut common = sequences.next().unwrap_or_default();
        for sequence in sequences {
            common.truncate(common.iter().zip(&sequence).take_while(|(one, other)| one == other).count());
        }
        common
    }
}

/// Whether IOB2 allows `next` after `last`: an inside tag only within an entity of its type.
fn follows(last: Iob2, next: Iob2) -> bool {
    match next {
        Iob2::Inside(_) if last == next => true,
        Iob2::Inside(kind) => last == Iob2::Begin(kind),
        Iob2::Outside | Iob2::Begin(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAGS: [Iob2; 5] = [Iob2::Outside, Iob2::Begin(0), Iob2::Inside(0), Iob2::Begin(1), Iob2::Inside(1)];

    fn words(rows: &[[f32; 5]]) -> Words {
        Words { bytes: vec![0..1; rows.len()], probabilities: rows.concat(), labels: 5 }
    }

    fn viterbi(words: &Words, tags: &[Iob2]) -> Vec<usize> {
        Viterbi::new(words.labels).choose(words, tags, true)
    }

    fn is_valid(chosen: &[usize]) -> bool {
        let tags = chosen.iter().map(|&label| TAGS[label]);
        let before = std::iter::once(Iob2::Outside).chain(tags.clone());
        before.zip(tags).all(|(last, next)| follows(last, next))
    }

    fn log_probability(chosen: &[usize], rows: &[[f32; 5]]) -> f64 {
        chosen.iter().zip(rows).map(|(&label, row)| f64::from(row[label]).ln()).sum()
    }

    #[test]
    fn an_inside_tag_after_outside_is_repaired_at_the_lowest_cost() {
        // Alone, the first word would be O and the second I.
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
