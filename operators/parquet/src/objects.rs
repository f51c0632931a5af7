//! The objects of an output: markers and parts, by path below its directory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, UpdateVersion};
use pubtag_schemas::{COMMIT_VERSION, Commit};
use pubtag_store::{Store, is_absent};
use serde::Deserialize;

use crate::{Error, layout};

/// How many small requests run at once.
pub(crate) const CONCURRENT_REQUESTS: usize = 32;

/// The objects of an output.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    store: Store,
    /// Whether locks tell which runs are alive, as on a local disk.
    locked: bool,
}

/// How often a small object is put before giving up.
const ATTEMPTS: u32 = 5;

/// Time before the second attempt at a store; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(25);

/// Attempts at putting a small object.
#[derive(Debug)]
pub(crate) struct Attempts {
    made: u32,
    pause: Duration,
}

impl Attempts {
    /// Waits for the next attempt; false if there is none.
    pub(crate) async fn again(&mut self) -> bool {
        self.made += 1;
        if !self.pause.is_zero() {
            tokio::time::sleep(self.pause * 2_u32.pow(self.made)).await;
        }
        self.made < ATTEMPTS
    }
}

/// A marker as the store holds it.
#[derive(Debug)]
pub(crate) struct Marker {
    pub(crate) commit: Commit,
    /// The version of the object that it was read from.
    pub(crate) version: UpdateVersion,
}

impl Objects {
    pub(crate) fn new(store: Store) -> Self {
        let locked = store.folder().is_some();
        Self { store, locked }
    }

    pub(crate) fn with_locks(store: Store, locked: bool) -> Self {
        Self { store, locked }
    }

    /// How messages name the output.
    pub(crate) fn name(&self) -> &str {
        self.store.name()
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        self.store.objects()
    }

    /// Attempts at putting a small object: a store may refuse while it serves others, a disk does not.
    pub(crate) fn attempts(&self) -> Attempts {
        let pause = if self.locked { Duration::ZERO } else { PAUSE };
        Attempts { made: 0, pause }
    }

    /// Whether locks tell which runs are alive, as on a local disk.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked
    }

    /// How messages name an object.
    pub(crate) fn full_name(&self, path: &Path) -> String {
        self.store.full_name(path)
    }

    /// Turns a failure of the store into an error.
    pub(crate) fn failed<'a>(
        &'a self,
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(object_store::Error) -> Error + 'a {
        move |error| Error::store(action, self.store.full_name(path), error)
    }

    /// Reads an object, if it exists.
    pub(crate) async fn read(&self, path: &Path) -> Result<Option<(Bytes, UpdateVersion)>, Error> {
        match self.store().get(path).await {
            Ok(found) => {
                let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
                Ok(Some((found.bytes().await.map_err(self.failed("read", path))?, version)))
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed("read", path)(error)),
        }
    }

    /// Reads a marker, if it exists.
    pub(crate) async fn read_marker(&self, path: &Path) -> Result<Option<Marker>, Error> {
        let Some((bytes, version)) = self.read(path).await? else { return Ok(None) };
        Ok(Some(Marker { commit: self.parse_marker(path, &bytes)?, version }))
    }

    /// Parses a marker.
    pub(crate) fn parse_marker(&self, path: &Path, bytes: &[u8]) -> Result<Commit, Error> {
        parse(bytes, "version", COMMIT_VERSION, || self.full_name(path))
    }

    /// Removes the marker of a commit, unless another commit has taken its place. Only for the holder of the lock on
    /// replacing.
    pub(crate) async fn remove_marker(&self, commit: &Commit) -> Result<(), Error> {
        let path = layout::marker(commit.input.key());
        match self.read_marker(&path).await? {
            Some(found) if found.commit.attempt_id == commit.attempt_id => self.delete(vec![path]).await,
            _ => Ok(()),
        }
    }

    /// Deletes objects; those that are already gone count as deleted.
    pub(crate) async fn delete(&self, paths: Vec<Path>) -> Result<(), Error> {
        let Some(first) = paths.first().cloned() else { return Ok(()) };
        let mut deleted = self.store().delete_stream(futures::stream::iter(paths.into_iter().map(Ok)).boxed());
        while let Some(deleted) = deleted.next().await {
            match deleted {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("delete", &first)(error)),
            }
        }
        Ok(())
    }
}

/// Parses one of pubtag's own JSON files, checking its version first.
pub(crate) fn parse<T: for<'a> Deserialize<'a>>(
    bytes: &[u8],
    version_key: &str,
    known: u32,
    name: impl Fn() -> String,
) -> Result<T, Error> {
    let damaged = |source| Error::Damaged { path: name(), source };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    match value.get(version_key).and_then(serde_json::Value::as_u64) {
        Some(found) if found > u64::from(known) => Err(Error::Newer { path: name(), found, known }),
        _ => serde_json::from_value(value).map_err(damaged),
    }
}
