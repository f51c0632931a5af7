//! The library's tokenizer: stretches of text in, tokens with byte offsets out.

use std::ops::Range;

use pubtag_schemas::{ModelFiles, TokenSpan};
use pubtag_stream::without_panic;
use tokenizers::{Encoding, Tokenizer};

use crate::load::load;
use crate::{Context, TokenizeError, WindowSize};

/// A loaded tokenizer and how its tokens are cut.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    tokenizer: Tokenizer,
    /// Special tokens before every window.
    pub(crate) prefix: Vec<u32>,
    /// Special tokens after every window.
    pub(crate) suffix: Vec<u32>,
    /// Tokens of text in a full window.
    pub(crate) length: usize,
    pub(crate) stride: usize,
    pub(crate) context: Context,
}

impl Encoder {
    /// Loads a model's tokenizer, to read whole documents.
    ///
    /// # Errors
    /// As [`WindowTokenizer::open`](crate::WindowTokenizer::open).
    pub(crate) fn open(files: &ModelFiles, size: WindowSize) -> Result<Self, TokenizeError> {
        let tokenizer = load(files)?;
        let (prefix, suffix) = special_tokens(&tokenizer)?;
        let (max_tokens, special, stride) = (size.max_tokens.get(), prefix.len() + suffix.len(), size.stride);
        let length = max_tokens.saturating_sub(special);
        if length <= stride {
            return Err(TokenizeError::NoRoom { max_tokens, special, stride });
        }
        Ok(Self { tokenizer, prefix, suffix, length, stride, context: Context::Document })
    }

    /// The id of a token.
    pub(crate) fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Tokenizes a stretch of a text.
    pub(crate) fn encode<'a>(&self, text: &'a str, bytes: Range<usize>) -> Result<Piece<'a>, TokenizeError> {
        let text = &text[bytes.clone()];
        Ok(Piece { text, start: bytes.start, encoding: encode(&self.tokenizer, text, false)? })
    }
}

/// The tokens of a stretch of a text.
pub(crate) struct Piece<'a> {
    text: &'a str,
    /// Its first byte in the whole text.
    start: usize,
    encoding: Encoding,
}

impl Piece<'_> {
    pub(crate) fn ids(&self) -> &[u32] {
        self.encoding.get_ids()
    }

    /// The span of each token, in bytes of the whole text; words are numbered from `first_word` without gaps.
    pub(crate) fn spans(&self, first_word: u32) -> impl Iterator<Item = TokenSpan> {
        let (mut word, mut last) = (first_word, None);
        self.encoding.get_offsets().iter().zip(self.encoding.get_word_ids()).map(move |(&offsets, id)| {
            word += u32::from(last.is_some_and(|last| last != *id));
            last = Some(*id);
            self.span(offsets, word)
        })
    }

    /// Byte-level tokenizers include the space before a word and cut inside characters; spans do neither.
    fn span(&self, (start, end): (usize, usize), word: u32) -> TokenSpan {
        let (start, end) = (self.text.floor_char_boundary(start), self.text.ceil_char_boundary(end));
        let token = &self.text[start..end];
        let start = start + (token.len() - token.trim_start().len());
        let end = start.max(end - (token.len() - token.trim_end().len()));
        TokenSpan { start_byte: offset(self.start + start), end_byte: offset(self.start + end), word }
    }
}

/// The special tokens that the tokenizer's post-processor adds.
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

fn offset(value: usize) -> u32 {
    u32::try_from(value).expect("at most the length of the text, which was checked")
}
