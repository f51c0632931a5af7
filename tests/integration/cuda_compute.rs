//! `--device cuda` without a card, executed: the real compiler of kernels, and a driver that runs them on the CPU.
//!
//! `tests/run --cuda-compute` sets it up; without it these tests are skipped. Each takes minutes. What is compared is what
//! `pubtag selftest` compares, the logits of a card with those of the CPU, and the rows of a run. The driver adds
//! what a card does not show: accesses outside of a tensor, reads of what nobody has written, races, deadlocks
//! (`tests/cuda-stub/README.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pubtag_tests::{Outcome, PubTag, article_set, read_table, sample_article, skipped, tiny_model};
use serde_json::Value;
use tempfile::TempDir;

/// Compute capabilities whose kernels are executed.
const CARDS: [&str; 2] = ["80", "90"];
const PRECISIONS: [&str; 3] = ["f32", "f16", "bf16"];

/// The least that shapes allow: an interpreter takes its time for every token.
const TOKENS: &str = "1024";

/// Bytes of a card that has little memory: the allocator takes pages whose size goes with it.
const SMALL_CARD: &str = "2000000000";

/// Which of the candidates of every key are forced, unless `PUBTAG_CUDA_ROUNDS` names others (`0,1,2`, or `all`).
const ROUNDS: [usize; 3] = [0, 4, 9];

/// What `tests/run --cuda-compute` has made.
struct Rig {
    program: String,
    toolkit: PathBuf,
    /// Holds the driver under its name.
    libraries: TempDir,
    /// The kernels of all tests but those that force some.
    cache: TempDir,
}

impl Rig {
    /// The one of this process, or `None` after saying so loudly.
    fn find(test: &str) -> Option<&'static Self> {
        static RIG: OnceLock<Option<Rig>> = OnceLock::new();
        let rig = RIG.get_or_init(Self::new).as_ref();
        if rig.is_none() {
            skipped(test, "driver that computes (tests/run --cuda-compute sets it up)");
        }
        rig
    }

    fn new() -> Option<Self> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let (driver, toolkit) = (named("PUBTAG_CUDA_COMPUTE_STUB")?, named("PUBTAG_CUDA_TOOLKIT")?);
        let program = std::env::var("PUBTAG_CUDA_COMPUTE_PROGRAM").ok()?;
        let libraries = tempfile::tempdir().unwrap();
        fs::copy(driver, libraries.path().join("libcuda.so.1")).unwrap();
        Some(Self { program, toolkit, libraries, cache: tempfile::tempdir().unwrap() })
    }

    /// A call with the tiny model on a card of a compute capability, with kernels kept in a cache.
    fn call(&self, command: &str, card: &str, cache: &Path) -> PubTag {
        let libraries = format!("{}:{}", self.libraries.path().display(), self.toolkit.join("lib64").display());
        PubTag::new(&self.program, [command, "--device", "cuda", "--token-budget", TOKENS, "--cache-dir"])
            .arg(cache)
            .arg("--model")
            .arg(tiny_model())
            .env("CUDA_PATH", self.toolkit.to_str().unwrap())
            .env("LD_LIBRARY_PATH", &libraries)
            .env("STUB_SM", card)
            .env("STUB_MEMORY", SMALL_CARD)
    }

    /// Compiles the kernels and has the autotuner choose, without executing any: what is chosen then is arbitrary.
    fn tune(&self, card: &str, precision: &str, cache: &Path) {
        let call = self.call("warmup", card, cache).arg("--unchecked-device").arg("--precision").arg(precision);
        drop(call.succeed());
    }

    /// Holds the logits of a card in a precision against those of the CPU, executing every kernel.
    fn selftest(&self, card: &str, precision: &str, cache: &Path) -> PubTag {
        self.call("selftest", card, cache).arg("--only-precision").arg(precision).env("STUB_COMPUTE", "1")
    }
}

/// Runs a call to its end; what the driver has seen meanwhile, a line for each event.
fn logged(call: PubTag) -> (Outcome, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("driver.log");
    let outcome = call.env("STUB_LOG", log.to_str().unwrap()).end();
    (outcome, fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect())
}

/// The number of events of a kind, which is a line's first word.
fn count(events: &[String], kind: &str) -> usize {
    events.iter().filter(|event| event.split(' ').next() == Some(kind)).count()
}

/// The selftest agrees, and the driver has found nothing wrong with what it executed.
fn assert_agrees(what: &str, outcome: &Outcome, events: &[String]) {
    let bad: Vec<_> = events.iter().filter(|event| event.starts_with("bad ")).collect();
    assert!(bad.is_empty(), "{what}: {bad:#?}");
    assert_eq!(outcome.code, Some(0), "{what}:\n{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(
        outcome.stdout.lines().filter(|line| line.ends_with("| ok |")).count(),
        5,
        "{what}:\n{}",
        outcome.stdout
    );
    assert!(count(events, "computed") > 100, "{what}: {} launches executed", count(events, "computed"));
}

#[test]
fn logits_of_every_card_and_precision_are_those_of_the_cpu() {
    let Some(rig) = Rig::find("logits_of_every_card_and_precision_are_those_of_the_cpu") else { return };
    for card in CARDS {
        for precision in PRECISIONS {
            rig.tune(card, precision, rig.cache.path());
            let (outcome, events) = logged(rig.selftest(card, precision, rig.cache.path()));
            assert_agrees(&format!("sm_{card} {precision}"), &outcome, &events);
        }
    }
}

#[test]
fn rows_of_a_run_are_those_of_the_cpu() {
    let Some(rig) = Rig::find("rows_of_a_run_are_those_of_the_cpu") else { return };
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.xml");
    fs::write(&input, article_set(&(1..=20).map(sample_article).collect::<Vec<_>>())).unwrap();
    let (on_cpu, on_cuda) = (folder.path().join("cpu"), folder.path().join("cuda"));
    PubTag::run(crate::PROGRAM, &[input.as_path()], &on_cpu).succeed();
    rig.tune("80", "f32", rig.cache.path());
    // The check at the start is left in: it is one more comparison.
    let call = rig.call("run", "80", rig.cache.path()).arg("--output").arg(&on_cuda).arg(&input);
    let (outcome, events) = logged(call.env("STUB_COMPUTE", "1"));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(count(&events, "bad"), 0, "{events:?}");
    // Scores and the model's id may differ. Factors are rounded to TF32, so a tag that two labels tie for may too.
    let mentions = |output: &Path| -> BTreeSet<String> {
        let keep = ["doc_id=", "start_char=", "end_char=", "label=", "mention="];
        let kept = |row: &String| {
            let fields = row.split('\u{1f}').filter(|field| keep.iter().any(|name| field.starts_with(name)));
            fields.collect::<Vec<_>>().join(" ")
        };
        read_table(output, "annotations").iter().map(kept).collect()
    };
    let (expected, found) = (mentions(&on_cpu), mentions(&on_cuda));
    assert!(!expected.is_empty());
    let different: Vec<_> = expected.symmetric_difference(&found).collect();
    assert!(different.len() * 50 <= expected.len(), "{} mentions: {different:#?}", expected.len());
}

/// A file of the autotuner: one JSON object after the other, one for each key.
fn read_choices(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap().replace('\0', "\n");
    serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>().unwrap()
}

/// The candidates of a key that could be launched, by their numbers.
fn candidates(choice: &Value) -> Vec<(u64, String)> {
    let results = choice["value"]["results"].as_array().unwrap();
    let mut found: Vec<(u64, String)> = results
        .iter()
        .map(|result| &result["outcome"]["Ok"])
        .filter_map(|result| Some((result["index"].as_u64()?, result["name"].as_str().unwrap_or_default().to_owned())))
        .collect();
    found.sort();
    found
}

/// Every file of a folder tree.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The files in which the autotuner keeps its choices.
fn choice_files(cache: &Path) -> Vec<PathBuf> {
    let is_choice = |path: &PathBuf| {
        path.components().any(|part| part.as_os_str() == "autotune") && path.to_string_lossy().ends_with(".log")
    };
    files(cache).into_iter().filter(is_choice).collect()
}

/// Copies a cache and has every key choose its candidate of a round; the names of those.
fn force(cache: &Path, round: usize) -> (TempDir, Vec<String>) {
    let forced = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for path in files(cache) {
        let to = forced.path().join(path.strip_prefix(cache).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&path, &to).unwrap();
    }
    for path in choice_files(forced.path()) {
        let mut text = String::new();
        for mut choice in read_choices(&path) {
            let candidates = candidates(&choice);
            if let Some((index, name)) = candidates.get(round % candidates.len().max(1)) {
                choice["value"]["fastest_index"] = Value::from(*index);
                names.push(name.clone());
            }
            text += &format!("{choice}\n");
        }
        fs::write(&path, text).unwrap();
    }
    names.sort();
    names.dedup();
    (forced, names)
}

/// Rounds to run: a subset unless all are asked for.
fn rounds(most: usize) -> Vec<usize> {
    match std::env::var("PUBTAG_CUDA_ROUNDS").ok().as_deref() {
        None => ROUNDS.into_iter().filter(|round| *round < most).collect(),
        Some("all") => (0..most).collect(),
        Some(list) => list.split(',').map(|round| round.trim().parse().unwrap()).collect(),
    }
}

#[test]
fn every_candidate_of_the_autotuner_computes_the_same() {
    let Some(rig) = Rig::find("every_candidate_of_the_autotuner_computes_the_same") else { return };
    for card in CARDS {
        for precision in PRECISIONS {
            let cache = tempfile::tempdir().unwrap();
            rig.tune(card, precision, cache.path());
            let choices: Vec<Value> = choice_files(cache.path()).iter().flat_map(|path| read_choices(path)).collect();
            let most = choices.iter().map(|choice| candidates(choice).len()).max().unwrap_or(0);
            assert!(most > 1, "sm_{card} {precision}: the autotuner had nothing to choose from");
            for round in rounds(most) {
                let (forced, names) = force(cache.path(), round);
                let (outcome, events) = logged(rig.selftest(card, precision, forced.path()));
                assert_agrees(&format!("sm_{card} {precision} round {round} {names:?}"), &outcome, &events);
                eprintln!("sm_{card} {precision} round {round} of {most}: {} kinds of kernels", names.len());
            }
        }
    }
}

/// A harness that cannot fail is worth nothing: errors planted in the program's own kernels.
#[test]
fn errors_planted_in_kernels_are_noticed() {
    let Some(rig) = Rig::find("errors_planted_in_kernels_are_noticed") else { return };
    rig.tune("80", "f32", rig.cache.path());
    let planted = BTreeMap::from([
        ("a wrong function", "ex2.approx.ftz.f32=>lg2.approx.ftz.f32"),
        ("a wrong sign", "add.rn.f32=>sub.rn.f32"),
        ("a mask that lets one too many through", "setp.ge.u32=>setp.gt.u32"),
        ("a wrong stride or offset", ", 4;=>, 8;"),
        ("a dropped barrier", "bar.sync \t0;=>"),
    ]);
    let mut noticed = 0;
    for (what, plant) in planted {
        let (outcome, events) = logged(rig.selftest("80", "f32", rig.cache.path()).env("STUB_PLANT", plant));
        if count(&events, "planted") == 0 {
            eprintln!("{what}: no kernel has `{plant}`");
            continue;
        }
        assert_ne!(outcome.code, Some(0), "{what} was not noticed:\n{}", outcome.stdout);
        noticed += 1;
    }
    assert!(noticed >= 3, "only {noticed} of the errors could be planted");
}
