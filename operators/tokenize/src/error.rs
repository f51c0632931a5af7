//! What can go wrong in this room.

use std::io;
use std::path::PathBuf;

use pubtag_stream::FaultKind;

/// Why a tokenizer could not be opened, or a text not be tokenized.
#[derive(Debug, thiserror::Error)]
pub enum TokenizeError {
    /// The model directory has no tokenizer.
    #[error(
        "{directory} has neither tokenizer.json nor vocab.txt; copy one from where the model comes from, or save it with \
         transformers: AutoTokenizer.from_pretrained(…).save_pretrained(…)"
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
        /// What the system says.
        source: io::Error,
    },
    /// A file of the tokenizer is not what it should be.
    #[error("{path} is not a usable tokenizer: {problem}; copy it again from where the model comes from")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Special tokens and stride leave no room in a window.
    #[error("a window of {max_tokens} tokens has no room for {special} special tokens and an overlap of {stride}")]
    NoRoom {
        /// Tokens in a window, special tokens included.
        max_tokens: usize,
        /// Special tokens in every window.
        special: usize,
        /// Tokens that neighbours share.
        stride: usize,
    },
    /// The text is longer than byte offsets of 32 bits reach.
    #[error("the text has {bytes} bytes; at most 4 GiB can be tokenized")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The tokenizer refuses the text.
    #[error("the tokenizer failed: {problem}")]
    Encode {
        /// What it says.
        problem: String,
    },
}

impl TokenizeError {
    /// What a caller can do about it.
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
