//! A model in the Hugging Face layout.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use pubtag_schemas::ModelFiles;

use crate::config::ModelConfig;
use crate::fingerprint::fingerprint;
use crate::weights::Weights;
use crate::{LabelSet, NerError};

/// The model's configuration.
const CONFIG: &str = "config.json";
/// The weights.
const WEIGHTS: &str = "model.safetensors";
/// The weights as a PyTorch pickle: never read, because reading a pickle runs code.
const TORCH_WEIGHTS: &str = "pytorch_model.bin";
/// The tokenizer in the format of the `tokenizers` library.
const TOKENIZER: &str = "tokenizer.json";
/// What a WordPiece tokenizer is built from without that file.
const WORDPIECE: [&str; 2] = ["vocab.txt", "tokenizer_config.json"];

/// Size limit of every file but the weights: 256 MiB, far more than any has.
const SMALL: u64 = 256 << 20;

/// A model whose configuration matches its weights and whose files are hashed.
///
/// Every file is read once, so what is used is what was hashed. The bytes of the weights stay in memory until they are
/// first loaded. Loading them again reads the file again and compares it with the fingerprint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    origin: ModelFiles,
    /// Configuration and tokenizer.
    files: ModelFiles,
    config: ModelConfig,
    fingerprint: String,
    weights: Arc<Mutex<Option<Cow<'static, [u8]>>>>,
}

impl Checkpoint {
    /// Opens a model: `config.json`, `model.safetensors`, and `tokenizer.json` or `vocab.txt`, usually in a directory.
    ///
    /// # Errors
    /// If a file is missing or unreadable, the architecture is not supported, or the weights do not match the
    /// configuration.
    pub fn open(files: impl Into<ModelFiles>) -> Result<Self, NerError> {
        let origin = files.into();
        require_files(&origin)?;
        let files = origin
            .hold(&[&[CONFIG], tokenizer_files(&origin)].concat(), SMALL)
            .map_err(|(name, source)| NerError::Read { path: origin.path(&name), source })?;
        let config = ModelConfig::read(&files, CONFIG)?;
        let weights = read(&origin, WEIGHTS)?;
        Weights::check(&weights, &origin.path(WEIGHTS), &config.encoder, config.head())?;
        let fingerprint = fingerprint_of(&files, &weights)?;
        Ok(Self { origin, files, config, fingerprint, weights: Arc::new(Mutex::new(Some(weights))) })
    }

    /// Configuration and tokenizer files, as they were when the model was opened.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// The model's directory or archive, with any other files in it.
    pub fn origin(&self) -> &ModelFiles {
        &self.origin
    }

    /// The model's name.
    pub fn name(&self) -> String {
        self.origin.name()
    }

    /// The model in the tables: its name and the first 12 digits of its fingerprint.
    pub fn id(&self) -> String {
        format!("{}@{}", self.name(), &self.fingerprint[..12])
    }

    /// SHA-256, in lower-case hex, of every file that affects the model's output.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The model's labels.
    pub fn labels(&self) -> &LabelSet {
        &self.config.labels
    }

    /// The longest sequence that the model accepts, special tokens included.
    pub fn max_tokens(&self) -> NonZeroUsize {
        self.config.encoder.max_tokens()
    }

    /// Context length in training, in words of consecutive sentences; `None` if the configuration does not say.
    pub fn context_words(&self) -> Option<NonZeroUsize> {
        self.config.context_words
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The weights that were hashed.
    pub(crate) fn read_weights(&self) -> Result<Weights, NerError> {
        let bytes = match self.waiting_weights() {
            Some(bytes) => bytes,
            None => {
                let bytes = read(&self.origin, WEIGHTS)?;
                if fingerprint_of(&self.files, &bytes)? != self.fingerprint {
                    return Err(NerError::Changed { path: self.origin.path(WEIGHTS) });
                }
                bytes
            }
        };
        Weights::parse(&bytes, &self.origin.path(WEIGHTS), &self.config.encoder, self.config.head())
    }

    /// Parses other weights of the same shape, and releases the model's own.
    pub(crate) fn parse_weights(&self, bytes: &[u8]) -> Result<Weights, NerError> {
        drop(self.waiting_weights());
        Weights::parse(bytes, &self.origin.path(WEIGHTS), &self.config.encoder, self.config.head())
    }

    fn waiting_weights(&self) -> Option<Cow<'static, [u8]>> {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The fingerprint of the weights and all held files. The order is part of the fingerprint.
fn fingerprint_of(files: &ModelFiles, weights: &[u8]) -> Result<String, NerError> {
    let names = [&[CONFIG, WEIGHTS], tokenizer_files(files)].concat();
    let present = names.into_iter().filter(|name| *name == WEIGHTS || files.has(name));
    let contents = present.map(|name| -> Result<(_, Cow<'_, [u8]>), NerError> {
        Ok((name, if name == WEIGHTS { Cow::Borrowed(weights) } else { read(files, name)? }))
    });
    let contents = contents.collect::<Result<Vec<_>, _>>()?;
    Ok(fingerprint(contents.iter().map(|(name, contents)| (*name, &**contents))))
}

/// The files that the tokenizer is read from.
fn tokenizer_files(files: &ModelFiles) -> &'static [&'static str] {
    if files.has(TOKENIZER) { &[TOKENIZER] } else { &WORDPIECE }
}

fn read(files: &ModelFiles, name: &str) -> Result<Cow<'static, [u8]>, NerError> {
    files.read(name).map_err(|source| NerError::Read { path: files.path(name), source })
}

fn require_files(files: &ModelFiles) -> Result<(), NerError> {
    let has = |file: &str| files.has(file);
    let missing = |missing, way_out| Err(NerError::MissingFile { directory: files.place(), missing, way_out });
    if !has(CONFIG) {
        return missing(CONFIG, "choose a directory in Hugging Face layout");
    }
    if !has(WEIGHTS) && has(TORCH_WEIGHTS) {
        return missing(
            "model.safetensors (pytorch_model.bin exists, but pickles are never read)",
            "convert it with Python: import torch, safetensors.torch as s; s.save_file({k: v.contiguous() for k, v \
             in torch.load('pytorch_model.bin', weights_only=True).items()}, 'model.safetensors')",
        );
    }
    if !has(WEIGHTS) {
        return missing(WEIGHTS, "copy it from the source of the model");
    }
    if !has(TOKENIZER) && !has(WORDPIECE[0]) {
        return missing(
            "the tokenizer (tokenizer.json or vocab.txt)",
            "copy it from the source of the model, or save it with transformers: \
             AutoTokenizer.from_pretrained(…).save_pretrained(…)",
        );
    }
    Ok(())
}
