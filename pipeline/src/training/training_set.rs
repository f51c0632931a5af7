//! The examples of a run: contexts of its corpora, tokenized and labelled.

use std::sync::Arc;

use pubtag_corpus::{Gold, PackedContext, pack};
use pubtag_ner::LabelSet;
use pubtag_ner::train::{Example, LabelTokens, Labelling, Lexicon};
use pubtag_schemas::Mention;
use pubtag_tokenize::{TokenizeError, WindowTokenizer};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::unlabelled::Taught;
use crate::cli::ContextWords;

/// How contexts are packed and labelled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The length of contexts.
    pub(crate) context: ContextWords,
    pub(crate) label_tokens: LabelTokens,
    /// The share of mentions that are replaced by others of their category.
    pub(crate) replaced: f64,
}

/// The corpora of a run.
#[derive(Debug)]
pub(crate) struct TrainingSet<'a> {
    /// Each with the labels of the types that it does not annotate.
    corpora: Vec<(&'a Gold, Arc<[u32]>)>,
    /// Texts without annotations, by epoch.
    taught: Vec<Taught>,
    labelling: Labelling<'a>,
    lexicon: Lexicon,
    reading: Reading,
}

impl<'a> TrainingSet<'a> {
    pub(crate) fn new(corpora: &'a [Gold], taught: Vec<Taught>, labels: &'a LabelSet, reading: Reading) -> Self {
        let documents = corpora.iter().flat_map(|gold| &gold.documents);
        let mentions = documents.flat_map(|document| {
            let text = |bytes: &std::ops::Range<usize>| &document.text[bytes.clone()];
            document.mentions.iter().map(move |Mention { bytes, category, .. }| (category.as_str(), text(bytes)))
        });
        let lexicon = Lexicon::new(mentions);
        let labelling = Labelling { labels, tokens: reading.label_tokens };
        let corpora = corpora.iter().map(|gold| (gold, labelling.unannotated(&gold.types))).collect();
        Self { corpora, taught, labelling, lexicon, reading }
    }

    /// The examples of an epoch, by random numbers of this seed.
    pub(crate) fn examples(
        &self,
        tokenizer: &WindowTokenizer,
        epoch: usize,
        seed: u64,
    ) -> Result<Vec<Example>, TokenizeError> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut examples = self.annotated(tokenizer, &mut random)?;
        if let Some(taught) = self.taught.get(epoch) {
            examples.extend(self.taught(taught, tokenizer, &mut random)?);
        }
        Ok(examples)
    }

    /// Those of the corpora.
    fn annotated(&self, tokenizer: &WindowTokenizer, random: &mut StdRng) -> Result<Vec<Example>, TokenizeError> {
        let mut examples = Vec::new();
        for (gold, unannotated) in &self.corpora {
            for context in contexts(gold, self.reading.context, random) {
                let mut mentions = context.mentions(&gold.documents);
                let mut text = context.text;
                if self.reading.replaced > 0.0 {
                    (text, mentions) = self.lexicon.replace(&text, &mentions, self.reading.replaced, random);
                }
                let windows = tokenizer.tokenize(&text, &[])?.windows.into_iter();
                examples.extend(windows.map(|window| self.labelling.example(window, &mentions, unannotated.clone())));
            }
        }
        Ok(examples)
    }

    /// Those of texts that teachers have read.
    fn taught(
        &self,
        taught: &Taught,
        tokenizer: &WindowTokenizer,
        random: &mut StdRng,
    ) -> Result<Vec<Example>, TokenizeError> {
        let mut examples = Vec::new();
        for context in pack(&taught.documents, || draw(self.reading.context, random)) {
            let row = |byte| {
                let (document, byte) = context.origin(byte)?;
                taught.words[document].of_word_at(byte)
            };
            let windows = tokenizer.tokenize(&context.text, &[])?.windows.into_iter();
            examples.extend(windows.map(|window| Example::taught(window, row)));
        }
        Ok(examples)
    }
}

/// The contexts of a corpus in an epoch: all of them once per unit of its weight, packed again each time; a fraction takes
/// that share.
fn contexts(gold: &Gold, words: ContextWords, random: &mut StdRng) -> Vec<PackedContext> {
    let mut all = Vec::new();
    let mut left = gold.corpus.weight;
    while left > 0.0 {
        let mut contexts = pack(&gold.documents, || draw(words, random));
        if left < 1.0 {
            contexts.shuffle(random);
            contexts.truncate((contexts.len() as f64 * left).ceil() as usize);
        }
        all.append(&mut contexts);
        left -= 1.0;
    }
    all
}

/// The seed of an epoch's examples.
pub(crate) fn epoch_seed(seed: u64, epoch: usize) -> u64 {
    seed.wrapping_mul(1_000_003).wrapping_add(epoch as u64)
}

/// The length of a context; every length of a range is equally likely.
pub(super) fn draw(words: ContextWords, random: &mut StdRng) -> usize {
    if words.min == words.max { words.max } else { random.random_range(words.min..=words.max) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_fixed_and_a_range_is_drawn_from_completely() {
        let mut random = StdRng::seed_from_u64(1);
        assert_eq!(draw(ContextWords { min: 100, max: 100 }, &mut random), 100);
        let mut drawn: Vec<usize> = (0..200).map(|_| draw(ContextWords { min: 3, max: 6 }, &mut random)).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn, [3, 4, 5, 6]);
    }
}
