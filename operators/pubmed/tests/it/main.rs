//! What the sources promise, through the public API.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]
#![expect(clippy::unwrap_used, reason = "test helpers fail as tests do")]

mod common;

mod corpus;
mod damage;
mod formats;
mod inputs;
mod jsonl;
mod properties;
mod stream;
mod text;
mod xml;
