//! A store that fails, misreports, fills up or denies access.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as StorePath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use pubtag_parquet::{CommitLog, FileLocks, Output, WriteConfig};
use pubtag_schemas::Ending;
use pubtag_schemas::tables::DocumentRow;
use pubtag_store::Store;
use pubtag_stream::FaultKind;
use uuid::Uuid;

use crate::common::*;

/// What goes wrong with a put.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It fails without effect.
    Fails,
    /// It succeeds, but the answer is lost.
    AnswerLost,
    /// It takes a fifth of a second.
    Slow,
    /// It succeeds without the last byte.
    Truncates,
    /// It succeeds with another last byte.
    Flips,
}

/// A store in which the first few puts under a prefix go wrong.
#[derive(Debug)]
struct Flaky<S> {
    inner: S,
    prefix: &'static str,
    trouble: Trouble,
    left: AtomicUsize,
}

impl<S> fmt::Display for Flaky<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flaky store")
    }
}

fn timed_out() -> object_store::Error {
    let source = std::io::Error::from(std::io::ErrorKind::TimedOut).into();
    object_store::Error::Generic { store: "flaky", source }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Flaky<S> {
    async fn put_opts(&self, location: &StorePath, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let take_one = |left: usize| left.checked_sub(1);
        let troubled = location.as_ref().starts_with(self.prefix)
            && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one).is_ok();
        match (troubled, self.trouble) {
            (false, _) => self.inner.put_opts(location, payload, opts).await,
            (true, Trouble::Fails) => Err(timed_out()),
            (true, Trouble::Slow) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
                self.inner.put_opts(location, payload, opts).await
            }
            (true, Trouble::AnswerLost) => {
                self.inner.put_opts(location, payload, opts).await?;
                Err(timed_out())
            }
            (true, Trouble::Truncates | Trouble::Flips) => {
                let mut bytes = payload.iter().flatten().copied().collect::<Vec<u8>>();
                let last = bytes.pop().expect("nothing that is put is empty");
                bytes.extend(matches!(self.trouble, Trouble::Flips).then_some(!last));
                self.inner.put_opts(location, bytes.into(), opts).await
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &StorePath,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &StorePath, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &StorePath, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<StorePath>>) -> BoxStream<'static, Result<StorePath>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&StorePath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&StorePath>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &StorePath, to: &StorePath, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

async fn open_flaky(folder: &Path, prefix: &'static str, trouble: Trouble, times: usize) -> (Output, CommitLog) {
    let inner = LocalFileSystem::new_with_prefix(folder).unwrap();
    let store = Flaky { inner, prefix, trouble, left: AtomicUsize::new(times) };
    open_store(folder, Arc::new(store)).await
}

async fn open_store(locks: &Path, store: Arc<dyn ObjectStore>) -> (Output, CommitLog) {
    let liveness = Arc::new(FileLocks::new(locks));
    Output::open_with(Store::new("test-store", store), Some(liveness), Uuid::now_v7()).await.unwrap()
}

#[tokio::test]
async fn a_marker_whose_answer_is_lost_is_ours() {
    let folder = tempfile::tempdir().unwrap();
    let (output, commit_log) = open_flaky(folder.path(), "_pubtag/commits", Trouble::AnswerLost, 1).await;
    let commit = committed(write_one(&output, &commit_log, config(), packets(&unit(0, "/in/a.xml", "a"))).await);
    output.finish().await.unwrap();
    assert_eq!(parts(folder.path()), commit.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_marker_that_fails_is_put_again() {
    let folder = tempfile::tempdir().unwrap();
    let (output, commit_log) = open_flaky(folder.path(), "_pubtag/commits", Trouble::Fails, 2).await;
    committed(write_one(&output, &commit_log, config(), packets(&unit(0, "/in/a.xml", "a"))).await);
}

#[tokio::test]
async fn a_marker_that_cannot_be_put_is_a_fault_and_the_next_run_commits() {
    let folder = tempfile::tempdir().unwrap();
    let unit = unit(0, "/in/a.xml", "a");
    let (output, commit_log) = open_flaky(folder.path(), "_pubtag/commits", Trouble::Fails, usize::MAX).await;
    let fault = write(&output, &commit_log, config(), packets(&unit)).await.remove(0).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Transient);
    drop((output, commit_log));
    assert_eq!((parts(folder.path()).len(), markers(folder.path()).len()), (3, 0));
    let commit = committed(run_one(folder.path(), config(), &unit).await);
    assert_eq!(parts(folder.path()), commit.parts.iter().map(|part| part.path.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_part_that_fails_is_a_fault_and_nothing_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (output, commit_log) = open_flaky(folder.path(), "documents", Trouble::Fails, 1).await;
    let fault = write(&output, &commit_log, config(), packets(&unit(0, "/in/a.xml", "a"))).await.remove(0).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Transient);
    let cause = std::error::Error::source(&fault).unwrap().to_string();
    assert!(cause.contains("test-store/documents/a-"), "{cause}");
    assert!(markers(folder.path()).is_empty());
}

#[tokio::test]
async fn a_store_in_memory_keeps_the_same_protocol() {
    let (locks, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let unit = unit(0, "/in/a.xml", "a");
    let (output, commit_log) = open_store(locks.path(), store.clone()).await;
    let first = committed(write_one(&output, &commit_log, config(), packets(&unit)).await);
    output.finish().await.unwrap();

    // This store replaces a marker only if it is still the one that was read.
    let (output, commit_log) = open_store(locks.path(), store.clone()).await;
    let other = WriteConfig { spec: other_model(), overwrite: true, ..config() };
    let second = committed(write_one(&output, &commit_log, other, packets(&unit)).await);
    assert_eq!(second.supersedes, [first.attempt_id.as_str()]);
    assert!(matches!(
        write_one(&output, &commit_log, WriteConfig { spec: other_model(), ..config() }, packets(&unit)).await,
        Ending::Identical(_)
    ));
    output.finish().await.unwrap();
    let (_output, commit_log) = open_store(locks.path(), store).await;
    assert_eq!(commit_log.commits().map(|commit| &commit.attempt_id).collect::<Vec<_>>(), [&second.attempt_id]);
}

#[tokio::test]
async fn a_file_in_place_of_the_directory_is_a_configuration_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for path in ["file", "file/below"] {
        let error = open(&folder.path().join(path)).await.unwrap_err();
        assert_eq!(error.kind(), FaultKind::Configuration, "{error}");
        assert!(error.to_string().contains(&folder.path().join("file").display().to_string()), "{error}");
    }
}

/// A small temporary file system; `None` where mounting is not permitted.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: a tmpfs cannot be mounted here (this needs root), so a {options} disk is not tested");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_named_and_transient() {
    let Some(disk) = Tmpfs::mount("size=256k") else { return };
    let folder = disk.0.path().join("out");
    let unit = unit(0, "/in/a.xml", "a");
    let (output, commit_log) = open(&folder).await.unwrap();
    std::fs::write(disk.0.path().join("ballast"), vec![0; 228 * 1024]).unwrap();
    let fault = write(&output, &commit_log, tiny_parts(), packets(&unit)).await.remove(0).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Transient);
    let cause = std::error::Error::source(&fault).unwrap().to_string();
    assert!(cause.contains("no space left") && cause.contains(&folder.display().to_string()), "{cause}");
    drop((output, commit_log));

    // Once space is free, the same run succeeds.
    std::fs::remove_file(disk.0.path().join("ballast")).unwrap();
    committed(run_one(&folder, config(), &unit).await);
    assert_eq!(read::<DocumentRow>(&folder).num_rows(), 3);
    assert!(!files(&folder).iter().any(|name| name.contains('#')), "half-written files stay: {:?}", files(&folder));
}

#[tokio::test]
async fn a_read_only_disk_is_a_configuration_error() {
    let Some(disk) = Tmpfs::mount("ro") else { return };
    let error = open(&disk.0.path().join("out")).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Configuration, "{error}");
    let error = open(disk.0.path()).await.unwrap_err();
    assert_eq!(error.kind(), FaultKind::Configuration, "{error}");
}

#[tokio::test]
async fn a_run_that_is_dropped_at_any_moment_of_a_commit_leaves_all_of_it_or_nothing() {
    // Five puts, three parts, the claim and the marker, take 1 s: this run is dropped in each of them and between them.
    for moment in (0..=12).map(|step| Duration::from_millis(step * 90)) {
        let folder = tempfile::tempdir().unwrap();
        let unit = unit(0, "/in/a.xml", "a");
        let (output, commit_log) = open_flaky(folder.path(), "", Trouble::Slow, usize::MAX).await;
        let given_up = write_one(&output, &commit_log, config(), packets(&unit));
        let whole = tokio::time::timeout(moment, given_up).await.is_ok();
        output.finish().await.unwrap();
        assert!(!whole || !markers(folder.path()).is_empty());

        let (output, commit_log) = open(folder.path()).await.unwrap();
        assert_eq!(commit_log.broken().count(), 0, "dropped after {moment:?}");
        let named: usize = commit_log.commits().map(|commit| commit.parts.len()).sum();
        assert_eq!((parts(folder.path()).len(), named), (named, 3 * markers(folder.path()).len()));
        output.finish().await.unwrap();
        run_one(folder.path(), config(), &unit).await;
        assert_eq!(read::<DocumentRow>(folder.path()).num_rows(), 3);
    }
}

#[tokio::test]
async fn a_part_that_differs_in_the_store_is_never_committed() {
    for trouble in [Trouble::Truncates, Trouble::Flips] {
        for table in ["annotations", "documents", "rejects"] {
            let folder = tempfile::tempdir().unwrap();
            let (output, commit_log) = open_flaky(folder.path(), table, trouble, 1).await;
            let unit = unit(0, "/in/a.xml", "a");
            let fault = write(&output, &commit_log, config(), packets(&unit)).await.remove(0).unwrap_err();
            assert_eq!(fault.kind(), FaultKind::Transient);
            let cause = std::error::Error::source(&fault).unwrap().to_string();
            assert!(cause.contains(&format!("test-store/{table}/a-")) && cause.contains("read back as"), "{cause}");
            output.finish().await.unwrap();
            assert_eq!((parts(folder.path()).len(), markers(folder.path()).len()), (0, 0));
        }
    }
}
