//! Errors of this crate.

use std::io;
use std::path::PathBuf;

use pubtag_stream::FaultKind;

/// Why a tokenizer could not be opened, or a text could not be tokenized.
#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    /// The model directory has no tokenizer.
    #[error(
        "{directory}: no tokenizer.json or vocab.txt; copy it from the source of the model, or save it with transformers: \
         AutoTokenizer.from_pretrained(…).save_pretrained(…)"
    )]
    Missing {
        /// The model directory.
        directory: PathBuf,
    },
    /// A file of the tokenizer cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file of the tokenizer is invalid.
    #[error("{path}: not a valid tokenizer: {problem}; copy it again from the source of the model")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Special tokens and stride leave no room in a window.
    #[error("windows of {max_tokens} tokens are too short for {special} special tokens and an overlap of {stride}")]
    NoRoom {
        /// Tokens in a window, special tokens included.
        max_tokens: usize,
        /// Special tokens per window.
        special: usize,
        /// Overlap of windows in tokens.
        stride: usize,
    },
    /// The text is too long for 32-bit byte offsets.
    #[error("the text has {bytes} bytes; the limit is 4 GiB")]
    TooLong {
        /// Length in bytes.
        bytes: usize,
    },
    /// The tokenizer failed.
    #[error("the tokenizer failed: {problem}")]
    Encode {
        /// The cause.
        problem: String,
    },
}

impl TokenizeError {
    /// The class of the error.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Missing { .. } | Self::Invalid { .. } | Self::NoRoom { .. } => FaultKind::Configuration,
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => FaultKind::Configuration,
            Self::Read { .. } => FaultKind::Transient,
            Self::TooLong { .. } => FaultKind::Data,
            Self::Encode { .. } => FaultKind::Internal,
        }
    }
}
