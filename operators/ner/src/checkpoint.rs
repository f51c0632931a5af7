//! A model in the Hugging Face layout.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

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

/// The most that a file beside the weights may have: 256 MiB, many times what any has.
const SMALL: u64 = 256 << 20;

/// A model whose configuration is checked against its weights and whose files are hashed.
///
/// Every file is read once: what is used is what was hashed. The weights wait in memory, as the bytes of their file,
/// for the first who loads them; who loads them again reads the file again, and holds it against the fingerprint.
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
    /// Opens files, of a directory say, that hold `config.json`, `model.safetensors`, and `tokenizer.json` or `vocab.txt`.
    ///
    /// # Errors
    /// If a file is missing or unreadable, the configuration describes a model that is not built here, or the weights
    /// are not those that it describes.
    pub fn open(files: impl Into<ModelFiles>) -> Result<Self, NerError> {
        let origin = files.into();
        require_files(&origin)?;
        let files = origin
            .hold(&[&[CONFIG], tokenizer_files(&origin)].concat(), SMALL)
            .map_err(|(name, source)| NerError::Read { path: origin.path(&name), source })?;
        let config = ModelConfig::read(&files, CONFIG)?;
        let weights = read(&origin, WEIGHTS)?;
        Weights::check(&weights, &origin.path(WEIGHTS), &config)?;
        let fingerprint = fingerprint_of(&files, &weights)?;
        Ok(Self { origin, files, config, fingerprint, weights: Arc::new(Mutex::new(Some(weights))) })
    }

    /// The files of configuration and tokenizer, as they were when the model was opened.
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }

    /// Where the model comes from, with whatever else is there.
    pub fn origin(&self) -> &ModelFiles {
        &self.origin
    }

    /// What people call the model.
    pub fn name(&self) -> String {
        self.origin.name()
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
        Weights::parse(&bytes, &self.origin.path(WEIGHTS), &self.config)
    }

    /// Reads weights of this model's shape from elsewhere; its own are not waited for any longer.
    pub(crate) fn parse_weights(&self, bytes: &[u8]) -> Result<Weights, NerError> {
        drop(self.waiting_weights());
        Weights::parse(bytes, &self.origin.path(WEIGHTS), &self.config)
    }

    fn waiting_weights(&self) -> Option<Cow<'static, [u8]>> {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Of the weights, and of all files that are held; in this order, which no fingerprint may differ in.
fn fingerprint_of(files: &ModelFiles, weights: &[u8]) -> Result<String, NerError> {
    let names = [&[CONFIG, WEIGHTS], tokenizer_files(files)].concat();
    let present = names.into_iter().filter(|name| *name == WEIGHTS || files.has(name));
    let contents = present.map(|name| -> Result<(_, Cow<'_, [u8]>), NerError> {
        Ok((name, if name == WEIGHTS { Cow::Borrowed(weights) } else { read(files, name)? }))
    });
    let contents = contents.collect::<Result<Vec<_>, _>>()?;
    Ok(fingerprint(contents.iter().map(|(name, contents)| (*name, &**contents))))
}

/// What a tokenizer is read from.
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
