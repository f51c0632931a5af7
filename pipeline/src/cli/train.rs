//! `pubtag train`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pubtag_corpus::CorpusSpec;
use serde::Serialize;

use super::context_words::ContextWords;
use super::corpus::CorpusFormat;
use super::numbers::{Fraction, whole};
use super::training::TrainingArgs;

/// Arguments of `pubtag train`. Serialized into the model's record, and into what identifies a run: those that its result
/// depends on, in this order.
#[derive(Args, Clone, Debug, Serialize)]
pub struct TrainArgs {
    /// Read settings from a TOML or YAML file, named like these options, or as in `run_ner` or NeMo. Options on the command
    /// line take precedence.
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Training corpora, in any format that `pubtag convert` reads. Options follow after colons: `types=Disease,Gene`
    /// sets the types that the corpus annotates [default: those of its mentions], `map=Modifier=Disease,Cell=CellLine`
    /// renames categories, `weight=2` uses the corpus twice per epoch.
    ///
    /// Mentions of other types are dropped. Types that only other corpora annotate are unknown there: a token outside
    /// of all mentions may still belong to one of them.
    #[arg(long, num_args = 1.., value_name = "FILE[:OPTION…]")]
    pub train: Vec<CorpusSpec>,

    /// Development corpora: the epoch with the highest mean F1 on them is kept. Options as for --train, except weight
    /// [default: none; the last epoch is kept].
    #[arg(long, num_args = 1.., value_name = "FILE[:OPTION…]")]
    pub dev: Vec<CorpusSpec>,

    /// Texts without annotations, which the model learns from what --teacher says of them: files as for `pubtag run`. Each
    /// epoch reads another part of the texts, so that all of them are read once. Leave out the texts of test sets.
    #[arg(long, num_args = 1.., value_name = "INPUT")]
    pub unlabelled: Vec<String>,

    /// Hugging Face directories of token classifiers that label the texts of --unlabelled (distillation): the mean of their
    /// probabilities is learnt. They may have any architecture, tokenizer and size. Each type of --train needs a teacher that
    /// knows it; a teacher has no say in types that it does not know.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    #[serde(skip)]
    pub teacher: Vec<PathBuf>,

    /// Hugging Face directory of the model to fine-tune: an encoder, which gets a new head, or a token classifier with
    /// the same labels, whose head is kept.
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub base: Option<PathBuf>,

    /// Directory to write the model to, in the Hugging Face layout.
    #[arg(long, short, value_name = "DIR")]
    #[serde(skip)]
    pub output: Option<PathBuf>,

    /// Format of the corpora [default: detected from content].
    #[arg(long, value_enum, value_name = "FORMAT")]
    #[serde(skip)]
    pub from: Option<CorpusFormat>,

    /// How to treat the four categories of the NCBI Disease corpus.
    #[arg(long, value_enum, default_value_t)]
    pub labels: Labels,

    /// Words of consecutive sentences per training context: a number, or a range to draw the length of each context from.
    /// A longer sentence is a context of its own.
    #[arg(long, default_value = "100", value_name = "N|MIN..MAX")]
    pub context_words: ContextWords,

    /// Words that the model reads at a time when it tags, written to config.json and used for development corpora
    /// [default: --context-words, or the middle of its range].
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub context: Option<NonZeroUsize>,

    /// Which sub-tokens of a word to train on.
    #[arg(long, value_enum, default_value_t)]
    pub label_tokens: LabelTokens,

    /// Weights of the labels in the loss.
    #[arg(long, value_enum, default_value_t)]
    pub class_weights: ClassWeights,

    /// Share of mentions to replace with others of the same category, drawn again in each epoch.
    #[arg(long, default_value_t = Fraction(0.0), value_name = "SHARE")]
    pub replace_mentions: Fraction,

    /// How to train.
    #[command(flatten)]
    #[serde(flatten)]
    pub training: TrainingArgs,
}

impl TrainArgs {
    /// How many words the model reads at a time when it tags.
    pub(crate) fn tagging_context(&self) -> usize {
        self.context.map_or_else(|| self.context_words.middle(), NonZeroUsize::get)
    }
}

/// What becomes of the four categories of the NCBI Disease corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// Merge them into one, `Disease`.
    #[default]
    Auto,
    /// Keep them.
    Category,
}

/// Which sub-tokens of a word have its label in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LabelTokens {
    /// The first, which is the only one that tagging with `--aggregation first` reads.
    #[default]
    First,
    /// All; those after the first are inside if the first begins a mention.
    All,
}

/// Weights of labels in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All equal.
    #[default]
    None,
    /// Inverse to their frequency, as NeMo's `weighted_loss`.
    Balanced,
}
