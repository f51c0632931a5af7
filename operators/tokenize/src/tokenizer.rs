//! A model's tokenizer with windows.

use std::sync::Arc;

use pubtag_schemas::{ModelFiles, TokenWindow};

use crate::encoder::Encoder;
use crate::reading::Reading;
use crate::{Context, TokenizeError, WindowSize};

/// A checkpoint's tokenizer that splits texts into windows of tokens; clones share it.
#[derive(Clone, Debug)]
pub struct WindowTokenizer {
    pub(crate) encoder: Arc<Encoder>,
}

/// The windows of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// In text order; empty if the text has no tokens.
    pub windows: Vec<TokenWindow>,
    /// Tokens of the whole text, without special tokens.
    pub token_count: u32,
}

impl WindowTokenizer {
    /// Opens a model's tokenizer, with whole documents as context.
    ///
    /// # Errors
    /// If there is none, it is invalid, or windows are too short for its special tokens and the stride.
    pub fn open(files: impl Into<ModelFiles>, size: WindowSize) -> Result<Self, TokenizeError> {
        Ok(Self { encoder: Arc::new(Encoder::open(&files.into(), size)?) })
    }

    /// The same tokenizer with another context.
    #[must_use]
    pub fn with_context(mut self, context: Context) -> Self {
        Arc::make_mut(&mut self.encoder).context = context;
        self
    }

    /// The id of a token, such as `[MASK]`; `None` if the tokenizer does not have it.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.encoder.token_id(token)
    }

    /// Tokenizes a text. `borders` are the starts and ends of its sections, which no sentence crosses.
    ///
    /// Spans are bytes of the original text, in order, on character boundaries and without surrounding white space; words
    /// are numbered as the tokenizer splits them. Each context is tokenized separately.
    ///
    /// *Memory*: all windows. The operator passes those of a long text on in pieces.
    ///
    /// # Errors
    /// If the tokenizer fails, or the text has more than 4 GiB.
    pub fn tokenize(&self, text: &str, borders: &[usize]) -> Result<Windows, TokenizeError> {
        let (mut reading, mut windows) = (Reading::of(text)?, Vec::new());
        while reading.step(&self.encoder, text, borders, &mut windows)? {}
        Ok(Windows { windows, token_count: reading.token_count() })
    }
}
