//! A place that has been opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;

use crate::StoreError;
use crate::address::Bucket;

/// A directory or a prefix in a bucket. Paths of its objects are relative to it.
#[derive(Clone, Debug)]
pub struct Store {
    name: String,
    objects: Arc<dyn ObjectStore>,
    /// The directory, if it is local.
    folder: Option<PathBuf>,
}

impl Store {
    /// A store of any kind that is not a local directory; `name` is used in messages.
    pub fn new(name: impl Into<String>, objects: Arc<dyn ObjectStore>) -> Self {
        Self { name: name.into(), objects, folder: None }
    }

    /// A local directory, which must exist. What is written survives a power cut.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn directory(folder: &Path) -> Result<Self, StoreError> {
        let name = folder.display().to_string();
        let objects = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| StoreError::Folder { path: name.clone(), source: error.into() })?;
        let objects = Arc::new(objects.with_fsync(true));
        Ok(Self { name, objects, folder: Some(folder.to_owned()) })
    }

    #[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "only clouds have buckets"))]
    pub(crate) fn bucket(bucket: Bucket, objects: Arc<dyn ObjectStore>) -> Self {
        let name = bucket.to_string();
        match bucket.key {
            key if key.as_ref().is_empty() => Self::new(name, objects),
            key => Self::new(name, Arc::new(PrefixStore::new(objects, key))),
        }
    }

    /// The same place with another access to its objects: for tests that inject faults or count calls.
    #[must_use]
    pub fn through(self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self { objects: wrap(self.objects), ..self }
    }

    /// How messages name it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its objects.
    pub fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// The directory, if it is on a local disk.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// How messages name an object.
    pub fn full_name(&self, path: &Key) -> String {
        format!("{}/{path}", self.name)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
