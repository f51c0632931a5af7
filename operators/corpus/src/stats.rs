//! Corpus statistics, and problems that would spoil training: overlaps, duplicates, bad offsets, leakage.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use pubtag_schemas::AnnotatedDocument;
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::reader::Item;

/// Statistics of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileStats {
    /// The file, as named by the caller.
    pub name: String,
    /// Documents read; if the format does not mark documents, each sentence is one.
    pub documents: u64,
    /// Documents with an identifier.
    pub identified: u64,
    /// Sentences, if the format has them.
    pub sentences: u64,
    /// Tokens, if the format has them.
    pub tokens: u64,
    /// Characters of text.
    pub characters: u64,
    /// Mentions.
    pub mentions: u64,
    /// Mentions per category.
    pub categories: BTreeMap<String, u64>,
    /// Mentions with at least one concept.
    pub with_concepts: u64,
    /// Discontinuous mentions.
    pub discontinuous: u64,
    /// Distinct wordings of mentions.
    pub distinct_mentions: u64,
    /// The most frequent wordings and their counts, most frequent first.
    pub frequent: Vec<(String, u64)>,
    /// Pairs of overlapping mentions.
    pub overlaps: u64,
    /// The first such pairs, with their places.
    pub overlap_examples: Vec<String>,
    /// Mentions repeated at the same place with the same category.
    pub duplicate_mentions: u64,
    /// Identifiers shared by several documents, and the number of those documents.
    pub duplicate_ids: BTreeMap<String, u64>,
    /// Documents whose text repeats that of an earlier document.
    pub duplicate_texts: u64,
    /// Diagnostics of the reader, such as skipped records and bad offsets.
    pub diagnostics: Diagnostics,
}

/// Overlap between two files, which would leak test data into training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leakage {
    /// One file.
    pub one: String,
    /// The other.
    pub other: String,
    /// Identifiers in both files (usually PMIDs).
    pub ids: Vec<String>,
    /// Documents of the other file whose text is also in this one.
    pub texts: u64,
}

/// Statistics of the files of a corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CorpusStats {
    /// Statistics of each file, in the order given.
    pub files: Vec<FileStats>,
    /// The pairs of files that overlap.
    pub leakage: Vec<Leakage>,
}

/// Number of examples and frequent mentions kept.
const KEPT: usize = 20;

/// Collects the statistics of one file.
///
/// *Memory:* proportional to the number of distinct mentions and of documents (a hash of each text).
#[derive(Debug, Default)]
pub struct StatsBuilder {
    stats: FileStats,
    mentions: HashMap<String, u64>,
    ids: HashMap<String, u64>,
    texts: HashMap<u64, u64>,
}

impl StatsBuilder {
    /// Starts a file.
    pub fn new(name: impl Into<String>) -> Self {
        Self { stats: FileStats { name: name.into(), ..Default::default() }, ..Default::default() }
    }

    /// Counts an item of a reader.
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

    /// Ends the file.
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

/// Combines the statistics of files, and compares each pair of files.
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
