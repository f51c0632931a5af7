//! The errors of a model: mentions missed, spurious, with wrong boundaries or in the wrong category; and confusion counts.

use std::collections::BTreeMap;

use pubtag_schemas::{AnnotatedDocument, CharOffsets, Mention};
use serde::Serialize;

use super::ScoreError;
use super::spans::{check, distinct, key, overlap};

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Expected, but not found.
    Missed,
    /// Found, but not expected.
    Spurious,
    /// Found in the right category with wrong boundaries.
    Boundary,
    /// Found with the right boundaries in the wrong category.
    Category,
    /// Found with wrong boundaries in the wrong category.
    BoundaryAndCategory,
}

/// A mention, as shown in an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// First character, in code points of the document text.
    pub start_char: usize,
    /// One past the last character.
    pub end_char: usize,
    /// The category.
    pub category: String,
    /// Its text.
    pub mention: String,
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpanError {
    /// Its kind.
    pub kind: ErrorKind,
    /// Index of the document, from 0.
    pub index: usize,
    /// Identifier of the document, if it has one.
    pub document: Option<String>,
    /// The mention of the corpus; absent for a spurious one.
    pub expected: Option<Side>,
    /// The mention found by the model; absent for a missed one.
    pub found: Option<Side>,
}

/// All errors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErrorList {
    /// Number of correct mentions.
    pub correct: u64,
    /// Number of errors of each kind.
    pub counts: BTreeMap<ErrorKind, u64>,
    /// The errors, by document and in text order.
    pub errors: Vec<SpanError>,
    /// For each expected category, the number of mentions found in each category; `O` means none.
    pub confusion: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Lists what a model got wrong.
///
/// Correct mentions are removed first. Each remaining expected mention is paired with an overlapping mention found,
/// preferably at the same place, else of the same category, else any. Unpaired mentions are missed or spurious. So every
/// mention of either side is counted exactly once.
///
/// # Errors
/// The sides have different numbers of documents, or different texts.
pub fn list(expected: &[AnnotatedDocument], found: &[AnnotatedDocument]) -> Result<ErrorList, ScoreError> {
    check(expected, found)?;
    let mut list = ErrorList::default();
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        document(index, expected, found, &mut list);
    }
    Ok(list)
}

type Matches = fn(&Mention, &Mention) -> bool;

fn same_place(one: &Mention, other: &Mention) -> bool {
    one.bytes == other.bytes && one.gaps == other.gaps
}

fn same_category(one: &Mention, other: &Mention) -> bool {
    overlap(one, other) && one.category == other.category
}

fn document(index: usize, expected: &AnnotatedDocument, found: &AnnotatedDocument, list: &mut ErrorList) {
    let mut alone: Vec<&Mention> = distinct(found);
    let mut open: Vec<&Mention> = Vec::new();
    for mention in distinct(expected) {
        match alone.iter().position(|other| key(other) == key(mention)) {
            Some(at) => {
                alone.remove(at);
                list.correct += 1;
                list.confuse(&mention.category, &mention.category);
            }
            None => open.push(mention),
        }
    }
    let mut pairs: Vec<(Option<&Mention>, Option<&Mention>)> = Vec::new();
    let rounds: [Matches; 3] = [same_place, same_category, overlap];
    for matches in rounds {
        open.retain(|mention| match alone.iter().position(|other| matches(mention, other)) {
            Some(at) => {
                pairs.push((Some(mention), Some(alone.remove(at))));
                false
            }
            None => true,
        });
    }
    pairs.extend(open.into_iter().map(|mention| (Some(mention), None)));
    pairs.extend(alone.into_iter().map(|mention| (None, Some(mention))));
    pairs.sort_by_key(|(one, other)| one.or(*other).map(|mention| mention.bytes.start));
    for (one, other) in pairs {
        list.add(index, expected, one, other);
    }
}

impl ErrorList {
    fn confuse(&mut self, expected: &str, found: &str) {
        *self.confusion.entry(expected.to_owned()).or_default().entry(found.to_owned()).or_default() += 1;
    }

    fn add(&mut self, index: usize, document: &AnnotatedDocument, expected: Option<&Mention>, found: Option<&Mention>) {
        let kind = match (expected, found) {
            (Some(_), None) => ErrorKind::Missed,
            (None, _) => ErrorKind::Spurious,
            (Some(one), Some(other)) => match (same_place(one, other), one.category == other.category) {
                (true, _) => ErrorKind::Category,
                (false, true) => ErrorKind::Boundary,
                (false, false) => ErrorKind::BoundaryAndCategory,
            },
        };
        let category = |mention: Option<&Mention>| mention.map_or("O", |mention| mention.category.as_str()).to_owned();
        self.confuse(&category(expected), &category(found));
        *self.counts.entry(kind).or_default() += 1;
        let mut chars = CharOffsets::new(&document.text);
        let mut side = |mention: &Mention| Side {
            start_char: chars.at(mention.bytes.start).unwrap_or_default(),
            end_char: chars.at(mention.bytes.end).unwrap_or_default(),
            category: mention.category.clone(),
            mention: mention.pieces().map(|piece| &document.text[piece]).collect::<Vec<_>>().join(" ... "),
        };
        let (expected, found) = (expected.map(&mut side), found.map(&mut side));
        let document = document.id.as_ref().map(|id| id.as_str().to_owned());
        self.errors.push(SpanError { kind, index, document, expected, found });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pubtag_schemas::DocId;

    const TEXT: &str = "né ovarian cancer, ataxia, lung tumour and ALS";

    fn document(mentions: &[(&str, &str)]) -> Vec<AnnotatedDocument> {
        let place = |(words, category): &(&str, &str)| {
            let start = TEXT.find(words).unwrap();
            Mention::new(TEXT, start..start + words.len(), category)
        };
        let mentions = mentions.iter().map(place).collect();
        vec![AnnotatedDocument { id: Some(DocId::new("7")), text: TEXT.into(), mentions, ..Default::default() }]
    }

    #[test]
    fn each_mention_of_either_side_is_counted_once() {
        let expected = document(&[("ovarian cancer", "D"), ("ataxia", "D"), ("lung tumour", "D"), ("ALS", "D")]);
        let found = document(&[("cancer", "D"), ("ataxia", "G"), ("tumour", "G"), ("ALS", "D"), ("né", "D")]);
        let list = list(&expected, &found).unwrap();
        use ErrorKind::{Boundary, BoundaryAndCategory, Category, Spurious};
        assert_eq!(
            list.errors.iter().map(|error| error.kind).collect::<Vec<_>>(),
            [Spurious, Boundary, Category, BoundaryAndCategory]
        );
        assert_eq!(list.correct, 1);
        let confusion: Vec<(&str, &str, u64)> = list
            .confusion
            .iter()
            .flat_map(|(one, row)| row.iter().map(move |(other, n)| (one.as_str(), other.as_str(), *n)))
            .collect();
        assert_eq!(confusion, [("D", "D", 2), ("D", "G", 2), ("O", "D", 1)]);
        let side = list.errors[1].expected.as_ref().unwrap();
        assert_eq!((side.start_char, side.end_char, side.mention.as_str()), (3, 17, "ovarian cancer"));
    }

    #[test]
    fn a_mention_that_nothing_touches_is_missed() {
        let list = list(&document(&[("ALS", "D")]), &document(&[])).unwrap();
        assert_eq!((list.counts.get(&ErrorKind::Missed), list.errors.len()), (Some(&1), 1));
        assert_eq!(list.confusion["D"]["O"], 1);
    }
}
