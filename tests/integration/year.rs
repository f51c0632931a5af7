//! A year of PubMed in small, applied in several ways: the snapshot is always what the files say.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pubtag_pubmed_server::{PubmedServer, gzip};
use pubtag_tests::{Bucket, Outcome, PubTag, Year, YearFile, python, report, spark_python, tiny_model};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::PROGRAM;

/// Citations of a baseline file. A larger year is an opt-in: `tests/run --large`.
fn citations() -> u32 {
    if std::env::var_os("PUBTAG_LARGE").is_some() { 2000 } else { 60 }
}

/// A mirror and an output, which files arrive in.
struct Site {
    mirror: PathBuf,
    output: PathBuf,
}

impl Site {
    fn new(folder: &Path, name: &str) -> Self {
        Self { mirror: folder.join(name).join("mirror"), output: folder.join(name).join("out") }
    }

    fn arrive<'a>(&self, files: impl IntoIterator<Item = &'a YearFile>) -> Vec<PathBuf> {
        files.into_iter().map(|file| Year::arrive(file, &self.mirror)).collect()
    }

    fn run(&self, inputs: &[PathBuf]) -> PubTag {
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        PubTag::run(PROGRAM, &inputs, &self.output).arg("--overwrite")
    }

    /// Small buckets and little memory, so that a small year crosses the boundaries of a large one.
    fn snapshot(&self) -> PubTag {
        let call = PubTag::new(PROGRAM, ["snapshot", "--json", "--keep", "100"]).arg(&self.output);
        ["--bucket-size", "0.1MiB", "--sort-memory", "0.1MiB"].iter().fold(call, PubTag::arg)
    }

    fn publish(&self) -> Value {
        serde_json::from_str(&self.snapshot().succeed().stdout).unwrap()
    }

    fn parts(&self, table: &str) -> Vec<String> {
        let call = PubTag::new(PROGRAM, ["inspect", "--parts", table]).arg(&self.output);
        call.succeed().stdout.lines().map(str::to_owned).collect()
    }

    /// A case for `snapshot.py`.
    fn case(&self, snapshot: Option<u64>, former: Option<u64>, files: &[&YearFile]) -> Value {
        let files: Vec<_> = files.iter().map(|file| json!([file.name, file.path])).collect();
        json!({"output": self.output, "snapshot": snapshot, "former": former, "files": files})
    }

    /// A case of the newest snapshot that also checks the views.
    fn case_with_views(&self, files: &[&YearFile]) -> Value {
        let mut case = self.case(None, None, files);
        case["parts"] = json!({"documents": self.parts("documents"), "annotations": self.parts("annotations")});
        case
    }

    /// The files of the snapshot that exist, and those that manifests name.
    fn files(&self) -> [Vec<String>; 2] {
        let snapshot = self.output.join("snapshot");
        let names = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(snapshot.join(folder)).into_iter().flatten();
            entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy())).collect()
        };
        let mut exist: Vec<String> =
            ["documents", "history", "changes"].iter().flat_map(|folder| names(folder)).collect();
        let manifests = names("manifests").into_iter().map(|name| fs::read(snapshot.join(name)).unwrap());
        let manifests = manifests.map(|json| serde_json::from_slice::<pubtag_snapshot::Manifest>(&json).unwrap());
        let mut named: Vec<String> =
            manifests.flat_map(|manifest| manifest.files().map(|file| file.path.clone()).collect::<Vec<_>>()).collect();
        exist.sort();
        named.sort();
        named.dedup();
        [exist, named]
    }
}

/// Compares snapshots with what the XML says.
pub(crate) fn compare(python: &Path, cases: &[Value]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/snapshot.py");
    let mut call = Command::new(python);
    call.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = call.spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(cases).to_string().as_bytes()).unwrap();
    let outcome = Outcome::of(&child.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    let found: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found.len(), cases.len());
    found
}

#[test]
fn a_year_ends_in_the_same_snapshot_in_one_go_night_by_night_and_out_of_order_with_kills() {
    let test = "a_year_ends_in_the_same_snapshot_in_one_go_night_by_night_and_out_of_order_with_kills";
    let Some(python) = python(test) else { return };
    let dir = tempdir().unwrap();
    let year = Year::write(&dir.path().join("issued"), citations(), true);
    let last = year.nights.len() - 1;
    let mut cases = Vec::new();

    let at_once = Site::new(dir.path(), "at-once");
    at_once.run(&at_once.arrive(year.in_effect(last))).succeed();
    at_once.publish();
    cases.push(at_once.case_with_views(&year.in_effect(last)));

    let nightly = Site::new(dir.path(), "nightly");
    cases.extend(night_by_night(&nightly, &year));
    cases.push(nightly.case_with_views(&year.in_effect(last)));

    let disordered = Site::new(dir.path(), "disordered");
    out_of_order_with_kills(&disordered, &year);
    cases.push(disordered.case_with_views(&year.in_effect(last)));

    let found = compare(&python, &cases);
    let [first, .., second_last, _] = &found[..] else { panic!("{found:?}") };
    assert_eq!(first["documents"], second_last["documents"]);
    assert!(found.iter().all(|case| case["annotations"].as_u64().unwrap() > 0), "{found:?}");
    for site in [&at_once, &nightly, &disordered] {
        let [exist, named] = site.files();
        assert_eq!(exist, named, "files that no snapshot names are removed");
    }
}

/// Nights that `pubtag nightly` skips and catches up on.
const AT_ONCE: usize = 3;

/// A server and a settings file for `pubtag nightly`.
fn job(folder: &Path, mirror: &str, output: &str) -> (PubmedServer, PathBuf) {
    let (server, settings, model) = (PubmedServer::start(), folder.join("night.toml"), tiny_model());
    let text = format!(
        "[sync]\ninto = '{mirror}'\nfrom = '{}'\n\n[run]\noutput = '{output}'\nmodel = '{}'\ndevice = 'cpu'\n",
        server.url(),
        model.display()
    );
    fs::write(&settings, text).unwrap();
    server.put("deleted.pmids.gz", gzip(b"4000000000\n"));
    (server, settings)
}

/// Puts a night's files on the server, with what NLM's README says of a baseline.
fn issue(server: &PubmedServer, files: &[YearFile]) {
    for file in files {
        let (folder, name) = file.name.split_once('/').unwrap();
        server.publish_as(folder, name.strip_suffix(".xml.gz").unwrap(), fs::read(&file.path).unwrap());
    }
    if let Some(file) = files.iter().find(|file| file.name.starts_with("baseline")) {
        let year = &file.name["baseline/pubmed".len()..][..2];
        let readme =
            format!("The complete baseline consists of files pubmed{year}n0001.xml through\npubmed{year}n0005.xml.\n");
        server.put("baseline/README.txt", readme.into_bytes());
    }
}

#[test]
fn a_year_of_nights_publishes_what_the_files_say_and_tags_no_text_twice() {
    let Some(python) = python("a_year_of_nights_publishes_what_the_files_say_and_tags_no_text_twice") else { return };
    let dir = tempdir().unwrap();
    let year = Year::write(&dir.path().join("issued"), citations(), false);
    let site = Site::new(dir.path(), "nightly");
    let (mirror, output) = (site.mirror.display().to_string(), site.output.display().to_string());
    let (server, settings) = job(dir.path(), &mirror, &output);
    let (mut known, mut cases, mut saved) = (HashSet::new(), Vec::new(), 0);
    for (first, nights) in year.nights.chunks(AT_ONCE).enumerate() {
        nights.iter().for_each(|files| issue(&server, files));
        PubTag::new(PROGRAM, ["nightly", "--config"]).arg(&settings).succeed();
        let last = first * AT_ONCE + nights.len() - 1;
        // The last issue of each file of these nights: the others were never seen.
        let tagged: HashSet<_> = nights.iter().flatten().map(|file| &file.name).collect();
        let tagged = year.in_effect(last).into_iter().filter(|file| tagged.contains(&file.name));
        let titles: Vec<String> = tagged.flat_map(YearFile::titles).collect();
        let hits = titles.iter().filter(|title| known.contains(*title)).count();
        assert_eq!(report(&site.output)["cache"]["hits"], hits, "night {last}");
        known.extend(titles);
        saved += hits;
        cases.push(site.case(None, None, &year.in_effect(last)));
        assert_eq!(compare(&python, &cases[cases.len() - 1..]).len(), 1);
    }
    assert!(saved > 100, "{saved} texts were known");
}

#[test]
fn a_year_of_nights_in_a_bucket_publishes_what_the_files_say() {
    let test = "a_year_of_nights_in_a_bucket_publishes_what_the_files_say";
    let (Some(python), Some(bucket)) = (python(test), Bucket::on_moto(test)) else { return };
    let dir = tempdir().unwrap();
    let year = Year::write(&dir.path().join("issued"), 20, false);
    let (server, settings) = job(dir.path(), &bucket.url("mirror"), &bucket.url("out"));
    let half = year.nights.len() / 2;
    for (number, nights) in year.nights.chunks(half).enumerate() {
        nights.iter().for_each(|files| issue(&server, files));
        bucket.with(PubTag::new(PROGRAM, ["nightly", "--config"])).arg(&settings).succeed();
        let site = Site::new(dir.path(), &format!("copy-{number}"));
        bucket.copy("out/snapshot", &site.output.join("snapshot"));
        compare(&python, &[site.case(None, None, &year.in_effect(number * half + nights.len() - 1))]);
    }
    let report = |name: &str| -> Value { serde_json::from_slice(&bucket.get(&format!("out/{name}"))).unwrap() };
    assert!(report("report.json")["cache"]["hits"].as_u64().unwrap() > 50, "{}", report("report.json"));
    assert_eq!(report("nightly.json")["exit_code"], 0);
    assert_eq!(report("snapshot/latest.json")["generation"], 2027);
}

#[test]
fn spark_and_duckdb_have_the_same_views() {
    let Some(python) = spark_python("spark_and_duckdb_have_the_same_views") else { return };
    let dir = tempdir().unwrap();
    let year = Year::write(&dir.path().join("issued"), 20, true);
    let site = Site::new(dir.path(), "spark");
    // Before and after the next baseline is complete.
    for night in [year.nights.len() - 2, year.nights.len() - 1] {
        site.run(&site.arrive(year.in_effect(night))).succeed();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/spark.py");
        let outcome = Outcome::of(&Command::new(&python).arg(script).arg(&site.output).output().unwrap());
        assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(outcome.stdout.lines().count(), 5, "{}", outcome.stdout);
    }
}

/// One run and one snapshot per night. Returns a case for each snapshot.
fn night_by_night(site: &Site, year: &Year) -> Vec<Value> {
    let (mut cases, mut newest, mut unchanged) = (Vec::new(), 0, 0);
    for (night, files) in year.nights.iter().enumerate() {
        let inputs = site.arrive(files);
        if !inputs.is_empty() {
            site.run(&inputs).succeed();
        }
        let summary = site.publish();
        let snapshot = summary["snapshot"].as_u64().unwrap();
        unchanged += usize::from(summary["is_new"] == false);
        let former = (newest > 0 && newest < snapshot).then_some(newest);
        cases.push(site.case(Some(snapshot), former, &year.in_effect(night)));
        newest = snapshot;
        if night == year.nights.len() - 2 {
            assert_eq!(summary["generations"]["in_force"], 2026, "the new baseline is not yet known to be complete");
            assert_eq!(summary["generations"]["waiting"][0]["generation"], 2027);
        }
    }
    assert!(unchanged >= 2, "nights that bring files of the next baseline change nothing");
    cases
}

/// Runs and snapshots are killed at any moment; files come last to first, and some are replaced later.
fn out_of_order_with_kills(site: &Site, year: &Year) {
    let last = year.nights.len() - 1;
    let all = year.in_effect(last);
    let mut moments = (1..).map(|number| Duration::from_millis(7 * number % 61));
    for some in all.chunks(7).rev() {
        let mut inputs = site.arrive(some.iter().copied());
        inputs.reverse();
        for call in [site.run(&inputs), site.snapshot(), site.snapshot()] {
            let mut child = call.start();
            std::thread::sleep(moments.next().unwrap());
            child.kill().unwrap();
            child.wait().unwrap();
        }
        // Not this one: the next run goes on where it stopped.
        let mut child = site.run(&inputs).start();
        std::thread::sleep(Duration::from_millis(150));
        child.kill().unwrap();
        child.wait().unwrap();
        if site.output.join("_pubtag/output.json").exists() {
            site.publish();
        }
    }
    site.run(std::slice::from_ref(&site.mirror)).succeed();
    site.publish();
}
