//! Character and byte offsets of a document, pieces of mentions, and the check of a mention against its offsets.

use std::ops::Range;

use pubtag_schemas::Mention;

/// Converts character offsets (Unicode code points) to byte offsets in constant time.
#[derive(Clone, Debug)]
pub(crate) struct CharIndex {
    /// Byte offset of each character and of the end; `None` for ASCII, where both are the same.
    starts: Option<Vec<usize>>,
    bytes: usize,
}

impl CharIndex {
    pub(crate) fn new(text: &str) -> Self {
        let starts = (!text.is_ascii())
            .then(|| text.char_indices().map(|(byte, _)| byte).chain(std::iter::once(text.len())).collect::<Vec<_>>());
        Self { starts, bytes: text.len() }
    }

    /// The byte offset of a character, or `None` past the end.
    pub(crate) fn byte(&self, char: usize) -> Option<usize> {
        match &self.starts {
            Some(starts) => starts.get(char).copied(),
            None => (char <= self.bytes).then_some(char),
        }
    }

    /// The bytes of a range of characters; `None` if it is reversed or past the end.
    pub(crate) fn bytes(&self, chars: Range<usize>) -> Option<Range<usize>> {
        (chars.start <= chars.end).then_some(())?;
        Some(self.byte(chars.start)?..self.byte(chars.end)?)
    }

    /// The character at a byte offset; for a byte inside a character, the next one.
    pub(crate) fn char(&self, byte: usize) -> usize {
        match &self.starts {
            Some(starts) => starts.partition_point(|&start| start < byte),
            None => byte,
        }
    }
}

/// How the wording of a mention matches the text at its offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// They are equal.
    Exact,
    /// They differ only in white space.
    Space,
    /// They differ; with an explanation.
    None(String),
}

/// Compares the wording of a mention with the text at its offsets.
pub(crate) fn fit(text: &str, index: &CharIndex, bytes: &Range<usize>, wording: &str) -> Fit {
    let there = &text[bytes.clone()];
    if there == wording {
        return Fit::Exact;
    }
    if !there.trim().is_empty() && there.split_whitespace().eq(wording.split_whitespace()) {
        return Fit::Space;
    }
    let chars = index.char(bytes.start)..index.char(bytes.end);
    let found = nearest(text, bytes.start, wording).map_or("the text does not contain it".to_owned(), |byte| {
        format!("the nearest occurrence is at {}", index.char(byte))
    });
    Fit::None(format!(
        "mention {wording:?} at {}-{} does not match the text there, {there:?}; {found}",
        chars.start, chars.end
    ))
}

fn nearest(text: &str, byte: usize, wording: &str) -> Option<usize> {
    let places = (!wording.is_empty()).then(|| text.match_indices(wording).map(|(place, _)| place))?;
    places.min_by_key(|place| place.abs_diff(byte))
}

/// The extent of a mention and its gaps, from its pieces. A gap that is only a line break does not count.
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

/// The text of the pieces of a mention, joined by spaces.
pub(crate) fn wording_at(text: &str, mention: &Mention) -> String {
    mention.pieces().map(|piece| &text[piece]).collect::<Vec<_>>().join(" ")
}

/// Whether two wordings of a discontinuous mention differ only in how they mark gaps (` ... `, ` [...] `).
pub(crate) fn same_pieces(one: &str, other: &str) -> bool {
    let words = |text: &str| -> String {
        text.split_whitespace().filter(|word| !matches!(*word, "..." | "[...]" | "…")).collect()
    };
    words(one) == words(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_bytes_convert_both_ways() {
        let text = "aé𝛽z";
        let index = CharIndex::new(text);
        assert_eq!((0..5).map(|c| index.byte(c)).collect::<Vec<_>>(), [Some(0), Some(1), Some(3), Some(7), Some(8)]);
        assert_eq!(index.byte(5), None);
        assert_eq!(index.bytes(1..3), Some(1..7));
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = index.bytes(3..1);
        assert_eq!(reversed, None);
        assert_eq!(index.char(7), 3);
        assert_eq!(CharIndex::new("abc").byte(3), Some(3));
        assert_eq!(CharIndex::new("abc").byte(4), None);
    }

    #[test]
    fn a_misplaced_mention_is_reported_with_its_nearest_occurrence() {
        let text = "an ataxia of ataxia type";
        let index = CharIndex::new(text);
        assert_eq!(fit(text, &index, &(3..9), "ataxia"), Fit::Exact);
        assert_eq!(fit(text, &index, &(3..9), "ataxia  "), Fit::Space);
        let Fit::None(why) = fit(text, &index, &(12..18), "ataxia") else { panic!("must not fit") };
        assert!(why.contains("12-18") && why.ends_with("is at 13"), "{why}");
    }
}
