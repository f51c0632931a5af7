//! Citations into token windows with byte offsets into the text.
//!
//! ```text
//! Packet<Record> ─► Tokenize ─► Packet<TokenizedRecord>
//!                      └ Reading: contexts ─► the checkpoint's own tokenizer ─► windows over its tokens
//! ```

mod context;
mod encoder;
mod error;
mod load;
mod operator;
mod reading;
mod segment;
mod tokenizer;
mod windows;

pub use context::Context;
pub use error::TokenizeError;
pub use operator::Tokenize;
pub use tokenizer::{WindowTokenizer, Windows};
pub use windows::WindowSize;
