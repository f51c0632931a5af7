//! Values of the command line as the operators have them.

use pubtag_corpus::{Format, Labels};
use pubtag_ner::train::{LabelTokens, TrainConfig};
use pubtag_ner::{Aggregation, Decoding, Precision};
use pubtag_parquet::TextPolicy;
use pubtag_pubmed::InputFormat;
use pubtag_tokenize::Context;

use crate::cli;

impl From<cli::Precision> for Precision {
    fn from(precision: cli::Precision) -> Self {
        match precision {
            cli::Precision::F32 => Self::F32,
            cli::Precision::F16 => Self::F16,
            cli::Precision::Bf16 => Self::Bf16,
            cli::Precision::Int8 => Self::Int8,
        }
    }
}

impl From<cli::Decode> for Decoding {
    fn from(decode: cli::Decode) -> Self {
        match decode {
            cli::Decode::Constrained => Self::Viterbi,
            cli::Decode::Argmax => Self::Argmax,
        }
    }
}

impl From<cli::Aggregation> for Aggregation {
    fn from(aggregation: cli::Aggregation) -> Self {
        match aggregation {
            cli::Aggregation::First => Self::First,
            cli::Aggregation::Simple => Self::Simple,
            cli::Aggregation::Average => Self::Average,
            cli::Aggregation::Max => Self::Max,
        }
    }
}

impl From<cli::ContextLimit> for Context {
    fn from(limit: cli::ContextLimit) -> Self {
        match limit {
            cli::ContextLimit::Document => Self::Document,
            cli::ContextLimit::Words(words) => Self::Words(words),
        }
    }
}

impl From<cli::Text> for TextPolicy {
    fn from(text: cli::Text) -> Self {
        match text {
            cli::Text::Keep => Self::Keep,
            cli::Text::Hash => Self::Hash,
        }
    }
}

impl From<cli::InputFormat> for InputFormat {
    fn from(format: cli::InputFormat) -> Self {
        match format {
            cli::InputFormat::Xml => Self::Xml,
            cli::InputFormat::Jsonl => Self::Jsonl,
            cli::InputFormat::Nbib => Self::Nbib,
            cli::InputFormat::Csv => Self::Csv,
            cli::InputFormat::Tsv => Self::Tsv,
            cli::InputFormat::Parquet => Self::Parquet,
            cli::InputFormat::Lines => Self::Lines,
            cli::InputFormat::Text => Self::Text,
        }
    }
}

impl From<cli::CorpusFormat> for Format {
    fn from(format: cli::CorpusFormat) -> Self {
        match format {
            cli::CorpusFormat::Inline => Self::Inline,
            cli::CorpusFormat::Pubtator => Self::PubTator,
            cli::CorpusFormat::BiocXml => Self::BiocXml,
            cli::CorpusFormat::BiocJson => Self::BiocJson,
            cli::CorpusFormat::Iob => Self::Iob,
            cli::CorpusFormat::Nemo => Self::Nemo,
            cli::CorpusFormat::Brat => Self::Brat,
            cli::CorpusFormat::Jsonl => Self::Jsonl,
        }
    }
}

impl From<cli::Labels> for Labels {
    fn from(labels: cli::Labels) -> Self {
        match labels {
            cli::Labels::Auto => Self::Auto,
            cli::Labels::Category => Self::Category,
        }
    }
}

impl From<cli::LabelTokens> for LabelTokens {
    fn from(tokens: cli::LabelTokens) -> Self {
        match tokens {
            cli::LabelTokens::First => Self::First,
            cli::LabelTokens::All => Self::All,
        }
    }
}

impl From<&cli::TrainingArgs> for TrainConfig {
    fn from(args: &cli::TrainingArgs) -> Self {
        Self {
            epochs: args.epochs,
            batch_size: args.batch_size,
            accumulation: args.accumulation,
            learning_rate: args.learning_rate.0,
            warmup_share: args.warmup.0,
            weight_decay: args.weight_decay.0 as f32,
            clip_norm: args.clip_norm.0 as f32,
            layer_decay: args.layer_decay.0,
            label_weights: None,
            patience: args.patience,
            seed: args.seed,
            kernel_cache: args.cache_dir.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn names<C: ValueEnum + Into<O>, O: std::fmt::Display>() -> Vec<(String, String)> {
        let names =
            |value: &C| Some((value.to_possible_value()?.get_name().to_owned(), value.clone().into().to_string()));
        C::value_variants().iter().filter_map(names).collect()
    }

    #[test]
    fn values_have_the_operators_names() {
        let all = [
            names::<cli::Precision, Precision>(),
            names::<cli::Decode, Decoding>(),
            names::<cli::Aggregation, Aggregation>(),
            names::<cli::Text, TextPolicy>(),
            names::<cli::InputFormat, InputFormat>(),
            names::<cli::CorpusFormat, Format>(),
        ];
        for (own, operators) in all.concat() {
            assert_eq!(own, operators);
        }
    }
}
