//! Finds the long form among the words next to a short form.

use std::ops::Range;

use crate::brackets::Brackets;

/// Maximum bytes to search on either side of a bracket, which keeps the search linear.
pub(crate) const REACH: usize = 256;

/// The start of a window of at most `words` words that ends at `end` and does not extend into an earlier sentence.
pub(crate) fn window(text: &str, end: usize, words: usize) -> usize {
    let low = text.ceil_char_boundary(end.saturating_sub(REACH));
    let near = &text[low..end];
    // The first word may be incomplete.
    let whole = if low == 0 { near } else { near.split_once(char::is_whitespace).map_or("", |(_, whole)| whole) };
    let mut start = end;
    for word in whole.split_whitespace().rev().take(words) {
        if start < end && ends_sentence(word) && text[start..end].starts_with(char::is_uppercase) {
            break;
        }
        start = end - whole.len() + offset_in(whole, word);
    }
    start
}

/// Whether a word before a capital ends a sentence; initials do not (`S. Typhimurium`).
fn ends_sentence(word: &str) -> bool {
    word.len() > 2 && word.ends_with(['.', '?', '!'])
}

/// The byte offset of a part of a text.
fn offset_in(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// The shortest suffix of a window that is a long form of `short`.
///
/// Each letter and digit of the short form is matched in the window from right to left, ignoring case; the first one must
/// start a word. The long form extends back to the white space before it (`X-linked …`).
pub(crate) fn long_form(text: &str, window: Range<usize>, short: &str) -> Option<Range<usize>> {
    let words = &text[window.clone()];
    let mut rest = words;
    let mut wanted = short.chars().rev().filter(|char| char.is_alphanumeric()).peekable();
    while let Some(char) = wanted.next() {
        let is_first = wanted.peek().is_none();
        let matches = |&(at, found): &(usize, char)| {
            folded(found) == folded(char) && !(is_first && rest[..at].ends_with(char::is_alphanumeric))
        };
        let (at, _) = rest.char_indices().rev().find(matches)?;
        rest = &rest[..at];
    }
    let word = rest.rfind(char::is_whitespace).map_or(words, |space| words[space..].trim_start());
    let long = word.trim_start_matches(|char: char| !char.is_alphanumeric());
    is_long_form(long, short).then(|| window.end - long.len()..window.end)
}

fn folded(char: char) -> char {
    char.to_lowercase().next().unwrap_or(char)
}

/// Whether a match is plausible: longer than the short form, not containing it, and without too many words.
fn is_long_form(long: &str, short: &str) -> bool {
    let letters = short.chars().filter(|char| char.is_alphanumeric()).count();
    let words = long.split(|char: char| char.is_whitespace() || char == '-').filter(|word| !word.is_empty()).count();
    long.len() > short.len()
        && words <= (2 * letters).min(letters + 5)
        && !long.ends_with(short)
        && long.split_whitespace().all(|word| word != short)
        && Brackets::balance(long)
}
