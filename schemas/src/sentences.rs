//! Splits a text into sentences, close to the published IOB files of NCBI Disease.
//!
//! A sentence ends at `.`, `?` or `!`, including closing quotes and brackets, before white space; not inside balanced
//! brackets (`(ref. 3)`), not after an abbreviation (`e.g.`), not before a lower-case letter (`E. coli`), and never inside
//! a mention. A title always ends a sentence.

use std::collections::VecDeque;
use std::ops::Range;

/// Brackets further apart than this many bytes are treated as unbalanced and do not keep sentences together.
const LONGEST_BRACKET: usize = 500;

/// Words whose full stop does not end a sentence, in lower case and without it.
const ABBREVIATIONS: &[&str] = &[
    "al", "approx", "ca", "cf", "dr", "e.g", "eg", "eq", "etc", "fig", "figs", "i.e", "ie", "no", "nos", "ref", "refs",
    "resp", "st", "viz", "vs",
];

/// Characters that may follow a stop before the white space.
const CLOSERS: [char; 9] = ['.', '?', '!', '"', '\'', ')', ']', '”', '’'];

/// The sentences of a text in order, without surrounding space.
///
/// *Memory*: the stops and brackets of the last 500 bytes, regardless of the text's length. *Time*: linear.
///
/// ```
/// use pubtag_schemas::Sentences;
///
/// let text = "Of gout. We saw 3 cases (e.g. Smith). None died.";
/// let sentences: Vec<_> = Sentences::new(text, &[]).map(|bytes| &text[bytes]).collect();
/// assert_eq!(sentences, ["Of gout.", "We saw 3 cases (e.g. Smith).", "None died."]);
/// ```
#[derive(Clone, Debug)]
pub struct Sentences<'a> {
    text: &'a str,
    /// Borders not yet reached.
    borders: &'a [usize],
    whole: Whole,
    /// The first byte of the next sentence.
    start: usize,
    /// End of what has been scanned.
    scanned: usize,
    /// Open brackets that may still close, the outermost first.
    open: VecDeque<(usize, u8)>,
    /// Ends found so far; they may still turn out to be inside brackets.
    found: VecDeque<End>,
    /// The last run of stops and closers.
    run: Run,
}

/// Where a sentence may end.
#[derive(Clone, Copy, Debug)]
struct End {
    /// The stop; `None` for a border, which ends a sentence even inside brackets.
    stop: Option<usize>,
    byte: usize,
}

/// A run of stops and closers.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    end: usize,
    /// It is followed by white space, and then not by a lower-case letter.
    ends_sentence: bool,
}

impl<'a> Sentences<'a> {
    /// Splits a text. `borders` are byte offsets, ascending, where a sentence always ends: the starts and ends of its
    /// sections.
    pub fn new(text: &'a str, borders: &'a [usize]) -> Self {
        Self {
            text,
            borders,
            whole: Whole::default(),
            start: 0,
            scanned: 0,
            open: VecDeque::new(),
            found: VecDeque::new(),
            run: Run::default(),
        }
    }

    /// Continues after the sentence that ends at a byte, with the same result as splitting from the start.
    #[must_use]
    pub fn after(mut self, end: usize) -> Self {
        (self.start, self.scanned) = (end, end);
        self.borders = &self.borders[self.borders.partition_point(|&border| border <= end)..];
        self
    }

    /// Never ends a sentence inside one of these ranges: the mentions of an annotated text.
    #[must_use]
    pub fn keeping(mut self, mut whole: Vec<Range<usize>>) -> Self {
        whole.sort_unstable_by_key(|range| range.start);
        self.whole = Whole { ranges: whole, passed: 0, reach: 0 };
        self
    }

    /// The next end, including that of the text; then `None`.
    fn next_end(&mut self) -> Option<usize> {
        loop {
            let done = self.scanned >= self.text.len();
            let settled = |end: &End| done || end.stop.is_none_or(|stop| stop + LONGEST_BRACKET < self.scanned);
            if let Some(end) = self.found.front().copied().filter(settled) {
                self.found.pop_front();
                if !self.whole.holds(end.byte) {
                    return Some(end.byte);
                }
            } else if done {
                return (self.start < self.text.len()).then_some(self.text.len());
            } else {
                self.scan();
            }
        }
    }

    /// Scans up to the next stop, bracket or border.
    fn scan(&mut self) {
        let bytes = self.text.as_bytes();
        let marks = |byte: &u8| matches!(byte, b'.' | b'?' | b'!' | b'(' | b'[' | b'{' | b')' | b']' | b'}');
        let mark = bytes[self.scanned..].iter().position(marks).map_or(bytes.len(), |at| self.scanned + at);
        if let Some((&border, rest)) = self.borders.split_first().filter(|(border, _)| **border <= mark) {
            self.borders = rest;
            self.scanned = self.scanned.max(border);
            self.open.clear();
            if 0 < border && border < bytes.len() {
                while self.found.back().is_some_and(|end| end.byte > border) {
                    self.found.pop_back();
                }
                self.found.push_back(End { stop: None, byte: border });
            }
            return;
        }
        self.scanned = mark + 1;
        match bytes.get(mark) {
            Some(b'.' | b'?' | b'!') => self.stop(mark),
            Some(&opener @ (b'(' | b'[' | b'{')) => self.open(mark, opener),
            Some(b')') => self.close(mark, b'('),
            Some(b']') => self.close(mark, b'['),
            Some(b'}') => self.close(mark, b'{'),
            _ => {}
        }
    }

    fn stop(&mut self, stop: usize) {
        if stop >= self.run.end {
            let rest = self.text[stop + 1..].trim_start_matches(CLOSERS);
            let next = rest.trim_start();
            let ends_sentence = next.len() < rest.len() && !next.starts_with(char::is_lowercase);
            self.run = Run { end: self.text.len() - rest.len(), ends_sentence };
        }
        if self.run.ends_sentence && !is_abbreviation(&self.text[..stop]) {
            self.found.push_back(End { stop: Some(stop), byte: self.run.end });
        }
    }

    fn open(&mut self, byte: usize, opener: u8) {
        while self.open.front().is_some_and(|(start, _)| start + LONGEST_BRACKET < byte) {
            self.open.pop_front();
        }
        self.open.push_back((byte, opener));
    }

    /// Drops the ends found inside a pair of brackets.
    fn close(&mut self, byte: usize, opener: u8) {
        let Some(&(start, _)) = self.open.back().filter(|(_, last)| *last == opener) else { return };
        self.open.pop_back();
        if byte - start <= LONGEST_BRACKET {
            while self.found.back().and_then(|end| end.stop).is_some_and(|stop| start < stop) {
                self.found.pop_back();
            }
        }
    }
}

impl Iterator for Sentences<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let end = self.next_end()?.max(self.start);
            let sentence = trimmed(self.text, self.start..end);
            self.start = end;
            if !sentence.is_empty() {
                return Some(sentence);
            }
        }
    }
}

/// Ranges inside which no sentence ends; queried in ascending order.
#[derive(Clone, Debug, Default)]
struct Whole {
    /// Sorted by start.
    ranges: Vec<Range<usize>>,
    /// How many of them start before the last queried byte.
    passed: usize,
    /// The furthest end of those.
    reach: usize,
}

impl Whole {
    fn holds(&mut self, byte: usize) -> bool {
        while let Some(range) = self.ranges.get(self.passed).filter(|range| range.start < byte) {
            self.reach = self.reach.max(range.end);
            self.passed += 1;
        }
        byte < self.reach
    }
}

/// Whether a text ends with an abbreviation, with or without an opening bracket before it.
fn is_abbreviation(text: &str) -> bool {
    let bytes = text.as_bytes();
    ABBREVIATIONS.iter().any(|word| {
        let start = bytes.len().checked_sub(word.len());
        start.is_some_and(|start| {
            bytes[start..].eq_ignore_ascii_case(word.as_bytes())
                && text[..start].trim_end_matches(['(', '[']).chars().next_back().is_none_or(char::is_whitespace)
        })
    })
}

/// Trims white space from both ends of a range.
pub fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    start..(start + piece.trim().len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split<'a>(text: &'a str, borders: &[usize], whole: &[Range<usize>]) -> Vec<&'a str> {
        Sentences::new(text, borders).keeping(whole.to_vec()).map(|range| &text[range]).collect()
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
        assert_eq!(split("By (Fig. 3). Not ((etc. But al. X", &[], &[]), ["By (Fig. 3).", "Not ((etc. But al. X"]);
    }

    #[test]
    fn a_mention_holds_a_sentence_together_even_across_a_border() {
        let text = "Of St. John disease. Next";
        assert_eq!(split("Q. Fever is. Next", &[], std::slice::from_ref(&(0..8))), ["Q. Fever is.", "Next"]);
        assert_eq!(split(text, &[2], &[]), ["Of", "St. John disease.", "Next"]);
        assert_eq!(split(text, &[2], std::slice::from_ref(&(0..19))), ["Of St. John disease.", "Next"]);
    }

    #[test]
    fn brackets_too_long_or_across_a_border_hold_nothing_together() {
        let long = format!("(One. {} Two). Three", "X ".repeat(LONGEST_BRACKET / 2));
        assert_eq!(split(&long, &[], &[])[0], "(One.");
        assert_eq!(split("(One. Two) is. B", &[2], &[]), ["(O", "ne.", "Two) is.", "B"]);
    }

    #[test]
    fn hostile_texts_take_linear_time() {
        // Each took minutes when runs of marks and spaces were rescanned from every mark.
        for piece in [".", "(", "()", ". ", "(.", ".\u{201d}", "al.", "[al. "] {
            let text = piece.repeat(1_000_000);
            let bytes: usize = Sentences::new(&text, &[]).map(|sentence| sentence.len()).sum();
            assert!(bytes <= text.len());
        }
        let stops_then_space = format!("{}{}.", ".".repeat(1_000_000), " ".repeat(1_000_000));
        assert_eq!(Sentences::new(&stops_then_space, &[]).count(), 2);
    }

    proptest! {
        #[test]
        fn sentences_cover_the_text_in_order_and_can_be_resumed_after_each(
            text in "([a-zA-Z]{1,3}|[.?!]|\\(|\\)|\\[|\\]|é|”| ){0,80}", borders in prop::collection::vec(0_usize..80, 0..4),
        ) {
            let mut borders: Vec<usize> = borders.into_iter().map(|at| text.floor_char_boundary(at)).collect();
            borders.sort_unstable();
            let all: Vec<_> = Sentences::new(&text, &borders).collect();
            let mut end = 0;
            for sentence in &all {
                prop_assert!(text[end..sentence.start].trim().is_empty());
                prop_assert_eq!(text[sentence.clone()].trim(), &text[sentence.clone()]);
                end = sentence.end;
            }
            prop_assert!(text[end..].trim().is_empty());
            for (at, sentence) in all.iter().enumerate() {
                prop_assert!(Sentences::new(&text, &borders).after(sentence.end).eq(all[at + 1..].iter().cloned()));
            }
        }
    }
}
