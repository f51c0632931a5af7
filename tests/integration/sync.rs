//! `pubtag sync` against a server of our own: what kills, gaps, re-issues and full plans leave, and how it ends.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pubtag_pubmed_server::{Fault, PubmedServer, Request, files_in, gzip, noise};
use pubtag_tests::{Outcome, PubTag, read_table, write_corpus};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::{run, wait_until};

fn sync(server: &PubmedServer, into: &Path) -> PubTag {
    PubTag::new(PROGRAM, ["sync", "--timeout", "2", "--from", server.url(), "--into"]).arg(into)
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
fn killed_again_and_again_a_sync_ends_with_the_servers_files_and_nothing_else() {
    let server = PubmedServer::with_files(6, 3, 400_000);
    // About a fifth of a second for a file: a kill meets transfers on their way.
    for path in server.truth().keys().filter(|path| path.ends_with(".xml.gz")) {
        server.fault(path, usize::MAX, Fault::Trickle { rate: 2_000_000 });
    }
    let dir = tempdir().unwrap();
    let into = dir.path().join("mirror");
    let mut partial = 0;
    for attempt in 0..10_u64 {
        server.forget_requests();
        let mut child = sync(&server, &into).start();
        // The last thing that a sync asks for, when all files are there.
        let is_last = |request: &Request| request.path == "deleted.pmids.gz";
        wait_until("a transfer", || !server.downloads().is_empty() || server.requests().iter().any(is_last));
        std::thread::sleep(Duration::from_millis(10 + 30 * (attempt % 4)));
        child.kill().unwrap();
        child.wait().unwrap();
        let truth = server.truth();
        for (path, content) in files_in(&into) {
            match truth.get(&path) {
                Some(expected) => assert_eq!(content.len(), expected.len(), "{path} has its name and is not whole"),
                None => partial += usize::from(path.ends_with(".partial")),
            }
        }
    }
    assert!(partial > 0, "no kill met a transfer");
    server.forget_requests();
    sync(&server, &into).succeed();
    assert_eq!(files_in(&into), server.truth());
}

#[test]
fn a_killed_transfer_is_resumed_where_it_stopped() {
    let server = PubmedServer::with_files(1, 0, 2_000_000);
    let path = "baseline/pubmed26n0001.xml.gz";
    server.fault(path, 1, Fault::Stall { after: 700_000 });
    let dir = tempdir().unwrap();
    let mut child = sync(&server, dir.path()).start();
    let partial = dir.path().join("baseline/.pubmed26n0001.xml.gz.partial");
    wait_until("most of a file", || fs::metadata(&partial).is_ok_and(|found| found.len() == 700_000));
    child.kill().unwrap();
    child.wait().unwrap();
    sync(&server, dir.path()).succeed();
    assert_eq!(server.downloads(), [(path.to_owned(), 0), (path.to_owned(), 700_000)]);
    assert_eq!(files_in(dir.path()), server.truth());
}

#[test]
fn a_mirror_is_read_by_a_run_as_it_is() {
    let dir = tempdir().unwrap();
    let made = dir.path().join("made");
    fs::create_dir(&made).unwrap();
    let server = PubmedServer::start();
    for (index, path) in write_corpus(&made, 3, 20).iter().enumerate() {
        let folder = if index < 2 { "baseline" } else { "updatefiles" };
        let stem = format!("pubmed26n{:04}", index + 1);
        server.publish_as(folder, &stem, fs::read(path).unwrap());
    }
    server.put("deleted.pmids.gz", gzip(b"1\n2\n"));
    let (mirror, output) = (dir.path().join("mirror"), dir.path().join("output"));
    sync(&server, &mirror).succeed();
    run(&[mirror], &output).succeed();
    assert_eq!(read_table(&output, "documents").len(), 60);
}

#[test]
fn the_summary_says_what_was_done() {
    let server = PubmedServer::with_files(3, 2, 5_000);
    let dir = tempdir().unwrap();
    let outcome = sync(&server, dir.path()).succeed();
    assert_eq!(
        outcome.stdout.lines().collect::<Vec<_>>(),
        ["2026: 3 baseline files (complete), 2 update files", "fetched 5 files, 0.0 MB; 0 up to date"]
    );
    server.publish_as("updatefiles", "pubmed26n0005", gzip(&noise("corrected", 5_000)));
    let outcome = sync(&server, dir.path()).arg("--format=json").succeed();
    let summary = json(&outcome);
    assert_eq!((&summary["fetched"][0]["reason"], &summary["up_to_date"]), (&"reissued".into(), &4.into()));
    assert!(outcome.stderr.contains("pubmed26n0005.xml.gz: re-issued by NLM"), "{}", outcome.stderr);
    assert_eq!(files_in(dir.path()), server.truth());
}

#[test]
fn a_dry_run_prints_the_plan_and_writes_nothing() {
    let server = PubmedServer::with_files(3, 2, 5_000);
    let dir = tempdir().unwrap();
    let into = dir.path().join("mirror");
    let outcome = sync(&server, &into).arg("--dry-run").succeed();
    assert!(outcome.stdout.contains("fetch   updatefiles/pubmed26n0005.xml.gz"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("would fetch 5 files"), "{}", outcome.stdout);
    assert!(!into.exists());
}

#[test]
fn gaps_end_with_65_and_name_the_missing_files() {
    let server = PubmedServer::with_files(6, 2, 5_000);
    let truth = server.truth();
    server.unlist("n0002.xml.gz");
    server.unlist("n0004.xml.gz");
    server.unlist("n0005.xml.gz");
    let dir = tempdir().unwrap();
    let outcome = sync(&server, dir.path()).end();
    outcome
        .assert_fails(65, &["3 files missing", "pubmed26n0002, pubmed26n0004–0005", "held back", "pubmed26n0007–0008"]);
    assert!(
        outcome.stdout.contains("2026: 3 baseline files (incomplete, 6 expected), 0 update files"),
        "{}",
        outcome.stdout
    );
    assert!(outcome.stderr.contains("--known-gap"), "{}", outcome.stderr);
    let gaps = "--known-gap=pubmed26n0002,pubmed26n0004.xml.gz";
    sync(&server, dir.path()).arg(gaps).end().assert_fails(65, &["1 file missing", "pubmed26n0005;", "2 files absent"]);
    let outcome = sync(&server, dir.path()).arg(gaps).arg("--known-gap=pubmed26n0005").succeed();
    assert!(outcome.stdout.contains("2026: 3 baseline files (complete), 2 update files"), "{}", outcome.stdout);
    server.list_all();
    sync(&server, dir.path()).arg(gaps).succeed();
    assert_eq!(files_in(dir.path()), truth);
}

#[test]
fn what_cannot_be_done_is_named_with_its_way_out() {
    let server = PubmedServer::with_files(3, 2, 5_000);
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    sync(&server, &file).end().assert_fails(78, &["file: not a directory", "--into"]);
    sync(&server, Path::new("ftp://bucket/pubmed")).end().assert_fails(2, &["ftp://bucket/pubmed", "s3://"]);
    let call = |arguments: &[&str]| PubTag::new(PROGRAM, arguments).end();
    let into = dir.path().join("mirror");
    let into = into.to_str().unwrap();
    call(&["sync", "--into", into, "--from", "ftp://ann:hush@x/"])
        .assert_fails(78, &["ftp://x/", "not an http or https URL"]);
    let from = format!("{}elsewhere/", server.url());
    call(&["sync", "--into", into, "--from", &from]).assert_fails(78, &["no PubMed files are listed", "--from"]);
    sync(&server, Path::new(into)).arg("--updates").end().assert_fails(78, &["2026 baseline", "incomplete", "--since"]);
    for usage in [["--connections", "5"], ["--since", "pubmed26"], ["--contact", "a\nb"]] {
        assert_eq!(call(&["sync", "--into", into, usage[0], usage[1]]).code, Some(2), "{usage:?}");
    }
    server.fault("baseline/", usize::MAX, Fault::Status { status: 403, retry_after: None });
    sync(&server, Path::new(into)).end().assert_fails(78, &["403", "access denied"]);
    server.heal();
    sync(&server, Path::new(into)).succeed();
    assert_eq!(files_in(Path::new(into)), server.truth());
}

#[test]
fn a_second_sync_of_the_same_directory_is_refused_while_the_first_runs() {
    let server = PubmedServer::with_files(2, 0, 200_000);
    server.fault("baseline/pubmed26n0002.xml.gz", 1, Fault::Stall { after: 100_000 });
    let dir = tempdir().unwrap();
    let child = sync(&server, dir.path()).start();
    wait_until("a transfer", || !server.downloads().is_empty());
    sync(&server, dir.path()).end().assert_fails(75, &["another sync is writing"]);
    let outcome = Outcome::of(&child.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(files_in(dir.path()), server.truth());
}

#[test]
fn old_generations_go_only_when_asked_for() {
    let server = PubmedServer::with_files(3, 1, 5_000);
    let dir = tempdir().unwrap();
    sync(&server, dir.path()).succeed();
    server.remove("pubmed26");
    server.publish_baseline(27, 4, 5_000);
    sync(&server, dir.path()).succeed();
    assert!(dir.path().join("updatefiles/pubmed26n0004.xml.gz").exists());
    let outcome = sync(&server, dir.path()).arg("--prune").arg("--dry-run").succeed();
    assert!(outcome.stdout.contains("remove  pubmed26n0004.xml.gz"), "{}", outcome.stdout);
    assert!(dir.path().join("updatefiles/pubmed26n0004.xml.gz").exists());
    let outcome = sync(&server, dir.path()).arg("--prune").succeed();
    assert!(outcome.stdout.contains("removed 4 files of older generations"), "{}", outcome.stdout);
    assert_eq!(files_in(dir.path()), server.truth());
}
