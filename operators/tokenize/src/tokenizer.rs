//! One text into its windows.

use std::sync::Arc;

use pubtag_schemas::{ModelFiles, TokenSpan, TokenWindow};
use pubtag_stream::without_panic;
use tokenizers::{Encoding, Tokenizer};

use crate::load::load;
use crate::{TokenizeError, WindowSize, windows};

/// A checkpoint's tokenizer that cuts its tokens into windows; clones share it.
#[derive(Clone, Debug)]
pub struct WindowTokenizer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tokenizer: Tokenizer,
    /// Special tokens in front of every window.
    prefix: Vec<u32>,
    /// Special tokens behind every window.
    suffix: Vec<u32>,
    /// Tokens of the text in a full window.
    length: usize,
    stride: usize,
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
    /// Opens a model's tokenizer.
    ///
    /// # Errors
    /// If there is none, it is not usable, or its special tokens and the stride leave no room in a window.
    pub fn open(files: impl Into<ModelFiles>, size: WindowSize) -> Result<Self, TokenizeError> {
        let tokenizer = load(&files.into())?;
        let (prefix, suffix) = special_tokens(&tokenizer)?;
        let (max_tokens, special, stride) = (size.max_tokens.get(), prefix.len() + suffix.len(), size.stride);
        let length = max_tokens.saturating_sub(special);
        if length <= stride {
            return Err(TokenizeError::NoRoom { max_tokens, special, stride });
        }
        Ok(Self { inner: Arc::new(Inner { tokenizer, prefix, suffix, length, stride }) })
    }

    /// Tokenizes a text.
    ///
    /// Spans are bytes of the text as it was given, on character boundaries, without the white space around them, and
    /// in order; words are numbered as the tokenizer splits them.
    ///
    /// # Errors
    /// If the tokenizer refuses the text, or it has more than 4 GiB.
    pub fn tokenize(&self, text: &str) -> Result<Windows, TokenizeError> {
        let Inner { tokenizer, length, stride, .. } = &*self.inner;
        if u32::try_from(text.len()).is_err() {
            return Err(TokenizeError::TooLong { bytes: text.len() });
        }
        let encoding = encode(tokenizer, text, false)?;
        let words = words(&encoding);
        let cut = windows(&words, *length, *stride);
        let windows = cut.into_iter().map(|range| self.window(text, &encoding, &words, range)).collect();
        Ok(Windows { windows, token_count: offset(encoding.len()) })
    }

    fn window(&self, text: &str, encoding: &Encoding, words: &[u32], range: std::ops::Range<usize>) -> TokenWindow {
        let Inner { prefix, suffix, .. } = &*self.inner;
        let ids = [prefix, &encoding.get_ids()[range.clone()], suffix].concat();
        let mut spans = Vec::with_capacity(ids.len());
        spans.resize(prefix.len(), None);
        let offsets = &encoding.get_offsets()[range.clone()];
        spans
            .extend(offsets.iter().zip(&words[range.clone()]).map(|(&offsets, &word)| Some(span(text, offsets, word))));
        spans.resize(ids.len(), None);
        TokenWindow { ids, spans, first_token: offset(range.start) }
    }
}

/// What the tokenizer's post-processor puts around a text.
fn special_tokens(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), TokenizeError> {
    let encoding = encode(tokenizer, "a", true)?;
    let marked = || encoding.get_ids().iter().zip(encoding.get_special_tokens_mask());
    let special = |(&id, &mask): (&u32, &u32)| (mask == 1).then_some(id);
    let prefix = marked().map_while(special).collect();
    let mut suffix: Vec<_> = marked().rev().map_while(special).collect();
    suffix.reverse();
    Ok((prefix, suffix))
}

fn encode(tokenizer: &Tokenizer, text: &str, special_tokens: bool) -> Result<Encoding, TokenizeError> {
    let encoded = without_panic(|| tokenizer.encode(text, special_tokens).map_err(|error| error.to_string()));
    encoded.flatten().map_err(|problem| TokenizeError::Encode { problem })
}

/// The word of each token, from 0 without gaps.
fn words(encoding: &Encoding) -> Vec<u32> {
    let mut word = 0;
    let mut last = None;
    let number = |id: &Option<u32>| {
        if last.is_some_and(|last| last != *id) {
            word += 1;
        }
        last = Some(*id);
        word
    };
    encoding.get_word_ids().iter().map(number).collect()
}

/// Byte-level tokenizers count the space before a word in, and cut inside characters; a span does neither.
fn span(text: &str, (start, end): (usize, usize), word: u32) -> TokenSpan {
    let (start, end) = (text.floor_char_boundary(start), text.ceil_char_boundary(end));
    let token = &text[start..end];
    let start = start + (token.len() - token.trim_start().len());
    let end = start.max(end - (token.len() - token.trim_end().len()));
    TokenSpan { start_byte: offset(start), end_byte: offset(end), word }
}

fn offset(value: usize) -> u32 {
    u32::try_from(value).expect("no more than the length of the text, which was checked")
}
