//! A model's tokenizer, and how it is read with.

use std::sync::Arc;

use pubtag_schemas::{ModelFiles, TokenWindow};

use crate::encoder::Encoder;
use crate::reading::Reading;
use crate::{Context, TokenizeError, WindowSize};

/// A checkpoint's tokenizer that cuts its tokens into windows; clones share it.
#[derive(Clone, Debug)]
pub struct WindowTokenizer {
    pub(crate) encoder: Arc<Encoder>,
}

/// The windows of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// In text order; none if the text holds no token.
    pub windows: Vec<TokenWindow>,
    /// Tokens of the whole text, special tokens not counted.
    pub token_count: u32,
}

impl WindowTokenizer {
    /// Opens a model's tokenizer, to read whole documents.
    ///
    /// # Errors
    /// If there is none, it is not usable, or its special tokens and the stride leave no room in a window.
    pub fn open(files: impl Into<ModelFiles>, size: WindowSize) -> Result<Self, TokenizeError> {
        Ok(Self { encoder: Arc::new(Encoder::open(&files.into(), size)?) })
    }

    /// The same tokenizer, reading so much of a document at a time.
    #[must_use]
    pub fn with_context(mut self, context: Context) -> Self {
        Arc::make_mut(&mut self.encoder).context = context;
        self
    }

    /// Tokenizes a text. `borders` are the starts and ends of its sections, which no sentence crosses.
    ///
    /// Spans are bytes of the text as it was given, on character boundaries, without the white space around them, and
    /// in order; words are numbered as the tokenizer splits them. Each context is tokenized by itself.
    ///
    /// *Memory*: all windows. The operator hands those of a long text on while it reads.
    ///
    /// # Errors
    /// If the tokenizer refuses the text, or it has more than 4 GiB.
    pub fn tokenize(&self, text: &str, borders: &[usize]) -> Result<Windows, TokenizeError> {
        let (mut reading, mut windows) = (Reading::of(text)?, Vec::new());
        while reading.step(&self.encoder, text, borders, &mut windows)? {}
        Ok(Windows { windows, token_count: reading.token_count() })
    }
}
