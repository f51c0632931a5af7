//! Concurrent and dead runs: which one wins, what is swept, what is never touched.

use std::fs;

use futures::StreamExt;
use pubtag_parquet::{Error, Output, ParquetSink, WriteConfig};
use pubtag_schemas::tables::DocumentRow;
use pubtag_schemas::{Ending, InputUnit, Location, Packet, UnitReport};
use pubtag_store::{Address, StoreOptions};
use pubtag_stream::{FaultKind, Flow, Meter, Operator, Write};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::common::*;

/// A run stopped in the middle of a unit, with parts on disk.
async fn half_a_unit(output: &Output, unit: &std::sync::Arc<InputUnit>) -> Half {
    let (sender, mut receiver) = mpsc::channel(1);
    let input: Flow<Tagged> = Box::pin(async_stream::stream! {
        while let Some(packet) = receiver.recv().await {
            yield Ok(packet);
        }
    });
    let commit_log = Default::default();
    let reports = Write::new(ParquetSink::new(output, &commit_log, tiny_parts())).apply(input, Meter::new("write"));
    let writing = tokio::spawn(reports.collect::<Vec<_>>());
    let mut rest = packets(unit);
    let end = rest.split_off(rest.len() - 1).remove(0);
    for packet in rest {
        sender.send(packet).await.unwrap();
    }
    // The channel holds one packet: sending another returns once the previous one was taken.
    for _ in 0..2 {
        sender.send(Packet::Items(Vec::new())).await.unwrap();
    }
    Half { sender, writing, end }
}

struct Half {
    sender: mpsc::Sender<Tagged>,
    writing: tokio::task::JoinHandle<Vec<Result<UnitReport, pubtag_stream::Fault>>>,
    end: Tagged,
}

impl Half {
    async fn finish(self) -> Ending {
        self.sender.send(self.end).await.unwrap();
        drop(self.sender);
        self.writing.await.unwrap().remove(0).unwrap().ending
    }

    /// Dies like a process: nothing of it runs any further.
    async fn die(self) {
        self.writing.abort();
        let _ = self.writing.await;
    }
}

#[tokio::test]
async fn a_run_that_died_before_its_marker_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    let (output, commit_log) = open(folder.path()).await.unwrap();
    half_a_unit(&output, &unit).await.die().await;
    drop((output, commit_log));
    assert!(parts(folder.path()).len() > 3, "the dead run leaves parts: {:?}", parts(folder.path()));
    assert!(markers(folder.path()).is_empty());

    let commit = committed(run_one(folder.path(), config(), &unit).await);
    assert_eq!(parts(folder.path()), commit.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>());
    assert_eq!(files(&folder.path().join("_pubtag/attempts")), [""; 0]);
    assert_eq!(read::<DocumentRow>(folder.path()).num_rows(), 3);
}

#[tokio::test]
async fn a_run_that_died_after_its_marker_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    let (output, commit_log) = open(folder.path()).await.unwrap();
    let commit = committed(write_one(&output, &commit_log, config(), packets(&unit)).await);
    drop((output, commit_log));
    match run_one(folder.path(), config(), &unit).await {
        Ending::Identical(found) => assert_eq!(found, commit),
        other => panic!("{other:?}"),
    }
    assert_eq!(parts(folder.path()), commit.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_parts_of_a_live_run_are_never_swept() {
    let folder = tempfile::tempdir().unwrap();
    let (output, _commit_log) = open(folder.path()).await.unwrap();
    let half = half_a_unit(&output, &unit(0, "/in/a.xml", "a")).await;
    let of_live = parts(folder.path());
    assert!(!of_live.is_empty());

    // Others open, write, finish and sweep beside it.
    for index in 0..3 {
        committed(run_one(folder.path(), config(), &unit(0, "/in/b.xml", &index.to_string()).renamed(index)).await);
    }
    assert!(of_live.iter().all(|part| folder.path().join(part).exists()), "a live run's part was swept");
    let commit = committed(half.finish().await);
    output.finish().await.unwrap();
    assert!(commit.parts.iter().all(|part| folder.path().join(&part.path).exists()));
    assert_eq!(read::<DocumentRow>(folder.path()).num_rows(), 4 * 3);
}

trait Renamed {
    fn renamed(self, index: usize) -> std::sync::Arc<InputUnit>;
}

impl Renamed for std::sync::Arc<InputUnit> {
    fn renamed(self, index: usize) -> std::sync::Arc<InputUnit> {
        InputUnit { location: Location::File(format!("/in/b{index}.xml")), ..InputUnit::clone(&self) }.into()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_runs_on_the_same_unit_one_commits_and_the_other_sees_it() {
    for round in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let unit = unit(0, "/in/a.xml", "a");
        let (one, one_commit_log) = open(folder.path()).await.unwrap();
        let (two, two_commit_log) = open(folder.path()).await.unwrap();
        let (one_ending, two_ending) = tokio::join!(
            tokio::spawn({
                let (output, packets) = (one.clone(), packets(&unit));
                async move { write_one(&output, &one_commit_log, config(), packets).await }
            }),
            tokio::spawn({
                let (output, packets) = (two.clone(), packets(&unit));
                async move { write_one(&output, &two_commit_log, config(), packets).await }
            }),
        );
        let endings = [one_ending.unwrap(), two_ending.unwrap()];
        let winner = match &endings {
            [Ending::Committed(ours), Ending::Identical(seen)] | [Ending::Identical(seen), Ending::Committed(ours)] => {
                assert_eq!(ours, seen);
                ours
            }
            other => panic!("round {round}: {other:?}"),
        };
        assert_eq!(parts(folder.path()), winner.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>());
        one.finish().await.unwrap();
        two.finish().await.unwrap();
        assert_eq!(read::<DocumentRow>(folder.path()).num_rows(), 3);
    }
}

#[tokio::test]
async fn a_run_that_died_between_replacing_and_removing_is_finished_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let old = unit(0, "/in/a.xml", "old");
    let new = unit(0, "/in/a.xml", "new");
    let first = committed(run_one(folder.path(), config(), &old).await);
    let saved: Vec<_> = files(folder.path()).into_iter().filter(|name| name != "_pubtag/output.json").collect();
    let saved: Vec<_> = saved.into_iter().map(|name| (fs::read(folder.path().join(&name)).unwrap(), name)).collect();
    let second = committed(run_one(folder.path(), WriteConfig { overwrite: true, ..config() }, &new).await);

    // As if it had died right after its marker: what it removed still exists.
    for (bytes, name) in saved {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    assert_eq!((markers(folder.path()).len(), parts(folder.path()).len()), (2, 6));
    let (output, commit_log) = open(folder.path()).await.unwrap();
    assert_eq!(commit_log.commits().map(|commit| &commit.attempt_id).collect::<Vec<_>>(), [&second.attempt_id]);
    assert_ne!(first.attempt_id, second.attempt_id);
    output.finish().await.unwrap();
    assert_eq!((markers(folder.path()).len(), parts(folder.path()).len()), (1, 3));
    assert_eq!(parts(folder.path()), second.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn dropping_the_stream_in_the_middle_of_a_unit_commits_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    let (output, commit_log) = open(folder.path()).await.unwrap();
    let mut all = packets(&unit);
    all.pop();
    let never = flow(all).chain(futures::stream::pending());
    let mut reports =
        Write::new(ParquetSink::new(&output, &commit_log, tiny_parts())).apply(Box::pin(never), Meter::new("write"));
    let waited = tokio::time::timeout(std::time::Duration::from_millis(500), reports.next()).await;
    assert!(waited.is_err(), "nothing is reported before the end of the unit");
    assert!(!parts(folder.path()).is_empty());
    drop(reports);
    assert!(markers(folder.path()).is_empty());
    // The same run can sweep its own leftovers.
    let swept = output.finish().await.unwrap().swept;
    assert!(swept.parts > 0 && swept.bytes > 0, "{swept:?}");
    assert_eq!(parts(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_directory_with_other_files_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("thesis")).unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let error = open(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Configuration);
    let message = error.to_string();
    assert!(message.contains("thesis/") && message.contains("notes.txt"), "{message}");
    assert_eq!(files(folder.path()), ["notes.txt"], "nothing may be written there");
}

#[tokio::test]
async fn files_that_the_pipeline_writes_beside_the_tables_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    run_one(folder.path(), config(), &unit(0, "/in/a.xml", "a")).await;
    fs::write(folder.path().join("report.json"), "{}").unwrap();
    open(folder.path()).await.unwrap().0.finish().await.unwrap();
    assert!(folder.path().join("report.json").exists());
}

#[tokio::test]
async fn files_of_others_among_the_tables_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    run_one(folder.path(), config(), &unit(0, "/in/a.xml", "a")).await;
    for name in ["part-00000-c000.snappy.parquet", "bell\u{7}.parquet", "a\nb"] {
        let stranger = folder.path().join("annotations").join(name);
        fs::write(&stranger, "not ours").unwrap();
        open(folder.path()).await.unwrap().0.finish().await.unwrap();
        run_one(folder.path(), config(), &unit(0, &format!("/in/{}.xml", name.len()), name)).await;
        assert!(stranger.exists());
    }
}

#[tokio::test]
async fn a_damaged_or_newer_marker_stops_the_run_before_anything_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    run_one(folder.path(), config(), &unit(0, "/in/a.xml", "a")).await;
    let kept = parts(folder.path());
    let marker = folder.path().join("_pubtag/commits").join(&markers(folder.path())[0]);
    let good = fs::read_to_string(&marker).unwrap();
    for (content, newer) in [("", false), (&good[..good.len() / 2], false), (r#"{"version": 99, "new": 1}"#, true)] {
        fs::write(&marker, content).unwrap();
        let error = open(folder.path()).await.unwrap_err();
        assert_eq!((error.kind(), matches!(error, Error::Newer { .. })), (FaultKind::Configuration, newer));
        assert!(error.to_string().contains(&marker.display().to_string()), "{error}");
        assert_eq!(parts(folder.path()), kept, "without its marker a part must not be swept");
    }
}

#[tokio::test]
async fn an_output_of_a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run_one(folder.path(), config(), &unit(0, "/in/a.xml", "a")).await;
    let mark = folder.path().join("_pubtag/output.json");
    fs::write(&mark, r#"{"schema_version": 2, "created": "2030-01-01T00:00:00Z"}"#).unwrap();
    assert!(matches!(open(folder.path()).await.unwrap_err(), Error::Newer { found: 2, known: 1, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_may_begin_on_a_new_folder_at_once() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("not/yet/there");
    let runs = (0..8).map(|_| {
        let folder = folder.clone();
        tokio::spawn(async move {
            Output::open(Address::from(folder.as_path()).create(&StoreOptions::default()).unwrap(), Uuid::now_v7())
                .await
        })
    });
    for run in futures::future::join_all(runs).await {
        run.unwrap().unwrap();
    }
}
