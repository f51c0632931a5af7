//! What a model reads at a time: consecutive whole sentences.

use std::num::NonZeroUsize;
use std::ops::Range;

use crate::Sentences;

/// Packs consecutive sentences into contexts of a bounded number of words; a longer sentence is its own context.
///
/// Words are separated by white space. Training, evaluation and runs share this rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packing {
    /// Words that still fit into the open context; `None` if the next sentence begins a new one.
    room: Option<usize>,
}

impl Packing {
    /// Takes the next sentence; true if it begins a context, which may have up to `words()` words.
    pub fn begins(&mut self, sentence: &str, words: impl FnOnce() -> usize) -> bool {
        let count = sentence.split_whitespace().count();
        let left = self.room.and_then(|room| room.checked_sub(count));
        self.room = Some(left.unwrap_or_else(|| words().saturating_sub(count)));
        left.is_none()
    }

    /// Ends the open context.
    pub fn end(&mut self) {
        self.room = None;
    }
}

/// The context that begins with the first sentence after a byte, as a byte range of the text. `None` if only white
/// space is left.
///
/// `borders` are those of [`Sentences::new`]; `after` is 0 or the end of the previous context.
///
/// ```
/// use pubtag_schemas::context_after;
///
/// let (text, four) = ("Of gout. It hurts. He walked again soon.", 4.try_into()?);
/// let first = context_after(text, &[], 0, four).map(|bytes| &text[bytes]);
/// assert_eq!(first, Some("Of gout. It hurts."));
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
pub fn context_after(text: &str, borders: &[usize], after: usize, words: NonZeroUsize) -> Option<Range<usize>> {
    let mut packing = Packing::default();
    let mut begins = |sentence: &Range<usize>| packing.begins(&text[sentence.clone()], || words.get());
    let mut sentences = Sentences::new(text, borders).after(after);
    let first = sentences.next()?;
    begins(&first);
    let last = sentences.take_while(|sentence| !begins(sentence)).last();
    Some(first.start..last.map_or(first.end, |last| last.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts<'a>(text: &'a str, borders: &[usize], words: usize) -> Vec<&'a str> {
        let words = NonZeroUsize::new(words).unwrap();
        let next = |before: &Range<usize>| context_after(text, borders, before.end, words);
        std::iter::successors(context_after(text, borders, 0, words), next).map(|bytes| &text[bytes]).collect()
    }

    #[test]
    fn whole_sentences_are_packed_up_to_the_limit() {
        let text = "One two. Three four five. Six.  Seven";
        assert_eq!(contexts(text, &[], 5), ["One two. Three four five.", "Six.  Seven"]);
        assert_eq!(contexts(text, &[], 6), ["One two. Three four five. Six.", "Seven"]);
        assert_eq!(contexts(text, &[], 100), [text]);
        assert_eq!(contexts(" \n", &[], 5), [""; 0]);
    }

    #[test]
    fn a_longer_sentence_stands_alone_and_is_not_cut() {
        assert_eq!(contexts("One. Two three four. Five.", &[], 2), ["One.", "Two three four.", "Five."]);
        assert_eq!(contexts("Two three four. Five.", &[], 3), ["Two three four.", "Five."]);
    }

    #[test]
    fn a_border_ends_a_sentence_and_not_a_context() {
        let text = "A title without a stop Then text. More";
        let title = "A title without a stop".len();
        assert_eq!(contexts(text, &[title, title + 1], 5), [&text[..title], "Then text. More"]);
        assert_eq!(contexts(text, &[title, title + 1], 7), ["A title without a stop Then text.", "More"]);
    }
}
