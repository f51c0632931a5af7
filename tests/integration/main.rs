//! The program as a user meets it: what it writes, what it refuses, and what survives when it dies.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, in its helpers too")]

mod abbreviations;
mod bundled;
mod cache;
mod corpora;
mod cuda;
mod cuda_compute;
mod download;
mod failures;
mod faults;
mod hostile_inputs;
mod kill;
mod lake;
mod looking;
mod main_job;
mod nightly;
mod overwrite;
mod pipes;
mod plan;
mod pretraining;
mod ray;
mod readers;
mod reading;
mod real_input;
mod real_size;
mod replacing;
mod reports;
mod settings;
mod snapshot;
mod store_faults;
mod stores;
mod sync;
mod teaching;
mod terminal;
mod training;
mod verify;
mod wheel;
mod worker;
mod year;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_pubtag-under-test");
