//! The tokenizer of a checkpoint.

use pubtag_ner::Checkpoint;
use pubtag_tokenize::{WindowSize, WindowTokenizer};

use crate::exit::Failure;

/// Opens the tokenizer of a checkpoint.
///
/// # Errors
/// Its files are missing or not valid.
pub(crate) fn open(checkpoint: &Checkpoint) -> Result<WindowTokenizer, Failure> {
    let size = WindowSize::of_model(checkpoint.max_tokens());
    Ok(WindowTokenizer::open(checkpoint.files().clone(), size)?)
}
