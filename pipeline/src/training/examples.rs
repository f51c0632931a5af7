//! Contexts into examples: token ids and the label that each token is to learn.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use pubtag_corpus::{Gold, PackedContext, pack};
use pubtag_ner::train::Example;
use pubtag_ner::{LabelSet, LabelTag};
use pubtag_schemas::{Mention, TokenWindow};
use pubtag_tokenize::{TokenizeError, WindowTokenizer};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use super::context::ContextWords;

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

/// How contexts are packed and what is learnt from them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The length of contexts.
    pub(crate) context: ContextWords,
    pub(crate) label_tokens: LabelTokens,
    /// The share of mentions that are replaced by others of their category (Dai and Adel, 2020).
    pub(crate) replaced: f64,
}

/// The corpora of a run.
#[derive(Debug)]
pub(crate) struct TrainingSet<'a> {
    corpora: Vec<(&'a Gold, Arc<[u32]>)>,
    labels: &'a LabelSet,
    /// Different mentions of each category, as they are written.
    lexicon: BTreeMap<String, Vec<String>>,
}

impl<'a> TrainingSet<'a> {
    pub(crate) fn new(corpora: &'a [Gold], labels: &'a LabelSet) -> Self {
        let mut lexicon: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for document in corpora.iter().flat_map(|gold| &gold.documents) {
            for Mention { bytes, category, .. } in &document.mentions {
                lexicon.entry(category.clone()).or_default().insert(document.text[bytes.clone()].to_owned());
            }
        }
        let lexicon = lexicon.into_iter().map(|(category, mentions)| (category, mentions.into_iter().collect()));
        let corpora = corpora.iter().map(|gold| (gold, unannotated(labels, &gold.types)));
        Self { corpora: corpora.collect(), labels, lexicon: lexicon.collect() }
    }

    /// The examples of an epoch, by random numbers of this seed.
    pub(crate) fn examples(
        &self,
        tokenizer: &WindowTokenizer,
        reading: Reading,
        seed: u64,
    ) -> Result<Vec<Example>, TokenizeError> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut examples = Vec::new();
        for (gold, unannotated) in &self.corpora {
            for context in contexts(gold, reading.context, &mut random) {
                let mut text = context.text.clone();
                let mut mentions = context.mentions(&gold.documents);
                if reading.replaced > 0.0 {
                    (text, mentions) = self.vary(&text, &mentions, reading.replaced, &mut random);
                }
                for window in tokenizer.tokenize(&text, &[])?.windows {
                    let targets = targets(&window, &mentions, self.labels, reading.label_tokens);
                    examples.push(Example { ids: window.ids, targets, unannotated: unannotated.clone() });
                }
            }
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

/// The contexts of a corpus in an epoch: all of them once per unit of its weight, packed anew each time; a fraction takes
/// that share.
fn contexts(gold: &Gold, words: ContextWords, random: &mut StdRng) -> Vec<PackedContext> {
    let mut all = Vec::new();
    let mut left = gold.corpus.weight;
    while left > 0.0 {
        let mut contexts = pack(&gold.documents, || words.draw(random));
        if left < 1.0 {
            contexts.shuffle(random);
            contexts.truncate((contexts.len() as f64 * left).ceil() as usize);
        }
        all.append(&mut contexts);
        left -= 1.0;
    }
    all
}

/// The labels of types that are not among these.
fn unannotated(labels: &LabelSet, types: &[String]) -> Arc<[u32]> {
    let missing = |tag: &LabelTag| match tag {
        LabelTag::Outside => false,
        LabelTag::Begin(kind) | LabelTag::Inside(kind) => !types.contains(&labels.entity_types()[*kind]),
    };
    (0_u32..).zip(labels.tags()).filter(|(_, tag)| missing(tag)).map(|(label, _)| label).collect()
}

/// The examples of contexts that are only scored: nothing in them is learnt.
pub(crate) fn unlabelled(windows: &[TokenWindow]) -> impl Iterator<Item = Example> {
    windows.iter().map(|window| Example {
        ids: window.ids.clone(),
        targets: vec![None; window.ids.len()],
        unannotated: [].into(),
    })
}

/// What each token of a window is to learn.
fn targets(
    window: &TokenWindow,
    mentions: &Mentions,
    labels: &LabelSet,
    label_tokens: LabelTokens,
) -> Vec<Option<u32>> {
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
    targets
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
