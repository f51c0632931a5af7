//! Counts what a corpus holds, and finds what would spoil a training: overlaps, duplicates, bad offsets, leakage.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use pubtag_schemas::AnnotatedDocument;
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::reader::Item;

/// What one file of a corpus holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileStats {
    /// The file, as the caller names it.
    pub name: String,
    /// Documents read; where the format marks none, each sentence is one.
    pub documents: u64,
    /// Documents with an identifier.
    pub identified: u64,
    /// Sentences, where the format has them.
    pub sentences: u64,
    /// Tokens, where the format has them.
    pub tokens: u64,
    /// Characters of text.
    pub characters: u64,
    /// Mentions.
    pub mentions: u64,
    /// Mentions of each category.
    pub categories: BTreeMap<String, u64>,
    /// Mentions with at least one concept.
    pub with_concepts: u64,
    /// Discontinuous mentions.
    pub discontinuous: u64,
    /// Different mentions, as they are written.
    pub distinct_mentions: u64,
    /// The most frequent mentions and how often they stand, most frequent first.
    pub frequent: Vec<(String, u64)>,
    /// Pairs of mentions of one document that share text.
    pub overlaps: u64,
    /// The first such pairs, each with its place.
    pub overlap_examples: Vec<String>,
    /// Mentions that stand twice with the same place and category.
    pub duplicate_mentions: u64,
    /// Identifiers that more than one document has, and how many have them.
    pub duplicate_ids: BTreeMap<String, u64>,
    /// Documents whose text another document of the file has too.
    pub duplicate_texts: u64,
    /// What readers had to say: skipped records and mentions, bad offsets, each with its place.
    pub diagnostics: Diagnostics,
}

/// What two files have in common, which would let a model see its test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leakage {
    /// One file.
    pub one: String,
    /// The other.
    pub other: String,
    /// Identifiers that stand in both (PMIDs, as a rule).
    pub ids: Vec<String>,
    /// Documents of the other file whose text stands in the one too.
    pub texts: u64,
}

/// What the files of a corpus hold, and share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CorpusStats {
    /// Each file, in the order given.
    pub files: Vec<FileStats>,
    /// Each pair of files that shares something.
    pub leakage: Vec<Leakage>,
}

/// How many examples and frequent mentions are kept.
const KEPT: usize = 20;

/// Counts a file, item by item.
///
/// *Memory:* grows with the number of different mentions and of documents (a hash of each text), not with the text.
#[derive(Debug, Default)]
pub struct StatsBuilder {
    stats: FileStats,
    mentions: HashMap<String, u64>,
    ids: HashMap<String, u64>,
    texts: HashMap<u64, u64>,
}

impl StatsBuilder {
    /// Begins with a file.
    pub fn new(name: impl Into<String>) -> Self {
        Self { stats: FileStats { name: name.into(), ..Default::default() }, ..Default::default() }
    }

    /// Counts what a reader yields.
    pub fn add(&mut self, item: &Item) {
        match item {
            Item::Document(spot, document) => self.document(&spot.to_string(), document),
            Item::Diagnostic(diagnostic) => self.diagnostic(diagnostic.clone()),
        }
    }

    fn diagnostic(&mut self, diagnostic: Diagnostic) {
        self.stats.diagnostics.add(diagnostic);
    }

    fn document(&mut self, place: &str, document: &AnnotatedDocument) {
        let stats = &mut self.stats;
        stats.documents += 1;
        stats.sentences += document.sentences.len() as u64;
        stats.tokens += document.tokens.len() as u64;
        stats.characters += document.text.chars().count() as u64;
        stats.mentions += document.mentions.len() as u64;
        for mention in &document.mentions {
            *stats.categories.entry(mention.category.clone()).or_default() += 1;
            stats.with_concepts += u64::from(mention.concepts.iter().next().is_some());
            stats.discontinuous += u64::from(!mention.gaps.is_empty());
            let wording = mention.text.split_whitespace().collect::<Vec<_>>().join(" ");
            *self.mentions.entry(wording).or_default() += 1;
        }
        overlaps(place, document, stats);
        if let Some(id) = &document.id {
            stats.identified += 1;
            *self.ids.entry(id.as_str().to_owned()).or_default() += 1;
        }
        let mut hasher = DefaultHasher::new();
        document.text.hash(&mut hasher);
        *self.texts.entry(hasher.finish()).or_default() += 1;
    }

    /// Closes the file.
    fn finish(&mut self) -> FileStats {
        let mut stats = std::mem::take(&mut self.stats);
        let mut frequent: Vec<(String, u64)> = std::mem::take(&mut self.mentions).into_iter().collect();
        frequent.sort_by(|(one, n), (other, m)| m.cmp(n).then_with(|| one.cmp(other)));
        stats.distinct_mentions = frequent.len() as u64;
        frequent.truncate(KEPT);
        stats.frequent = frequent;
        stats.duplicate_ids = self.ids.iter().filter(|(_, n)| **n > 1).map(|(id, n)| (id.clone(), *n)).collect();
        stats.duplicate_texts = self.texts.values().map(|n| n - 1).sum();
        stats
    }

    fn shared(&self, other: &Self) -> (Vec<String>, u64) {
        let mut ids: Vec<String> = other.ids.keys().filter(|id| self.ids.contains_key(*id)).cloned().collect();
        ids.sort();
        let texts = other.texts.iter().filter(|(text, _)| self.texts.contains_key(*text)).map(|(_, n)| n).sum();
        (ids, texts)
    }
}

/// Puts the counts of files together and compares the files with each other.
pub fn summarize(mut files: Vec<StatsBuilder>) -> CorpusStats {
    let stats: Vec<FileStats> = files.iter_mut().map(StatsBuilder::finish).collect();
    let mut leakage = Vec::new();
    for one in 0..files.len() {
        for other in one + 1..files.len() {
            let (ids, texts) = files[one].shared(&files[other]);
            if !ids.is_empty() || texts > 0 {
                leakage.push(Leakage { one: stats[one].name.clone(), other: stats[other].name.clone(), ids, texts });
            }
        }
    }
    CorpusStats { files: stats, leakage }
}

fn overlaps(place: &str, document: &AnnotatedDocument, stats: &mut FileStats) {
    let mut mentions: Vec<_> = document.mentions.iter().collect();
    mentions.sort_by_key(|mention| mention.bytes.start);
    for (i, one) in mentions.iter().enumerate() {
        for other in mentions[i + 1..].iter().take_while(|other| other.bytes.start < one.bytes.end) {
            let same = one.bytes == other.bytes && one.gaps == other.gaps && one.category == other.category;
            stats.duplicate_mentions += u64::from(same);
            stats.overlaps += u64::from(!same);
            if !same && stats.overlap_examples.len() < KEPT {
                let id = document.id.as_ref().map_or("", |id| id.as_str());
                let example = format!(
                    "{place}: document {id}: {} {:?} and {} {:?}",
                    one.category, one.text, other.category, other.text
                );
                stats.overlap_examples.push(example);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Spot;
    use pubtag_schemas::{DocId, Mention};

    fn document(id: &str, text: &str, mentions: &[std::ops::Range<usize>]) -> Item {
        let mentions = mentions.iter().map(|bytes| Mention::new(text, bytes.clone(), "D")).collect();
        let document =
            AnnotatedDocument { id: Some(DocId::new(id)), text: text.into(), mentions, ..Default::default() };
        Item::Document(Spot { file: "f".into(), line: 3 }, Box::new(document))
    }

    #[test]
    fn overlaps_duplicates_and_leakage_are_found() {
        let mut train = StatsBuilder::new("train");
        train.add(&document("1", "breast cancer cancer", &[0..13, 7..13, 7..13, 14..20]));
        train.add(&document("1", "other", &[]));
        let mut test = StatsBuilder::new("test");
        test.add(&document("2", "other", &[]));
        test.add(&document("1", "else", &[]));
        let stats = summarize(vec![train, test]);
        let train = &stats.files[0];
        assert_eq!((train.overlaps, train.duplicate_mentions, train.mentions), (2, 1, 4));
        assert!(train.overlap_examples[0].starts_with("f:3: document 1:"), "{:?}", train.overlap_examples);
        assert_eq!(train.frequent, [("cancer".to_owned(), 3), ("breast cancer".to_owned(), 1)]);
        assert_eq!(train.duplicate_ids.get("1"), Some(&2));
        assert_eq!((stats.leakage[0].ids.as_slice(), stats.leakage[0].texts), (&["1".to_owned()][..], 1));
    }
}
