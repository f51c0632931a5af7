//! The commit protocol under crashes, failures, signals and concurrent runs, in one process and without a clock.
//!
//! ```text
//! Machine (store, locks, whose turn it is) ─► Process (one run; its Mishap at one call) ─► job (what it does)
//! ```
//!
//! [`crash_points`] visits every call of a few runs; [`histories`] plays random ones against a [`model`].

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]
#![expect(clippy::disallowed_methods, reason = "the rule is the program's")]

#[path = "../it/common.rs"]
mod common;

mod crash_points;
mod found;
mod histories;
mod inputs;
mod job;
mod machine;
mod model;
mod play;
mod process;
mod processes;
mod rivals;
mod rows;
