//! A model in the Hugging Face layout.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use pubtag_schemas::ModelFiles;

use crate::config::ModelConfig;
use crate::fingerprint::fingerprint;
use crate::weights::Weights;
use crate::{LabelSet, NerError};

/// The configuration of the model.
const CONFIG: &str = "config.json";
/// Its weights.
const WEIGHTS: &str = "model.safetensors";
/// Its weights as PyTorch pickles them: never read, because reading a pickle runs code.
const TORCH_WEIGHTS: &str = "pytorch_model.bin";
/// The tokenizer as the `tokenizers` library saves it.
const TOKENIZER: &str = "tokenizer.json";
/// What a WordPiece tokenizer is built from where that file is missing.
const WORDPIECE: [&str; 2] = ["vocab.txt", "tokenizer_config.json"];

/// A model whose configuration is checked and whose files are hashed; the weights are not in memory yet.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    files: ModelFiles,
    config: ModelConfig,
    fingerprint: String,
}

impl Checkpoint {
    /// Opens files, of a directory say, that hold `config.json`, `model.safetensors`, and `tokenizer.json` or `vocab.txt`.
    ///
    /// # Errors
    /// If a file is missing or unreadable, or the configuration describes a model that is not built here.
    pub fn open(files: impl Into<ModelFiles>) -> Result<Self, NerError> {
        let files = files.into();
        require_files(&files)?;
        let config = ModelConfig::read(&files, CONFIG)?;
        let tokenizer: &[_] = if files.has(TOKENIZER) { &[TOKENIZER] } else { &WORDPIECE };
        let fingerprint = fingerprint(&files, &[&[CONFIG, WEIGHTS], tokenizer].concat())?;
        Ok(Self { files, config, fingerprint })
    }

    /// All its files; the tokenizer's are among them.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// What people call the model.
    pub fn name(&self) -> String {
        self.files.name()
    }

    /// SHA-256, in lower-case hex, over every file that changes what the model says.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What the model can say of a token.
    pub fn labels(&self) -> &LabelSet {
        &self.config.labels
    }

    /// The longest sequence that the model reads, special tokens included.
    pub fn max_tokens(&self) -> NonZeroUsize {
        self.config.max_tokens()
    }

    /// Words of consecutive sentences that the model learnt to read at a time; `None` where its directory says nothing.
    pub fn context_words(&self) -> Option<NonZeroUsize> {
        self.config.context_words
    }

    /// What the model looks like.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Reads the weights.
    pub(crate) fn read_weights(&self) -> Result<Weights, NerError> {
        let bytes = self.files.read(WEIGHTS).map_err(|source| NerError::Read { path: self.weights_path(), source })?;
        self.parse_weights(&bytes)
    }

    /// Reads weights of this model's shape from elsewhere.
    pub(crate) fn parse_weights(&self, bytes: &[u8]) -> Result<Weights, NerError> {
        Weights::parse(bytes, &self.weights_path(), &self.config)
    }

    fn weights_path(&self) -> PathBuf {
        self.files.path(WEIGHTS)
    }
}

fn require_files(files: &ModelFiles) -> Result<(), NerError> {
    let has = |file: &str| files.has(file);
    let missing = |missing, way_out| Err(NerError::MissingFile { directory: files.place(), missing, way_out });
    if !has(CONFIG) {
        return missing(CONFIG, "name a directory in the Hugging Face layout");
    }
    if !has(WEIGHTS) && has(TORCH_WEIGHTS) {
        return missing(
            "model.safetensors (there is only pytorch_model.bin, which is never read)",
            "convert it once with python: import torch, safetensors.torch as s; s.save_file({k: v.contiguous() for k, v \
             in torch.load('pytorch_model.bin', weights_only=True).items()}, 'model.safetensors')",
        );
    }
    if !has(WEIGHTS) {
        return missing(WEIGHTS, "copy it from where the model comes from");
    }
    if !has(TOKENIZER) && !has(WORDPIECE[0]) {
        return missing(
            "the tokenizer (tokenizer.json or vocab.txt)",
            "copy it from where the model comes from, or save it with transformers: \
             AutoTokenizer.from_pretrained(…).save_pretrained(…)",
        );
    }
    Ok(())
}
