//! Tests of the model through its public API.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod common;

mod entities;
mod logits;
mod opening;
mod train;
mod versions;
