//! Machine faults: a full disk, a read-only disk, signals at any moment. Each leaves only whole commits, and the next run
//! completes them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pubtag_tests::{Outcome, PubTag, read_table, skipped, tiny_model, write_corpus};
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::{TABLES, commits, run, send, tables};

/// Runs a script in a new mount namespace, where `mount` is allowed; `None` after reporting a skip if the system does not
/// permit that.
fn with_mounts(test: &str, script: &str) -> Option<Outcome> {
    let in_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).env_remove("PUBTAG_MODEL");
        command.output()
    };
    let allowed = in_namespace("mount -t tmpfs none /mnt").is_ok_and(|output| output.status.success());
    if !allowed {
        skipped(test, "permission to mount in a user namespace");
        return None;
    }
    Some(Outcome::of(&in_namespace(script).expect("it has just been started")))
}

/// `pubtag run` on inputs, as a shell writes it.
fn command_line(inputs: &[PathBuf], output: &Path) -> String {
    let inputs: Vec<_> = inputs.iter().map(|path| path.display().to_string()).collect();
    let (model, output) = (tiny_model().display().to_string(), output.display());
    format!("{PROGRAM} run {} --model {model} --device cpu --output {output}", inputs.join(" "))
}

#[test]
fn a_full_disk_ends_the_run_and_more_space_lets_it_continue() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 12, 60);
    let (small, rescued, whole) = (dir.path().join("small"), dir.path().join("rescued"), dir.path().join("whole"));
    run(&inputs, &whole).succeed();
    let bytes: u64 = TABLES.iter().map(|table| size_of(&whole.join(table))).sum();
    // Space for about half of the tables.
    let script = format!(
        "mkdir {small} && mount -t tmpfs -o size={} none {small} && {run}; code=$?; cp -r {small} {rescued}; exit $code",
        bytes / 2,
        small = small.display(),
        rescued = rescued.display(),
        run = command_line(&inputs, &small),
    );
    let Some(outcome) = with_mounts("a_full_disk_ends_the_run_and_more_space_lets_it_continue", &script) else {
        return;
    };
    outcome.assert_fails(75, &["No space left"]);
    let committed = commits(&rescued);
    assert!(committed < inputs.len(), "everything found room");
    run(&inputs, &rescued).succeed();
    assert_eq!(tables(&rescued), tables(&whole));
}

fn size_of(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn an_output_on_a_read_only_disk_is_named_and_not_changed() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 2, 10);
    let output = dir.path().join("out");
    run(&inputs[..1], &output).succeed();
    let before = tables(&output);
    let script = format!(
        "mount --bind {out} {out} && mount -o remount,ro,bind {out} && {run}",
        out = output.display(),
        run = command_line(&inputs, &output),
    );
    let test = "an_output_on_a_read_only_disk_is_named_and_not_changed";
    let Some(outcome) = with_mounts(test, &script) else { return };
    assert!(matches!(outcome.code, Some(75 | 78)), "{:?}: {}", outcome.code, outcome.stderr);
    assert!(outcome.stderr.contains("Read-only file system"), "{}", outcome.stderr);
    assert_eq!(tables(&output), before);
}

#[test]
fn signals_at_any_moment_leave_whole_commits_and_the_next_run_completes_them() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 10, 60);
    let unbroken = dir.path().join("unbroken");
    let started = Instant::now();
    run(&inputs, &unbroken).succeed();
    let whole = started.elapsed();
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let output = dir.path().join(signal);
        let mut interrupted = 0;
        for moment in 1..=10 {
            let child = run(&inputs, &output).start();
            std::thread::sleep(whole.mul_f64(f64::from(moment) / 10.0));
            send(&child, signal);
            let outcome = Outcome::of(&child.wait_with_output().unwrap());
            // Before the program installs its handlers, the signal's default action ends it.
            assert!(matches!(outcome.code, Some(0) | None) || outcome.code == Some(code), "{}", outcome.stderr);
            interrupted += usize::from(outcome.code == Some(code));
            assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
        }
        assert!(interrupted > 0, "no signal met a run at work");
        run(&inputs, &output).succeed();
        assert_eq!(tables(&output), tables(&unbroken));
    }
}

#[test]
fn an_input_that_disappears_or_changes_during_the_run_is_quarantined_and_the_rest_is_committed() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 30, 60);
    let output = dir.path().join("out");
    let child = run(&inputs, &output).start();
    let started = Instant::now();
    while commits(&output) == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "waited a minute for a first commit");
        std::thread::sleep(Duration::from_millis(2));
    }
    std::fs::remove_file(&inputs[28]).unwrap();
    std::fs::write(&inputs[29], pubtag_tests::gzip(b"<PubmedArticleSet>")).unwrap();
    let outcome = Outcome::of(&child.wait_with_output().unwrap());
    outcome.assert_fails(65, &["no longer exists", "quarantined"]);
    assert_eq!(commits(&output), 28);
    assert_eq!(read_table(&output, "documents").len(), 28 * 60);
}

#[test]
fn a_slow_writer_to_stdin_loses_no_rows_and_does_not_hang_the_run() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    let mut child = Command::new(PROGRAM)
        .args(["run", "-", "--device", "cpu", "--model"])
        .arg(tiny_model())
        .arg("--output")
        .arg(&output)
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for number in 0..20 {
        let line = format!("{{\"id\": {number}, \"text\": \"Ataxia was seen, case {number}.\"}}\n");
        std::io::Write::write_all(&mut stdin, line.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(read_table(&output, "documents").len(), 20);
    PubTag::new(PROGRAM, ["inspect"]).arg(&output).succeed();
}
