//! Cuts a text into sentences, close to the published IOB files of NCBI Disease.
//!
//! A sentence ends at `.`, `?` or `!`, with closing quotes and brackets, before white space; not inside balanced
//! brackets (`(ref. 3)`), not after an abbreviation (`e.g.`), not before a lower-case letter (`E. coli`), and never inside a
//! mention. A title ends a sentence whatever its last character.

use std::ops::Range;

/// Brackets that hold more than this many bytes are taken for two strays, and do not keep sentences together.
const LONGEST_BRACKET: usize = 500;

/// Words whose full stop is not the end of a sentence, in lower case without it.
const ABBREVIATIONS: &[&str] = &[
    "al", "approx", "ca", "cf", "dr", "e.g", "eg", "eq", "etc", "fig", "figs", "i.e", "ie", "no", "nos", "ref", "refs",
    "resp", "st", "viz", "vs",
];

/// The sentences of a text, without the space around them.
///
/// `borders` are byte offsets where a sentence ends whatever stands there (the ends of passages). No sentence ends
/// inside one of `whole`, the mentions.
pub fn sentences(text: &str, borders: &[usize], whole: &[Range<usize>]) -> Vec<Range<usize>> {
    let brackets = brackets(text, borders);
    let inside =
        |ranges: &[Range<usize>], byte: usize| ranges.iter().any(|range| range.start < byte && byte < range.end);
    let mut ends: Vec<usize> = stops(text)
        .filter(|&(stop, end)| !inside(&brackets, stop + 1) && ends_here(text, stop, end))
        .map(|(_, end)| end)
        .collect();
    ends.extend(borders.iter().copied().filter(|&border| 0 < border && border < text.len()));
    ends.sort_unstable();
    ends.retain(|&end| !inside(whole, end));
    ends.push(text.len());
    let mut start = 0;
    let pieces = ends.into_iter().map(|end| {
        let piece = trim(text, start..end.max(start));
        start = end.max(start);
        piece
    });
    pieces.filter(|piece| !piece.is_empty()).collect()
}

/// Leaves the white space at both ends out of a range.
pub(crate) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    start..(start + piece.trim().len())
}

/// Where a sentence may end: the stop itself, and the white space after it and what closes with it.
fn stops(text: &str) -> impl Iterator<Item = (usize, usize)> {
    text.match_indices(['.', '?', '!']).filter_map(|(stop, _)| {
        let rest = &text[stop + 1..];
        let closed = rest.trim_start_matches(['.', '?', '!', '"', '\'', ')', ']', '”', '’']);
        closed.starts_with(char::is_whitespace).then(|| (stop, text.len() - closed.len()))
    })
}

fn ends_here(text: &str, stop: usize, end: usize) -> bool {
    let next = text[end..].trim_start().chars().next();
    let word = text[..stop].rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = word.trim_start_matches(['(', '[']).to_lowercase();
    !next.is_some_and(char::is_lowercase) && !ABBREVIATIONS.contains(&word.as_str())
}

/// Outermost balanced brackets that are short enough; none reaches across a border.
fn brackets(text: &str, borders: &[usize]) -> Vec<Range<usize>> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut borders = borders.iter().copied().peekable();
    for (byte, char) in text.char_indices().filter(|(_, char)| "([{)]}".contains(*char)) {
        while borders.next_if(|&border| border <= byte).is_some() {
            open.clear();
        }
        let opener = match char {
            ')' => '(',
            ']' => '[',
            '}' => '{',
            opener => {
                open.push((byte, opener));
                continue;
            }
        };
        if let Some(&(start, _)) = open.last().filter(|(_, last)| *last == opener) {
            open.pop();
            if byte - start <= LONGEST_BRACKET {
                found.retain(|inner| inner.start < start);
                found.push(start..byte + 1);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'a>(text: &'a str, borders: &[usize], whole: &[Range<usize>]) -> Vec<&'a str> {
        sentences(text, borders, whole).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn a_stop_before_white_space_ends_a_sentence() {
        assert_eq!(
            split("One is 0.5 g. Two!  \"Three.\" Four", &[], &[]),
            ["One is 0.5 g.", "Two!", "\"Three.\"", "Four"]
        );
        assert_eq!(split("  \n ", &[], &[]), [""; 0]);
    }

    #[test]
    fn brackets_abbreviations_and_lower_case_hold_a_sentence_together() {
        assert_eq!(split("A (ref. 3; Smith, J. K.) is. B", &[], &[]), ["A (ref. 3; Smith, J. K.) is.", "B"]);
        assert_eq!(
            split("By Doe et al. In mice, e.g. E. coli. So", &[], &[]),
            ["By Doe et al. In mice, e.g. E. coli.", "So"]
        );
        assert_eq!(split("1) One (of. Two. Three", &[], &[]), ["1) One (of.", "Two.", "Three"]);
    }

    #[test]
    fn a_mention_holds_a_sentence_together_even_across_a_border() {
        let text = "Of St. John disease. Next";
        assert_eq!(split("Q. Fever is. Next", &[], std::slice::from_ref(&(0..8))), ["Q. Fever is.", "Next"]);
        assert_eq!(split(text, &[2], &[]), ["Of", "St. John disease.", "Next"]);
        assert_eq!(split(text, &[2], std::slice::from_ref(&(0..19))), ["Of St. John disease.", "Next"]);
    }
}
