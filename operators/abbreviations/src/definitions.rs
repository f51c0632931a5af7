//! Finds definitions of abbreviations: `long form (SHORT)` and `SHORT (long form)`.
//!
//! The algorithm is that of A. Schwartz and M. Hearst, "A simple algorithm for identifying abbreviation definitions in
//! biomedical text", Pacific Symposium on Biocomputing 8 (2003), 451–462. Beyond the paper, square brackets count like
//! round ones, and brackets within a long form must be balanced.

use std::ops::Range;

use crate::brackets::Brackets;
use crate::long_form::{REACH, long_form, window};

/// Length of a short form in characters.
const SHORT_FORM_CHARS: std::ops::RangeInclusive<usize> = 2..=10;
/// Maximum words of a short form.
const SHORT_FORM_WORDS: usize = 2;

/// A definition: two byte ranges (UTF-8) of a text, on character boundaries, that do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The long form (`Huntington disease`).
    pub long: Range<usize>,
    /// The short form (`HD`).
    pub short: Range<usize>,
}

/// Finds the definitions in a text, in the order of their brackets.
///
/// ```
/// use pubtag_abbreviations::definitions;
///
/// let text = "Mutations in Huntington disease (HD) and in SMA (spinal muscular atrophy).";
/// let pairs: Vec<_> = definitions(text).into_iter().map(|d| (&text[d.short], &text[d.long])).collect();
/// assert_eq!(pairs, [("HD", "Huntington disease"), ("SMA", "spinal muscular atrophy")]);
/// ```
pub fn definitions(text: &str) -> Vec<Definition> {
    text.match_indices(['(', '[']).filter_map(|(open, _)| at_bracket(text, open)).collect()
}

/// The definition whose bracket opens at `open`.
fn at_bracket(text: &str, open: usize) -> Option<Definition> {
    // A bracket without a space before it is part of a name: `poly(A)`, `1,2-bis(2-chloroethyl)urea`.
    if !text[..open].ends_with(char::is_whitespace) {
        return None;
    }
    let end = text[..open].trim_end_matches(around).len();
    let inside = first_part(text, open + 1..closing(text, open)?);
    long_before_short(text, end, inside.clone()).or_else(|| short_before_long(text, end, inside))
}

/// `long form (SHORT)`.
fn long_before_short(text: &str, end: usize, short: Range<usize>) -> Option<Definition> {
    let form = &text[short.clone()];
    is_short_form(form).then_some(())?;
    let start = window(text, end, longest(form));
    let long = long_form(text, start..end, form)?;
    Some(Definition { long, short })
}

/// `SHORT (long form)`. The short form is the word before the bracket and must have a capital, since any word can precede a
/// bracket.
fn short_before_long(text: &str, end: usize, long: Range<usize>) -> Option<Definition> {
    let short = window(text, end, 1)..end;
    let short = short.start + text[short.clone()].find(char::is_alphanumeric)?..short.end;
    let form = &text[short.clone()];
    (is_short_form(form) && form.contains(char::is_uppercase)).then_some(())?;
    let words = text[long.clone()].split_whitespace().count();
    let long = (words <= longest(form)).then(|| long_form(text, long, form))??;
    Some(Definition { long, short })
}

/// Maximum words of the long form for a short form.
fn longest(form: &str) -> usize {
    let chars = form.chars().count();
    (chars + 5).min(2 * chars)
}

fn is_short_form(form: &str) -> bool {
    SHORT_FORM_CHARS.contains(&form.chars().take(SHORT_FORM_CHARS.end() + 1).count())
        && form.split_whitespace().count() <= SHORT_FORM_WORDS
        && form.starts_with(char::is_alphanumeric)
        && form.contains(char::is_alphabetic)
}

/// Where the bracket that opens at `open` is closed.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut brackets = Brackets::default();
    for (at, char) in text[open..].char_indices().take_while(|&(at, _)| at < REACH) {
        if !brackets.fit(char) {
            return None;
        }
        if brackets.are_closed() {
            return Some(open + at);
        }
    }
    None
}

/// The part before the first `;`, `,`, `:` or ` or `, without quotation marks: `(FAP; OMIM 175100)`, `("PAH")`.
fn first_part(text: &str, inside: Range<usize>) -> Range<usize> {
    let content = &text[inside.clone()];
    let end = ["; ", ", ", ": ", " or "].iter().filter_map(|tail| content.find(tail)).min().unwrap_or(content.len());
    let from_start = content[..end].trim_start_matches(around);
    let start = inside.start + end - from_start.len();
    start..start + from_start.trim_end_matches(around).len()
}

/// Characters that may surround a form without being part of it.
fn around(char: char) -> bool {
    char.is_whitespace() || matches!(char, '"' | '\'' | '‘' | '’' | '“' | '”')
}
