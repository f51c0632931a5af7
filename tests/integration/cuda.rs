//! `--device cuda` without a card: the real compiler of kernels, and a driver that computes nothing (`tests/cuda-stub`).
//!
//! `tests/run --cuda-stub` installs the one, builds the other and a program with CUDA; without it these tests are skipped.
//! A driver that computes nothing returns zeros, so the comparison with the CPU is disabled except where it is tested.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use pubtag_tests::{Outcome, PubTag, article_set, python, report, sample_article, skipped, tiny_model};
use serde_json::Value;
use tempfile::TempDir;

/// The most launches and copies that a micro-batch of the tiny model's two layers takes: more is a regression. Its factors, of 32 and 8
/// columns, are all padded; those of common models only in attention.
const MOST_LAUNCHES: usize = 152;
const MOST_COPIES_TO_DEVICE: usize = 117;

/// What `tests/run --cuda-stub` has made, and a folder for the kernels of all tests.
struct Rig {
    program: String,
    toolkit: PathBuf,
    /// Holds the driver under its name.
    libraries: TempDir,
    cache: TempDir,
}

/// Memory of a small card, in bytes; the allocator's page size depends on it.
const SMALL_CARD: &str = "2000000000";

/// Default number of citations of a run.
const CITATIONS: u32 = 300;

impl Rig {
    /// The rig of this process, or `None` after reporting a skip.
    fn find(test: &str) -> Option<&'static Self> {
        static RIG: OnceLock<Option<Rig>> = OnceLock::new();
        let rig = RIG.get_or_init(Self::new).as_ref();
        if rig.is_none() {
            skipped(test, "driver that computes nothing (tests/run --cuda-stub sets it up)");
        }
        rig
    }

    fn new() -> Option<Self> {
        let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let (driver, toolkit) = (named("PUBTAG_CUDA_STUB")?, named("PUBTAG_CUDA_TOOLKIT")?);
        let libraries = tempfile::tempdir().unwrap();
        fs::copy(driver, libraries.path().join("libcuda.so.1")).unwrap();
        let program = std::env::var("PUBTAG_CUDA_PROGRAM").ok()?;
        Some(Self { program, toolkit, libraries, cache: tempfile::tempdir().unwrap() })
    }

    /// A call that finds driver, compiler and headers.
    fn bare(&self, command: &str) -> PubTag {
        let libraries = format!("{}:{}", self.libraries.path().display(), self.toolkit.join("lib64").display());
        PubTag::new(&self.program, [command, "--cache-dir"])
            .arg(self.cache.path())
            .env("CUDA_PATH", self.toolkit.to_str().unwrap())
            .env("LD_LIBRARY_PATH", &libraries)
    }

    /// A call with the tiny model and without the check against the CPU.
    fn call(&self, command: &str) -> PubTag {
        self.bare(command).arg("--unchecked-device").arg("--model").arg(tiny_model())
    }

    fn on_cuda(&self, command: &str) -> PubTag {
        self.call(command).arg("--device").arg("cuda")
    }

    /// A call of `pubtag run` with compiled kernels, so that the compiler plays no part.
    fn warm_run(&self, folder: &Path, device: &str) -> PubTag {
        self.warm_run_on(folder, device, CITATIONS)
    }

    fn warm_run_on(&self, folder: &Path, device: &str, citations: u32) -> PubTag {
        static WARM: OnceLock<()> = OnceLock::new();
        WARM.get_or_init(|| drop(self.on_cuda("warmup").succeed()));
        let input = input(folder, citations);
        self.call("run").arg("--device").arg(device).arg("--output").arg(folder.join("out")).arg(input)
    }

    /// The events of a whole warm run on some citations at 1024 tokens a time, and its number of micro-batches.
    fn watched(&self, citations: u32, launch_microseconds: u32) -> (Vec<String>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let run = self.warm_run_on(folder.path(), "cuda", citations).arg("--token-budget").arg("1024");
        let run = run.env("STUB_LAUNCH_MICROSECONDS", &launch_microseconds.to_string());
        let (outcome, events) = logged(run, folder.path());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let batches = report(&folder.path().join("out"))["packing"]["micro_batches"].as_u64().unwrap();
        (events, usize::try_from(batches).unwrap())
    }
}

/// A file of some citations.
fn input(folder: &Path, citations: u32) -> PathBuf {
    let path = folder.join("in.xml");
    fs::write(&path, article_set(&(1..=citations).map(sample_article).collect::<Vec<_>>())).unwrap();
    path
}

/// Runs a call to its end; returns the driver's log, one line per event.
fn logged(call: PubTag, folder: &Path) -> (Outcome, Vec<String>) {
    let log = folder.join("driver.log");
    let outcome = call.env("STUB_LOG", log.to_str().unwrap()).end();
    (outcome, fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect())
}

/// The number of events of a kind, which is a line's first word.
fn count(events: &[String], kind: &str) -> usize {
    events.iter().filter(|event| event.split(' ').next() == Some(kind)).count()
}

/// Asserts that the driver would have accepted everything, but for tensor maps: the tuner drops a candidate that is refused one.
fn assert_proper(events: &[String], what: &str) {
    let is_bad = |event: &&String| event.starts_with("bad ") && !event.contains(": TensorMap {");
    let bad: Vec<_> = events.iter().filter(is_bad).collect();
    assert!(bad.is_empty(), "{what}: {bad:?}");
}

/// Bytes of each allocation.
fn allocations(events: &[String]) -> impl Iterator<Item = u64> {
    events.iter().filter_map(|event| event.strip_prefix("alloc ")).map(|bytes| bytes.parse().unwrap())
}

/// Allocations of a MiB or more.
fn large_pages(events: &[String]) -> usize {
    allocations(events).filter(|bytes| *bytes >= 1 << 20).count()
}

/// Markers below an output folder.
fn commits(folder: &Path) -> usize {
    fs::read_dir(folder.join("out/_pubtag/commits")).map_or(0, Iterator::count)
}

/// Every file below a folder with its contents.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(contents(&entry));
        } else {
            found.insert(entry.clone(), fs::read(entry).unwrap());
        }
    }
    found
}

#[test]
fn every_kernel_compiles_for_every_card_and_precision() {
    let Some(rig) = Rig::find("every_kernel_compiles_for_every_card_and_precision") else { return };
    for card in ["80", "90"] {
        for precision in ["f32", "f16", "bf16"] {
            let folder = tempfile::tempdir().unwrap();
            let modules = folder.path().join("modules");
            fs::create_dir(&modules).unwrap();
            let call = rig.on_cuda("warmup").arg("--precision").arg(precision);
            let call = call.env("STUB_SM", card).env("STUB_PTX", modules.to_str().unwrap());
            let (outcome, events) = logged(call, folder.path());
            assert_eq!(outcome.code, Some(0), "sm_{card} {precision}: {}", outcome.stderr);
            assert_proper(&events, &format!("sm_{card} {precision}"));
            assert!(count(&events, "module") > 20, "sm_{card} {precision}: {} modules", count(&events, "module"));
            assemble(&rig.toolkit.join("bin/ptxas"), &modules);
        }
    }
}

/// The tiny model has one length of rows; the bundled model has all of them.
#[test]
fn every_length_of_rows_runs_in_every_precision() {
    let Some(rig) = Rig::find("every_length_of_rows_runs_in_every_precision") else { return };
    for precision in ["f32", "f16", "bf16"] {
        let folder = tempfile::tempdir().unwrap();
        let call = rig
            .bare("warmup")
            .arg("--unchecked-device")
            .arg("--device")
            .arg("cuda")
            .arg("--precision")
            .arg(precision)
            .arg("--token-budget")
            .arg("1024");
        let (outcome, events) = logged(call, folder.path());
        assert_eq!(outcome.code, Some(0), "{precision}: {}", outcome.stderr);
        assert_proper(&events, precision);
        let lengths: Vec<_> = outcome.stdout.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(lengths, ["length", "64", "128", "192", "256", "320", "384", "448", "512"], "{}", outcome.stdout);
    }
}

/// Assembles every module of a directory with NVIDIA's assembler, in parallel.
fn assemble(ptxas: &Path, modules: &Path) {
    let modules: Vec<PathBuf> = fs::read_dir(modules).unwrap().map(|entry| entry.unwrap().path()).collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in modules.chunks(modules.len().div_ceil(workers)) {
            scope.spawn(|| part.iter().for_each(|module| assemble_one(ptxas, module)));
        }
    });
}

fn assemble_one(ptxas: &Path, module: &Path) {
    let text = fs::read_to_string(module).unwrap();
    let target = text.lines().find_map(|line| line.strip_prefix(".target ")).unwrap().trim();
    let assembled = Command::new(ptxas).args(["--gpu-name", target, "-o", "/dev/null"]).arg(module).output().unwrap();
    assert!(assembled.status.success(), "{}: {}", module.display(), String::from_utf8_lossy(&assembled.stderr));
}

#[test]
fn a_warm_run_compiles_nothing_and_launches_and_copies_little() {
    let Some(rig) = Rig::find("a_warm_run_compiles_nothing_and_launches_and_copies_little") else { return };
    let (start, few) = rig.watched(100, 0);
    let lock = include_str!("../../Cargo.lock");
    let burn = lock.split_once("name = \"burn-cuda\"\nversion = \"").unwrap().1.split('"').next().unwrap();
    // The directory of this version, card, precision and model; other tests write to others.
    let kernels = rig.cache.path().join(format!("burn-{burn}/stub-sm-90-sm90/f32-2x32x4x64"));
    let before = contents(&kernels);
    let (whole, many) = rig.watched(1_000, 0);
    assert!(!before.is_empty() && contents(&kernels) == before, "the run has compiled or tuned something");
    assert_proper(&whole, "a warm run");

    // Both runs warm up alike, so the difference is due to micro-batches.
    assert!(many > few + 10, "{few} and {many} micro-batches");
    let each = |kind: &str| (count(&whole, kind) - count(&start, kind)).div_ceil(many - few);
    assert!(each("launch") <= MOST_LAUNCHES, "{} launches a micro-batch", each("launch"));
    assert!(each("h2d") <= MOST_COPIES_TO_DEVICE, "{} copies to the device a micro-batch", each("h2d"));
    assert_eq!(each("d2h"), 1, "logits come back in one copy");
    assert_eq!(large_pages(&whole), large_pages(&start), "a steady run allocates nothing large");
    eprintln!("{} launches, {} copies to the device, {} back", each("launch"), each("h2d"), each("d2h"));
}

#[test]
fn the_next_micro_batch_is_copied_and_launched_while_a_card_is_busy() {
    let Some(rig) = Rig::find("the_next_micro_batch_is_copied_and_launched_while_a_card_is_busy") else { return };
    // At half a millisecond each, the launches of a micro-batch take far longer than the host needs for them.
    let (events, batches) = rig.watched(400, 500);
    let (mut waiting, mut launches, mut overlapped) = (0, 0, 0);
    for event in &events {
        match event.split(' ').next() {
            Some("wait") => waiting += 1,
            Some("waited") => {
                waiting -= 1;
                overlapped += usize::from(launches > 10);
                launches = 0;
            }
            Some("launch") if waiting > 0 => launches += 1,
            _ => {}
        }
    }
    assert!(overlapped * 10 >= batches * 8, "of {batches} micro-batches, {overlapped} met the launches of the next");
}

#[test]
fn two_cards_share_the_work() {
    let Some(rig) = Rig::find("two_cards_share_the_work") else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = rig.warm_run(folder.path(), "cuda:all").arg("--token-budget").arg("1024").env("STUB_DEVICES", "2");
    run.succeed();
    let report = report(&folder.path().join("out"));
    assert_eq!(report["device"], "cuda:0,1");
    assert_eq!(report["reconciliation"]["citations"], 300);
}

#[test]
fn a_card_whose_logits_disagree_with_the_cpus_is_refused() {
    let Some(rig) = Rig::find("a_card_whose_logits_disagree_with_the_cpus_is_refused") else { return };
    let folder = tempfile::tempdir().unwrap();
    drop(rig.warm_run(folder.path(), "cuda"));
    let checked = rig.bare("run").arg("--device").arg("cuda").arg("--model").arg(tiny_model());
    let checked = checked.arg("--output").arg(folder.path().join("out")).arg(input(folder.path(), CITATIONS));
    checked.end().assert_fails(78, &["disagree with the CPU's", "selftest"]);
    assert_eq!(commits(folder.path()), 0);

    let selftest = rig.on_cuda("selftest").arg("--token-budget").arg("1024").end();
    assert_eq!(selftest.code, Some(70), "{}", selftest.stderr);
    let lines = |words: &str| selftest.stdout.lines().filter(|line| line.contains(words)).count();
    assert_eq!((lines("**differs**"), lines("**failed**")), (3 * 5, 0), "{}", selftest.stdout);
}

#[test]
fn missing_parts_of_cuda_are_named_before_anything_is_read() {
    let Some(rig) = Rig::find("missing_parts_of_cuda_are_named_before_anything_is_read") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (driver, compiler) = (rig.libraries.path().display(), rig.toolkit.join("lib64"));
    let run = || rig.warm_run(folder.path(), "cuda");
    let no_driver = run().env("LD_LIBRARY_PATH", compiler.to_str().unwrap());
    no_driver.end().assert_fails(78, &["libcuda.so", "install the NVIDIA driver"]);
    run().env("LD_LIBRARY_PATH", &driver.to_string()).end().assert_fails(78, &["libnvrtc.so", "LD_LIBRARY_PATH"]);
    run().env("CUDA_PATH", "/nonexistent").end().assert_fails(78, &["cuda_runtime.h", "CUDA_PATH"]);
    run().env("STUB_DRIVER", "12000").end().assert_fails(78, &["driver is older than NVRTC"]);
    run().env("STUB_DEVICES", "0").end().assert_fails(78, &["0 CUDA devices"]);
    rig.warm_run(folder.path(), "cuda:7").end().assert_fails(78, &["cuda:7", "numbered from 0"]);
    run().arg("--device-memory").arg("1MiB").end().assert_fails(78, &["--device-memory", "--token-budget"]);
    assert_eq!(commits(folder.path()), 0);
}

#[test]
fn a_failed_launch_ends_the_run_at_any_time() {
    let Some(rig) = Rig::find("a_failed_launch_ends_the_run_at_any_time") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (whole, events) = logged(rig.warm_run(folder.path(), "cuda"), folder.path());
    assert_eq!((whole.code, commits(folder.path())), (Some(0), 1), "{}", whole.stderr);
    let launches = count(&events, "launch");
    for launch in (1..=launches).step_by(launches.div_ceil(12)).chain([launches]) {
        for kind in ["STUB_FAIL_LAUNCH", "STUB_FAIL_FROM"] {
            let folder = tempfile::tempdir().unwrap();
            let outcome = rig.warm_run(folder.path(), "cuda").env(kind, &launch.to_string()).end();
            outcome.assert_fails(70, &["cuda:0 failed", "CUDA_ERROR_LAUNCH_FAILED"]);
            assert_eq!(commits(folder.path()), 0, "{kind} {launch} of {launches}");
        }
    }
}

#[test]
fn nan_logits_end_the_run() {
    let Some(rig) = Rig::find("nan_logits_end_the_run") else { return };
    let folder = tempfile::tempdir().unwrap();
    rig.warm_run(folder.path(), "cuda").env("STUB_NAN", "1").end().assert_fails(70, &["NaN or infinite"]);
    assert_eq!(commits(folder.path()), 0);
}

#[test]
fn a_card_without_memory_for_two_micro_batches_does_one_at_a_time() {
    let Some(rig) = Rig::find("a_card_without_memory_for_two_micro_batches_does_one_at_a_time") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_, events) = logged(rig.warm_run(folder.path(), "cuda").env("STUB_MEMORY", SMALL_CARD), folder.path());
    let for_two: u64 = allocations(&events).sum();
    let folder = tempfile::tempdir().unwrap();
    let run = rig.warm_run(folder.path(), "cuda").env("STUB_MEMORY", SMALL_CARD);
    let outcome = run.env("STUB_FREE", &(for_two * 3 / 4).to_string()).succeed();
    assert!(outcome.stderr.contains("one micro-batch at a time"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("fewer tokens"), "{}", outcome.stderr);
    assert_eq!(commits(folder.path()), 1);
}

#[test]
fn out_of_memory_halves_the_token_budget_and_then_ends_the_run() {
    let Some(rig) = Rig::find("out_of_memory_halves_the_token_budget_and_then_ends_the_run") else { return };
    let card = |free: &str| {
        let folder = tempfile::tempdir().unwrap();
        let run = rig.warm_run(folder.path(), "cuda").env("STUB_MEMORY", SMALL_CARD).env("STUB_FREE", free);
        (run.end(), commits(folder.path()))
    };
    let (little, committed) = card("60000000");
    assert_eq!((little.code, committed), (Some(0), 1), "{}", little.stderr);
    assert!(little.stderr.contains("out of memory; continuing with fewer tokens"), "{}", little.stderr);
    let (too_little, committed) = card("20000000");
    too_little.assert_fails(70, &["cuda:0 is out of memory", "--token-budget"]);
    assert_eq!(committed, 0);
}

/// The script for the first card, on a device that any machine has, and on one that none has.
#[test]
fn the_check_of_a_card_ends_with_tables_and_the_same_as_json() {
    let Some(python) = python("the_check_of_a_card_ends_with_tables_and_the_same_as_json") else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/gpu-check.sh");
    let path = format!("{}:{}", python.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let check = |device: &str| {
        let mut check = Command::new("bash");
        check.arg(&script).arg(device).current_dir(&folder).env("PATH", &path).env("MODEL", tiny_model());
        check.envs([("PUBTAG", crate::PROGRAM), ("DEVICE", device), ("PRECISIONS", "f32 int8")]);
        let outcome = Outcome::of(&check.envs([("BUDGETS", "1024"), ("COUNT", "40")]).output().unwrap());
        let report = fs::read(folder.path().join(device).join("report.json")).unwrap();
        (outcome, serde_json::from_slice::<Value>(&report).unwrap())
    };
    let (outcome, report) = check("cpu");
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
    assert_eq!(report["failed"], false);
    assert!(report["logits"].as_array().unwrap().iter().filter(|row| row["result"] == "ok").count() >= 10, "{report}");
    assert_eq!(report["warm-up"].as_array().unwrap().len(), 2, "{report}");
    let apart = |run: usize| report["runs"][run]["mentions that differ from the CPU's"].as_str().unwrap();
    let mentions: usize = apart(1).strip_prefix("0 of ").unwrap_or_else(|| panic!("{report}")).parse().unwrap();
    assert!(mentions > 0 && apart(2).ends_with(&format!(" of {mentions}")), "{report}");

    let (outcome, report) = check("cuda:9");
    assert_eq!(
        (outcome.code, &report["failed"]),
        (Some(1), &Value::Bool(true)),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    assert!(outcome.stdout.contains("**failed**: `"), "{}", outcome.stdout);
}
