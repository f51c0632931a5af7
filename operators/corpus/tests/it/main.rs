//! What the readers, writers and scores promise, through the public API.

#![expect(clippy::print_stderr, reason = "a skipped test says so")]
#![expect(clippy::unwrap_used, reason = "test helpers fail as tests do")]

mod common;

mod files;
mod hostile;
mod properties;
mod published;
mod round_trips;
mod seqeval;
