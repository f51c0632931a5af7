//! Random histories of an output: after each step, the snapshot is what the model says.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use pubtag_snapshot::{Baselines, Generations, Key, Manifest, find};

use crate::made::{Made, Output, Record, small};
use crate::published::{State, apply, in_memory, live, place, published, snapshot, state};

#[derive(Clone, Debug)]
enum Step {
    Add(Made),
    /// Removes one of the inputs.
    Remove(usize),
    /// Replaces one of the inputs by another of the same name.
    Replace(usize, Vec<Record>),
}

fn key() -> impl Strategy<Value = Key> {
    prop_oneof![4 => (1_i64..40).prop_map(Key::Pmid), 1 => "[ab1]{1,2}".prop_map(Key::DocId)]
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let record = (key(), 1_i32..3, option::weighted(0.8, 0_u8..12));
    vec(record.prop_map(|(key, version, text)| Record { key, version, text }), 0..30)
}

fn made() -> impl Strategy<Value = Made> {
    let place = prop_oneof![
        4 => (2025..2027, 1..8, any::<bool>()).prop_map(|(year, seq, is_update)| (Some(year), Some(seq), is_update)),
        1 => Just((None, None, false)),
    ];
    (place, records()).prop_map(|((generation, file_seq, is_update), records)| Made {
        generation,
        file_seq,
        is_update,
        records,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => made().prop_map(Step::Add),
        1 => any::<usize>().prop_map(Step::Remove),
        2 => (any::<usize>(), records()).prop_map(|(at, records)| Step::Replace(at, records)),
    ]
}

fn take(output: &mut Output, step: Step) {
    let numbers = output.numbers();
    match step {
        Step::Add(made) => drop(output.add(made)),
        _ if numbers.is_empty() => {}
        Step::Remove(at) => output.remove(numbers[at % numbers.len()]),
        Step::Replace(at, records) => {
            let number = numbers[at % numbers.len()];
            let made = output.made(number);
            output.remove(number);
            output.add(Made { records, ..made });
        }
    }
}

async fn play(steps: Vec<(Step, bool)>, bucket_bytes: u64) {
    let (mut output, place) = (Output::default(), place(in_memory()));
    for (step, looks) in steps {
        take(&mut output, step);
        if !looks {
            continue;
        }
        let former = published(&place).await;
        let summary = snapshot(&place, &output, &output.committed(), &small(bucket_bytes)).await.unwrap();
        let manifest = Manifest::latest(&place).await.unwrap().unwrap();
        assert_eq!(summary.snapshot, manifest.snapshot);
        let now = state(&place, &manifest).await;
        assert_eq!(now, output.expected(manifest.generation));
        if manifest.changes.is_some() && summary.is_new {
            assert_eq!(apply(&place, &manifest, former).await, now, "the changes lead from one snapshot to the next");
        }
        let afresh = crate::published::place(in_memory());
        let config = pubtag_snapshot::SnapshotConfig { generation: manifest.generation, ..small(bucket_bytes) };
        snapshot(&afresh, &output, &output.committed(), &config).await.unwrap();
        assert_eq!(published(&afresh).await, now, "a snapshot made at once is the same");
        assert_found(&output, &manifest, &now).await;
    }
}

/// Each document that the inputs name is found as the snapshot has it.
async fn assert_found(output: &Output, manifest: &Manifest, now: &State) {
    let commits = output.committed();
    let generations = Generations::of(&commits, &Baselines::new(), manifest.generation, None).unwrap();
    for id in (1..40).map(|pmid| pmid.to_string()).chain(["a", "b", "ab", "1a"].map(str::to_owned)) {
        let pmid = id.parse().ok().map(Key::Pmid);
        let row = find(output, &commits, &generations, &id).await.unwrap();
        let found = row.and_then(|row| live(&row).pop());
        let known = |key: &Key| output.names(key, manifest.generation);
        let key = pmid.filter(known).unwrap_or(Key::DocId(id));
        assert_eq!(found.map(|(_, version, text, _)| (version, text)), now.get(&key).copied(), "{key:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_snapshot_is_what_the_inputs_say(
        steps in vec((step(), prop::bool::weighted(0.7)), 1..9), bucket_bytes in 500_u64..40_000,
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(play(steps, bucket_bytes));
    }
}
