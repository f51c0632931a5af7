//! Scores of mentions by their offsets.

use std::collections::BTreeMap;
use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, Mention};
use serde::{Deserialize, Serialize};

use super::{Counts, ScoreError, Scores};

/// When a mention found matches an expected one; the category must always be the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// The same boundaries and the same gaps.
    #[default]
    Strict,
    /// At least one byte in common. Each mention is paired at most once, in a maximum matching.
    Overlapping,
}

/// Scores the mentions of documents against those of a corpus; documents are paired in order.
///
/// Repeated mentions with the same place and category count once.
///
/// # Errors
/// The sides have different numbers of documents, or different texts.
pub fn score(expected: &[AnnotatedDocument], found: &[AnnotatedDocument], by: Match) -> Result<Scores, ScoreError> {
    Ok(Scores::of(super::tags::sum(&count(expected, found, by)?)))
}

/// The counts of each document by category, for the [`bootstrap`](super::bootstrap).
///
/// # Errors
/// The sides have different numbers of documents, or different texts.
pub fn count(
    expected: &[AnnotatedDocument],
    found: &[AnnotatedDocument],
    by: Match,
) -> Result<Vec<BTreeMap<String, Counts>>, ScoreError> {
    check(expected, found)?;
    Ok(expected.iter().zip(found).map(|(expected, found)| document(expected, found, by)).collect())
}

pub(crate) fn check(expected: &[AnnotatedDocument], found: &[AnnotatedDocument]) -> Result<(), ScoreError> {
    if expected.len() != found.len() {
        return Err(ScoreError::Length { expected: expected.len(), found: found.len() });
    }
    match expected.iter().zip(found).position(|(one, other)| one.text != other.text) {
        Some(index) => {
            let id = expected[index].id.as_ref().map_or("no identifier", |id| id.as_str()).to_owned();
            Err(ScoreError::Text { index, id })
        }
        None => Ok(()),
    }
}

/// Place and category, which identify a mention.
pub(crate) fn key(mention: &Mention) -> (usize, usize, &[Range<usize>], &str) {
    (mention.bytes.start, mention.bytes.end, &mention.gaps, &mention.category)
}

/// The distinct mentions of a document, in text order.
pub(crate) fn distinct(document: &AnnotatedDocument) -> Vec<&Mention> {
    let mut mentions: Vec<&Mention> = document.mentions.iter().collect();
    let order = |m: &&Mention| {
        (
            m.bytes.start,
            m.bytes.end,
            m.category.clone(),
            m.gaps.iter().map(|gap| (gap.start, gap.end)).collect::<Vec<_>>(),
        )
    };
    mentions.sort_by_cached_key(order);
    mentions.dedup_by(|one, other| key(one) == key(other));
    mentions
}

/// Whether two mentions have a byte in common.
pub(crate) fn overlap(one: &Mention, other: &Mention) -> bool {
    one.pieces().any(|piece| other.pieces().any(|theirs| piece.start < theirs.end && theirs.start < piece.end))
}

fn document(expected: &AnnotatedDocument, found: &AnnotatedDocument, by: Match) -> BTreeMap<String, Counts> {
    let (expected, found) = (distinct(expected), distinct(found));
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    for mention in &expected {
        counts.entry(mention.category.clone()).or_default().expected += 1;
    }
    for mention in &found {
        counts.entry(mention.category.clone()).or_default().found += 1;
    }
    for (category, counts) in &mut counts {
        let of = |mentions: &[&Mention]| {
            mentions.iter().copied().filter(|m| m.category == *category).cloned().collect::<Vec<_>>()
        };
        let (expected, found) = (of(&expected), of(&found));
        let matches = |one: &Mention, other: &Mention| match by {
            Match::Strict => key(one) == key(other),
            Match::Overlapping => overlap(one, other),
        };
        counts.correct = pairs(&expected, &found, matches);
    }
    counts
}

/// The size of a maximum matching (augmenting paths, Kuhn 1955).
fn pairs(expected: &[Mention], found: &[Mention], matches: impl Fn(&Mention, &Mention) -> bool) -> u64 {
    let friends: Vec<Vec<usize>> =
        expected.iter().map(|one| (0..found.len()).filter(|&other| matches(one, &found[other])).collect()).collect();
    let mut partner: Vec<Option<usize>> = vec![None; found.len()];
    let made = (0..expected.len()).filter(|&one| pair(one, &friends, &mut partner, &mut vec![false; found.len()]));
    made.count() as u64
}

fn pair(one: usize, friends: &[Vec<usize>], partner: &mut [Option<usize>], asked: &mut [bool]) -> bool {
    for &other in &friends[one] {
        if std::mem::replace(&mut asked[other], true) {
            continue;
        }
        if partner[other].is_none_or(|rival| pair(rival, friends, partner, asked)) {
            partner[other] = Some(one);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "breast and ovarian cancer cells";

    fn document(mentions: &[(Range<usize>, &str)]) -> AnnotatedDocument {
        let mentions = mentions.iter().map(|(bytes, category)| Mention::new(TEXT, bytes.clone(), category)).collect();
        AnnotatedDocument { text: TEXT.into(), mentions, ..Default::default() }
    }

    #[test]
    fn strict_needs_the_same_place_and_overlapping_a_common_byte() {
        let expected = [document(&[(0..6, "D"), (11..25, "D"), (26..31, "C")])];
        let found = [document(&[(0..6, "D"), (19..25, "D"), (26..31, "D"), (0..6, "D")])];
        let strict = score(&expected, &found, Match::Strict).unwrap();
        assert_eq!(strict.counts["D"], Counts { correct: 1, found: 3, expected: 2 });
        assert_eq!(strict.counts["C"], Counts { correct: 0, found: 0, expected: 1 });
        let overlapping = score(&expected, &found, Match::Overlapping).unwrap();
        assert_eq!(overlapping.counts["D"], Counts { correct: 2, found: 3, expected: 2 });
        assert!((overlapping.micro.f1 - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn overlapping_mentions_are_paired_by_a_maximum_matching() {
        let expected = [document(&[(0..25, "D"), (0..6, "D")])];
        let found = [document(&[(0..6, "D"), (11..25, "D")])];
        let scores = score(&expected, &found, Match::Overlapping).unwrap();
        assert_eq!(scores.counts["D"].correct, 2);
        let one = [document(&[(0..25, "D")])];
        assert_eq!(score(&one, &found, Match::Overlapping).unwrap().counts["D"].correct, 1);
    }

    #[test]
    fn gaps_are_part_of_the_place() {
        let mut with_gap = document(&[(0..25, "D")]);
        with_gap.mentions[0].gaps.push(6..18);
        let whole = [document(&[(0..25, "D")])];
        let between = [document(&[(7..10, "D")])];
        let with_gap = [with_gap];
        assert_eq!(score(&with_gap, &whole, Match::Strict).unwrap().micro.f1, 0.0);
        assert_eq!(score(&with_gap, &whole, Match::Overlapping).unwrap().micro.f1, 1.0);
        assert_eq!(score(&with_gap, &between, Match::Overlapping).unwrap().micro.f1, 0.0);
    }

    #[test]
    fn documents_with_different_texts_are_an_error() {
        let mut other = document(&[]);
        other.text.push('!');
        assert!(matches!(score(&[document(&[])], &[other], Match::Strict), Err(ScoreError::Text { index: 0, .. })));
    }
}
