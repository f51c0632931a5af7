//! What the Parquet sink promises, through the public API.
//!
//! The crash tests (`tests/protocol`) are a binary of their own: it starts itself as the processes that it kills.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod common;
mod round_trip;

mod commit;
mod faults;
mod replace;
mod sweep;
mod tables;
mod verify;
mod writer;
