//! The cache, snapshots and the nightly job in an object store, with all that they promise on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use pubtag_tests::{Bucket, Outcome, PubTag, python, write_corpus};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::{run as run_on_disk, tables};

fn run(bucket: &Bucket, inputs: &[PathBuf], output: &str) -> PubTag {
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    bucket.with(PubTag::run(PROGRAM, &inputs, Path::new(&bucket.url(output))))
}

fn call(bucket: &Bucket, arguments: &[&str]) -> PubTag {
    bucket.with(PubTag::new(PROGRAM, arguments))
}

fn json(bucket: &Bucket, key: &str) -> Value {
    serde_json::from_slice(&bucket.get(key)).unwrap()
}

/// Compares the snapshot of an output in a bucket with one on disk.
fn assert_same_snapshot(python: &Path, bucket: &Bucket, output: &str, on_disk: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/snapshot_in_store.py");
    let place = bucket.url(&format!("{output}/snapshot"));
    let place = place.trim_start_matches("s3://");
    let mut compare = Command::new(python);
    compare.arg(script).args([bucket.endpoint(), place]).arg(on_disk.join("snapshot"));
    let outcome = Outcome::of(&compare.output().unwrap());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    outcome.stdout
}

#[test]
fn a_cache_in_a_bucket_saves_what_one_on_disk_does() {
    let Some(bucket) = Bucket::on_moto("a cache in a bucket") else { return };
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 4, 30);
    let plain = dir.path().join("plain");
    run_on_disk(&inputs, &plain).arg("--no-cache").succeed();

    for input in &inputs[..3] {
        run(&bucket, std::slice::from_ref(input), "first").succeed();
    }
    assert_eq!(bucket.keys("first/_pubtag/cache").iter().filter(|key| key.ends_with(".parquet")).count(), 3);
    run(&bucket, &inputs, "second").arg("--cache").arg(bucket.url("first")).succeed();
    assert_eq!(bucket.tables("second"), tables(&plain));
    assert_eq!(json(&bucket, "second/report.json")["cache"]["hits"], 90);

    let first = bucket.url("first");
    let pruned = call(&bucket, &["cache", "prune", &first]).succeed();
    assert!(pruned.stdout.contains("4 files merged into 1"), "{}", pruned.stdout);
    let stats = call(&bucket, &["cache", "stats", &first]).succeed();
    assert!(stats.stdout.contains("120 entries in 1 file"), "{}", stats.stdout);
    // One of its own, and from a run on disk.
    let shared = bucket.url("first/_pubtag/cache");
    let on_disk = dir.path().join("on-disk");
    bucket.with(run_on_disk(&inputs, &on_disk)).arg("--cache").arg(shared).succeed();
    assert_eq!(pubtag_tests::report(&on_disk)["cache"]["hits"], 120);
    assert_eq!(tables(&on_disk), tables(&plain));
    call(&bucket, &["verify", &first]).succeed();
}

#[test]
fn a_snapshot_in_a_bucket_is_the_one_on_disk() {
    let Some(bucket) = Bucket::on_moto("a snapshot in a bucket") else { return };
    let Some(python) = python("a snapshot in a bucket") else { return };
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 4, 30);
    let (on_disk, out) = (dir.path().join("on-disk"), bucket.url("out"));
    for (inputs, state) in [(&inputs[..2], "60 citations"), (&inputs[2..], "120 citations")] {
        run_on_disk(inputs, &on_disk).succeed();
        run(&bucket, inputs, "out").succeed();
        PubTag::new(PROGRAM, ["snapshot"]).arg(&on_disk).succeed();
        let published = call(&bucket, &["snapshot", &out]).succeed();
        assert!(published.stderr.contains(state), "{}", published.stderr);
        assert!(assert_same_snapshot(&python, &bucket, "out", &on_disk).starts_with(state));
    }
    assert_eq!(json(&bucket, "out/snapshot/latest.json")["snapshot"], 2);
    assert!(call(&bucket, &["snapshot", &out]).succeed().stderr.contains("snapshot 2 is up to date"));

    // From a bucket to a disk, and from a disk to a bucket.
    let into = dir.path().join("into");
    call(&bucket, &["snapshot", &out, "--into"]).arg(&into).succeed();
    let elsewhere = bucket.url("elsewhere/snapshot");
    bucket.with(PubTag::new(PROGRAM, ["snapshot", "--into", &elsewhere])).arg(&on_disk).succeed();
    assert_same_snapshot(&python, &bucket, "elsewhere", &on_disk);
    let latest: Value = serde_json::from_slice(&fs::read(into.join("latest.json")).unwrap()).unwrap();
    assert_eq!(latest["documents"], 120);
    call(&bucket, &["snapshot", &bucket.url("nowhere")]).end().assert_fails(78, &["nowhere", "not an output"]);
}

#[test]
fn snapshots_at_once_on_one_bucket_publish_one_state() {
    let Some(bucket) = Bucket::on_moto("snapshots at once") else { return };
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 6, 20);
    let out = bucket.url("out");
    for (round, inputs) in inputs.chunks(2).enumerate() {
        run(&bucket, inputs, "out").succeed();
        let snapshots: Vec<Child> = (0..3).map(|_| call(&bucket, &["snapshot", &out]).start()).collect();
        let ended = snapshots.into_iter().map(|child| Outcome::of(&child.wait_with_output().unwrap()));
        let ended: Vec<Outcome> = ended.collect();
        let published = ended.iter().filter(|outcome| outcome.stderr.contains("published snapshot"));
        assert_eq!(published.count(), 1, "{ended:?}");
        for outcome in &ended {
            let is_told = outcome.stderr.contains("another process published");
            assert!(outcome.code == Some(0) || outcome.code == Some(75) && is_told, "{outcome:?}");
        }
        let latest = json(&bucket, "out/snapshot/latest.json");
        assert_eq!((&latest["snapshot"], &latest["documents"]), (&(round + 1).into(), &(40 * (round + 1)).into()));
    }
}
