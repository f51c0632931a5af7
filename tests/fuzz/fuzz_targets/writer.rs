//! The writer: any records through the sink into a store, read back by another reader: the same rows, and no defect.
#![no_main]

#[path = "../../../operators/parquet/tests/it/round_trip/mod.rs"]
mod round_trip;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_time().build().expect("a runtime"));

fuzz_target!(|data: &[u8]| {
    round_trip::check(data, &RUNTIME);
});
