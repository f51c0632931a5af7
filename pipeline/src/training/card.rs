//! The record of a trained model: `README.md` for people, `training.json` for programs.

use std::collections::BTreeMap;
use std::path::Path;

use pubtag_corpus::Gold;
use pubtag_schemas::ModelFiles;
use serde::{Deserialize, Serialize};

use super::metrics::EpochLine;
use super::unlabelled::{TeacherModel, TextFile, text_table};
use crate::cli::TrainArgs;
use crate::provenance::PROGRAM;

/// The file in the model's directory.
pub(crate) const RECORD: &str = "training.json";

/// A training or development corpus.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DataFile {
    pub(crate) name: String,
    pub(crate) sha256: Option<String>,
    /// The types that it annotates.
    #[serde(default)]
    pub(crate) types: Vec<String>,
    pub(crate) sentences: usize,
    pub(crate) mentions: usize,
    /// What could not be read of it, by class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) left_out: BTreeMap<String, u64>,
    /// Mentions that tags cannot express, by class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) untaggable: BTreeMap<String, u64>,
}

impl From<&Gold> for DataFile {
    fn from(gold: &Gold) -> Self {
        // Many corpora have a `train.tsv`: the directory distinguishes them.
        let parts: Vec<_> = gold.corpus.path.components().rev().take(3).collect();
        let name: Vec<_> = parts.iter().rev().map(|part| part.as_os_str().to_string_lossy()).collect();
        Self {
            name: name.join("/"),
            sha256: gold.sha256.clone(),
            types: gold.types.clone(),
            sentences: gold.sentences(),
            mentions: gold.mentions(),
            left_out: gold.left_out.iter().map(|(kind, count)| (kind.to_string(), *count)).collect(),
            untaggable: gold.untaggable().into_iter().map(|(kind, count)| (kind.to_string(), count)).collect(),
        }
    }
}

/// How a model was made.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    pub(crate) program: &'static str,
    pub(crate) command: String,
    /// SHA-256 of the base model's weights.
    pub(crate) base_sha256: String,
    /// The base model's own record, if `pubtag train` made it.
    pub(crate) base: Option<serde_json::Value>,
    pub(crate) train: Vec<DataFile>,
    pub(crate) dev: Vec<DataFile>,
    /// Texts without annotations.
    pub(crate) unlabelled: Vec<TextFile>,
    /// The models that labelled them.
    pub(crate) teachers: Vec<TeacherModel>,
    pub(crate) labels: Vec<String>,
    /// Words of consecutive sentences that the model reads at a time.
    pub(crate) context_words: usize,
    pub(crate) settings: &'a TrainArgs,
    pub(crate) threads: usize,
    pub(crate) epochs: &'a [EpochLine],
}

/// The part of a record that lists training data.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Seen {
    #[serde(default)]
    train: Vec<DataFile>,
    /// That of its base model.
    #[serde(default)]
    base: Option<Box<Seen>>,
}

impl Seen {
    /// The training data of a model; empty without a record.
    pub(crate) fn by(model: &ModelFiles) -> Self {
        let text = model.read(RECORD).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Whether the model, or one it was fine-tuned from, was trained on a file.
    pub(crate) fn contains(&self, gold: &Gold) -> bool {
        let here = || self.train.iter().any(|file| file.sha256 == gold.sha256);
        gold.sha256.is_some() && (here() || self.base.as_ref().is_some_and(|base| base.contains(gold)))
    }
}

impl Record<'_> {
    /// The model card, with the front matter that model hubs read.
    pub(crate) fn card(&self, name: &str) -> String {
        let table = |files: &[DataFile]| -> String {
            let row = |file: &DataFile| {
                let sha256 = file.sha256.as_deref().unwrap_or("several files");
                let types = file.types.join(", ");
                let lost = file.left_out.iter().chain(&file.untaggable);
                let lost: Vec<_> = lost.map(|(kind, count)| format!("{kind} {count}")).collect();
                let DataFile { name, sentences, mentions, .. } = file;
                format!("| {name} | {types} | {sentences} | {mentions} | {} | `{sha256}` |\n", lost.join(", "))
            };
            files.iter().map(row).collect()
        };
        let dev = if self.dev.is_empty() {
            "No development corpus: the last epoch was kept.\n".to_owned()
        } else {
            format!("Development:\n\n{HEADER}{}\n", table(&self.dev))
        };
        format!(
            "---\nlibrary_name: transformers\npipeline_tag: token-classification\nlanguage: en\ntags: [pubtag, biomedical, ner]\n---\n\n\
             # {name}\n\n\
             A token classifier ({labels}) fine-tuned by {program}. It reads consecutive sentences of up to {context} words at a \
             time.\n\n\
             ## Data\n\nTraining:\n\n{HEADER}{train}\n{dev}\n{taught}\
             {training}\
             ## Epochs\n\n\
             F1 of strict entities, micro-averaged over types, as in conlleval and seqeval. The epoch with the highest mean was \
             kept.\n\n\
             {epochs}",
            epochs = markdown(self.epochs),
            context = self.context_words,
            labels = self.labels.join(", "),
            program = self.program,
            train = table(&self.train),
            taught = self.taught(),
            training = training(&self.command, self.threads, &self.base_sha256),
        )
    }
}

impl Record<'_> {
    /// The section on texts without annotations; empty without any.
    fn taught(&self) -> String {
        if self.unlabelled.is_empty() {
            return String::new();
        }
        let teacher = |of: &TeacherModel| format!("{} (SHA-256 `{}`)", of.name, of.sha256);
        let teachers: Vec<String> = self.teachers.iter().map(teacher).collect();
        let texts = text_table(&self.unlabelled);
        format!("Texts without annotations, labelled by {}:\n\n{texts}\n", teachers.join(", "))
    }
}

/// Header of a table of data files.
const HEADER: &str = "| file | types | sentences | mentions | left out | SHA-256 |\n|---|---|---|---|---|---|\n";

/// The section on how a model was trained.
pub(super) fn training(command: &str, threads: usize, base_sha256: &str) -> String {
    format!(
        "## Training\n\n```sh\n{command}\n```\n\n\
         on {threads} threads, from a base model with weights of SHA-256 `{base_sha256}`. All settings are in `{RECORD}`. On the \
         same machine with the same number of threads, the command gives the same bits.\n\n"
    )
}

/// The epochs as a table.
pub(super) fn markdown(epochs: &[EpochLine]) -> String {
    let heads = epochs.first().map(EpochLine::heads).unwrap_or_default();
    let rows: String = epochs.iter().map(|line| format!("| {} |\n", line.cells().join(" | "))).collect();
    format!("| {} |\n{}|\n{rows}", heads.join(" | "), "|---".repeat(heads.len()))
}

/// The record of a model; `None` if this program did not make it.
pub(crate) fn record_of(model: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(model.join(RECORD)).ok()?).ok()
}

/// The command line, quoted for a shell.
pub(crate) fn command_line() -> String {
    let quoted = |argument: std::ffi::OsString| {
        let argument = argument.to_string_lossy().into_owned();
        let plain = argument.chars().all(|c| c.is_alphanumeric() || "-_./=:,+@%".contains(c));
        if plain && !argument.is_empty() { argument } else { format!("'{}'", argument.replace('\'', r"'\''")) }
    };
    std::iter::once("pubtag".to_owned()).chain(std::env::args_os().skip(1).map(quoted)).collect::<Vec<_>>().join(" ")
}

/// The program, as the record names it.
pub(crate) fn program() -> &'static str {
    PROGRAM
}
