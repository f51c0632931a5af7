//! Citations into token windows: what the model reads, with byte offsets into the text.
//!
//! ```text
//! Packet<Record> ─► Tokenize ─► Packet<TokenizedRecord>
//!                      └ WindowTokenizer: the checkpoint's own tokenizer, then windows over its tokens
//! ```

mod error;
mod load;
mod operator;
mod tokenizer;
mod windows;

pub use error::TokenizeError;
pub use operator::Tokenize;
pub use tokenizer::{WindowTokenizer, Windows};
pub use windows::{WindowSize, windows};
