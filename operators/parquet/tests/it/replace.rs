//! Replacing commits: renamed and swapped files, other settings, commits with missing parts.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pubtag_parquet::{CommitLog, RunSpec, Standing, Tables, WriteConfig};
use pubtag_schemas::tables::DocumentRow;
use pubtag_schemas::{Ending, InputUnit};
use pubtag_store::Store;

use crate::common::*;

/// A whole run: plans all units, writes those to be tagged, and returns the plan.
async fn run(folder: &Path, config: WriteConfig, units: &[Arc<InputUnit>]) -> Vec<Standing> {
    let (output, mut commit_log) = open(folder).await.unwrap();
    let standings = commit_log.plan(units, &config.spec);
    for (unit, standing) in units.iter().zip(&standings) {
        if !matches!(standing, Standing::Committed(_) | Standing::Duplicate { .. }) {
            committed(write_one(&output, &commit_log, config.clone(), packets(unit)).await);
        }
    }
    assert!(output.finish().await.unwrap().broken.is_empty());
    standings
}

/// Content and model of each commit; checks that every part is named by one commit and every commit has its parts.
async fn contents(folder: &Path) -> Vec<(String, String)> {
    let tables = Tables::open(Store::directory(folder).unwrap()).await.unwrap();
    let commits = tables.commits();
    let mut named: Vec<_> = commits.iter().flat_map(|commit| &commit.parts).map(|part| part.path.clone()).collect();
    named.sort();
    assert_eq!(parts(folder), named);
    assert_eq!(markers(folder).len(), commits.len());
    assert_eq!(read::<DocumentRow>(folder).num_rows(), 3 * commits.len());
    let mut contents: Vec<_> = commits.iter().map(|c| (c.input.sha256.clone(), c.model_id.clone())).collect();
    contents.sort();
    contents
}

fn expected(units: &[Arc<InputUnit>], spec: &RunSpec) -> Vec<(String, String)> {
    let mut expected: Vec<_> = units.iter().map(|unit| (unit.sha256.clone().unwrap(), spec.model_id.clone())).collect();
    expected.sort();
    expected
}

fn overwriting(spec: RunSpec) -> WriteConfig {
    WriteConfig { spec, overwrite: true, ..config() }
}

#[tokio::test]
async fn a_renamed_file_and_a_new_one_under_its_old_name_both_keep_their_rows() {
    // The new name sorts before the old one, or after it.
    for renamed in ["/in/archive.jsonl", "/in/later.jsonl"] {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), config(), &[unit(0, "/in/current.jsonl", "old")]).await;
        let mut now = [unit(0, renamed, "old"), unit(1, "/in/current.jsonl", "new")];
        now.sort_by(|a, b| a.uri().cmp(b.uri()));
        let standings = run(folder.path(), config(), &now).await;
        assert!(standings.iter().any(|s| matches!(s, Standing::Committed(_))), "{standings:?}");
        assert!(standings.iter().any(|s| matches!(s, Standing::New)), "{standings:?}");
        assert_eq!(contents(folder.path()).await, expected(&now, &spec()));
    }
}

const MIRROR: [&str; 2] = ["/mirror/pubmed26n0002.xml.gz", "/moved/pubmed26n0002.xml.gz"];

/// Gives a marker the claim that it had before PubMed's files were claimed by their number.
fn claimed_by_path(folder: &Path, content: &str, uri: &str) {
    let path = folder.join(format!("_pubtag/commits/{}.json", &sha256(content.as_bytes())[..32]));
    let mut marker: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    marker["input"]["uri"] = uri.into();
    marker["claim"]["uri"] = uri.into();
    fs::write(&path, marker.to_string()).unwrap();
}

#[tokio::test]
async fn a_reissued_pubmed_file_replaces_its_predecessor_in_any_directory() {
    for then in [MIRROR[1], "/mirror/x/../pubmed26n0002.xml", "/mirror/pubmed26n0002.xml.gz.1", MIRROR[0]] {
        for is_older in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            run(folder.path(), config(), &[unit(0, MIRROR[0], "old")]).await;
            if is_older {
                claimed_by_path(folder.path(), "old", MIRROR[0]);
            }
            let now = [unit(0, then, "new")];
            let (output, mut commit_log) = open(folder.path()).await.unwrap();
            assert!(matches!(commit_log.plan(&now, &spec())[..], [Standing::Conflict(_)]), "{then}");
            output.finish().await.unwrap();
            for units in [&now, &[unit(0, MIRROR[0], "old")], &now] {
                run(folder.path(), overwriting(spec()), units).await;
                assert_eq!(contents(folder.path()).await, expected(units, &spec()), "{then} {is_older}");
            }
        }
    }
}

#[tokio::test]
async fn of_two_commits_of_one_pubmed_file_the_current_one_replaces_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let both = [unit(0, "/in/a.jsonl", "old"), unit(1, "/in/b.jsonl", "new")];
    run(folder.path(), config(), &both).await;
    claimed_by_path(folder.path(), "old", MIRROR[0]);
    claimed_by_path(folder.path(), "new", MIRROR[1]);
    let now = unit(0, MIRROR[1], "new");
    for others in [1, 0] {
        let (output, mut commit_log) = open(folder.path()).await.unwrap();
        let standing = commit_log.plan(std::slice::from_ref(&now), &spec()).remove(0);
        let Standing::Committed(commit) = standing else { panic!("{standing:?}") };
        let replaced = commit_log.earlier_contents(&now, commit.input.key());
        assert_eq!(replaced.len(), others);
        output.follow(&now, &commit, &replaced, &commit_log).await.unwrap();
        output.finish().await.unwrap();
        assert_eq!(contents(folder.path()).await, expected(&both[1..], &spec()));
    }
}

#[tokio::test]
async fn other_settings_on_renamed_and_swapped_files_lose_none() {
    let first = [unit(0, "/in/a.jsonl", "A"), unit(1, "/in/b.jsonl", "B")];
    let renamed = [unit(0, "/in/archive.jsonl", "A"), unit(1, "/in/a.jsonl", "C"), unit(2, "/in/b.jsonl", "B")];
    let swapped = [unit(0, "/in/a.jsonl", "B"), unit(1, "/in/b.jsonl", "A")];
    for now in [&renamed[..], &swapped[..]] {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), config(), &first).await;
        run(folder.path(), overwriting(other_model()), now).await;
        assert_eq!(contents(folder.path()).await, expected(now, &other_model()));
        // And back.
        run(folder.path(), overwriting(spec()), &first).await;
        assert_eq!(contents(folder.path()).await, expected(&first, &spec()), "what nobody holds is replaced by name");
    }
}

#[tokio::test]
async fn a_commit_without_its_parts_is_tagged_again() {
    for damage in [remove as fn(&Path), truncate] {
        let folder = tempfile::tempdir().unwrap();
        let units = [unit(0, "/in/a.jsonl", "A"), unit(1, "/in/b.jsonl", "B")];
        run(folder.path(), config(), &units).await;
        damage(&folder.path().join(&parts(folder.path())[3]));

        let (output, commit_log) = open(folder.path()).await.unwrap();
        let broken: Vec<String> = commit_log.broken().map(ToString::to_string).collect();
        assert_eq!(broken.len(), 1);
        assert!(broken[0].contains(".jsonl: committed on") && broken[0].contains("its part documents/"), "{broken:?}");
        let left = output.finish().await.unwrap();
        assert_eq!(left.broken.len(), 1, "a run without the input says so");

        let standings = run(folder.path(), config(), &units).await;
        assert_eq!(standings.iter().filter(|s| matches!(s, Standing::Broken(_))).count(), 1, "{standings:?}");
        assert_eq!(contents(folder.path()).await, expected(&units, &spec()));
    }
}

fn remove(part: &Path) {
    fs::remove_file(part).unwrap();
}

fn truncate(part: &Path) {
    let bytes = fs::read(part).unwrap();
    fs::write(part, &bytes[..bytes.len() - 1]).unwrap();
}

#[tokio::test]
async fn documents_named_after_their_file_are_distinguished_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let spec = RunSpec { named_after_file: true, ..spec() };
    let config = WriteConfig { spec: spec.clone(), ..config() };
    let units = [unit(0, "/in/a.txt", "same"), unit(1, "/in/b.txt", "same"), unit(2, "/elsewhere/b.txt", "same")];
    let standings = run(folder.path(), config.clone(), &units).await;
    assert!(matches!(standings[..], [Standing::New, Standing::New, Standing::Duplicate { .. }]), "{standings:?}");
    assert_eq!(contents(folder.path()).await.len(), 2);
    let standings = run(folder.path(), config, &units).await;
    assert!(standings.iter().all(|standing| matches!(standing, Standing::Committed(_))), "{standings:?}");
    // Read as another format, the same file is the same content under another run spec.
    let (_output, mut commit_log) = open(folder.path()).await.unwrap();
    let Standing::Conflict(conflict) = plan_one(&mut commit_log, &units[0], &self::spec()) else {
        panic!("a conflict")
    };
    assert!(!conflict.to_string().contains("has changed"), "{conflict}");
}

#[tokio::test]
async fn what_a_replaced_commit_had_superseded_never_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = ["1", "2", "3"].map(|content| unit(0, "/in/a.jsonl", content));
    run(folder.path(), config(), std::slice::from_ref(&one)).await;
    let first = saved(folder.path());
    run(folder.path(), overwriting(spec()), std::slice::from_ref(&two)).await;
    // A run opens the output as if the second had not yet removed what it replaced …
    restore(folder.path(), &first);
    let (output, mut commit_log) = open_beside(folder.path(), "2").await;
    commit_log.plan(std::slice::from_ref(&three), &spec());
    committed(write_one(&output, &commit_log, overwriting(spec()), packets(&three)).await);
    // … and never did.
    restore(folder.path(), &first);
    output.finish().await.unwrap();
    let (output, _commit_log) = open(folder.path()).await.unwrap();
    output.finish().await.unwrap();
    assert_eq!(contents(folder.path()).await, expected(&[three], &spec()));
}

fn saved(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let names = files(folder).into_iter().filter(|name| name != "_pubtag/output.json");
    names.map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn restore(folder: &Path, saved: &[(String, Vec<u8>)]) {
    for (name, bytes) in saved {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// Opens an output while the run that committed a content is still alive.
async fn open_beside(folder: &Path, content: &str) -> (pubtag_parquet::Output, CommitLog) {
    let tables = Tables::open(Store::directory(folder).unwrap()).await.unwrap();
    let commit = tables.commits().iter().find(|commit| commit.input.sha256 == sha256(content.as_bytes())).unwrap();
    let locks = pubtag_parquet::FileLocks::new(folder);
    let _alive = pubtag_parquet::Liveness::hold(&locks, commit.run_id).await.unwrap();
    open(folder).await.unwrap()
}

#[tokio::test]
async fn of_two_runs_that_replace_the_same_commit_one_stands() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let unit = unit(0, "/in/a.jsonl", "A");
        run(folder.path(), config(), std::slice::from_ref(&unit)).await;
        let rivals = [spec_with("1"), spec_with("2")].map(|spec| {
            let (folder, unit) = (folder.path().to_owned(), unit.clone());
            async move {
                let (output, mut commit_log) = open(&folder).await.unwrap();
                commit_log.plan(std::slice::from_ref(&unit), &spec);
                let ending = write_one(&output, &commit_log, overwriting(spec), packets(&unit)).await;
                output.finish().await.unwrap();
                assert!(matches!(ending, Ending::Committed(_)));
            }
        });
        futures::future::join_all(rivals).await;
        assert_eq!(contents(folder.path()).await.len(), 1);
    }
}

fn spec_with(limit: &str) -> RunSpec {
    let mut spec = spec();
    spec.settings.insert("limit".into(), limit.into());
    spec
}
