//! What a tokenizer makes of a citation: windows of token ids with offsets into the text.

use std::ops::Range;

use crate::Citation;

/// One window of a document's tokens: at most as many as the model has positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWindow {
    /// Token ids, special tokens included: what the model reads.
    pub ids: Vec<u32>,
    /// One entry for each id: where the token stands, or `None` for a special token that stands for no text.
    pub spans: Vec<Option<TokenSpan>>,
    /// Number, in the whole document and from 0, of the first token of the window that is not special.
    pub first_token: u32,
    /// Number of the context that the window is of, in the document and from 0: windows of different contexts share no
    /// token, and nothing reaches from one into the next.
    pub context: u32,
}

/// Where a token stands in its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSpan {
    /// First byte in the text.
    pub start_byte: u32,
    /// One past the last byte in the text.
    pub end_byte: u32,
    /// Number of the word that the token belongs to, in the whole document and from 0.
    pub word: u32,
}

impl TokenSpan {
    /// The bytes of the text that the token covers.
    pub fn bytes(self) -> Range<usize> {
        self.start_byte as usize..self.end_byte as usize
    }
}

/// What a tokenizer hands on: a document, or windows of a long one that comes after them.
#[derive(Clone, Debug, PartialEq)]
pub enum Tokenized {
    /// Windows of a long text, whose citation comes after them.
    Windows(Vec<TokenWindow>),
    /// A citation, ready for the model.
    Document(TokenizedDocument),
}

/// A citation and its windows, in text order; none if its text holds no token. Of a long text these are the last: those
/// before came as [`Tokenized::Windows`].
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedDocument {
    /// The citation.
    pub citation: Box<Citation>,
    /// Its windows. Those of one context overlap by the stride; together they hold every token of the text.
    pub windows: Vec<TokenWindow>,
    /// Tokens of the whole text, special tokens not counted.
    pub token_count: u32,
}
