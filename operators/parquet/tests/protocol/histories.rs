//! Random histories against the model.

use std::cell::Cell;
use std::io::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::inputs::{BAD, Content, GOOD, Settings};
use crate::machine::Form;
use crate::play::{NAMES, Order, Played, Step, play};
use crate::process::{Fate, Mishap, When};

/// Number of histories per test [override: `PUBTAG_HISTORIES`].
const HISTORIES: u32 = 2_500;
/// The same for an object store, where failed calls are repeated after a pause.
const HISTORIES_IN_A_BUCKET: u32 = 400;

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![9 => GOOD, 1 => Just(BAD)]
}

fn name() -> impl Strategy<Value = &'static str> {
    select(&NAMES[..])
}

fn change() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (name(), content()).prop_map(|(name, content)| Step::Write(name, content)),
        2 => (name(), name()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (name(), name()).prop_map(|(one, two)| Step::Swap(one, two)),
        1 => (name(), name()).prop_map(|(from, to)| Step::Copy(from, to)),
        1 => name().prop_map(Step::Delete),
        1 => (0..6_usize, any::<bool>()).prop_map(|(number, goes)| Step::Damage(number, goes)),
    ]
}

prop_compose! {
    fn order()(
        names in any::<[bool; 3]>(),
        all in any::<bool>(),
        settings in prop_oneof![3 => Just(Settings::A), 1 => Just(Settings::B)],
        overwrite in any::<bool>(),
    ) -> Order {
        Order { names: if all { [true; 3] } else { names }, settings, overwrite }
    }
}

fn when() -> impl Strategy<Value = When> {
    select(&[When::OwnEnd, When::NextOpened, When::NextOver][..])
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let times = || prop_oneof![2 => Just(1_usize), 1 => 2..8_usize];
    prop_oneof![
        2 => Just(Mishap::DieBefore),
        2 => Just(Mishap::DieAfter),
        1 => when().prop_map(Mishap::DieAndLand),
        1 => times().prop_map(|times| Mishap::FailBefore { times }),
        1 => times().prop_map(|times| Mishap::FailAfter { times }),
        1 => (when(), times()).prop_map(|(when, times)| Mishap::FailAndLand { when, times }),
        1 => Just(Mishap::Drain),
        2 => prop_oneof![0..4_usize, 4..40_usize].prop_map(|hold| Mishap::Abort { hold }),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    (prop_oneof![0..25_usize, 0..80_usize], mishap()).prop_map(|(at, mishap)| Fate { at, mishap })
}

fn schedule() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![3 => 1..4_usize, 1 => 4..40_usize], 1..24)
}

/// A run that fails or is interrupted in this percentage of cases.
fn fated(percent: u32) -> impl Strategy<Value = (Order, Option<Fate>)> {
    (order(), 0..100_u32, fate()).prop_map(move |(order, roll, fate)| (order, (roll >= 100 - percent).then_some(fate)))
}

fn run(percent: u32) -> impl Strategy<Value = Step> {
    fated(percent).prop_map(|(order, fate)| Step::Run(order, fate))
}

fn beside(percent: u32) -> impl Strategy<Value = Step> {
    let both = (fated(percent), fated(percent), schedule());
    both.prop_map(|(one, two, schedule)| Step::Beside([one, two], schedule))
}

/// Plays histories of these steps; the first few create files.
fn play_many(form: Form, what: &str, step: impl Strategy<Value = Step>) {
    let cases = std::env::var("PUBTAG_HISTORIES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(if form == Form::Disk { HISTORIES } else { HISTORIES_IN_A_BUCKET });
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4_000, ..Config::default() };
    let files = vec((name(), content()).prop_map(|(name, content)| Step::Write(name, content)), 1..3);
    let total = Cell::new(Played::default());
    let result = TestRunner::new(config).run(&(files, vec(step, 1..9)), |(files, steps)| {
        let played = play(form, &[files, steps].concat());
        let Played { runs, calls, mishaps } = total.get();
        total.set(Played { runs: runs + played.runs, calls: calls + played.calls, mishaps: mishaps + played.mishaps });
        Ok(())
    });
    let Played { runs, calls, mishaps } = total.get();
    let line = format!("{cases} histories {what}: {runs} runs, {calls} calls, {mishaps} mishaps\n");
    // `cargo test` captures the print macros of passing tests.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn sequential_runs_match_the_model() {
    play_many(Form::Disk, "of runs one after another", prop_oneof![2 => change(), 2 => run(0)]);
}

#[test]
fn the_next_run_recovers_from_any_failure() {
    play_many(Form::Disk, "with mishaps", prop_oneof![2 => change(), 3 => run(70)]);
}

#[test]
fn concurrent_runs_neither_lose_nor_duplicate_rows() {
    play_many(Form::Disk, "of runs beside each other", prop_oneof![2 => change(), 1 => run(0), 2 => beside(0)]);
}

#[test]
fn failures_do_not_affect_concurrent_runs() {
    play_many(Form::Disk, "with mishaps beside others", prop_oneof![3 => change(), 2 => run(50), 2 => beside(40)]);
}

#[test]
fn in_a_bucket_the_next_run_recovers_from_any_failure() {
    play_many(Form::Bucket, "in a bucket with mishaps", prop_oneof![2 => change(), 3 => run(70)]);
}

#[test]
fn in_a_bucket_concurrent_runs_neither_lose_nor_duplicate_rows() {
    let steps = prop_oneof![2 => change(), 1 => run(0), 2 => beside(0)];
    play_many(Form::Bucket, "in a bucket of runs beside each other", steps);
}

#[test]
fn in_a_bucket_failures_do_not_affect_concurrent_runs() {
    let steps = prop_oneof![3 => change(), 2 => run(50), 2 => beside(40)];
    play_many(Form::Bucket, "in a bucket with mishaps beside others", steps);
}
