//! A model directory in the Hugging Face layout.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::config::ModelConfig;
use crate::fingerprint::fingerprint;
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

/// A model directory whose configuration is checked and whose files are hashed; the weights are not in memory yet.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    directory: PathBuf,
    name: String,
    config: ModelConfig,
    fingerprint: String,
}

impl Checkpoint {
    /// Opens a directory that holds `config.json`, `model.safetensors`, and `tokenizer.json` or `vocab.txt`.
    ///
    /// # Errors
    /// If a file is missing or unreadable, or the configuration describes a model that is not built here.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, NerError> {
        let directory = directory.as_ref();
        require_files(directory)?;
        let config = ModelConfig::read(&directory.join(CONFIG))?;
        let tokenizer: &[_] = if directory.join(TOKENIZER).is_file() { &[TOKENIZER] } else { &WORDPIECE };
        let fingerprint = fingerprint(directory, &[&[CONFIG, WEIGHTS], tokenizer].concat())?;
        Ok(Self { directory: directory.to_owned(), name: name(directory), config, fingerprint })
    }

    /// The directory; the tokenizer's files lie here too.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The last component of the directory's path: what people call the model.
    pub fn name(&self) -> &str {
        &self.name
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

    /// What the model looks like.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub(crate) fn weights(&self) -> PathBuf {
        self.directory.join(WEIGHTS)
    }
}

fn require_files(directory: &Path) -> Result<(), NerError> {
    let has = |file: &str| directory.join(file).is_file();
    let missing = |missing, way_out| Err(NerError::MissingFile { directory: directory.to_owned(), missing, way_out });
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

/// The path's last component, links and dots resolved.
fn name(directory: &Path) -> String {
    let resolved = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    resolved.file_name().unwrap_or(resolved.as_os_str()).to_string_lossy().into_owned()
}
