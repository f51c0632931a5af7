//! The cache of results: the same rows with and without it, whatever happens to its files and to the runs that use it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use pubtag_tests::{Outcome, PubTag, python, report, write_corpus, write_pubmed_file};
use serde_json::Value;
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::{run, tables};

/// A run with a cache of its own directory.
fn cached(inputs: &[PathBuf], output: &Path, cache: &Path) -> PubTag {
    run(inputs, output).arg("--cache").arg(cache)
}

fn saved(output: &Path) -> Value {
    report(output)["cache"].clone()
}

/// Files of the cache of one model, below any directory.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => found.extend(segments(&path)),
            Some(extension) if extension == "parquet" => found.push(path),
            _ => {}
        }
    }
    found.sort();
    found
}

/// Compares all tables of two outputs in DuckDB, without the columns that tell runs and caches apart.
fn assert_same_rows_in_duckdb(python: &Path, one: &Path, other: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/same_rows.py");
    let compared = Outcome::of(&Command::new(python).arg(script).args([one, other]).output().unwrap());
    assert_eq!(compared.code, Some(0), "{}{}", compared.stdout, compared.stderr);
}

#[test]
fn a_second_baseline_is_hardly_tagged_and_has_the_rows_of_one_that_is() {
    let dir = tempdir().unwrap();
    let files = ["pubmed26n0001.xml.gz", "pubmed27n0001.xml.gz"].map(|name| dir.path().join(name));
    // Next year's file has all of this year's records, and others.
    let [this_year, next_year] =
        if std::env::var_os("PUBTAG_LARGE").is_some() { [15_000, 16_000] } else { [4_500, 4_800] };
    let first = write_pubmed_file(&files[0], this_year, 500);
    let second = write_pubmed_file(&files[1], next_year, 500);
    let [before, output, plain, cache] = ["before", "output", "plain", "cache"].map(|name| dir.path().join(name));
    let tag = |file: usize, output: &Path| run(&files[file..=file], output).arg("--max-rejects").arg("1%");
    tag(0, &before).arg("--cache").arg(&cache).succeed();
    tag(1, &output).arg("--cache").arg(&cache).succeed();
    tag(1, &plain).arg("--no-cache").succeed();
    let [before, with, without] = [&before, &output, &plain].map(|output| report(output));

    assert_eq!((&before["cache"]["hits"], &before["cache"]["added"]), (&0.into(), &first.citations.into()));
    assert_eq!(without["cache"], Value::Null);
    assert_eq!(with["cache"]["looked_up"], second.citations);
    assert_eq!(with["cache"]["hits"], first.citations, "every text of this year is known");
    let tokens = |report: &Value| report["packing"]["tokens"].as_u64().unwrap();
    let tokens_saved = with["cache"]["tokens_saved"].as_u64().unwrap();
    assert_eq!(tokens_saved + tokens(&with), tokens(&without), "saved and read tokens");
    assert_eq!(tokens_saved, tokens(&before));
    PubTag::new(PROGRAM, ["verify"]).arg(&output).succeed();

    let Some(python) = python("a_second_baseline_is_hardly_tagged_and_has_the_rows_of_one_that_is") else { return };
    assert_same_rows_in_duckdb(&python, &output, &plain);
}

#[test]
fn annotations_of_abbreviations_are_kept_and_not_made_twice() {
    let dir = tempdir().unwrap();
    let [output, again, plain, cache] = ["output", "again", "plain", "cache"].map(|name| dir.path().join(name));
    let input = dir.path().join("pubmed26n0001.xml");
    let article = |number: u32| {
        let text = "Duchenne muscular dystrophy (DMD) and others. DMD is rare. Familial ataxia (FA) is not DMD, FA is.";
        pubtag_tests::article(990_000_000 + number, &format!("Colon cancer (CC), case {number}: CC"), text)
    };
    fs::write(&input, pubtag_tests::article_set(&(0..200).map(article).collect::<Vec<_>>())).unwrap();
    let inputs = [input];
    let with_abbreviations = |call: PubTag| call.arg("--abbreviations").arg("on").succeed();
    with_abbreviations(run(&inputs, &plain).arg("--no-cache"));
    with_abbreviations(cached(&inputs, &output, &cache));
    with_abbreviations(cached(&inputs, &again, &cache));
    assert_eq!(saved(&again)["hits"], 200);
    assert_eq!((tables(&output), tables(&again)), (tables(&plain), tables(&plain)));
    let added = report(&plain)["abbreviations"]["added"].as_u64().unwrap();
    assert!(added > 0, "the model finds no long form");
}

#[test]
fn rows_say_whether_they_were_cached() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 2, 30);
    let [output, cache] = ["output", "cache"].map(|name| dir.path().join(name));
    cached(&inputs[..1], &output, &cache).succeed();
    let other = dir.path().join("other");
    cached(&inputs, &other, &cache).succeed();
    let flags = |output: &Path| -> [usize; 2] {
        let mut count = [0; 2];
        for part in segments(&output.join("documents")) {
            let reader =
                parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(File::open(part).unwrap());
            for batch in reader.unwrap().build().unwrap() {
                let batch = batch.unwrap();
                let cached = arrow::array::AsArray::as_boolean(&batch["cached"]);
                count[0] += cached.false_count();
                count[1] += cached.true_count();
            }
        }
        count
    };
    assert_eq!((flags(&output), flags(&other)), ([30, 0], [30, 30]));
}

#[test]
fn other_models_and_settings_share_nothing_and_other_outputs_do() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 1, 40);
    let cache = dir.path().join("cache");
    // The fingerprint of a model covers every byte of its files.
    let other_model = dir.path().join("other-model");
    fs::create_dir(&other_model).unwrap();
    for file in fs::read_dir(pubtag_tests::tiny_model()).unwrap().map(|file| file.unwrap().path()) {
        fs::copy(&file, other_model.join(file.file_name().unwrap())).unwrap();
    }
    let config = fs::read_to_string(other_model.join("config.json")).unwrap();
    fs::write(other_model.join("config.json"), config + "\n").unwrap();
    let hits = |name: &str, arguments: &[&str]| {
        let output = dir.path().join(format!("output-{name}"));
        let model = if name == "other-model" { other_model.clone() } else { pubtag_tests::tiny_model() };
        let call = PubTag::new(PROGRAM, ["run"]).on_cpu(&output).arg(&inputs[0]).arg("--model").arg(model);
        arguments.iter().fold(call.arg("--cache").arg(&cache), PubTag::arg).succeed();
        saved(&output)["hits"].as_u64().unwrap()
    };
    assert_eq!(hits("first", &[]), 0);
    assert_eq!(hits("argmax", &["--decode=argmax"]), 0);
    assert_eq!(hits("sentences", &["--context=20"]), 0);
    assert_eq!(hits("other-model", &[]), 0);
    // These decide what is read and written, and not what the model finds.
    assert_eq!(hits("hash", &["--text=hash", "--limit=25"]), 25);
    assert_eq!(hits("second", &[]), 40);
    let stats = PubTag::new(PROGRAM, ["cache", "stats", "--json"]).arg(&cache).succeed();
    let stats: Value = serde_json::from_str(&stats.stdout).unwrap();
    let entries: Vec<_> = stats.as_array().unwrap().iter().map(|spec| spec["entries"].as_u64().unwrap()).collect();
    assert_eq!(entries, [40; 4]);
    PubTag::new(PROGRAM, ["cache", "prune", "--keep=1"]).arg(&cache).succeed();
    assert_eq!(hits("third", &[]), 0, "only the model that was written to last is kept");
}

#[test]
fn damaged_files_are_missing_entries_and_no_error() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 3, 60);
    let [plain, cache] = ["plain", "cache"].map(|name| dir.path().join(name));
    run(&inputs, &plain).arg("--no-cache").succeed();
    // A file of other texts is sound: there is nothing to warn of.
    let damages = [(flip as fn(&Path), true), (cut, true), (empty, true), (other_texts, false), (not_parquet, true)];
    for (number, (damage, is_named)) in damages.into_iter().enumerate() {
        fs::remove_dir_all(&cache).unwrap_or_default();
        for (file, input) in inputs.iter().enumerate() {
            cached(std::slice::from_ref(input), &dir.path().join(format!("make-{number}-{file}")), &cache).succeed();
        }
        assert_eq!(segments(&cache).len(), 3);
        segments(&cache)[..2].iter().for_each(|path| damage(path));
        let output = dir.path().join(format!("output-{number}"));
        let outcome = cached(&inputs, &output, &cache).succeed();
        assert_eq!(tables(&output), tables(&plain), "damage {number}");
        assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
        let (hits, warnings) = (saved(&output)["hits"].as_u64().unwrap(), outcome.stderr.matches(" WARN ").count());
        assert!((60..180).contains(&hits) && warnings <= 3, "{hits} hits\n{}", outcome.stderr);
        assert_eq!(warnings > 0, is_named, "damage {number}: {}", outcome.stderr);
    }
}

/// Changes a byte in every 64.
fn flip(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    for at in (32..length.saturating_sub(600)).step_by(64) {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x55], at).unwrap();
    }
}

fn cut(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

fn empty(path: &Path) {
    File::create(path).unwrap();
}

/// Another file under this one's name.
fn other_texts(path: &Path) {
    let folder = path.parent().unwrap();
    let other = segments(folder).pop().unwrap();
    fs::copy(other, path).unwrap();
}

fn not_parquet(path: &Path) {
    let mut file = File::create(path).unwrap();
    file.write_all(&[b"PAR1".repeat(40_000), vec![0xff; 100], b"PAR1".to_vec()].concat()).unwrap();
}

#[test]
fn kills_at_any_moment_leave_a_cache_that_changes_no_row() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 12, 60);
    let [plain, broken, after, cache] = ["plain", "broken", "after", "cache"].map(|name| dir.path().join(name));
    let started = Instant::now();
    run(&inputs, &plain).arg("--no-cache").succeed();
    let whole = started.elapsed();
    for attempt in 0..10_u32 {
        // Each run starts anew, with what the killed ones have left in the cache.
        fs::remove_dir_all(&broken).unwrap_or_default();
        let mut child = cached(&inputs, &broken, &cache).start();
        std::thread::sleep(whole.mul_f64(f64::from(attempt % 5 + 1) / 5.0));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut prune = PubTag::new(PROGRAM, ["cache", "prune"]).arg(&cache).start();
        std::thread::sleep(Duration::from_millis(u64::from(attempt) * 3));
        prune.kill().unwrap();
        prune.wait().unwrap();
    }
    fs::remove_dir_all(&broken).unwrap_or_default();
    cached(&inputs, &broken, &cache).succeed();
    cached(&inputs, &after, &cache).succeed();
    assert_eq!(saved(&after)["hits"], 720);
    assert_eq!((tables(&broken), tables(&after)), (tables(&plain), tables(&plain)));
}

#[test]
fn runs_and_prunes_at_once_share_a_cache_without_a_wrong_row() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 6, 60);
    let [plain, cache] = ["plain", "cache"].map(|name| dir.path().join(name));
    run(&inputs, &plain).arg("--no-cache").succeed();
    for round in 0..3 {
        let outputs: Vec<PathBuf> = (0..2).map(|of| dir.path().join(format!("out-{round}-{of}"))).collect();
        let runs: Vec<Child> = outputs.iter().map(|output| cached(&inputs, output, &cache).start()).collect();
        fs::create_dir_all(&cache).unwrap();
        for _ in 0..6 {
            let pair: Vec<Child> =
                (0..2).map(|_| PubTag::new(PROGRAM, ["cache", "prune"]).arg(&cache).start()).collect();
            for prune in pair {
                let outcome = Outcome::of(&prune.wait_with_output().unwrap());
                // Of two that merge the same files, one may find them gone.
                assert!(matches!(outcome.code, Some(0 | 75)), "{}", outcome.stderr);
            }
        }
        for child in runs {
            let outcome = Outcome::of(&child.wait_with_output().unwrap());
            assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        }
        for output in &outputs {
            assert_eq!(tables(output), tables(&plain), "round {round}");
        }
    }
    let last = dir.path().join("last");
    cached(&inputs, &last, &cache).succeed();
    assert_eq!((saved(&last)["hits"].clone(), tables(&last)), (360.into(), tables(&plain)));
}

#[test]
fn pruning_keeps_every_entry_and_merges_files() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 8, 30);
    let cache = dir.path().join("cache");
    for (number, input) in inputs.iter().enumerate() {
        cached(std::slice::from_ref(input), &dir.path().join(format!("out-{number}")), &cache).succeed();
    }
    assert_eq!(segments(&cache).len(), 8);
    let pruned = PubTag::new(PROGRAM, ["cache", "prune"]).arg(&cache).succeed();
    assert!(pruned.stdout.contains("8 files merged into 1, 0 kept"), "{}", pruned.stdout);
    let again = PubTag::new(PROGRAM, ["cache", "prune"]).arg(&cache).succeed();
    assert!(again.stdout.contains("0 files merged into 0, 1 kept"), "{}", again.stdout);
    let output = dir.path().join("after");
    cached(&inputs, &output, &cache).succeed();
    assert_eq!(saved(&output)["hits"], 240);
}

#[test]
fn half_written_files_of_dead_processes_are_removed_and_young_ones_are_not() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 2, 10);
    let cache = dir.path().join("cache");
    cached(&inputs[..1], &dir.path().join("first"), &cache).succeed();
    let segment = segments(&cache)[0].display().to_string();
    let [old, young] = ["#1", "#2"].map(|staged| PathBuf::from(segment.clone() + staged));
    let abandon = || {
        for path in [&old, &young] {
            fs::write(path, "half").unwrap();
        }
        let long_ago = std::time::SystemTime::now() - Duration::from_hours(48);
        File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    };
    let end = |call: PubTag| {
        abandon();
        call.succeed();
        assert_eq!((old.exists(), young.exists()), (false, true));
    };
    end(cached(&inputs[1..], &dir.path().join("second"), &cache));
    end(PubTag::new(PROGRAM, ["cache", "prune"]).arg(&cache));
}

#[test]
fn by_default_the_cache_is_in_the_output_and_its_absence_is_named() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 1, 20);
    let output = dir.path().join("out");
    run(&inputs, &output).succeed();
    assert_eq!(segments(&output.join("_pubtag/cache")).len(), 1);
    let stats = PubTag::new(PROGRAM, ["cache", "stats"]).arg(&output).succeed();
    assert!(stats.stdout.contains("20 entries in 1 file"), "{}", stats.stdout);
    PubTag::new(PROGRAM, ["verify"]).arg(&output).succeed();
    let outcome = PubTag::new(PROGRAM, ["cache", "stats"]).arg(dir.path().join("nowhere")).end();
    outcome.assert_fails(78, &["nowhere: no such directory"]);
    let other = dir.path().join("other");
    run(&inputs, &other).arg("--cache").arg(&inputs[0]).end().assert_fails(78, &["cannot use", "not a directory"]);
}

#[test]
fn only_a_cache_is_written_to_and_pruned() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 1, 20);
    let [foreign, cache] = ["foreign", "cache"].map(|name| dir.path().join(name));
    // Directories of another program, named by MD5 sums.
    let theirs = ["0123456789abcdef0123456789abcdef/sub/one", "fedcba98765432100123456789abcdef/two"];
    let put = |root: &Path| {
        for name in theirs {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), name).unwrap();
        }
    };
    put(&foreign);
    let refused = format!("{} contains other files (0123456789abcdef0123456789abcdef/", foreign.display());
    cached(&inputs, &dir.path().join("out"), &foreign).end().assert_fails(78, &[&refused]);
    for command in [["cache", "stats"].as_slice(), &["cache", "prune", "--keep", "0"]] {
        PubTag::new(PROGRAM, command).arg(&foreign).end().assert_fails(78, &[&refused]);
    }

    // A cache from before there were marks is one.
    cached(&inputs, &dir.path().join("one"), &cache).succeed();
    fs::remove_dir_all(cache.join("_pubtag")).unwrap();
    cached(&inputs, &dir.path().join("two"), &cache).succeed();
    assert!(cache.join("_pubtag/cache.json").exists());
    assert_eq!(saved(&dir.path().join("two"))["hits"], 20);
    // Even if it was pruned before it was marked.
    let prune = || drop(PubTag::new(PROGRAM, ["cache", "prune", "--keep", "0"]).arg(&cache).succeed());
    fs::remove_dir_all(cache.join("_pubtag")).unwrap();
    prune();
    cached(&inputs, &dir.path().join("three"), &cache).succeed();
    put(&cache);
    prune();
    assert_eq!(segments(&cache), Vec::<PathBuf>::new());
    for root in [&foreign, &cache] {
        for name in theirs {
            assert_eq!(fs::read_to_string(root.join(name)).unwrap(), name);
        }
    }
}
