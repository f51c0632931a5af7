//! The segments of one spec in a store.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

use crate::encode::encode;
use crate::entry::Entry;
use crate::error::CacheError;
use crate::name::SegmentName;
use crate::spec::{CacheSpec, SpecId};

/// The file that says what a spec consists of.
pub(crate) const SPEC_FILE: &str = "spec.json";

/// The entries of one [`CacheSpec`]; clones share them.
#[derive(Clone, Debug)]
pub struct Cache {
    /// How messages name the store.
    pub(crate) name: Arc<str>,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The spec's directory.
    pub(crate) folder: Path,
    pub(crate) spec: Arc<CacheSpec>,
    pub(crate) id: SpecId,
}

/// A segment in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: SegmentName,
    pub(crate) bytes: u64,
}

impl Cache {
    /// The entries of a spec in a store, below a prefix. Nothing is read or written yet; `name` is used in messages.
    pub fn new(name: &str, store: Arc<dyn ObjectStore>, prefix: &Path, spec: CacheSpec) -> Self {
        let id = spec.id();
        let folder = prefix.clone().join(id.to_string());
        Self { name: name.into(), store, folder, spec: spec.into(), id }
    }

    /// The spec's directory in the store.
    pub fn directory(&self) -> &str {
        self.folder.as_ref()
    }

    /// The path of a segment.
    pub(crate) fn path(&self, name: &SegmentName) -> Path {
        self.folder.clone().join(name.to_string())
    }

    /// The segments, sorted by name. Other files are ignored.
    pub(crate) async fn list(&self) -> Result<Vec<Listed>, CacheError> {
        let listed = self.store.list(Some(&self.folder)).try_filter_map(async |object| {
            let name = object.location.filename().and_then(|name| name.parse().ok());
            Ok(name.map(|name| Listed { name, bytes: object.size }))
        });
        let listed: Result<Vec<_>, _> = listed.try_collect().await;
        let mut segments = listed.map_err(|error| CacheError::store("list", &self.name, &self.folder, error))?;
        segments.sort_by_key(|segment| segment.name);
        Ok(segments)
    }

    /// Writes entries, sorted by key and without duplicates, as a new segment.
    pub(crate) async fn put(&self, bytes: Vec<u8>, first: u64, last: u64) -> Result<SegmentName, CacheError> {
        let name = SegmentName::new(first, last);
        let path = self.path(&name);
        let put = self.store.put(&path, bytes.into()).await;
        put.map_err(|error| CacheError::store("write", &self.name, &path, error))?;
        Ok(name)
    }

    /// Writes `spec.json`, if it does not exist.
    pub(crate) async fn describe(&self) -> Result<(), CacheError> {
        let path = self.folder.clone().join(SPEC_FILE);
        let json = serde_json::to_vec_pretty(&*self.spec)
            .map_err(|error| CacheError::Encode { problem: error.to_string() })?;
        match self.store.put_opts(&path, json.into(), PutMode::Create.into()).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(CacheError::store("write", &self.name, &path, error)),
        }
    }

    pub(crate) async fn range(&self, path: &Path, range: std::ops::Range<u64>) -> Result<Bytes, CacheError> {
        let read = self.store.get_range(path, range).await;
        read.map_err(|error| CacheError::store("read", &self.name, path, error))
    }

    pub(crate) async fn delete(&self, path: &Path) -> Result<(), CacheError> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(CacheError::store("delete", &self.name, path, error)),
        }
    }
}

/// Sorts entries, removes duplicates and encodes them; also returns the first and last locus. `None` without entries.
pub(crate) fn encode_all(mut entries: Vec<Entry>, spec: &SpecId) -> Result<Option<(Vec<u8>, u64, u64)>, CacheError> {
    entries.sort_by_key(|entry| entry.key);
    entries.dedup_by_key(|entry| entry.key);
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(None) };
    Ok(Some((encode(&entries, spec)?, first.key.locus, last.key.locus)))
}
