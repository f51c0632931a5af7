//! Visits each call of a run in a real process on a real disk with real locks: it dies there, the call fails, another
//! runs meanwhile, signals arrive.
//!
//! The processes are this test binary, started again for [`child`] alone.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use pubtag_crash_points::{CRASH, CRASH_LOG, from_environment};
use pubtag_parquet::{Depth, Event, FileLocks, Liveness, VerifyConfig, verify};
use pubtag_store::Store;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::common::files;
use crate::inputs::{Content, File, Settings};
use crate::job::{Exit, Host, Job, Signals, run};
use crate::rows::observe;

/// The child's output directory.
const FOLDER: &str = "PUBTAG_TEST_FOLDER";
/// The child's inputs, settings and whether it overwrites.
const JOB: &str = "PUBTAG_TEST_JOB";

/// A run as one line of an environment variable.
#[derive(Clone, Copy)]
struct Line(&'static str);

/// Files `a` and `b`, the first of several parts.
const FIRST: Line = Line("a=4,b=1 A keep");
/// The same with other settings, replacing the first.
const OTHER_SETTINGS: Line = Line("a=4,b=1 B overwrite");
/// `a` renamed to `c`, and a new `a`.
const RENAMED: Line = Line("a=2,b=1,c=4 A overwrite");
/// `a` with new content.
const EDITED: Line = Line("a=3,b=1 A overwrite");

impl Line {
    fn job(self) -> Job {
        let mut words = self.0.split(' ');
        let mut word = || words.next().expect("a line has three words");
        let file = |(index, text): (usize, &'static str)| {
            let (name, content) = text.split_once('=').expect("a file is NAME=CONTENT");
            let content: Content = content.parse().expect("a content is a number");
            (name, File { content, modified: i64::from(content) * 10 + index as i64 })
        };
        let files = word().split(',').enumerate().map(file).collect();
        let settings = if word() == "A" { Settings::A } else { Settings::B };
        Job { files, settings, overwrite: word() == "overwrite" }
    }
}

/// The environment of a child.
struct Disk {
    store: Arc<dyn ObjectStore>,
    liveness: Arc<dyn Liveness>,
    signals: Signals,
}

impl Host for Disk {
    fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    fn liveness(&self) -> Option<Arc<dyn Liveness>> {
        Some(self.liveness.clone())
    }

    fn run_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn signals(&self) -> Signals {
        self.signals.clone()
    }
}

/// Performs a run if the environment says so; otherwise does nothing.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let line = std::env::var(JOB).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    let exit = runtime.block_on(async {
        // Without fsync, which protects from power cuts: here processes die, not the machine.
        let store = LocalFileSystem::new_with_prefix(&folder).unwrap();
        let (store, liveness) = from_environment((Arc::new(store), Arc::new(FileLocks::new(&folder))));
        let disk = Disk { store, liveness, signals: Signals::default() };
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        let Signals { drain, abort } = disk.signals();
        tokio::spawn(async move {
            terminate.recv().await;
            drain.cancel();
            terminate.recv().await;
            abort.cancel();
        });
        run(&disk, &Line(line.leak()).job()).await
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    std::process::exit(exit as i32);
}

fn start(folder: &Path, line: Line, environment: &[(&str, &str)]) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "processes::child", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env(JOB, line.0).envs(environment.iter().copied());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits for a child's exit code; `None` if a signal ended it.
fn end(mut child: Child) -> Option<i32> {
    child.wait().unwrap().code()
}

/// A run to visit, on an output as another run left it.
struct Scenario {
    dir: TempDir,
    /// The output at the start of the run, file by file.
    before: Vec<(String, Vec<u8>)>,
    line: Line,
    expected: BTreeMap<Content, Settings>,
    /// Names and numbers of the calls of an undisturbed run.
    calls: Vec<(String, usize)>,
}

impl Scenario {
    fn new(before: Option<Line>, line: Line) -> Self {
        let (dir, expected, calls) = (tempfile::tempdir().unwrap(), BTreeMap::new(), Vec::new());
        let mut scenario = Self { dir, before: Vec::new(), line, expected, calls };
        if let Some(before) = before {
            let folder = scenario.folder();
            assert_eq!(end(start(&folder, before, &[])), Some(Exit::Done as i32), "{}", before.0);
            scenario.before =
                files(&folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect();
        }
        let (folder, log) = (scenario.folder(), scenario.dir.path().join("calls"));
        let code = end(start(&folder, line, &[(CRASH_LOG, &log.to_string_lossy())]));
        assert_eq!(code, Some(Exit::Done as i32), "{} unbroken", line.0);
        scenario.expected = scenario.look(&folder, "an unbroken run");
        let mut numbers: HashMap<String, usize> = HashMap::new();
        scenario.calls = fs::read_to_string(log)
            .unwrap()
            .lines()
            .map(|name| {
                let number = numbers.entry(name.to_owned()).or_default();
                *number += 1;
                (name.to_owned(), *number - 1)
            })
            .collect();
        scenario
    }

    /// A new output directory, as at the start of the run.
    fn folder(&self) -> PathBuf {
        let folder = self.dir.path().join(Uuid::now_v7().to_string());
        fs::create_dir(&folder).unwrap();
        for (name, bytes) in &self.before {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    /// Reads the whole output; every part must be named by a marker.
    fn look(&self, folder: &Path, after: &str) -> BTreeMap<Content, Settings> {
        let objects: BTreeMap<String, Bytes> =
            files(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap().into())).collect();
        let observed = observe(&objects);
        assert_eq!(observed.leftovers, [""; 0], "left over after {after}");
        assert!(observed.commits.values().all(|seen| !seen.is_broken), "parts are missing after {after}: {observed:?}");
        observed.commits.iter().map(|(content, seen)| (*content, seen.settings)).collect()
    }

    /// Verifies the whole output.
    fn verify(&self, folder: &Path, after: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = VerifyConfig { depth: Depth::Full, threads: NonZeroUsize::MIN };
        let mut defects = Vec::new();
        let verified = verify(Store::directory(folder).unwrap(), config, runtime.handle(), |event| {
            if let Event::Found(defect) = event {
                defects.push(defect.to_string());
            }
        });
        assert_eq!(defects, [""; 0], "after {after}");
        assert_eq!(verified.unwrap().defects, 0, "after {after}");
    }

    /// Runs once more: the result must be that of an undisturbed run.
    fn check(&self, folder: &Path, after: &str) {
        let code = end(start(folder, self.line, &[]));
        assert_eq!(code, Some(Exit::Done as i32), "one more run after {after}");
        assert_eq!(self.look(folder, after), self.expected, "after {after}");
        self.verify(folder, after);
        fs::remove_dir_all(folder).unwrap();
    }

    fn visit_each(&self, modes: &[&str], ends_so: fn(Option<i32>) -> bool) {
        for (point, number) in &self.calls {
            for mode in modes {
                let (folder, crash) = (self.folder(), format!("{point}:{number}:{mode}"));
                let code = end(start(&folder, self.line, &[(CRASH, &crash)]));
                assert!(ends_so(code), "{crash} ended with {code:?}");
                self.check(&folder, &crash);
            }
        }
    }

    /// Starts a run that waits at a call; returns once it does, with the file that releases it.
    fn wait_at(&self, folder: &Path, point: &str, number: usize) -> (Child, PathBuf) {
        let path = self.dir.path().join(Uuid::now_v7().to_string());
        let crash = format!("{point}:{number}:wait={}", path.display());
        let mut child = start(folder, self.line, &[(CRASH, &crash)]);
        let started = Instant::now();
        while !path.with_extension("reached").exists() {
            assert_eq!(child.try_wait().unwrap(), None, "the run ended before {crash}");
            assert!(started.elapsed() < Duration::from_secs(60), "waited a minute for {crash}");
            std::thread::sleep(Duration::from_millis(2));
        }
        (child, path.with_extension("go"))
    }
}

fn scenarios() -> [Scenario; 4] {
    let after_first = |line| Scenario::new(Some(FIRST), line);
    let first = Scenario::new(None, FIRST);
    let ended = |(point, _): &&(String, _)| ["put documents", "complete documents"].contains(&&**point);
    let parts = first.calls.iter().filter(ended).count();
    assert!(parts > 2, "{parts} parts of two files");
    [first, after_first(OTHER_SETTINGS), after_first(RENAMED), after_first(EDITED)]
}

#[test]
fn a_process_may_die_at_any_call() {
    for scenario in scenarios() {
        scenario.visit_each(&["abort", "abort-after"], |code| code.is_none());
    }
}

#[test]
fn any_call_of_a_process_may_fail() {
    for scenario in scenarios() {
        scenario.visit_each(&["error", "error-after"], |code| code.is_some_and(|code| code != Exit::Died as i32));
    }
}

#[test]
fn another_process_may_run_while_one_waits_at_any_call() {
    for scenario in scenarios() {
        for (point, number) in &scenario.calls {
            let folder = scenario.folder();
            let (first, go) = scenario.wait_at(&folder, point, *number);
            let mut second = start(&folder, scenario.line, &[]);
            // It may have to wait for a lock held by the first.
            let started = Instant::now();
            while second.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_millis(500) {
                std::thread::sleep(Duration::from_millis(2));
            }
            fs::write(go, "").unwrap();
            for child in [first, second] {
                assert_eq!(end(child), Some(Exit::Done as i32), "beside {point} {number} of {}", scenario.line.0);
            }
            scenario.check(&folder, &format!("a run beside {point} {number}"));
        }
    }
}

#[test]
fn two_signals_may_arrive_during_any_call() {
    for scenario in scenarios() {
        for (point, number) in &scenario.calls {
            let folder = scenario.folder();
            let (child, go) = scenario.wait_at(&folder, point, *number);
            for _ in 0..2 {
                let sent = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
                assert!(sent.success());
                // Two simultaneous signals count as one.
                std::thread::sleep(Duration::from_millis(20));
            }
            // The run has time to give up and sweep while the call is in progress.
            std::thread::sleep(Duration::from_millis(50));
            fs::write(go, "").unwrap();
            let code = end(child);
            assert!(code.is_some_and(|code| code != Exit::Died as i32), "signals at {point} {number}: {code:?}");
            scenario.check(&folder, &format!("signals at {point} {number} of {}", scenario.line.0));
        }
    }
}
