//! The cache, snapshots and the nightly job in an object store, with all that they promise on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use pubtag_pubmed_server::{Fault, PubmedServer, Request, gzip, noise};
use pubtag_tests::{Bucket, Outcome, PubTag, python, write_corpus};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::{run as run_on_disk, tables, wait_until};

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

fn sync(bucket: &Bucket, server: &PubmedServer, scratch: &Path) -> PubTag {
    let into = bucket.url("mirror");
    let call = call(bucket, &["sync", "--timeout", "2", "--from", server.url(), "--into", &into, "--scratch"]);
    call.arg(scratch)
}

/// The objects of the mirror.
fn mirror(bucket: &Bucket) -> BTreeMap<String, Vec<u8>> {
    let keys = bucket.keys("mirror").into_iter();
    keys.map(|key| (key.clone(), bucket.get(&format!("mirror/{key}")))).collect()
}

#[test]
fn a_mirror_in_a_bucket_is_kept_up_to_date_by_its_listing_and_its_checksums() {
    let Some(bucket) = Bucket::on_moto("a mirror in a bucket") else { return };
    let (server, dir) = (PubmedServer::with_files(3, 2, 50_000), tempdir().unwrap());
    let outcome = sync(&bucket, &server, dir.path()).succeed();
    assert!(outcome.stdout.contains("2026: 3 baseline files (complete), 2 update files"), "{}", outcome.stdout);
    assert_eq!(mirror(&bucket), server.truth());

    // The server is shared with other tests.
    let own = bucket.url("mirror/").replace("s3:/", "");
    let read_before = bucket.log().lines().count();
    let outcome = sync(&bucket, &server, dir.path()).succeed();
    assert!(outcome.stdout.contains("fetched 0 files"), "{}", outcome.stdout);
    let log = bucket.log();
    let data = log.lines().skip(read_before).filter(|line| line.contains("GET") && line.contains(".xml.gz HTTP"));
    assert_eq!(data.filter(|line| line.contains(&own)).count(), 0, "{log}");

    server.publish_as("updatefiles", "pubmed26n0005", gzip(&noise("corrected", 5_000)));
    // What another sync has overwritten since: its checksum is older.
    std::thread::sleep(Duration::from_millis(1100));
    bucket.put("mirror/baseline/pubmed26n0001.xml.gz", b"a former issue".to_vec());
    let outcome = sync(&bucket, &server, dir.path()).succeed();
    assert!(outcome.stdout.contains("fetched 2 files"), "{}", outcome.stdout);
    assert_eq!(mirror(&bucket), server.truth());

    let outcome = sync(&bucket, &server, dir.path()).arg("--verify").succeed();
    assert!(outcome.stdout.contains("fetched 0 files"), "{}", outcome.stdout);
    server.remove("pubmed26");
    server.publish_baseline(27, 2, 5_000);
    sync(&bucket, &server, dir.path()).arg("--prune").succeed();
    assert_eq!(mirror(&bucket), server.truth());
}

#[test]
fn a_killed_sync_into_a_bucket_is_resumed_and_shows_whole_files_only() {
    let Some(bucket) = Bucket::on_moto("a killed sync into a bucket") else { return };
    let (server, dir) = (PubmedServer::with_files(3, 2, 400_000), tempdir().unwrap());
    for path in server.truth().keys().filter(|path| path.ends_with(".xml.gz")) {
        server.fault(path, usize::MAX, Fault::Trickle { rate: 1_000_000 });
    }
    for attempt in 0..6_u64 {
        server.forget_requests();
        let mut child = sync(&bucket, &server, dir.path()).start();
        let is_last = |request: &Request| request.path == "deleted.pmids.gz";
        wait_until("a transfer", || !server.downloads().is_empty() || server.requests().iter().any(is_last));
        std::thread::sleep(Duration::from_millis(50 + 110 * attempt));
        child.kill().unwrap();
        child.wait().unwrap();
        let truth = server.truth();
        for (path, content) in mirror(&bucket) {
            assert!(truth.get(&path) == Some(&content), "{path} is not the server's");
        }
    }
    server.heal();
    server.forget_requests();
    sync(&bucket, &server, dir.path()).succeed();
    assert_eq!(mirror(&bucket), server.truth());
    // Its downloads are gone with their transfers, and so is the lock.
    let left = pubtag_pubmed_server::files_in(dir.path());
    assert!(left.is_empty(), "{:?}", left.keys());
}

#[test]
fn a_partial_download_for_a_bucket_is_resumed_where_it_stopped() {
    let Some(bucket) = Bucket::on_moto("a partial download for a bucket") else { return };
    let (server, dir) = (PubmedServer::with_files(1, 0, 2_000_000), tempdir().unwrap());
    let path = "baseline/pubmed26n0001.xml.gz";
    server.fault(path, 1, Fault::Stall { after: 700_000 });
    let mut child = sync(&bucket, &server, dir.path()).start();
    let has_arrived = || pubtag_pubmed_server::files_in(dir.path()).values().any(|partial| partial.len() == 700_000);
    wait_until("most of a file", has_arrived);
    child.kill().unwrap();
    child.wait().unwrap();
    sync(&bucket, &server, dir.path()).succeed();
    assert_eq!(server.downloads(), [(path.to_owned(), 0), (path.to_owned(), 700_000)]);
    assert_eq!(mirror(&bucket), server.truth());
}

#[test]
fn statistics_beside_an_object_are_compared_with_it() {
    let Some(bucket) = Bucket::on_moto("statistics beside an object") else { return };
    let dir = tempdir().unwrap();
    let input = write_corpus(dir.path(), 1, 30).remove(0);
    bucket.put("mirror/updatefiles/pubmed26n0001.xml.gz", fs::read(input).unwrap());
    bucket.put("mirror/updatefiles/pubmed26n0001_stats.html", b"Total: 31\nDeleted: 0\n".to_vec());
    let tagged = run(&bucket, &[bucket.url("mirror").into()], "out").end();
    tagged.assert_fails(65, &["pubmed26n0001.xml.gz: 30 records and 0 deletions, NLM: 31 and 0"]);
}
