//! For arbitrary records and sizes of row groups and parts: what is read back is what was written.

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::round_trip;

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_records_are_read_back_as_they_were(bytes in vec(any::<u8>(), 0..6000)) {
        round_trip::check(&bytes, &runtime());
    }
}

#[test]
fn borders_of_row_groups_and_parts_are_crossed() {
    let mut state = 1u32;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    // Packets of nine; row groups of 1 KiB; parts of 16 KiB; the text kept.
    let head = [8, 1, 4, 0, 63, 255];
    let bytes: Vec<u8> = head.into_iter().chain(bytes.take(200_000)).collect();
    let borders = round_trip::check(&bytes, &runtime());
    assert!(borders.rows > 500 && borders.row_groups > 5 && borders.parts > 3, "{borders:?}");
}
