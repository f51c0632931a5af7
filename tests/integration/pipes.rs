//! Inputs that can be read only once: named pipes, process substitution.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pubtag_tests::{Outcome, PubTag, Rows, article_set, gzip, read_table, report, sample_article, tiny_model};
use tempfile::tempdir;

use crate::PROGRAM;

/// A named pipe, and a process that writes a file to it once it is read.
struct Pipe {
    path: PathBuf,
    writer: Child,
}

impl Pipe {
    fn new(path: PathBuf, content: &Path) -> Self {
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let writer = Command::new("sh").args(["-c", "cat \"$0\" > \"$1\""]).arg(content).arg(&path).spawn().unwrap();
        Self { path, writer }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // It has already ended unless nobody has read.
        let _ = self.writer.kill();
        let _ = self.writer.wait();
    }
}

/// Runs to the end; a program that opens a pipe twice would hang.
fn end(call: PubTag) -> Outcome {
    let mut child = call.start();
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the program waits: {:?}", Outcome::of(&child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Outcome::of(&child.wait_with_output().unwrap())
}

fn texts(rows: &Rows) -> Vec<&str> {
    let mut texts: Vec<_> =
        rows.iter().flat_map(|row| row.split('\u{1f}').filter(|cell| cell.starts_with("text_sha256="))).collect();
    texts.sort_unstable();
    texts
}

#[test]
fn a_named_pipe_is_read_once_and_gives_the_files_rows() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("in.xml");
    fs::write(&file, gzip(article_set(&(0..700).map(sample_article).collect::<Vec<_>>()).as_bytes())).unwrap();
    let (of_file, of_pipe) = (dir.path().join("file"), dir.path().join("pipe"));
    PubTag::run(PROGRAM, &[&file], &of_file).succeed();
    // A file next to a pipe is not its checksum.
    fs::write(dir.path().join("fifo.md5"), "00000000000000000000000000000000").unwrap();
    let pipe = Pipe::new(dir.path().join("fifo"), &file);
    let outcome = end(PubTag::run(PROGRAM, &[&pipe.path], &of_pipe));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(texts(&read_table(&of_file, "documents")), texts(&read_table(&of_pipe, "documents")));
    // Commits are identified by content: the file is the same work.
    PubTag::run(PROGRAM, &[&file], &of_pipe).succeed();
    assert_eq!(report(&of_pipe)["inputs"][0]["status"], "already_committed");
}

#[test]
fn two_pipes_are_read_one_after_the_other() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    let pipes = [1, 2].map(|number| {
        let file = dir.path().join(format!("{number}.xml"));
        fs::write(&file, article_set(&[sample_article(number), sample_article(number + 10)])).unwrap();
        Pipe::new(dir.path().join(format!("fifo-{number}")), &file)
    });
    let outcome = end(PubTag::run(PROGRAM, &[&pipes[0].path, &pipes[1].path], &output));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(read_table(&output, "documents").len(), 4);
}

#[test]
fn a_pipe_in_a_directory_is_skipped_with_its_reason() {
    let dir = tempdir().unwrap();
    let folder = dir.path().join("in");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.xml"), article_set(&[sample_article(1)])).unwrap();
    let pipe = Pipe::new(folder.join("pubmed26n0001.xml"), &folder.join("a.xml"));
    let output = dir.path().join("out");
    let outcome = end(PubTag::run(PROGRAM, &[&folder], &output));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let report = report(&output);
    let line = report["inputs"].as_array().unwrap().iter().find(|line| line["input"] == *pipe.path.to_string_lossy());
    let line = line.expect("the pipe has its line");
    assert_eq!(line["status"], "skipped");
    assert!(line["reason"].as_str().is_some_and(|reason| reason.contains("not a regular file")), "{line}");
    assert_eq!(read_table(&output, "documents").len(), 1);
}

/// `/dev/fd/63` has other content each time, and is never treated as a changed input.
#[test]
fn process_substitution_can_be_read_in_every_run() {
    let dir = tempdir().unwrap();
    let output = dir.path().join("out");
    for night in 0..2 {
        let packed = dir.path().join("night.xml.gz");
        fs::write(&packed, gzip(article_set(&[sample_article(night)]).as_bytes())).unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-c", "\"$0\" run <(zcat \"$1\") --device cpu --model \"$2\" --output \"$3\""]);
        let outcome = bash.arg(PROGRAM).arg(&packed).arg(tiny_model()).arg(&output).stdin(Stdio::null()).output();
        let outcome = Outcome::of(&outcome.unwrap());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert_eq!(read_table(&output, "documents").len(), night as usize + 1);
    }
}
