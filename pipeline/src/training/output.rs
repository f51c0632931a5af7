//! The directory that a training run writes: built beside its place, and moved there when it is whole.

use std::fs;
use std::path::{Path, PathBuf};

use pubtag_ner::train::{TrainState, to_f16, with_head};
use pubtag_ner::{Checkpoint, Iob2};
use serde_json::{Value, json};

use super::place::{self, CONFIG, FILES, STATE, WEIGHTS};
use crate::cli::SavedType;
use crate::exit::Failure;

/// An output directory under construction.
#[derive(Debug)]
pub(crate) struct Draft {
    directory: PathBuf,
    target: PathBuf,
    overwrite: bool,
}

impl Draft {
    /// Begins, or goes on with what an interrupted run left; `sources` are what the run reads.
    ///
    /// # Errors
    /// The target is there and may not be replaced, or nothing can be written beside it.
    pub(crate) fn begin(target: &Path, overwrite: bool, sources: &[&Path]) -> Result<Self, Failure> {
        let (target, directory) = place::check(target, overwrite, sources)?;
        place::begin(&directory)?;
        Ok(Self { directory, target, overwrite })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn state_path(&self) -> PathBuf {
        self.path(STATE)
    }

    /// What an interrupted run with the same label left.
    pub(crate) fn state(&self, label: &str) -> Option<TrainState> {
        let bytes = fs::read(self.state_path()).ok()?;
        let state = TrainState::from_bytes(&bytes, label);
        match &state {
            Some(state) => tracing::info!("going on after epoch {}, which an earlier run finished", state.epochs),
            None => tracing::warn!(
                "{} is of a run with other data or settings and is begun anew",
                self.state_path().display()
            ),
        }
        state
    }

    /// Puts the base model here, with a new head for these categories unless it has one, and records how many words it
    /// is to read at a time.
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
            tracing::info!("{} has these labels already: its head is kept", base.display());
            for name in FILES.iter().chain([&WEIGHTS]).filter(|name| base.join(name).is_file()) {
                fs::copy(base.join(name), self.path(name)).map_err(|error| Failure::write(&self.path(name), error))?;
            }
        } else {
            let begin_inside = |category: &String| [format!("B-{category}"), format!("I-{category}")];
            let labels: Vec<String> =
                std::iter::once("O".to_owned()).chain(categories.iter().flat_map(begin_inside)).collect();
            tracing::info!("{} gets a new head for {}", base.display(), labels.join(", "));
            with_head(base, &labels, seed, &self.directory)?;
        }
        self.configure("pubtag", json!({ "context_words": context_words }))?;
        Ok(Checkpoint::open(&self.directory)?)
    }

    /// Writes the weights and moves the directory to its place.
    pub(crate) fn finish(self, weights: &[u8], dtype: SavedType) -> Result<(), Failure> {
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

/// Whether a checkpoint has these categories, in the order in which training lays labels out.
fn has_labels(checkpoint: &Checkpoint, categories: &[String]) -> bool {
    let labels = checkpoint.labels();
    let kinds = (0..categories.len()).flat_map(|kind| [Iob2::Begin(kind), Iob2::Inside(kind)]);
    labels.entity_types() == categories && labels.tags().iter().copied().eq([Iob2::Outside].into_iter().chain(kinds))
}
