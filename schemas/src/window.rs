//! Tokenized citations: windows of token ids with offsets into the text.

use std::ops::Range;

use crate::Citation;

/// One window of a document's tokens, at most as many as the model has positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWindow {
    /// Token ids that the model reads, including special tokens.
    pub ids: Vec<u32>,
    /// One entry per id: the token's span, or `None` for a special token without text.
    pub spans: Vec<Option<TokenSpan>>,
    /// Number in the whole document, from 0, of the window's first token that is not special.
    pub first_token: u32,
    /// Number in the document, from 0, of the window's context: windows of different contexts share no tokens, and
    /// decoding does not cross from one into the next.
    pub context: u32,
}

/// The span of a token in its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSpan {
    /// First byte in the text.
    pub start_byte: u32,
    /// One past the last byte in the text.
    pub end_byte: u32,
    /// Number in the whole document, from 0, of the word that the token belongs to.
    pub word: u32,
}

impl TokenSpan {
    /// The byte range in the text.
    pub fn bytes(self) -> Range<usize> {
        self.start_byte as usize..self.end_byte as usize
    }
}

/// What a tokenizer yields: a document, or the first windows of a long one.
#[derive(Clone, Debug, PartialEq)]
pub enum Tokenized {
    /// Windows of a long text, whose citation follows.
    Windows(Vec<TokenWindow>),
    /// A citation, ready for the model.
    Document(TokenizedDocument),
}

/// A citation and its windows in text order; none if its text has no tokens. For a long text these are the last windows:
/// earlier ones were passed as [`Tokenized::Windows`].
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedDocument {
    /// The citation.
    pub citation: Box<Citation>,
    /// Its windows. Those of one context overlap by the stride; together they cover every token of the text.
    pub windows: Vec<TokenWindow>,
    /// Tokens of the whole text, without special tokens.
    pub token_count: u32,
}
