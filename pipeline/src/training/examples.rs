//! Passages into examples: token ids and the label that each token is to learn.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use pubtag_ner::train::Example;
use pubtag_ner::{LabelSet, LabelTag};
use pubtag_schemas::{AnnotatedDocument, TokenWindow};
use pubtag_tokenize::{TokenizeError, WindowTokenizer};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::passages::Passage;

/// Which tokens of a word learn its label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LabelTokens {
    /// The first; tagging with `--aggregation first` reads no other.
    #[default]
    First,
    /// All; those after the first are inside where the first begins a mention.
    All,
}

/// Places of mentions and their categories.
type Mentions = Vec<(Range<usize>, String)>;

/// Passages of a training set.
#[derive(Debug)]
pub(crate) struct TrainingSet {
    passages: Vec<(String, Mentions)>,
    /// Different mentions of each category, as they are written.
    lexicon: BTreeMap<String, Vec<String>>,
}

impl TrainingSet {
    pub(crate) fn new(passages: &[Passage], documents: &[AnnotatedDocument]) -> Self {
        let passages: Vec<_> =
            passages.iter().map(|passage| (passage.text.clone(), passage.mentions(documents))).collect();
        let mut lexicon: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (text, mentions) in &passages {
            for (bytes, category) in mentions {
                lexicon.entry(category.clone()).or_default().insert(text[bytes.clone()].to_owned());
            }
        }
        let lexicon = lexicon.into_iter().map(|(category, mentions)| (category, mentions.into_iter().collect()));
        Self { lexicon: lexicon.collect(), passages }
    }

    /// The examples of an epoch. With a share above 0, so many mentions are replaced by others of their category (Dai
    /// and Adel, 2020), by random numbers of this seed.
    pub(crate) fn examples(
        &self,
        tokenizer: &WindowTokenizer,
        labels: &LabelSet,
        label_tokens: LabelTokens,
        replaced: f64,
        seed: u64,
    ) -> Result<Vec<Example>, TokenizeError> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut examples = Vec::with_capacity(self.passages.len());
        for (text, mentions) in &self.passages {
            let varied = (replaced > 0.0).then(|| self.vary(text, mentions, replaced, &mut random));
            let (text, mentions) = varied.as_ref().map_or((text, mentions), |(text, mentions)| (text, mentions));
            let windows = tokenizer.tokenize(text, &[])?.windows;
            examples.extend(windows.into_iter().map(|window| example(window, mentions, labels, label_tokens)));
        }
        Ok(examples)
    }

    fn vary(&self, text: &str, mentions: &Mentions, share: f64, random: &mut StdRng) -> (String, Mentions) {
        let (mut varied, mut places, mut copied) = (String::with_capacity(text.len()), Vec::new(), 0);
        for (bytes, category) in mentions {
            varied.push_str(&text[copied..bytes.start]);
            copied = bytes.end;
            let other = random.random_bool(share).then(|| self.lexicon[category].choose(random)).flatten();
            let start = varied.len();
            varied.push_str(other.map_or(&text[bytes.clone()], String::as_str));
            places.push((start..varied.len(), category.clone()));
        }
        varied.push_str(&text[copied..]);
        (varied, places)
    }
}

/// The examples of passages that are only scored: nothing in them is learnt.
pub(crate) fn unlabelled(windows: &[TokenWindow]) -> impl Iterator<Item = Example> {
    windows.iter().map(|window| Example { ids: window.ids.clone(), targets: vec![None; window.ids.len()] })
}

fn example(window: TokenWindow, mentions: &Mentions, labels: &LabelSet, label_tokens: LabelTokens) -> Example {
    let mut targets = vec![None; window.ids.len()];
    let mut at = 0;
    while at < window.spans.len() {
        let Some(first) = window.spans[at] else {
            at += 1;
            continue;
        };
        let same = |span: &&Option<_>| span.is_some_and(|span: pubtag_schemas::TokenSpan| span.word == first.word);
        let end = at + window.spans[at..].iter().take_while(same).count();
        let last = window.spans[end - 1].unwrap_or(first);
        let (tag, inside) = word_tags(first.bytes().start..last.bytes().end, mentions, labels);
        targets[at] = label(labels, tag);
        if label_tokens == LabelTokens::All {
            targets[at + 1..end].fill(label(labels, inside));
        }
        at = end;
    }
    Example { ids: window.ids, targets }
}

/// The tag of a word, and that of a token inside it.
fn word_tags(word: Range<usize>, mentions: &Mentions, labels: &LabelSet) -> (LabelTag, LabelTag) {
    let next = mentions.partition_point(|(bytes, _)| bytes.end <= word.start);
    let of = mentions.get(next).filter(|(bytes, _)| bytes.start < word.end);
    let kind = of.and_then(|(_, category)| labels.entity_types().iter().position(|name| name == category));
    match (of, kind) {
        (Some((bytes, _)), Some(kind)) if word.start <= bytes.start => (LabelTag::Begin(kind), LabelTag::Inside(kind)),
        (Some(_), Some(kind)) => (LabelTag::Inside(kind), LabelTag::Inside(kind)),
        _ => (LabelTag::Outside, LabelTag::Outside),
    }
}

fn label(labels: &LabelSet, tag: LabelTag) -> Option<u32> {
    labels.tags().iter().position(|known| *known == tag).and_then(|at| u32::try_from(at).ok())
}
