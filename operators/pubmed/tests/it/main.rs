//! What the sources promise, one test each, all through the public API.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

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
