//! Splits a document into windows, a stretch of text at a time.

use std::ops::Range;

use pubtag_schemas::{TokenSpan, TokenWindow};

use crate::TokenizeError;
use crate::encoder::{Encoder, Piece};
use crate::segment::segment_end;
use crate::windows::next_window;

/// Progress through a document.
///
/// *Memory*: the tokens of one stretch of text and of the previous window.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The end of the current context.
    context_end: usize,
    /// The part of the context that is not tokenized yet.
    rest: Range<usize>,
    /// The number of the context.
    context: u32,
    /// Tokens that are not in a finished window, or shared with the next.
    tokens: Tokens,
    /// Number of the first of these tokens in the document.
    first_token: u32,
    /// Number of the next word in the document.
    next_word: u32,
}

/// Ids and spans of tokens.
#[derive(Debug, Default)]
struct Tokens {
    ids: Vec<u32>,
    spans: Vec<TokenSpan>,
}

impl Reading {
    /// Starts a text.
    ///
    /// # Errors
    /// If it has more than 4 GiB.
    pub(crate) fn of(text: &str) -> Result<Self, TokenizeError> {
        match u32::try_from(text.len()) {
            Ok(_) => Ok(Self::default()),
            Err(_) => Err(TokenizeError::TooLong { bytes: text.len() }),
        }
    }

    /// Tokenizes the next stretch of text and adds the windows that are now complete; returns false at the end of the text.
    pub(crate) fn step(
        &mut self,
        tokenizer: &Encoder,
        text: &str,
        borders: &[usize],
        windows: &mut Vec<TokenWindow>,
    ) -> Result<bool, TokenizeError> {
        if self.rest.is_empty() {
            let Some(context) = tokenizer.context.after(self.context_end, text, borders) else { return Ok(false) };
            (self.context_end, self.rest) = (context.end, context);
        }
        let start = self.rest.start;
        self.rest.start += segment_end(&text[self.rest.clone()]);
        self.add(&tokenizer.encode(text, start..self.rest.start)?);
        self.cut(tokenizer, windows);
        if self.rest.is_empty() {
            self.context += 1;
        }
        Ok(true)
    }

    /// Tokens so far.
    pub(crate) fn token_count(&self) -> u32 {
        self.first_token + count(self.tokens.ids.len())
    }

    fn add(&mut self, piece: &Piece<'_>) {
        let words = self.next_word;
        self.tokens.ids.extend_from_slice(piece.ids());
        self.tokens.spans.extend(piece.spans(words));
        self.next_word = self.tokens.spans.last().map_or(words, |span| words.max(span.word + 1));
    }

    /// Cuts off windows that no later token of the context can belong to.
    fn cut(&mut self, tokenizer: &Encoder, windows: &mut Vec<TokenWindow>) {
        let (mut start, whole) = (0, self.rest.is_empty());
        while start < self.tokens.ids.len() {
            let end = self.tokens.ids.len();
            let word = |token: usize| self.tokens.spans[token].word;
            match next_window(word, start..end, tokenizer.length, tokenizer.stride) {
                Some(next) => {
                    windows.push(self.window(tokenizer, start..start + tokenizer.length));
                    start = next;
                }
                None if whole => {
                    windows.push(self.window(tokenizer, start..end));
                    start = end;
                }
                None => break,
            }
        }
        self.tokens.ids.drain(..start);
        self.tokens.spans.drain(..start);
        self.first_token += count(start);
    }

    fn window(&self, tokenizer: &Encoder, range: Range<usize>) -> TokenWindow {
        let Encoder { prefix, suffix, .. } = tokenizer;
        let ids = [prefix, &self.tokens.ids[range.clone()], suffix].concat();
        let of_text = self.tokens.spans[range.clone()].iter().copied().map(Some);
        let nowhere = |tokens: &[u32]| std::iter::repeat_n(None, tokens.len());
        let spans = nowhere(prefix).chain(of_text).chain(nowhere(suffix)).collect();
        TokenWindow { ids, spans, first_token: self.first_token + count(range.start), context: self.context }
    }
}

fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).expect("at most the bytes of the text, which fit")
}
