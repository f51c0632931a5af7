//! A masked language model in the Hugging Face layout.

use std::path::{Path, PathBuf};

use crate::NerError;
use crate::config::{EncoderConfig, Family};
use crate::weights::Weights;

/// A masked language model whose configuration matches its weights.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    directory: PathBuf,
    encoder: EncoderConfig,
}

impl LanguageModel {
    /// Opens the directory that [`with_masked_head`](super::with_masked_head) has written.
    ///
    /// # Errors
    /// A file cannot be read, or the weights do not match the configuration.
    pub fn open(directory: &Path) -> Result<Self, NerError> {
        let encoder = EncoderConfig::read(&directory.join("config.json"), Family::Bert)?;
        let model = Self { directory: directory.to_owned(), encoder };
        let bytes = model.read()?;
        Weights::check(&bytes, &model.file(), &model.encoder, model.encoder.masked_head())?;
        Ok(model)
    }

    /// The model's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The model's encoder.
    pub fn encoder(&self) -> &EncoderConfig {
        &self.encoder
    }

    /// The model's weights, or others of the same shape.
    pub(crate) fn weights(&self, others: Option<&[u8]>) -> Result<Weights, NerError> {
        let own = if others.is_some() { Vec::new() } else { self.read()? };
        Weights::parse(others.unwrap_or(&own), &self.file(), &self.encoder, self.encoder.masked_head())
    }

    fn file(&self) -> PathBuf {
        self.directory.join("model.safetensors")
    }

    fn read(&self) -> Result<Vec<u8>, NerError> {
        std::fs::read(self.file()).map_err(|source| NerError::Read { path: self.file(), source })
    }
}
