//! Settings of a run, checked.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as _, FromArgMatches as _};
use pubtag_ner::{Aggregation, Checkpoint, Decoding, Precision};
use pubtag_parquet::TextPolicy;
use pubtag_pubmed::{ReadOptions, TextColumns};
use pubtag_schemas::InputUnit;
use pubtag_store::{Address, Buckets, StoreOptions};
use pubtag_tokenize::Context;

use crate::cached::CacheChoice;
use crate::cli::{Abbreviations, Reissued, RunArgs, RunOptions, Shard, Tolerance};
use crate::device::DeviceConfig;
use crate::exit::{Exit, Failure};

/// Settings of `pubtag run`.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Inputs, as given.
    pub inputs: Vec<String>,
    /// The part of them to tag; `None` for all.
    pub shard: Option<Shard>,
    /// Whether the inputs must be a single file.
    pub single_input: bool,
    /// Output.
    pub output: Address,
    /// Options of object stores.
    pub store_options: StoreOptions,
    /// How entities are found.
    pub tagger: TaggerConfig,
    /// What `documents` contains of the text.
    pub text: TextPolicy,
    /// How many rejects fail the run.
    pub max_rejects: Tolerance,
    /// By how many records NLM's counts may differ before the run fails.
    pub max_differences: Tolerance,
    /// How inputs are read.
    pub read: ReadOptions,
    /// Where results are kept for later runs.
    pub cache: CacheChoice,
    /// Whether earlier commits may be replaced.
    pub overwrite: bool,
    /// What becomes of the earlier results of re-issued files.
    pub reissued: Reissued,
    /// Time to finish the current file after a signal.
    pub grace: Duration,
}

/// How entities are found in texts.
#[derive(Clone, Debug)]
pub struct TaggerConfig {
    /// Model directory; `None` for the bundled model.
    pub model: Option<PathBuf>,
    /// Where and how the model runs.
    pub device: DeviceConfig,
    /// How tags are chosen.
    pub decode: Decoding,
    /// How sub-tokens become words.
    pub aggregation: Aggregation,
    /// How much of a document the model reads at a time; `None` for what it was trained with.
    pub context: Option<Context>,
    /// Whether abbreviations are tagged by their definitions.
    pub abbreviations: Abbreviations,
}

impl TaggerConfig {
    /// Settings from options of `pubtag run`, such as `--precision int8`; those about inputs and outputs do not matter.
    ///
    /// # Errors
    /// An option is unknown, or its value is not valid.
    pub fn parse(options: impl IntoIterator<Item = OsString>) -> Result<Self, Failure> {
        let command = RunOptions::augment_args(clap::Command::new("pubtag")).no_binary_name(true);
        let parsed = command.try_get_matches_from(options).and_then(|matches| RunOptions::from_arg_matches(&matches));
        let options = parsed.map_err(|error| Failure::message(Exit::Usage, without_usage(&error)))?;
        Ok(Self::of(&options))
    }

    /// The settings among the options of a run.
    pub(crate) fn of(options: &RunOptions) -> Self {
        Self {
            model: options.model.clone(),
            device: DeviceConfig::check(options.device.clone()),
            decode: options.decode.into(),
            aggregation: options.aggregation.into(),
            context: options.context.map(Into::into),
            abbreviations: options.abbreviations,
        }
    }

    /// How much of a document the model reads at a time [default: what the model was trained with].
    pub fn context(&self, checkpoint: &Checkpoint) -> Context {
        self.context.unwrap_or_else(|| checkpoint.context_words().into())
    }

    /// Whether abbreviations are tagged by their definitions.
    pub fn abbreviations(&self, checkpoint: &Checkpoint) -> bool {
        tags_abbreviations(self.abbreviations, checkpoint)
    }

    /// The settings that change the annotations of a text; part of every key of the cache.
    pub fn tagging_settings(&self, checkpoint: &Checkpoint) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::from([
            ("aggregation".to_owned(), self.aggregation.to_string()),
            ("decode".to_owned(), self.decode.to_string()),
        ]);
        // Absent unless set, as in fingerprints.
        let context = Some(self.context(checkpoint)).filter(|context| *context != Context::Document);
        if let Some(context) = context {
            settings.insert("context".to_owned(), context.to_string());
        }
        if self.abbreviations(checkpoint) {
            settings.insert("abbreviations".to_owned(), "on".to_owned());
        }
        if self.device.precision != Precision::F32 {
            settings.insert("precision".to_owned(), self.device.precision.to_string());
        }
        settings
    }
}

/// What clap says about an error in an option, in one line and without how to use a command line.
fn without_usage(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text.split("\n\n").next().unwrap_or(&text);
    said.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ")
}

impl RunConfig {
    /// Checks the settings of the command line and the settings file.
    ///
    /// # Errors
    /// A required setting is missing.
    pub fn check(RunArgs { inputs, shard, options }: RunArgs) -> Result<Self, Failure> {
        if inputs.is_empty() {
            return Err(missing("INPUT"));
        }
        Ok(Self { inputs, shard, ..Self::without_inputs(options)? })
    }

    /// Checks all settings but the inputs.
    ///
    /// # Errors
    /// A required setting is missing.
    pub(crate) fn without_inputs(args: RunOptions) -> Result<Self, Failure> {
        let tagger = TaggerConfig::of(&args);
        let output = args.output.ok_or_else(|| missing("--output"))?;
        Ok(Self {
            inputs: Vec::new(),
            shard: None,
            single_input: false,
            output: output.clone(),
            store_options: args.store.options(),
            tagger,
            text: args.text.into(),
            max_rejects: args.max_rejects,
            max_differences: args.max_differences,
            read: ReadOptions {
                accept_partial: args.accept_partial,
                limit: args.limit.map(|limit| limit.get() as u64),
                format: args.input_format.map(Into::into),
                columns: TextColumns { id: args.id_column, title: args.title_column, text: args.text_column },
                output: Some(output),
                buckets: Buckets::new(args.store.options()),
            },
            cache: match args.cache {
                _ if args.no_cache => CacheChoice::Off,
                Some(address) => CacheChoice::At(address),
                None => CacheChoice::Beside,
            },
            overwrite: args.overwrite,
            reissued: args.reissued,
            grace: args.grace,
        })
    }

    /// Whether an input replaces what was committed of an earlier content without `overwrite`: it is a file of the PubMed
    /// distribution, which NLM has re-issued.
    pub fn replaces(&self, unit: &InputUnit) -> bool {
        self.reissued == Reissued::Replace && unit.generation.is_some() && unit.file_seq.is_some()
    }

    /// The settings that change what is written for the same input and model; part of every fingerprint.
    ///
    /// Device, threads and token budget are not: they change results by no more than rounding errors.
    pub fn decisive_settings(&self, checkpoint: &Checkpoint) -> BTreeMap<String, String> {
        let mut settings = self.tagger.tagging_settings(checkpoint);
        settings.insert("text".to_owned(), self.text.to_string());
        // Absent unless set, so that fingerprints from before these settings existed stay valid.
        let ReadOptions { accept_partial, limit, format, columns, output: _, buckets: _ } = &self.read;
        let given = [
            ("limit", limit.map(|limit| limit.to_string())),
            ("input_format", format.map(|format| format.to_string())),
            ("id_column", columns.id.clone()),
            ("title_column", columns.title.clone()),
            ("text_column", columns.text.clone()),
            ("accept_partial", accept_partial.then(|| "true".to_owned())),
        ];
        settings.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        settings
    }
}

/// Whether abbreviations are tagged by their definitions: by default for models made by `pubtag train`. The output of any
/// other model stays what `transformers` would say.
pub(crate) fn tags_abbreviations(abbreviations: Abbreviations, checkpoint: &Checkpoint) -> bool {
    match abbreviations {
        Abbreviations::Auto => checkpoint.context_words().is_some(),
        Abbreviations::On => true,
        Abbreviations::Off => false,
    }
}

/// The error for a setting that neither the command line nor the settings file has.
pub(crate) fn missing(setting: &str) -> Failure {
    Failure::message(Exit::Usage, format!("missing required setting {setting}; see --help"))
}
