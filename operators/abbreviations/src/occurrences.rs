//! Finds short forms as whole words in a text.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Finds where one of the forms is a word or its plural (`AEs` of `AE`), and returns the value of the form. In text order,
/// without overlaps; of two forms that start at the same position, the longer one.
///
/// Words are bounded by anything but letters and digits: `DMD` occurs in `non-DMD` and `DMD/BMD`, not in `DMDL`.
pub(crate) fn occurrences<'a, T>(text: &str, forms: &'a HashMap<&str, T>) -> Vec<(Range<usize>, &'a T)> {
    let lengths: BTreeSet<usize> = forms.keys().map(|form| form.len()).collect();
    let mut found: Vec<(Range<usize>, &T)> = Vec::new();
    for start in word_starts(text) {
        if found.last().is_some_and(|(before, _)| start < before.end) {
            continue;
        }
        found.extend(lengths.iter().rev().find_map(|length| {
            let form = text.get(start..start + length)?;
            let value = forms.get(form)?;
            Some((start..word_end(text, start + length)?, value))
        }));
    }
    found
}

/// The positions where a run of letters and digits starts.
fn word_starts(text: &str) -> impl Iterator<Item = usize> {
    let mut inside = false;
    text.char_indices().filter_map(move |(at, char)| {
        let starts = char.is_alphanumeric() && !inside;
        inside = char.is_alphanumeric();
        starts.then_some(at)
    })
}

/// The end of the word or its plural, if it ends here.
fn word_end(text: &str, end: usize) -> Option<usize> {
    let ends = |rest: &str| !rest.starts_with(char::is_alphanumeric);
    let rest = &text[end..];
    if ends(rest) { Some(end) } else { rest.strip_prefix('s').filter(|rest| ends(rest)).map(|_| end + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, forms: &[&str]) -> Vec<&'a str> {
        let forms = forms.iter().map(|&form| (form, ())).collect();
        occurrences(text, &forms).into_iter().map(|(bytes, ())| &text[bytes]).collect()
    }

    #[test]
    fn a_short_form_occurs_as_a_whole_word_in_its_own_case() {
        assert_eq!(found("(AT), AT-like, non-AT. ATM, BAT, At, at, é-AT AT", &["AT"]), ["AT"; 5]);
        assert_eq!(found("AT", &["AT"]), ["AT"]);
        assert_eq!(found("ATα αAT", &["AT"]), [""; 0]);
    }

    #[test]
    fn a_plural_occurs_with_its_ending() {
        assert_eq!(found("AEs, AE's and AEsx", &["AE"]), ["AEs", "AE"]);
        assert_eq!(found("AEs of AE", &["AEs", "AE"]), ["AEs", "AE"]);
    }

    #[test]
    fn the_longer_of_two_wins_and_nothing_overlaps() {
        assert_eq!(found("CMT type, CMT, CMT-1A", &["CMT", "CMT type", "CMT-1"]), ["CMT type", "CMT", "CMT"]);
        assert_eq!(found("A-T and T", &["A-T", "T"]), ["A-T", "T"]);
    }
}
