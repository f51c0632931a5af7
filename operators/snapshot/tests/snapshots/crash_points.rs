//! Snapshots that die or fail at each call to the store.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use object_store::{ObjectStore, ObjectStoreExt};
use pubtag_crash_points::{Director, Point, PointStore, Verdict};
use pubtag_snapshot::{Error, Manifest, Place, SnapshotConfig};

use crate::made::{Made, Output, record, small};
use crate::published::{in_memory, place, published, snapshot};

/// What happens at one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// It fails.
    Fail,
    /// It takes effect and reports a failure.
    FailAfter,
    /// The process dies before it.
    Die,
    /// The process dies after it.
    DieAfter,
}

const MISHAPS: [Mishap; 4] = [Mishap::Fail, Mishap::FailAfter, Mishap::Die, Mishap::DieAfter];

#[derive(Debug)]
struct At {
    call: usize,
    mishap: Mishap,
    calls: AtomicUsize,
}

#[async_trait]
impl Director for At {
    async fn before(&self, _: Point) -> Verdict {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let failed = || io::Error::other("this call was to fail");
        match self.mishap {
            _ if number < self.call => Verdict::Proceed,
            Mishap::Fail if number == self.call => Verdict::Fail(failed()),
            Mishap::FailAfter | Mishap::DieAfter if number == self.call => Verdict::FailAfter(failed()),
            Mishap::Fail | Mishap::FailAfter => Verdict::Proceed,
            Mishap::Die | Mishap::DieAfter => Verdict::Fail(failed()),
        }
    }

    async fn landing(&self) {}

    async fn die(&self) {}
}

fn baseline(text: u8) -> Made {
    let records = (0..60).map(|pmid| record(pmid, 1, Some(text + (pmid % 5) as u8))).collect();
    Made { generation: Some(2026), file_seq: Some(1), is_update: false, records }
}

fn update(seq: i32, first: i64) -> Made {
    let mut records: Vec<_> = (first..first + 8).map(|pmid| record(pmid, 1, Some(50))).collect();
    records.extend([record(first + 9, 1, None), record(100 + first, 1, Some(1))]);
    Made { generation: Some(2026), file_seq: Some(seq), is_update: true, records }
}

/// Two snapshots, so that old files are to be removed, and what the third is made of.
async fn prepared(store: &Arc<dyn ObjectStore>) -> (Output, Output) {
    let mut output = Output::default();
    let place = place(store.clone());
    output.add(baseline(0));
    snapshot(&place, &output, &output.committed(), &small(8_000)).await.unwrap();
    let replaced = output.add(update(2, 10));
    snapshot(&place, &output, &output.committed(), &small(8_000)).await.unwrap();
    let former = output.clone();
    output.remove(replaced);
    output.add(update(2, 14));
    output.add(update(3, 40));
    (former, output)
}

async fn copy(store: &Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    use futures::TryStreamExt;
    let copy = in_memory();
    for object in store.list(None).try_collect::<Vec<_>>().await.unwrap() {
        let bytes = store.get(&object.location).await.unwrap().bytes().await.unwrap();
        copy.put(&object.location, bytes.into()).await.unwrap();
    }
    copy
}

#[tokio::test]
async fn a_snapshot_that_dies_or_fails_at_any_call_leaves_the_former_state_or_the_new_one() {
    let original = in_memory();
    let (former, output) = prepared(&original).await;
    let (before, after) = (former.expected(Some(2026)), output.expected(Some(2026)));
    assert_ne!(before, after);
    let (mut visits, mut kept_former, mut call) = (0, 0, 0);
    loop {
        let mut is_over = false;
        for mishap in MISHAPS {
            let store = copy(&original).await;
            let director = Arc::new(At { call, mishap, calls: AtomicUsize::new(0) });
            let points: Arc<dyn ObjectStore> = Arc::new(PointStore::new(store.clone(), director.clone()));
            let ended = snapshot(&place(points), &output, &output.committed(), &small(8_000)).await;
            is_over = director.calls.load(Ordering::Relaxed) <= call;

            let healthy = place(store.clone());
            let found = published(&healthy).await;
            assert!(found == before || found == after, "{mishap:?} at call {call}: neither state");
            assert!(ended.is_err() || found == after, "{mishap:?} at call {call}: reported as published");
            kept_former += usize::from(found == before);

            snapshot(&healthy, &output, &output.committed(), &small(8_000)).await.unwrap();
            assert_eq!(published(&healthy).await, after, "{mishap:?} at call {call}: one more snapshot");
            let manifest = Manifest::latest(&healthy).await.unwrap().unwrap();
            assert_eq!(manifest.snapshot, 3, "{mishap:?} at call {call}: published once");
            assert_files_are_named(&store, &healthy).await;
            visits += 1;
        }
        if is_over {
            break;
        }
        call += 1;
    }
    assert!(call >= 20 && kept_former >= 20, "{call} calls, {visits} visits, {kept_former} kept the former state");
}

/// The retained manifests name all files that exist, and the other way round.
async fn assert_files_are_named(store: &Arc<dyn ObjectStore>, place: &pubtag_snapshot::Place) {
    use futures::TryStreamExt;
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    let mut exist: Vec<String> = objects.into_iter().map(|object| object.location.to_string()).collect();
    exist.retain(|path| path.ends_with(".parquet"));
    exist.sort();
    let newest = Manifest::latest(place).await.unwrap().unwrap();
    let mut named = Vec::new();
    for number in [newest.snapshot - 1, newest.snapshot] {
        let manifest = Manifest::read(place, number).await.unwrap().unwrap();
        named.extend(manifest.files().map(|file| file.path.clone()));
    }
    named.sort();
    named.dedup();
    assert_eq!(exist, named);
}

#[tokio::test]
async fn of_two_snapshots_at_once_one_is_published_and_the_other_fails() {
    let store = in_memory();
    let (_, output) = prepared(&store).await;
    let commits = output.committed();
    let config = pubtag_snapshot::SnapshotConfig { is_alone: false, ..small(8_000) };
    let place = place(store);
    let (one, other) =
        tokio::join!(snapshot(&place, &output, &commits, &config), snapshot(&place, &output, &commits, &config));
    let published_now =
        [&one, &other].iter().filter(|ended| ended.as_ref().is_ok_and(|summary| summary.is_new)).count();
    assert_eq!(published_now, 1, "{one:?} {other:?}");
    assert_eq!(published(&place).await, output.expected(Some(2026)));
    assert_eq!(Manifest::latest(&place).await.unwrap().unwrap().snapshot, 3);
}

/// Before one call of a snapshot, another one is made and published as a whole.
#[derive(Debug)]
struct Meanwhile {
    call: usize,
    calls: AtomicUsize,
    healthy: Place,
    output: Output,
}

#[async_trait]
impl Director for Meanwhile {
    async fn before(&self, _: Point) -> Verdict {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.call {
            let config = SnapshotConfig { keep: NonZeroUsize::MIN, is_alone: false, ..small(8_000) };
            snapshot(&self.healthy, &self.output, &self.output.committed(), &config).await.unwrap();
        }
        Verdict::Proceed
    }

    async fn landing(&self) {}

    async fn die(&self) {}
}

#[tokio::test]
async fn whenever_another_attempt_publishes_meanwhile_its_state_is_the_last_one_or_follows_the_first() {
    let original = in_memory();
    let (_, output) = prepared(&original).await;
    let mut newer = output.clone();
    newer.add(update(4, 20));
    let config = SnapshotConfig { is_alone: false, ..small(8_000) };
    let (mut call, mut overtaken) = (0, 0);
    loop {
        let store = copy(&original).await;
        let healthy = place(store.clone());
        let meanwhile = Meanwhile { call, calls: AtomicUsize::new(0), healthy: healthy.clone(), output: newer.clone() };
        let director = Arc::new(meanwhile);
        let points: Arc<dyn ObjectStore> = Arc::new(PointStore::new(store, director.clone()));
        let former = Manifest::latest(&healthy).await.unwrap();
        let ended = pubtag_snapshot::snapshot(&place(points), former, &output, &output.committed(), &config).await;
        if director.calls.load(Ordering::Relaxed) <= call {
            break;
        }
        match ended {
            Ok(_) => {}
            Err(Error::Overtaken { .. }) => overtaken += 1,
            Err(error) => panic!("call {call}: {error}"),
        }
        assert_eq!(published(&healthy).await, newer.expected(Some(2026)), "call {call}");
        let newest = Manifest::latest(&healthy).await.unwrap().unwrap().snapshot;
        let latest = healthy.store.get(&"latest.json".into()).await.unwrap().bytes().await.unwrap();
        let latest: Manifest = serde_json::from_slice(&latest).unwrap();
        assert_eq!(latest.snapshot, newest, "call {call}");
        call += 1;
    }
    assert!(call > 10 && overtaken > 3, "{call} calls, {overtaken} overtaken");
}
