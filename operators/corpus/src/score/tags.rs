//! Scores of tag sequences as in conlleval and seqeval, and of single tokens as in NeMo.
//!
//! [`Mode::Default`] is the default of seqeval, with the same figures as the CoNLL script `conlleval`: an `I-` after `O` or
//! after another category begins an entity. [`Mode::Strict`] is `mode="strict", scheme=IOB2` of seqeval: such an `I-`, and
//! those that follow it, belong to no entity. The one difference from conlleval is that a bare tag has the category `_`, as
//! in seqeval, rather than an empty one. `tests/peers/seqeval_check.py` compares both modes with seqeval 1.2.2.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::{Counts, Score, ScoreError, Scores};

/// How an `I-` with nothing before it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It begins an entity (conlleval, default of seqeval). Also reads IOB1 and BIOES.
    #[default]
    Default,
    /// It is not part of an entity (strict IOB2 of seqeval).
    Strict,
}

/// An entity of a tag sequence: its category, first token and last token.
pub type Entity<'a> = (&'a str, usize, usize);

/// The entities of a tag sequence.
///
/// ```
/// use pubtag_corpus::score::tags::{Mode, entities};
///
/// let tags = ["B-PER", "I-PER", "O", "I-LOC"];
/// assert_eq!(entities(&tags, Mode::Default), [("PER", 0, 1), ("LOC", 3, 3)]);
/// assert_eq!(entities(&tags, Mode::Strict), [("PER", 0, 1)]);
/// ```
pub fn entities<'a, T: AsRef<str>>(tags: &'a [T], mode: Mode) -> Vec<Entity<'a>> {
    match mode {
        Mode::Default => chunks(tags),
        Mode::Strict => strict(tags),
    }
}

/// The letter and category of a tag, split as by the default of seqeval.
fn split(tag: &str) -> (char, &str) {
    let mut chars = tag.chars();
    let letter = chars.next().unwrap_or('O');
    let rest = chars.as_str();
    let category = rest.split_once('-').map_or(rest, |(_, category)| category);
    (letter, if category.is_empty() { "_" } else { category })
}

/// `get_entities` of seqeval, with the rules of conlleval for where a chunk starts and ends.
fn chunks<T: AsRef<str>>(tags: &[T]) -> Vec<Entity<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    let (mut before, mut category_before) = ('O', "");
    for (i, tag) in tags.iter().map(AsRef::as_ref).chain(["O"]).enumerate() {
        let (letter, category) = split(tag);
        let other = category != category_before;
        let out = |letter: char| letter == 'O' || letter == '.';
        let ends = matches!((before, letter), ('E' | 'S', _) | ('B' | 'I', 'B' | 'S' | 'O')) || (!out(before) && other);
        let starts =
            matches!((before, letter), (_, 'B' | 'S') | ('E' | 'S' | 'O', 'E' | 'I')) || (!out(letter) && other);
        if ends {
            found.push((category_before, start, i - 1));
        }
        if starts {
            start = i;
        }
        (before, category_before) = (letter, category);
    }
    found
}

/// Strict IOB2 of seqeval: a `B-` and the directly following `I-` of its category.
fn strict<T: AsRef<str>>(tags: &[T]) -> Vec<Entity<'_>> {
    let mut found: Vec<Entity<'_>> = Vec::new();
    let mut open = false;
    for (i, tag) in tags.iter().map(AsRef::as_ref).enumerate() {
        let rest = tag.get(1..).unwrap_or_default().trim_matches('-');
        let category = if rest.is_empty() { "_" } else { rest };
        match (tag.as_bytes().first(), found.last_mut()) {
            (Some(b'B'), _) => {
                found.push((category, i, i));
                open = true;
            }
            (Some(b'I'), Some((of, _, end))) if open && *of == category => *end = i,
            _ => open = false,
        }
    }
    found
}

/// Scores the tags of a model against those of a corpus, sentence by sentence.
///
/// # Errors
/// The sides have different lengths.
pub fn score<T: AsRef<str>, U: AsRef<str>>(
    expected: &[Vec<T>],
    found: &[Vec<U>],
    mode: Mode,
) -> Result<Scores, ScoreError> {
    Ok(Scores::of(sum(&count(expected, found, mode)?)))
}

/// The counts of each sentence by category, for the [`bootstrap`](super::bootstrap).
///
/// # Errors
/// The sides have different lengths.
pub fn count<T: AsRef<str>, U: AsRef<str>>(
    expected: &[Vec<T>],
    found: &[Vec<U>],
    mode: Mode,
) -> Result<Vec<BTreeMap<String, Counts>>, ScoreError> {
    check(expected, found)?;
    let sentence = |(expected, found): (&Vec<T>, &Vec<U>)| {
        let expected: HashSet<Entity<'_>> = entities(expected, mode).into_iter().collect();
        let found: HashSet<Entity<'_>> = entities(found, mode).into_iter().collect();
        let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
        for (category, _, _) in &expected {
            counts.entry((*category).to_owned()).or_default().expected += 1;
        }
        for entity in &found {
            let counts = counts.entry(entity.0.to_owned()).or_default();
            counts.found += 1;
            counts.correct += u64::from(expected.contains(entity));
        }
        counts
    };
    Ok(expected.iter().zip(found).map(sentence).collect())
}

/// Adds up the counts of units.
pub(crate) fn sum(units: &[BTreeMap<String, Counts>]) -> BTreeMap<String, Counts> {
    let mut all: BTreeMap<String, Counts> = BTreeMap::new();
    for (category, counts) in units.iter().flatten() {
        *all.entry(category.clone()).or_default() += *counts;
    }
    all
}

fn check<T, U>(expected: &[Vec<T>], found: &[Vec<U>]) -> Result<(), ScoreError> {
    if expected.len() != found.len() {
        return Err(ScoreError::Length { expected: expected.len(), found: found.len() });
    }
    let differ = expected.iter().zip(found).position(|(one, other)| one.len() != other.len());
    match differ {
        Some(index) => Err(ScoreError::Tags { index, expected: expected[index].len(), found: found[index].len() }),
        None => Ok(()),
    }
}

/// Scores of single tokens: every tag, including `O`, is a category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenTable {
    /// Each tag and its score, in the order of ids (`O` first, the others sorted).
    pub tags: Vec<(String, Score)>,
    /// The score of all tokens together, which is the accuracy.
    pub micro: Score,
    /// The mean over the tags in the corpus.
    #[serde(rename = "macro")]
    pub macro_: Score,
    /// The mean over tags, weighted by support.
    pub weighted: Score,
}

/// The guard of NeMo against division by zero, in percent.
const EPSILON: f64 = 1e-6;

/// Scores every token, like `ClassificationReport` of NeMo.
///
/// # Errors
/// The sides have different lengths.
pub fn token_table<T: AsRef<str>, U: AsRef<str>>(
    expected: &[Vec<T>],
    found: &[Vec<U>],
) -> Result<TokenTable, ScoreError> {
    check(expected, found)?;
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    for (one, other) in expected.iter().flatten().zip(found.iter().flatten()) {
        let (one, other) = (one.as_ref(), other.as_ref());
        counts.entry(one).or_default().expected += 1;
        counts.entry(other).or_default().found += 1;
        counts.entry(one).or_default().correct += u64::from(one == other);
    }
    let names: BTreeSet<&str> = counts.keys().copied().filter(|name| *name != "O").collect();
    let order = counts.contains_key("O").then_some("O").into_iter().chain(names);
    let tags: Vec<(String, Score)> = order.map(|name| (name.to_owned(), guarded(counts[name]))).collect();
    let all: Counts = counts.values().copied().sum();
    let present = tags.iter().filter(|(_, score)| score.support > 0).count() as f64;
    let average = |weight: &dyn Fn(&Score) -> f64, total: f64| {
        let of = |value: fn(&Score) -> f64| {
            if total == 0.0 { 0.0 } else { tags.iter().map(|(_, s)| value(s) * weight(s)).sum::<f64>() / total }
        };
        Score { precision: of(|s| s.precision), recall: of(|s| s.recall), f1: of(|s| s.f1), support: all.expected }
    };
    let macro_ = average(&|_| 1.0, present);
    let weighted = average(&|score| score.support as f64, all.expected as f64);
    Ok(TokenTable { micro: guarded(all), macro_, weighted, tags })
}

/// A score with the guard of NeMo, which affects the sixth digit.
fn guarded(counts: Counts) -> Score {
    let percent = |whole: u64| counts.correct as f64 * 100.0 / (whole as f64 + EPSILON);
    let (precision, recall) = (percent(counts.found), percent(counts.expected));
    let f1 = 2.0 * precision * recall / (precision + recall + EPSILON);
    Score { precision: precision / 100.0, recall: recall / 100.0, f1: f1 / 100.0, support: counts.expected }
}

impl std::fmt::Display for TokenTable {
    /// The table in the layout of NeMo, in percent.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:50}   {:10}   {:10}   {:10}   {:10}", "label", "precision", "recall", "f1", "support")?;
        for (id, (tag, score)) in self.tags.iter().enumerate() {
            row(f, &format!("{tag} (label_id: {id})"), score)?;
        }
        f.write_str("\n-------------------")?;
        row(f, "micro avg", &self.micro)?;
        row(f, "macro avg", &self.macro_)?;
        row(f, "weighted avg", &self.weighted)?;
        writeln!(f)
    }
}

fn row(f: &mut std::fmt::Formatter<'_>, name: &str, score: &Score) -> std::fmt::Result {
    let [precision, recall, f1] = [score.precision, score.recall, score.f1].map(|share| share * 100.0);
    write!(f, "\n{name:50}   {precision:8.2}   {recall:8.2}   {f1:8.2}   {:8}", score.support)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(text: &str) -> Vec<Vec<&str>> {
        text.split(" / ").map(|sentence| sentence.split(' ').collect()).collect()
    }

    fn close(score: Score, precision: f64, recall: f64, f1: f64, support: u64) {
        let expected = Score { precision, recall, f1, support };
        let near = |one: f64, other: f64| (one - other).abs() < 1e-12;
        assert!(
            near(score.precision, precision)
                && near(score.recall, recall)
                && near(score.f1, f1)
                && score.support == support,
            "{score:?} is not {expected:?}"
        );
    }

    /// The example in the documentation of seqeval: MISC at 3-5 is found at 2-5, and PER at 0-1 is correct.
    #[test]
    fn the_example_of_seqeval_gives_its_figures() {
        let expected = sequences("O O O B-MISC I-MISC I-MISC O / B-PER I-PER O");
        let found = sequences("O O B-MISC I-MISC I-MISC I-MISC O / B-PER I-PER O");
        let scores = score(&expected, &found, Mode::Default).unwrap();
        close(scores.categories["MISC"], 0.0, 0.0, 0.0, 1);
        close(scores.categories["PER"], 1.0, 1.0, 1.0, 1);
        close(scores.micro, 0.5, 0.5, 0.5, 2);
        close(scores.macro_, 0.5, 0.5, 0.5, 2);
        close(scores.weighted, 0.5, 0.5, 0.5, 2);
    }

    /// By hand: expected D 0-1, D 3-3, G 4-4; found D 0-1, D 3-4 (default: the stray I- at 3 begins it) and G 5-5.
    #[test]
    fn a_stray_inside_tag_is_an_entity_by_default_but_not_in_strict_mode() {
        let expected = sequences("B-D I-D O B-D B-G O");
        let found = sequences("B-D I-D O I-D I-D B-G");
        let scores = score(&expected, &found, Mode::Default).unwrap();
        close(scores.categories["D"], 0.5, 0.5, 0.5, 2);
        close(scores.categories["G"], 0.0, 0.0, 0.0, 1);
        close(scores.micro, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 3);
        close(scores.macro_, 0.25, 0.25, 0.25, 3);
        close(scores.weighted, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 3);
        let scores = score(&expected, &found, Mode::Strict).unwrap();
        close(scores.categories["D"], 1.0, 0.5, 2.0 / 3.0, 2);
        close(scores.micro, 0.5, 1.0 / 3.0, 0.4, 3);
    }

    #[test]
    fn entities_of_the_other_schemes_are_read_by_default() {
        assert_eq!(entities(&["B-D", "E-D", "S-D", "O"], Mode::Default), [("D", 0, 1), ("D", 2, 2)]);
        assert_eq!(entities(&["I-D", "B-D", "I-G"], Mode::Default), [("D", 0, 0), ("D", 1, 1), ("G", 2, 2)]);
        assert_eq!(entities(&["B", "I", "O", "I-X-y"], Mode::Default), [("_", 0, 1), ("X-y", 3, 3)]);
        assert_eq!(entities(&["B-D", "I-G", "I-D", "I-D"], Mode::Strict), [("D", 0, 0)]);
        assert_eq!(entities::<&str>(&[], Mode::Default), []);
    }

    #[test]
    fn sides_of_different_lengths_are_an_error() {
        let (two, one) = (sequences("O / O"), sequences("O"));
        assert_eq!(score(&two, &one, Mode::Default), Err(ScoreError::Length { expected: 2, found: 1 }));
        let long = sequences("O / O O");
        assert_eq!(score(&two, &long, Mode::Default), Err(ScoreError::Tags { index: 1, expected: 1, found: 2 }));
    }

    /// By hand: O is right 3 times of 4 and once wrong; B-D is right once of 2.
    #[test]
    fn the_token_table_has_the_layout_of_nemo() {
        let table = token_table(&sequences("O O B-D / O O B-D"), &sequences("O O B-D / O B-D O")).unwrap();
        let expected = "\
label                                                precision    recall       f1           support   
O (label_id: 0)                                         75.00      75.00      75.00          4
B-D (label_id: 1)                                       50.00      50.00      50.00          2
-------------------
micro avg                                               66.67      66.67      66.67          6
macro avg                                               62.50      62.50      62.50          6
weighted avg                                            66.67      66.67      66.67          6
";
        assert_eq!(table.to_string(), expected);
    }
}
