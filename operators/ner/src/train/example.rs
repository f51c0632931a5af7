//! Training examples: token ids, and the label that each token should get.

use std::ops::Range;
use std::sync::Arc;

use pubtag_schemas::{TokenSpan, TokenWindow};

use super::loss::Target;
use crate::LabelSet;
use crate::decode::most_probable;
use crate::error::ExamplesError;
use crate::labels::Iob2;

/// A window to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Token ids, special tokens included.
    pub ids: Vec<u32>,
    /// One entry per id: the label that the token should get, or `None` if it does not count.
    pub targets: Vec<Option<u32>>,
    /// Labels that a token with the target `O` may have in fact: those of types that its corpus does not annotate.
    pub unannotated: Arc<[u32]>,
    /// `[tokens with a target, labels]`: the probabilities that teachers give to the labels, learnt instead of the targets.
    /// Empty if the targets come from a corpus.
    pub taught: Vec<f32>,
}

impl Example {
    /// A window that is only scored: nothing is learnt from it.
    pub fn unlabelled(window: &TokenWindow) -> Self {
        Self {
            ids: window.ids.clone(),
            targets: vec![None; window.ids.len()],
            unannotated: [].into(),
            taught: Vec::new(),
        }
    }

    /// A window of a text that teachers read. `row` gives the probabilities of the labels of a word that begins at a byte of
    /// the text; a word without them is not learnt.
    pub fn taught<'a>(window: TokenWindow, row: impl Fn(usize) -> Option<&'a [f32]>) -> Self {
        let (mut targets, mut taught) = (vec![None; window.ids.len()], Vec::new());
        let mut word = None;
        for (target, span) in targets.iter_mut().zip(&window.spans) {
            let Some(span) = span else { continue };
            let begins = word.replace(span.word) != Some(span.word);
            if let Some(row) = begins.then(|| row(span.bytes().start)).flatten() {
                *target = u32::try_from(most_probable(row)).ok();
                taught.extend_from_slice(row);
            }
        }
        Self { ids: window.ids, targets, unannotated: [].into(), taught }
    }

    /// What each token should learn; `outside` is the label `O`.
    pub(super) fn targets(&self, outside: u32, labels: usize) -> impl Iterator<Item = Option<Target<'_>>> {
        let mut rows = self.taught.chunks_exact(labels);
        let mut target = move |label: u32| match rows.next() {
            Some(row) => Target::Probabilities(row),
            None if label == outside => Target::Label { label, alternatives: &self.unannotated },
            None => Target::Label { label, alternatives: &[] },
        };
        self.targets.iter().map(move |label| label.map(&mut target))
    }
}

/// Returns the examples of an epoch, counted from 0; always the same ones for the same epoch. Epochs may differ in their
/// number of examples.
///
/// # Errors
/// If the examples cannot be made; this ends the run.
pub type Examples<'a, E = Example> = dyn FnMut(usize) -> Result<Vec<E>, ExamplesError> + 'a;

/// Which tokens of a word learn its label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelTokens {
    /// The first, the only one that tagging by the first token reads.
    #[default]
    First,
    /// All; those after the first are inside where the first begins a mention.
    All,
}

/// How mentions become the labels of tokens.
#[derive(Clone, Copy, Debug)]
pub struct Labelling<'a> {
    /// The labels to learn.
    pub labels: &'a LabelSet,
    /// Which tokens learn them.
    pub tokens: LabelTokens,
}

impl Labelling<'_> {
    /// The example of a window of a text with these mentions: bytes and type, in text order, without overlaps.
    pub fn example(self, window: TokenWindow, mentions: &[(Range<usize>, String)], unannotated: Arc<[u32]>) -> Example {
        let targets = self.targets(&window, mentions);
        Example { ids: window.ids, targets, unannotated, taught: Vec::new() }
    }

    /// The labels of all types but these.
    pub fn unannotated(self, annotated: &[String]) -> Arc<[u32]> {
        let missing = |tag: &Iob2| match tag {
            Iob2::Outside => false,
            Iob2::Begin(kind) | Iob2::Inside(kind) => !annotated.contains(&self.labels.entity_types()[*kind]),
        };
        (0_u32..).zip(self.labels.tags()).filter(|(_, tag)| missing(tag)).map(|(label, _)| label).collect()
    }

    fn targets(self, window: &TokenWindow, mentions: &[(Range<usize>, String)]) -> Vec<Option<u32>> {
        let mut targets = vec![None; window.ids.len()];
        let mut at = 0;
        while at < window.spans.len() {
            let Some(first) = window.spans[at] else {
                at += 1;
                continue;
            };
            let same_word = |span: &&Option<TokenSpan>| span.is_some_and(|span| span.word == first.word);
            let end = at + window.spans[at..].iter().take_while(same_word).count();
            let last = window.spans[end - 1].unwrap_or(first);
            let (tag, inside) = self.word_tags(first.bytes().start..last.bytes().end, mentions);
            targets[at] = self.label(tag);
            if self.tokens == LabelTokens::All {
                targets[at + 1..end].fill(self.label(inside));
            }
            at = end;
        }
        targets
    }

    /// The tag of a word's first token, and that of its other tokens.
    fn word_tags(self, word: Range<usize>, mentions: &[(Range<usize>, String)]) -> (Iob2, Iob2) {
        let next = mentions.partition_point(|(bytes, _)| bytes.end <= word.start);
        let Some((bytes, name)) = mentions.get(next).filter(|(bytes, _)| bytes.start < word.end) else {
            return (Iob2::Outside, Iob2::Outside);
        };
        match self.labels.entity_types().iter().position(|known| known == name) {
            Some(kind) if word.start <= bytes.start => (Iob2::Begin(kind), Iob2::Inside(kind)),
            Some(kind) => (Iob2::Inside(kind), Iob2::Inside(kind)),
            None => (Iob2::Outside, Iob2::Outside),
        }
    }

    fn label(self, tag: Iob2) -> Option<u32> {
        self.labels.tags().iter().position(|known| *known == tag).and_then(|at| u32::try_from(at).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> LabelSet {
        let names = ["O", "B-Disease", "I-Disease", "B-Gene"];
        LabelSet::from_id2label(&names.map(str::to_owned).into_iter().enumerate().collect()).unwrap()
    }

    /// The window of `[CLS] hunting ##ton disease of mice [SEP]`.
    fn window() -> TokenWindow {
        let token = |(start_byte, end_byte, word)| Some(TokenSpan { start_byte, end_byte, word });
        let tokens = [(0, 7, 0), (7, 10, 0), (11, 18, 1), (19, 21, 2), (22, 26, 3)].map(token);
        let spans: Vec<_> = [None].into_iter().chain(tokens).chain([None]).collect();
        TokenWindow { ids: vec![9; spans.len()], spans, first_token: 0, context: 0 }
    }

    fn targets(tokens: LabelTokens, mentions: &[(Range<usize>, String)]) -> Vec<Option<u32>> {
        let labels = labels();
        Labelling { labels: &labels, tokens }.example(window(), mentions, [].into()).targets
    }

    #[test]
    fn the_first_token_of_each_word_learns_its_tag() {
        let mentions = [(0..18, "Disease".to_owned())];
        assert_eq!(targets(LabelTokens::First, &mentions), [None, Some(1), None, Some(2), Some(0), Some(0), None]);
        assert_eq!(targets(LabelTokens::All, &mentions), [None, Some(1), Some(2), Some(2), Some(0), Some(0), None]);
    }

    #[test]
    fn an_unknown_type_is_outside_and_a_type_without_inside_label_has_no_target_there() {
        assert_eq!(targets(LabelTokens::First, &[(0..18, "Drug".to_owned())])[1..4], [Some(0), None, Some(0)]);
        assert_eq!(targets(LabelTokens::First, &[(0..18, "Gene".to_owned())])[1..4], [Some(3), None, None]);
    }

    #[test]
    fn the_labels_of_types_that_a_corpus_lacks_are_unannotated() {
        let labels = labels();
        let labelling = Labelling { labels: &labels, tokens: LabelTokens::First };
        assert_eq!(*labelling.unannotated(&["Gene".to_owned()]), [1, 2]);
        assert_eq!(*labelling.unannotated(&[]), [1, 2, 3]);
    }

    #[test]
    fn a_taught_window_has_a_row_for_the_first_token_of_each_word_that_was_read() {
        let rows = |byte| match byte {
            0 => Some(&[0.1_f32, 0.7, 0.1, 0.1][..]),
            11 => Some(&[0.2, 0.1, 0.6, 0.1][..]),
            22 => Some(&[0.9, 0.1, 0.0, 0.0][..]),
            _ => None,
        };
        let example = Example::taught(window(), rows);
        assert_eq!(example.targets, [None, Some(1), None, Some(2), None, Some(0), None]);
        let read: Vec<_> = example.targets(0, 4).collect();
        let expected = [None, Some(0), None, Some(11), None, Some(22), None];
        for (target, byte) in read.iter().zip(expected) {
            match (target, byte) {
                (Some(Target::Probabilities(row)), Some(byte)) => assert_eq!(Some(*row), rows(byte)),
                (None, None) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_unlabelled_window_has_no_targets() {
        assert!(Example::unlabelled(&window()).targets.iter().all(Option::is_none));
    }
}
