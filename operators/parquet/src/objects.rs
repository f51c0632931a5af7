//! The objects of an output: markers and parts, by path below its directory.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, UpdateVersion};
use pubtag_schemas::{COMMIT_VERSION, Commit};
use serde::Deserialize;

use crate::{Error, layout};

/// How many small requests run at once.
pub(crate) const CONCURRENT_REQUESTS: usize = 16;

/// An output's store, and how messages name it.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    name: String,
    store: Arc<dyn ObjectStore>,
}

/// A marker as the store holds it.
#[derive(Debug)]
pub(crate) struct Marker {
    pub(crate) commit: Commit,
    /// The version of the object that it was read from.
    pub(crate) version: UpdateVersion,
}

impl Objects {
    pub(crate) fn new(name: String, store: Arc<dyn ObjectStore>) -> Self {
        Self { name, store }
    }

    /// How messages name the output.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// How messages name an object.
    pub(crate) fn full_name(&self, path: &Path) -> String {
        format!("{}/{path}", self.name)
    }

    /// Turns a failure of the store into an error.
    pub(crate) fn failed<'a>(
        &'a self,
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(object_store::Error) -> Error + 'a {
        move |error| Error::store(action, &self.name, path, error)
    }

    /// Reads an object, if it exists.
    pub(crate) async fn read(&self, path: &Path) -> Result<Option<(Bytes, UpdateVersion)>, Error> {
        match self.store.get(path).await {
            Ok(found) => {
                let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
                Ok(Some((found.bytes().await.map_err(self.failed("read", path))?, version)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", path)(error)),
        }
    }

    /// Reads all markers.
    pub(crate) async fn commits(&self) -> Result<Vec<Commit>, Error> {
        let folder = Path::from(layout::COMMITS);
        let markers: Vec<_> =
            self.store.list(Some(&folder)).try_collect().await.map_err(self.failed("list", &folder))?;
        futures::stream::iter(markers)
            .map(|marker| async move { self.read_marker(&marker.location).await })
            .buffered(CONCURRENT_REQUESTS)
            .try_filter_map(async |found| Ok(found.map(|marker| marker.commit)))
            .try_collect()
            .await
    }

    /// Reads a marker, if it exists.
    pub(crate) async fn read_marker(&self, path: &Path) -> Result<Option<Marker>, Error> {
        let Some((bytes, version)) = self.read(path).await? else { return Ok(None) };
        let commit = parse(&bytes, "version", COMMIT_VERSION, || self.full_name(path))?;
        Ok(Some(Marker { commit, version }))
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
        for path in paths {
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("delete", &path)(error)),
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
