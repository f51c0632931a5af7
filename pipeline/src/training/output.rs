//! The output directory of a training run: a draft next to it, renamed when complete.

use std::fs;
use std::path::{Path, PathBuf};

use pubtag_ner::train::{LanguageModel, TrainState, to_f16, with_head, with_masked_head};
use pubtag_ner::{Checkpoint, Iob2};
use serde::Serialize;
use serde_json::{Value, json};

use super::card::RECORD;
use super::metrics::{METRICS, Metrics};
use super::place::{self, CARD, CONFIG, FILES, MARK, STATE, WEIGHTS};
use crate::cli::SavedType;
use crate::digest::sha256;
use crate::exit::{Exit, Failure};
use crate::lock::DirectoryLock;

/// An output directory under construction.
#[derive(Debug)]
pub(crate) struct Draft {
    directory: PathBuf,
    target: PathBuf,
    overwrite: bool,
    /// Keeps others from writing the same draft.
    _lock: DirectoryLock,
}

impl Draft {
    /// Creates the draft, or opens that of an interrupted run; `sources` are the inputs of the run.
    ///
    /// # Errors
    /// The target exists and must not be replaced, another training writes the draft, or it cannot be written.
    pub(crate) fn begin(target: &Path, overwrite: bool, sources: &[&Path]) -> Result<Self, Failure> {
        let (target, directory) = place::check(target, overwrite, sources)?;
        place::begin(&directory)?;
        let lock = DirectoryLock::hold(&directory, MARK, "training")?;
        Ok(Self { directory, target, overwrite, _lock: lock })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn state_path(&self) -> PathBuf {
        self.path(STATE)
    }

    /// The state of an interrupted run with the same label.
    pub(crate) fn state(&self, label: &str) -> Option<TrainState> {
        let bytes = fs::read(self.state_path()).ok()?;
        let state = TrainState::from_bytes(&bytes, label);
        match &state {
            Some(state) => tracing::info!("resuming after epoch {}", state.epochs),
            None => tracing::warn!(
                "{} is from a run with other data or settings; starting over",
                self.state_path().display()
            ),
        }
        state
    }

    /// Copies the base model, with a new head unless it has one for these categories, and records how many words it reads
    /// at a time.
    pub(crate) fn base(
        &self,
        base: &Path,
        categories: &[String],
        context_words: usize,
        seed: u64,
    ) -> Result<Checkpoint, Failure> {
        place::clear(&self.directory)?;
        let opened = Checkpoint::open(base).ok().filter(|checkpoint| has_labels(checkpoint, categories));
        if opened.is_some() {
            tracing::info!("{} already has these labels; keeping its head", base.display());
            for name in FILES.iter().chain([&WEIGHTS]).filter(|name| base.join(name).is_file()) {
                fs::copy(base.join(name), self.path(name)).map_err(|error| Failure::write(&self.path(name), error))?;
            }
        } else {
            let begin_inside = |category: &String| [format!("B-{category}"), format!("I-{category}")];
            let labels: Vec<String> =
                std::iter::once("O".to_owned()).chain(categories.iter().flat_map(begin_inside)).collect();
            tracing::info!("{}: new head for {}", base.display(), labels.join(", "));
            with_head(base, &labels, seed, &self.directory)?;
        }
        self.configure("pubtag", json!({ "context_words": context_words }))?;
        Ok(Checkpoint::open(&self.directory)?)
    }

    /// Copies the base model as a masked language model, with a new head unless it has one.
    pub(crate) fn language_model(&self, base: &Path, seed: u64) -> Result<LanguageModel, Failure> {
        place::clear(&self.directory)?;
        let head = if with_masked_head(base, seed, &self.directory)? { "new head" } else { "keeping its head" };
        tracing::info!("{}: {head} for masked language modelling", base.display());
        Ok(LanguageModel::open(&self.directory)?)
    }

    /// The metrics of this run, up to the state that it continues from.
    pub(crate) fn metrics(&self, state: Option<&TrainState>) -> Result<Metrics, Failure> {
        let path = self.path(METRICS);
        Metrics::open(&path, state.map_or(0, |state| state.epochs)).map_err(|error| Failure::write(&path, error))
    }

    /// Writes the weights, the card and the record, and moves the draft to the target.
    pub(crate) fn finish(
        self,
        weights: &[u8],
        dtype: SavedType,
        card: &str,
        record: &impl Serialize,
    ) -> Result<(), Failure> {
        self.write(CARD, card.as_bytes())?;
        self.write(RECORD, &serde_json::to_vec_pretty(record)?)?;
        let rounded = match dtype {
            SavedType::F32 => None,
            SavedType::F16 => {
                self.configure("torch_dtype", "float16".into())?;
                Some(to_f16(weights)?)
            }
        };
        self.write(WEIGHTS, rounded.as_deref().unwrap_or(weights))?;
        place::finish(&self.directory, &self.target, self.overwrite)
    }

    /// Sets a key of `config.json`.
    fn configure(&self, key: &str, value: Value) -> Result<(), Failure> {
        let path = self.path(CONFIG);
        let text = fs::read(&path).map_err(|error| Failure::write(&path, error))?;
        let mut config: Value = serde_json::from_slice(&text)?;
        config[key] = value;
        let text = serde_json::to_vec_pretty(&config)?;
        self.write(CONFIG, &text)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(name);
        fs::write(&path, bytes).map_err(|error| Failure::write(&path, error))
    }
}

/// SHA-256 of a model's weights.
pub(crate) fn weights_sha256(model: &Path) -> Result<String, Failure> {
    let path = model.join(WEIGHTS);
    let bytes = fs::read(&path).map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("failed to read {}", path.display()));
        Failure::new(Exit::Configuration, error)
    })?;
    Ok(sha256(&bytes))
}

/// Whether a checkpoint has the labels of these categories, in training's order.
fn has_labels(checkpoint: &Checkpoint, categories: &[String]) -> bool {
    let labels = checkpoint.labels();
    let kinds = (0..categories.len()).flat_map(|kind| [Iob2::Begin(kind), Iob2::Inside(kind)]);
    labels.entity_types() == categories && labels.tags().iter().copied().eq([Iob2::Outside].into_iter().chain(kinds))
}
