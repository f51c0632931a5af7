//! Files that are renamed, swapped, edited and damaged between runs.

use std::fs;
use std::path::{Path, PathBuf};

use pubtag_tests::{PubTag, article_set, read_table, report, sample_article};
use tempfile::{TempDir, tempdir};

use crate::kill::{commits, run, tables};

/// A directory of inputs, and the output next to it.
struct Night {
    dir: TempDir,
}

impl Night {
    fn new(files: &[(&str, &str)]) -> Self {
        let night = Self { dir: tempdir().unwrap() };
        fs::create_dir(night.input("")).unwrap();
        for (name, id) in files {
            night.write(name, id);
        }
        night
    }

    fn input(&self, name: &str) -> PathBuf {
        self.dir.path().join("in").join(name)
    }

    fn output(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn write(&self, name: &str, id: &str) {
        let line = format!(r#"{{"id": "{id}", "title": "Ataxia in {id}", "abstract": "About ALS."}}"#);
        fs::write(self.input(name), line + "\n").unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.input(from), self.input(to)).unwrap();
    }

    fn run(&self) -> PubTag {
        run(&[self.input("")], &self.output())
    }

    /// The documents in the tables.
    fn documents(&self) -> Vec<String> {
        documents(&self.output())
    }
}

fn documents(output: &Path) -> Vec<String> {
    let id = |row: &String| row.split('\u{1f}').find_map(|cell| cell.strip_prefix("doc_id=")).unwrap().to_owned();
    let mut ids: Vec<String> = read_table(output, "documents").iter().map(id).collect();
    ids.sort();
    ids
}

#[test]
fn an_archived_file_and_its_successor_keep_their_rows_when_overwritten_with_other_settings() {
    let night = Night::new(&[("current.jsonl", "old")]);
    night.run().succeed();
    night.rename("current.jsonl", "archive.jsonl");
    night.write("current.jsonl", "new");
    night.run().arg("--overwrite").arg("--decode").arg("argmax").succeed();
    assert_eq!((night.documents(), commits(&night.output())), (vec!["new".to_owned(), "old".to_owned()], 2));
}

#[test]
fn an_archived_file_keeps_its_rows_when_its_successor_is_tagged() {
    for archive in ["archive.jsonl", "zarchive.jsonl"] {
        let night = Night::new(&[("current.jsonl", "old")]);
        night.run().succeed();
        night.rename("current.jsonl", archive);
        night.write("current.jsonl", "new");
        night.run().succeed();
        assert_eq!(night.documents(), ["new", "old"]);
    }
}

#[test]
fn the_commit_of_a_renamed_file_follows_it() {
    let night = Night::new(&[("new.jsonl", "first")]);
    night.run().succeed();
    night.rename("new.jsonl", "archived.jsonl");
    run(&[night.input("archived.jsonl")], &night.output()).succeed();
    night.write("new.jsonl", "second");
    // This run does not see the renamed file.
    run(&[night.input("new.jsonl")], &night.output()).arg("--overwrite").succeed();
    assert_eq!(night.documents(), ["first", "second"]);
    PubTag::new(crate::PROGRAM, ["verify"]).arg(night.output()).succeed();
}

#[test]
fn files_that_swap_their_names_keep_their_rows() {
    let night = Night::new(&[("a.jsonl", "A"), ("b.jsonl", "B")]);
    night.run().succeed();
    night.rename("a.jsonl", "c.jsonl");
    night.rename("b.jsonl", "a.jsonl");
    night.rename("c.jsonl", "b.jsonl");
    for decode in ["constrained", "argmax"] {
        night.run().arg("--overwrite").arg("--decode").arg(decode).succeed();
        assert_eq!(night.documents(), ["A", "B"], "{decode}");
    }
}

#[test]
fn an_edited_file_is_refused_and_replaced_only_with_overwrite() {
    let night = Night::new(&[("a.jsonl", "A"), ("b.jsonl", "B")]);
    night.run().succeed();
    night.write("a.jsonl", "C");
    night.run().end().assert_fails(78, &["a.jsonl", "--overwrite"]);
    assert_eq!(night.documents(), ["A", "B"]);
    night.run().arg("--overwrite").succeed();
    assert_eq!(night.documents(), ["B", "C"]);
}

#[test]
fn a_file_that_takes_the_content_of_another_is_refused_and_replaces_its_own_only_with_overwrite() {
    // Of other lengths: two files of one length and one time of modification are taken for the same.
    let night = Night::new(&[("a.jsonl", "A"), ("b.jsonl", "BB")]);
    night.run().succeed();
    night.rename("b.jsonl", "a.jsonl");
    night.run().end().assert_fails(78, &["a.jsonl", "--overwrite"]);
    assert_eq!(night.documents(), ["A", "BB"]);
    for _ in 0..2 {
        night.run().arg("--overwrite").succeed();
        assert_eq!(night.documents(), ["BB"]);
        PubTag::new(crate::PROGRAM, ["verify"]).arg(night.output()).succeed();
    }
    // It is its own content now.
    night.write("a.jsonl", "C");
    night.run().end().assert_fails(78, &["a.jsonl", "--overwrite"]);
    night.run().arg("--overwrite").succeed();
    assert_eq!(night.documents(), ["C"]);
}

#[test]
fn a_copy_of_another_file_replaces_the_earlier_content_of_its_name() {
    let night = Night::new(&[("a.jsonl", "A"), ("b.jsonl", "B")]);
    night.run().succeed();
    fs::copy(night.input("a.jsonl"), night.input("b.jsonl")).unwrap();
    for _ in 0..2 {
        night.run().arg("--overwrite").succeed();
        assert_eq!(night.documents(), ["A"]);
    }
    night.write("a.jsonl", "C");
    night.run().arg("--overwrite").succeed();
    assert_eq!(night.documents(), ["A", "C"]);
}

#[test]
fn files_of_pubmed_whose_numbers_swap_contents_leave_no_row_of_what_is_gone() {
    let night = Night::new(&[]);
    let file = |number: u32, article: u32| {
        let path = night.input(&format!("pubmed26n{number:04}.xml"));
        fs::write(path, article_set(&[sample_article(article)])).unwrap();
    };
    file(1, 1);
    file(2, 2);
    night.run().succeed();
    // The second takes the content of the first, which has a new one.
    file(2, 1);
    file(1, 3);
    for _ in 0..2 {
        night.run().succeed();
        assert_eq!(commits(&night.output()), 2);
        PubTag::new(crate::PROGRAM, ["verify"]).arg(night.output()).succeed();
    }
}

#[test]
fn text_files_with_the_same_content_are_separate_documents() {
    let dir = tempdir().unwrap();
    let (input, output) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&input).unwrap();
    for name in ["a.txt", "b.txt"] {
        fs::write(input.join(name), "Ataxia is not ALS.\nALS is not ataxia.\n").unwrap();
    }
    for (format, ids) in [("text", vec!["a", "b"]), ("lines", vec!["a.txt:1", "a.txt:2", "b.txt:1", "b.txt:2"])] {
        let output = output.with_extension(format);
        for _ in 0..2 {
            run(std::slice::from_ref(&input), &output).arg("--input-format").arg(format).succeed();
            assert_eq!(documents(&output), ids);
        }
        assert_eq!(report(&output)["reconciliation"]["citations"], 0, "the second run reads nothing");
    }
}

#[test]
fn plain_texts_whose_documents_would_have_the_same_ids_are_refused() {
    let dir = tempdir().unwrap();
    let paths = ["x/a.txt", "y/a.txt", "x/b.txt", "y/b.md"].map(|name| dir.path().join(name));
    for path in &paths {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("Ataxia of {}.", path.display())).unwrap();
    }
    let output = dir.path().join("out");
    let call =
        |paths: &[PathBuf], format: &str| run(paths, &output.with_extension(format)).arg("--input-format").arg(format);
    for pair in [&paths[..2], &paths[2..]] {
        call(pair, "text")
            .end()
            .assert_fails(78, &[&*pair[0].to_string_lossy(), &pair[1].to_string_lossy(), "same document ids"]);
    }
    call(&paths[..2], "lines").end().assert_fails(78, &["same document ids (a.txt)"]);
    call(&paths[2..], "lines").succeed();
}

#[test]
fn missing_committed_parts_are_tagged_again_or_fail_the_run() {
    for damage in [remove as fn(&Path), truncate] {
        let night = Night::new(&[("a.jsonl", "A"), ("b.jsonl", "B")]);
        night.run().succeed();
        let unbroken = tables(&night.output());
        let part = fs::read_dir(night.output().join("documents")).unwrap().next().unwrap().unwrap().path();
        let (of, other) = if part.to_string_lossy().contains("/a-") { ("a", "b") } else { ("b", "a") };
        damage(&part);

        let without = run(&[night.input(&format!("{other}.jsonl"))], &night.output()).end();
        without.assert_fails(65, &[&format!("{of}.jsonl"), "documents/", "run again with this input"]);
        assert_eq!(report(&night.output())["exit_code"], 65);

        night.run().succeed();
        assert_eq!(tables(&night.output()), unbroken);
        assert_eq!(commits(&night.output()), 2);
    }
}

fn remove(part: &Path) {
    fs::remove_file(part).unwrap();
}

fn truncate(part: &Path) {
    let file = fs::File::options().write(true).open(part).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
}
