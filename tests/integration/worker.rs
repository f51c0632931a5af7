//! `pubtag worker`: requests and answers, kills, and a parent that ends.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pubtag_tests::{PubTag, python, read_table, tiny_model, write_corpus};
use serde_json::{Value as Json, json};
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::{TABLES, commits, run, send, tables, wait_until};

/// A worker and its pipes.
struct Worker {
    child: Child,
    requests: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(output: &Path, options: &[&str]) -> Self {
        let call = PubTag::new(PROGRAM, ["worker"]).on_cpu(output).arg("--model").arg(tiny_model());
        let mut child = options.iter().fold(call, PubTag::arg).with_stdin().start();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut worker = Self { requests: child.stdin.take(), child, answers };
        let ready = worker.answer();
        assert_eq!((&ready["type"], &ready["protocol"]), (&json!("ready"), &json!(1)), "{ready}");
        worker
    }

    fn line(&mut self, line: &str) {
        writeln!(self.requests.as_mut().unwrap(), "{line}").unwrap();
    }

    fn request(&mut self, input: &Path) {
        self.line(&json!({"id": input.file_name().unwrap().to_str(), "input": input}).to_string());
    }

    fn answer(&mut self) -> Json {
        let line = self.answers.next().expect("the worker answers").unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn ask(&mut self, input: &Path) -> Json {
        self.request(input);
        self.answer()
    }

    /// Ends its standard input; returns the remaining answers and the exit code.
    fn end(mut self) -> (Vec<Json>, Option<i32>) {
        self.requests = None;
        let rest = self.answers.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
        (rest, self.child.wait().unwrap().code())
    }
}

/// DuckDB reads the same rows from both outputs.
fn assert_same_rows(test: &str, one: &Path, other: &Path) {
    assert_eq!(tables(one), tables(other));
    let Some(python) = python(test) else { return };
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("readers/same_rows.py");
    let read = Command::new(python).arg(reader).args([one, other]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

fn verified(output: &Path) {
    PubTag::new(PROGRAM, ["verify"]).arg(output).succeed();
}

#[test]
fn a_worker_commits_what_a_run_commits() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 4, 30);
    let (plain, served) = (dir.path().join("plain"), dir.path().join("served"));
    run(&inputs, &plain).succeed();

    let mut worker = Worker::start(&served, &[]);
    for (number, input) in inputs.iter().enumerate() {
        let answer = worker.ask(input);
        assert_eq!((&answer["type"], &answer["status"]), (&json!("commit"), &json!("committed")), "{answer}");
        assert_eq!((&answer["line"], &answer["exit_code"]), (&json!(number + 1), &json!(0)));
        assert_eq!(
            (&answer["citations"], &answer["deletions"], &answer["rejects"]),
            (&json!(30), &json!(0), &json!(0))
        );
        for table in TABLES {
            let parts = answer["parts"].as_array().unwrap().iter().filter(|part| part["table"] == table);
            let rows: u64 = parts.clone().map(|part| part["rows"].as_u64().unwrap()).sum();
            assert_eq!(rows, answer[if table == "documents" { "citations" } else { table }].as_u64().unwrap());
            for part in parts {
                let size = fs::metadata(part["uri"].as_str().unwrap()).unwrap().len();
                assert_eq!(size, part["bytes"].as_u64().unwrap());
            }
        }
    }
    assert_eq!(worker.end(), (Vec::new(), Some(0)));
    assert_same_rows("a_worker_commits_what_a_run_commits", &served, &plain);
    verified(&served);
    assert!(!served.join("report.json").exists(), "the answers are the report");

    // Asked again, also by a worker that cannot see the first, everything is there, and the counts are those of the commits.
    let mut worker = Worker::start(&served, &[]);
    for input in &inputs {
        let answer = worker.ask(input);
        assert_eq!((&answer["status"], &answer["tokens"]), (&json!("already_committed"), &json!(0)), "{answer}");
        assert_eq!(answer["citations"], 30);
    }
    assert_eq!(worker.end(), (Vec::new(), Some(0)));
    assert_eq!(tables(&served), tables(&plain));
}

#[test]
fn workers_at_once_that_are_asked_for_the_same_inputs_commit_each_once() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 6, 40);
    let (plain, served) = (dir.path().join("plain"), dir.path().join("served"));
    run(&inputs, &plain).succeed();
    let mut workers: Vec<Worker> = (0..3).map(|_| Worker::start(&served, &[])).collect();
    for worker in &mut workers {
        inputs.iter().for_each(|input| worker.request(input));
    }
    let ended = workers.into_iter().map(Worker::end);
    let answers: Vec<Json> =
        ended.flat_map(|(answers, code)| answers.into_iter().inspect(move |_| assert_eq!(code, Some(0)))).collect();
    assert_eq!(answers.iter().filter(|answer| answer["status"] == "committed").count(), inputs.len());
    assert_eq!(answers.iter().filter(|answer| answer["status"] == "already_committed").count(), 2 * inputs.len());
    assert_same_rows("workers_at_once", &served, &plain);
    verified(&served);
}

#[test]
fn what_cannot_be_committed_is_an_answer_and_the_next_request_is_served() {
    let dir = tempdir().unwrap();
    let inputs = write_corpus(dir.path(), 2, 30);
    let poison = dir.path().join("pubmed26n0003.xml.gz");
    let whole = fs::read(&inputs[0]).unwrap();
    fs::write(&poison, &whole[..whole.len() / 2]).unwrap();
    let output = dir.path().join("out");
    let mut worker = Worker::start(&output, &[]);

    let answer = worker.ask(&poison);
    assert_eq!(
        (&answer["type"], &answer["status"], &answer["exit_code"]),
        (&json!("failure"), &json!("quarantined"), &json!(65))
    );
    assert!(!answer["errors"].as_array().unwrap().is_empty(), "{answer}");
    let missing = worker.ask(&dir.path().join("missing.xml"));
    assert_eq!((&missing["type"], &missing["exit_code"]), (&json!("failure"), &json!(65)), "{missing}");
    worker.line("{\"id\": 9, \"input\": \"a.xml\", \"outptu\": \"b\"}");
    let malformed = worker.answer();
    assert_eq!((&malformed["id"], &malformed["line"], &malformed["exit_code"]), (&json!(9), &json!(3), &json!(78)));
    assert!(
        malformed["errors"][0].as_str().unwrap().contains("line 3: invalid request: unknown field `outptu`"),
        "{malformed}"
    );
    let several = worker.ask(dir.path());
    assert!(several["errors"][0].as_str().unwrap().contains("expected the path or URL of one file"), "{several}");
    assert!(tables(&output).iter().all(Vec::is_empty), "nothing is committed");

    for input in &inputs {
        assert_eq!(worker.ask(input)["status"], "committed");
    }
    // What was readable of the damaged file, where the request says so.
    worker.line(&json!({"id": null, "input": poison, "accept_partial": true}).to_string());
    let partial = worker.answer();
    assert_eq!((&partial["type"], &partial["rejects"]), (&json!("commit"), &json!(1)), "{partial}");
    assert_eq!(partial["exit_code"], 65, "committed, with more rejects than --max-rejects: {partial}");
    let (rest, code) = worker.end();
    assert_eq!((rest.len(), code), (0, Some(78)), "the exit code is the worst of all answers");
    let documents = 60 + usize::try_from(partial["citations"].as_u64().unwrap()).unwrap();
    assert_eq!(read_table(&output, "documents").len(), documents);
    verified(&output);
}

#[test]
fn a_worker_without_a_usable_model_or_output_does_not_start() {
    let dir = tempdir().unwrap();
    let call = |model: &Path| PubTag::new(PROGRAM, ["worker", "--device", "cpu"]).arg("--model").arg(model);
    call(dir.path()).arg("--output").arg(dir.path().join("out")).end().assert_fails(78, &["config.json"]);
    call(&tiny_model()).end().assert_fails(2, &["--output"]);
}

/// Citations of the large input.
const MANY: u32 = 12_000;

/// A large input, and a worker that is tagging it and has said so.
fn in_mid_file(dir: &Path, output: &Path, grace: &str) -> (PathBuf, Worker) {
    let large = write_corpus(dir, 1, MANY).remove(0);
    let mut worker = Worker::start(output, &["--no-cache", "--threads=1", "--grace", grace]);
    worker.line(&json!({"id": 1, "input": large, "progress_seconds": 1}).to_string());
    let progress = worker.answer();
    assert_eq!(progress["type"], "progress", "{progress}");
    assert!(progress["citations"].as_u64().unwrap() < MANY.into(), "{progress}");
    assert_eq!(progress["total_bytes"], fs::metadata(&large).unwrap().len());
    (large, worker)
}

#[test]
fn after_a_kill_in_mid_file_the_same_request_gives_the_rows_of_a_run() {
    let dir = tempdir().unwrap();
    let (plain, served) = (dir.path().join("plain"), dir.path().join("served"));
    let (large, mut worker) = in_mid_file(dir.path(), &served, "30s");
    worker.child.kill().unwrap();
    worker.child.wait().unwrap();
    assert_eq!(commits(&served), 0);

    let mut worker = Worker::start(&served, &[]);
    let answer = worker.ask(&large);
    assert_eq!((&answer["status"], &answer["citations"]), (&json!("committed"), &json!(MANY)), "{answer}");
    assert_eq!(worker.end(), (Vec::new(), Some(0)));
    run(&[large], &plain).succeed();
    assert_same_rows("after_a_kill_in_mid_file", &served, &plain);
    verified(&served);
}

#[test]
fn a_signal_finishes_the_current_input_and_leaves_the_next_one() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    let (large, mut worker) = in_mid_file(dir.path(), &output, "10m");
    let next = dir.path().join("next.xml.gz");
    fs::copy(&large, &next).unwrap();
    worker.request(&next);
    send(&worker.child, "TERM");
    let (answers, code) = worker.end();
    let last: Vec<&Json> = answers.iter().filter(|answer| answer["type"] != "progress").collect();
    assert_eq!(last.len(), 1, "{answers:?}");
    assert_eq!((&last[0]["status"], &last[0]["exit_code"]), (&json!("committed"), &json!(0)), "{}", last[0]);
    assert_eq!(code, Some(143));
    assert_eq!(read_table(&output, "documents").len(), MANY as usize);
}

#[test]
fn without_grace_an_interrupted_input_is_a_failure_to_be_tried_again() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    let (_, worker) = in_mid_file(dir.path(), &output, "0");
    send(&worker.child, "TERM");
    let (answers, code) = worker.end();
    let last = answers.last().unwrap();
    assert_eq!((&last["type"], &last["exit_code"]), (&json!("failure"), &json!(143)), "{last}");
    assert!(last["errors"][0].as_str().unwrap().contains("interrupted"), "{last}");
    assert_eq!(code, Some(143));
    assert!(tables(&output).iter().all(Vec::is_empty));
}

#[cfg(target_os = "linux")]
#[test]
fn a_worker_ends_with_its_parent_even_if_its_standard_input_stays_open() {
    const PARENT: &str = "exec 3<&0; \"$@\" <&3 & echo $!; wait";
    let dir = tempdir().unwrap();
    let mut call = Command::new("sh");
    call.args(["-c", PARENT, "sh", PROGRAM, "worker", "--device", "cpu", "--model"]).arg(tiny_model());
    call.arg("--output").arg(dir.path().join("out"));
    let mut parent = call.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stdin = parent.stdin.take().unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let worker = lines.next().unwrap().unwrap();
    assert!(lines.next().unwrap().unwrap().contains("ready"));

    parent.kill().unwrap();
    parent.wait().unwrap();
    // Nobody may be left to wait for it, so a zombie has ended, too.
    let has_ended = || {
        let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap_or_default();
        status.is_empty() || status.contains("State:\tZ")
    };
    wait_until("the worker to end", has_ended);
    drop(stdin);
}

#[test]
fn shards_together_are_a_run_over_all_inputs() {
    let dir = tempdir().unwrap();
    let corpus = dir.path().join("corpus");
    fs::create_dir(&corpus).unwrap();
    let inputs = write_corpus(&corpus, 12, 10);
    let (plain, sharded) = (dir.path().join("plain"), dir.path().join("sharded"));
    run(&inputs, &plain).succeed();
    let mut before = 0;
    for index in 0..5 {
        let shard = format!("--shard={index}/5");
        PubTag::run(PROGRAM, &[&corpus], &sharded).arg(shard).succeed();
        assert!(commits(&sharded) < before + inputs.len(), "a shard is a part of the inputs");
        before = commits(&sharded);
    }
    assert_same_rows("shards_together_are_a_run_over_all_inputs", &sharded, &plain);
    PubTag::run(PROGRAM, &[&corpus], &sharded).arg("--shard=5/5").end().assert_fails(2, &["expected I/N"]);
}
