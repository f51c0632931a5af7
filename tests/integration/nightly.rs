//! `pubtag nightly` against a server of our own: what a night does, and what faults, kills and a second night leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pubtag_pubmed_server::{Fault, PubmedServer, gzip};
use pubtag_tests::{Outcome, PubTag, Rows, article_set, read_table, report, sample_article, skipped, tiny_model};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::PROGRAM;
use crate::kill::{run, send, tables, wait_until};

/// A server, and the directories of a job.
struct Job {
    server: PubmedServer,
    dir: TempDir,
}

/// A file of these articles, compressed.
fn file(articles: std::ops::Range<u32>) -> Vec<u8> {
    gzip(article_set(&articles.map(sample_article).collect::<Vec<_>>()).as_bytes())
}

impl Job {
    /// Two baseline files and an update file on the server.
    fn new() -> Self {
        let job = Self { server: PubmedServer::start(), dir: tempdir().unwrap() };
        job.server.put(
            "baseline/README.txt",
            b"The complete baseline consists of files pubmed26n0001.xml through\npubmed26n0002.xml.\n".to_vec(),
        );
        for number in 0..2 {
            job.publish("baseline", number + 1, 40 * number..40 * (number + 1));
        }
        job.publish("updatefiles", 3, 60..100);
        job.server.put("deleted.pmids.gz", gzip(b"1\n"));
        let settings = format!(
            "[sync]\ninto = '{}'\nfrom = '{}'\ntimeout = 2\n\n[run]\noutput = '{}'\nmodel = '{}'\ndevice = 'cpu'\n",
            job.mirror().display(),
            job.server.url(),
            job.output().display(),
            tiny_model().display()
        );
        fs::write(job.settings(), settings).unwrap();
        job
    }

    fn publish(&self, folder: &str, number: u32, articles: std::ops::Range<u32>) {
        self.server.publish_as(folder, &format!("pubmed26n{number:04}"), file(articles));
    }

    fn settings(&self) -> PathBuf {
        self.dir.path().join("night.toml")
    }

    fn mirror(&self) -> PathBuf {
        self.dir.path().join("mirror")
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("output")
    }

    fn night(&self) -> PubTag {
        PubTag::new(PROGRAM, ["nightly", "--config"]).arg(self.settings())
    }

    fn report(&self) -> Value {
        serde_json::from_slice(&fs::read(self.output().join("nightly.json")).unwrap()).unwrap()
    }

    /// The rows that a single run on the server's files writes.
    fn expected(&self) -> [Rows; 3] {
        let (files, output) = (self.dir.path().join("files"), self.dir.path().join("expected"));
        for folder in [&files, &output] {
            fs::remove_dir_all(folder).unwrap_or_default();
        }
        fs::create_dir(&files).unwrap();
        for (path, content) in self.server.truth() {
            if let Some(name) = path.rsplit('/').next().filter(|name| name.ends_with(".xml.gz")) {
                fs::write(files.join(name), content).unwrap();
            }
        }
        run(&[files], &output).arg("--no-cache").succeed();
        tables(&output)
    }
}

fn steps(report: &Value) -> Vec<(String, u64)> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps.map(|step| (step["step"].as_str().unwrap().to_owned(), step["exit_code"].as_u64().unwrap())).collect()
}

#[test]
fn a_night_mirrors_tags_verifies_and_publishes_and_the_next_one_only_what_is_new() {
    let job = Job::new();
    let first = job.night().succeed();
    assert_eq!(tables(&job.output()), job.expected());
    let names = ["sync", "run", "verify", "snapshot", "compare"].map(|step| (step.to_owned(), 0));
    assert_eq!(steps(&job.report()), names);
    for line in [
        "night done",
        "fetched 3 files",
        "3 files tagged and committed",
        "no defects",
        "published snapshot 1: 100 citations",
        "none of 100 live citations",
    ] {
        assert!(first.stderr.contains(line), "{line:?} is not in\n{}", first.stderr);
    }

    job.publish("updatefiles", 4, 90..130);
    // NLM corrects a file of the day before.
    job.publish("updatefiles", 3, 61..101);
    let second = job.night().succeed();
    assert_eq!(tables(&job.output()), job.expected());
    assert!(second.stderr.contains("pubmed26n0003.xml.gz: re-issued since it was committed"), "{}", second.stderr);
    assert!(second.stderr.contains("2 files tagged and committed · 2 files already committed"), "{}", second.stderr);
    assert_eq!(report(&job.output())["cache"]["hits"], 49, "39 and 10 texts are known");

    job.night().succeed();
    assert_eq!(report(&job.output())["reconciliation"]["citations"], 0, "the third night has nothing to do");
}

#[test]
fn a_refused_reissue_ends_the_night_and_keeps_the_former_rows() {
    let job = Job::new();
    let settings = fs::read_to_string(job.settings()).unwrap() + "reissued = 'refuse'\n";
    fs::write(job.settings(), settings).unwrap();
    job.night().succeed();
    let before = tables(&job.output());
    job.publish("updatefiles", 3, 61..101);
    job.night().end().assert_fails(78, &["pubmed26n0003.xml.gz has changed", "--overwrite"]);
    assert_eq!(tables(&job.output()), before);
    assert_eq!(steps(&job.report()), [("sync".to_owned(), 0), ("run".to_owned(), 78)]);
}

#[test]
fn a_file_that_is_reissued_after_the_mirror_has_moved_replaces_its_predecessor() {
    let job = Job::new();
    job.night().succeed();
    let moved = job.dir.path().join("moved");
    fs::rename(job.mirror(), &moved).unwrap();
    let settings = fs::read_to_string(job.settings()).unwrap();
    fs::write(job.settings(), settings.replace(job.mirror().to_str().unwrap(), moved.to_str().unwrap())).unwrap();
    job.publish("updatefiles", 3, 70..95);
    let outcome = job.night().succeed();
    assert!(outcome.stderr.contains("pubmed26n0003.xml.gz: re-issued since it was committed"), "{}", outcome.stderr);
    assert_eq!(tables(&job.output()), job.expected());
    assert!(outcome.stderr.contains("published snapshot 2: 95 citations"), "{}", outcome.stderr);

    // wget leaves such a copy.
    let updates = moved.join("updatefiles");
    fs::write(updates.join("pubmed26n0003.xml.gz.1"), file(60..90)).unwrap();
    job.night().end().assert_fails(78, &["pubmed26n0003.xml.gz and ", "pubmed26n0003.xml.gz.1 are the same file"]);
    fs::copy(updates.join("pubmed26n0003.xml.gz"), updates.join("pubmed26n0003.xml.gz.1")).unwrap();
    job.night().succeed();
    assert_eq!(tables(&job.output()), job.expected());
}

/// All steps of a night that goes on whatever `sync` ended with.
fn all_steps(sync: u64) -> Vec<(String, u64)> {
    let codes = [("sync", sync), ("run", 0), ("verify", 0), ("snapshot", 0), ("compare", 0)];
    codes.map(|(step, code)| (step.to_owned(), code)).into()
}

#[test]
fn files_that_cannot_be_fetched_are_told_and_all_others_are_tagged_and_published() {
    let job = Job::new();
    job.night().succeed();
    let before = tables(&job.output());
    job.publish("updatefiles", 4, 90..130);
    let path = "updatefiles/pubmed26n0004.xml.gz";
    for (status, code) in [(404, 65), (503, 75)] {
        job.server.fault(path, usize::MAX, Fault::Status { status, retry_after: None });
        let outcome = job.night().end();
        outcome.assert_fails(code, &["FAILED", "pubmed26n0004.xml.gz"]);
        assert_eq!(tables(&job.output()), before);
        assert_eq!(steps(&job.report()), all_steps(code as u64));
        assert_eq!(job.report()["exit_code"], code);
        job.server.heal();
    }
    // A file that does arrive the same night is published.
    job.publish("updatefiles", 5, 130..150);
    job.server.fault(path, usize::MAX, Fault::Status { status: 404, retry_after: None });
    job.night().end().assert_fails(65, &["pubmed26n0004.xml.gz", "published snapshot 2: 120 citations"]);
    job.server.heal();
    // What a retry overcomes does not end a night.
    job.server.fault(path, 1, Fault::Truncate { after: 500 });
    job.server.fault(path, 1, Fault::Corrupt);
    job.night().succeed();
    assert_eq!(tables(&job.output()), job.expected());
}

#[test]
fn a_server_that_cannot_be_listed_ends_the_night() {
    let job = Job::new();
    job.server.fault("baseline/", usize::MAX, Fault::Status { status: 403, retry_after: None });
    job.night().end().assert_fails(78, &["FAILED (78)", "access denied"]);
    job.server.heal();
    job.night().succeed();
    job.server.fault("baseline/", usize::MAX, Fault::Status { status: 403, retry_after: None });
    job.night().end().assert_fails(78, &["FAILED (78)"]);
    assert_eq!(steps(&job.report()), [("sync".to_owned(), 78)]);
}

#[test]
fn a_gap_in_the_numbers_is_65_every_night_until_it_is_a_known_one_and_keeps_nothing_from_being_published() {
    let job = Job::new();
    job.publish("updatefiles", 5, 100..120);
    for _ in 0..2 {
        job.night().end().assert_fails(65, &["pubmed26n0004", "`known-gap`", "120 citations"]);
        assert_eq!(steps(&job.report()), all_steps(65));
        assert!(job.report()["steps"][0]["summary"][0].as_str().unwrap().contains("pubmed26n0004"));
    }
    let settings = fs::read_to_string(job.settings()).unwrap();
    let known = settings.replace("timeout = 2\n", "timeout = 2\nknown_gap = ['pubmed26n0004']\n");
    fs::write(job.settings(), known).unwrap();
    let outcome = job.night().succeed();
    assert!(outcome.stderr.contains("1 file absent, as known (--known-gap): pubmed26n0004"), "{}", outcome.stderr);
    // NLM issues it after all.
    job.publish("updatefiles", 4, 120..130);
    let outcome = job.night().succeed();
    assert!(outcome.stderr.contains("130 citations") && !outcome.stderr.contains("absent"), "{}", outcome.stderr);
    assert_eq!(tables(&job.output()), job.expected());
}

#[test]
fn a_new_baseline_is_in_force_once_the_mirror_has_all_of_it_and_before_its_first_update_file() {
    let job = Job::new();
    job.night().succeed();
    job.server.remove("pubmed26");
    job.server.put(
        "baseline/README.txt",
        b"The complete baseline consists of files pubmed27n0001.xml through\npubmed27n0002.xml.\n".to_vec(),
    );
    let publish = |number: u32| {
        let articles = 40 * number - 35..40 * number + 5;
        job.server.publish_as("baseline", &format!("pubmed27n{number:04}"), file(articles));
    };
    let latest =
        || -> Value { serde_json::from_slice(&fs::read(job.output().join("snapshot/latest.json")).unwrap()).unwrap() };
    publish(1);
    job.night().end().assert_fails(65, &["pubmed27n0002"]);
    assert_eq!((&latest()["generation"], &latest()["documents"]), (&2026.into(), &100.into()));
    publish(2);
    job.night().succeed();
    assert_eq!((&latest()["generation"], &latest()["documents"]), (&2027.into(), &80.into()));
    // It stays in force for whoever knows less.
    PubTag::new(PROGRAM, ["snapshot"]).arg(job.output()).succeed();
    assert_eq!(latest()["generation"], 2027);
}

#[test]
fn the_settings_of_a_night_are_shown_with_their_sources_and_without_secrets() {
    let job = Job::new();
    let settings = fs::read_to_string(job.settings()).unwrap();
    let settings = settings.replace("from = 'http://", "from = 'http://ann:hush@")
        + "store_option = ['secret_access_key=hush']\n\n[snapshot]\nkeep = 3\n";
    fs::write(job.settings(), settings).unwrap();
    let show = || PubTag::new(PROGRAM, ["config", "show", "nightly", "--config"]).arg(job.settings());
    let table = show().env("PUBTAG_CONTACT", "me@example.org").env("PUBTAG_MODEL", "/models/other").succeed().stdout;
    let shown = |name: &str| -> Vec<String> {
        let mut rows = table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        rows.find(|row| row[0] == name).unwrap_or_else(|| panic!("{name} is not in\n{table}"))
    };
    let file = job.settings().display().to_string();
    let (mirror, output) = (job.mirror().display().to_string(), job.output().display().to_string());
    for row in [
        ["sync.into", &mirror, &file],
        ["sync.timeout", "2", &file],
        ["sync.connections", "4", "default"],
        ["sync.contact", "me@example.org", "environment"],
        ["sync.prune", "false", "default"],
        ["sync.store-option", "secret_access_key=…", "default"],
        ["run.inputs", &mirror, "default"],
        ["run.model", "/models/other", "environment"],
        ["run.store-option", "secret_access_key=…", &file],
        ["verify.output", &output, "default"],
        ["verify.quick", "true", "default"],
        ["snapshot.output", &output, "default"],
        ["snapshot.keep", "3", &file],
        ["snapshot.generation", "-", "default"],
    ] {
        assert_eq!(shown(row[0]), row);
    }
    assert!(!table.contains("hush") && !table.contains("unchecked-device"), "{table}");
    let json: Value = serde_json::from_str(&show().arg("--format=json").succeed().stdout).unwrap();
    assert_eq!(json["settings"][0]["name"], "sync.into");
    fs::write(job.settings(), "[sync]\nintoo = 'x'\n").unwrap();
    show().end().assert_fails(2, &["section `sync`: unknown setting `intoo`; did you mean `into`?"]);
}

#[test]
fn killed_at_any_moment_the_next_night_ends_with_the_same_rows() {
    let job = Job::new();
    for attempt in 0..12_u64 {
        let mut night = job.night().start();
        std::thread::sleep(Duration::from_millis(40 + 60 * attempt));
        night.kill().unwrap();
        night.wait().unwrap();
    }
    job.night().succeed();
    assert_eq!(tables(&job.output()), job.expected());
    let mirror = pubtag_pubmed_server::files_in(&job.mirror());
    let visible = mirror.keys().filter(|path| !path.starts_with('.')).count();
    assert_eq!(visible, job.server.truth().len(), "{:?}", mirror.keys());
}

#[test]
fn a_second_night_is_refused_while_the_first_is_in_progress() {
    let job = Job::new();
    job.server.fault("baseline/pubmed26n0002.xml.gz", 1, Fault::Stall { after: 100 });
    let first = job.night().start();
    wait_until("a transfer", || !job.server.downloads().is_empty());
    job.night().end().assert_fails(75, &["another `pubtag nightly` is in progress"]);
    let outcome = Outcome::of(&first.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn a_signal_ends_every_step() {
    let job = Job::new();
    job.server.fault("baseline/pubmed26n0002.xml.gz", 1, Fault::Stall { after: 100 });
    let night = job.night().start();
    wait_until("a transfer", || !job.server.downloads().is_empty());
    send(&night, "TERM");
    let outcome = Outcome::of(&night.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(143), "{}", outcome.stderr);

    let night = job.night().start();
    wait_until("a commit", || crate::kill::commits(&job.output()) > 0);
    send(&night, "TERM");
    let outcome = Outcome::of(&night.wait_with_output().unwrap());
    assert!(matches!(outcome.code, Some(143 | 0)), "{}", outcome.stderr);
    job.night().succeed();
    assert_eq!(tables(&job.output()), job.expected());
}

#[test]
fn settings_are_checked_before_the_first_step() {
    let job = Job::new();
    let night = |settings: &str| {
        fs::write(job.settings(), settings).unwrap();
        job.night().end()
    };
    let into = format!("[sync]\ninto = '{}'\n", job.mirror().display());
    night(&into).assert_fails(2, &["`output` in section `run`"]);
    night(&format!("{into}[run]\noutput = 'x'\nmodle = 'm'\n"))
        .assert_fails(2, &["night.toml", "section `run`: unknown setting `modle`; did you mean `model`?"]);
    night(&format!("{into}[publish]\nto = 'x'\n")).assert_fails(2, &["unknown section `publish`"]);
    night("[run]\noutput = 'x'\n").assert_fails(2, &["section `sync`", "--into"]);
    night(&format!("{into}dry-run = true\n[run]\noutput = 'x'\n")).assert_fails(2, &["`dry-run` in section `sync`"]);
    night(&format!("{into}[run]\noutput = 'x'\nlimit = 3\n")).assert_fails(2, &["`limit` in section `run`"]);
    night(&format!("{into}[run]\noutput = 'x'\nshard = '0/2'\n")).assert_fails(2, &["`shard` in section `run`"]);
    night(&format!("{into}[run]\noutput = '{}/'\n", job.mirror().display()))
        .assert_fails(78, &["choose another output"]);
    night(&format!("{into}[run]\noutput = 'x'\nmodel = '/nope'\n")).assert_fails(78, &["/nope"]);
    assert!(!job.mirror().exists() && job.server.requests().is_empty());
}

#[test]
fn systemd_accepts_the_units() {
    const TEST: &str = "systemd_accepts_the_units";
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skipped(TEST, "systemd-analyze");
    }
    let (dir, deploy) = (tempdir().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd"));
    let service = fs::read_to_string(deploy.join("pubtag-nightly.service")).unwrap();
    assert!(service.contains("/usr/local/bin/pubtag"));
    // systemd checks that the program exists.
    let service = service.replace("/usr/local/bin/pubtag", PROGRAM);
    fs::write(dir.path().join("pubtag-nightly.service"), service).unwrap();
    fs::copy(deploy.join("pubtag-nightly.timer"), dir.path().join("pubtag-nightly.timer")).unwrap();
    let units = ["pubtag-nightly.service", "pubtag-nightly.timer"].map(|unit| dir.path().join(unit));
    let verified = Outcome::of(&Command::new("systemd-analyze").arg("verify").args(units).output().unwrap());
    assert_eq!((verified.code, verified.stderr.as_str()), (Some(0), ""));

    // The settings that go with the units are those of the program: it gets as far as a directory that does not exist here.
    let settings = fs::read_to_string(deploy.join("nightly.toml")).unwrap();
    let settings = settings.replace("/var/lib/pubtag/mirror", &format!("{PROGRAM}/mirror"));
    fs::write(dir.path().join("nightly.toml"), settings).unwrap();
    let night = PubTag::new(PROGRAM, ["nightly", "--config"]).arg(dir.path().join("nightly.toml")).end();
    assert_ne!(night.code, Some(2), "{}", night.stderr);
    assert!(night.stderr.contains("mirror"), "{}", night.stderr);
}

#[test]
fn a_mirror_is_tagged_in_pubmeds_order_whatever_the_order_of_the_arguments() {
    let job = Job::new();
    PubTag::new(PROGRAM, ["sync", "--from", job.server.url(), "--into"]).arg(job.mirror()).succeed();
    let output = job.dir.path().join("ordered");
    run(&[job.mirror().join("updatefiles"), job.mirror().join("baseline")], &output).succeed();
    let inputs = report(&output)["inputs"].as_array().unwrap().clone();
    let tagged = inputs.iter().filter(|input| input["status"] == "committed");
    let names: Vec<&str> = tagged.map(|input| input["input"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["pubmed26n0001.xml.gz", "pubmed26n0002.xml.gz", "pubmed26n0003.xml.gz"]);
    assert_eq!(read_table(&output, "documents").len(), 120);
}

#[test]
fn counts_that_differ_from_nlms_are_a_line_in_the_report_and_past_a_threshold_65() {
    let job = Job::new();
    let page = |records: u32| {
        let rows = format!("<tr><td>Total records</td><td>{records}</td></tr><tr><td>Deleted</td><td>0</td></tr>");
        job.server.put("updatefiles/pubmed26n0003_stats.html", format!("<table>{rows}</table>").into_bytes());
    };
    page(41);
    job.night().end().assert_fails(
        65,
        &["pubmed26n0003.xml.gz: 40 records and 0 deletions, NLM: 41 and 0", "1 of 1 file differ", "--max-differences"],
    );
    let nlm = report(&job.output())["nlm"].clone();
    assert_eq!((&nlm["difference"], &nlm["differing"][0]["nlm_records"]), (&1.into(), &41.into()));
    // The file was committed: only a person can say whose count is right.
    assert_eq!(tables(&job.output()), job.expected());
    let outcome = job.night().end();
    outcome.assert_fails(65, &["NLM: 41 and 0", "that an earlier run committed", "higher"]);
    assert_eq!(steps(&job.report()), [("sync".to_owned(), 0), ("run".to_owned(), 65)]);
    let settings = fs::read_to_string(job.settings()).unwrap();
    fs::write(job.settings(), settings + "max_differences = 1\n").unwrap();
    job.night().succeed();

    let other = Job::new();
    let settings = fs::read_to_string(other.settings()).unwrap() + "max_differences = 5\n";
    fs::write(other.settings(), settings).unwrap();
    other.server.put("updatefiles/pubmed26n0003_stats.html", b"Total: 44\nDeleted: 1\n".to_vec());
    let outcome = other.night().succeed();
    assert!(outcome.stderr.contains("40 records and 0 deletions, NLM: 44 and 1"), "{}", outcome.stderr);
}

#[test]
fn a_failing_step_leaves_the_former_snapshot_published() {
    let job = Job::new();
    job.night().succeed();
    let latest = fs::read(job.output().join("snapshot/latest.json")).unwrap();
    // A third of the file is broken.
    let articles =
        (100..120).map(sample_article).chain((0..10).map(|_| "<PubmedArticle><x></PubmedArticle>".to_owned()));
    let broken = gzip(article_set(&articles.collect::<Vec<_>>()).as_bytes());
    job.server.publish_as("updatefiles", "pubmed26n0004", broken);
    job.night().end().assert_fails(65, &["10 rejects in 1 file; first is", "FAILED (65)"]);
    // Nor does a later night publish it, unless a person accepts it.
    for _ in 0..2 {
        assert_eq!(fs::read(job.output().join("snapshot/latest.json")).unwrap(), latest);
        assert_eq!(steps(&job.report()), [("sync".to_owned(), 0), ("run".to_owned(), 65)]);
        let outcome = job.night().end();
        outcome.assert_fails(
            65,
            &["10 rejects in 1 file that an earlier run committed", "pubmed26n0004.xml.gz", "higher --max-rejects"],
        );
        assert_eq!(report(&job.output())["already_committed"]["rejects"], 10);
    }
    let settings = fs::read_to_string(job.settings()).unwrap();
    fs::write(job.settings(), settings.clone() + "max_rejects = 10\n").unwrap();
    job.night().succeed();
    assert_ne!(fs::read(job.output().join("snapshot/latest.json")).unwrap(), latest);
    // Or NLM corrects it.
    fs::write(job.settings(), settings).unwrap();
    job.publish("updatefiles", 4, 100..130);
    job.night().succeed();
}

#[test]
fn what_the_mirror_holds_is_committed_or_the_night_fails_and_publishes_nothing() {
    let job = Job::new();
    job.night().succeed();
    let latest = fs::read(job.output().join("snapshot/latest.json")).unwrap();
    // Of two numbers with one content, only one has a commit.
    job.publish("updatefiles", 4, 100..120);
    job.publish("updatefiles", 5, 100..120);
    job.night().end().assert_fails(65, &["1 file of the mirror not committed; first is pubmed26n0005.xml.gz"]);
    assert_eq!(fs::read(job.output().join("snapshot/latest.json")).unwrap(), latest);
    let step = ["sync", "run"].map(|step| (step.to_owned(), 0)).into_iter().chain([("verify".to_owned(), 65)]);
    assert_eq!(steps(&job.report()), step.collect::<Vec<_>>());
}

#[test]
fn live_citations_that_nlm_lists_as_deleted_are_named_and_past_a_threshold_65() {
    let job = Job::new();
    job.server.put("deleted.pmids.gz", gzip(b"7\n990000010\n990000099\nx\n"));
    job.night()
        .end()
        .assert_fails(65, &["2 of 100 live citations deleted by NLM: 990000010, 990000099", "1 line of the list"]);
    let names = ["sync", "run", "verify", "snapshot", "compare"];
    assert_eq!(steps(&job.report()).iter().map(|(step, _)| step.as_str()).collect::<Vec<_>>(), names);
    let settings = fs::read_to_string(job.settings()).unwrap() + "max_differences = 2\n";
    fs::write(job.settings(), settings).unwrap();
    let outcome = job.night().succeed();
    assert!(outcome.stderr.contains("2 of 100 live citations deleted by NLM"), "{}", outcome.stderr);
}
