//! The place of a snapshot: a directory on disk or in an object store.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use pubtag_schemas::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Error;

/// Directories of the files of buckets, and of those with changes.
pub(crate) const DOCUMENTS: &str = "documents";
pub(crate) const HISTORY: &str = "history";
pub(crate) const CHANGES: &str = "changes";

/// What may be wrong with a file.
pub(crate) const MISSING: &str = "is missing";
pub(crate) const CHANGED: &str = "has changed since it was written";

/// Digits of a file's SHA-256 in its name.
const DIGITS: usize = 16;

/// The place of a snapshot, and how messages name it.
#[derive(Clone, Debug)]
pub struct Place {
    /// How messages name it.
    pub name: String,
    /// A store that contains nothing else.
    pub store: Arc<dyn ObjectStore>,
}

/// An immutable file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its path below the snapshot's directory.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
}

impl DataFile {
    /// The name of a file with this SHA-256.
    fn name(sha256: &str, attempt: Uuid) -> String {
        format!("{}-{attempt}.parquet", &sha256[..DIGITS])
    }

    /// Whether an attempt may have given a file this name.
    pub(crate) fn is_name(name: &str) -> bool {
        let parsed = || {
            let (digits, attempt) = name.strip_suffix(".parquet")?.split_at_checked(DIGITS)?;
            let attempt = attempt.strip_prefix('-')?.parse().ok()?;
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            (is_hex && Self::name(digits, attempt) == name).then_some(())
        };
        parsed().is_some()
    }
}

impl Place {
    pub(crate) fn full_name(&self, path: &Path) -> String {
        format!("{}/{path}", self.name)
    }

    pub(crate) fn failed<'a>(
        &'a self,
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(object_store::Error) -> Error + 'a {
        move |error| Error::Store { action, path: self.full_name(path), failure: error.into() }
    }

    /// Reads a file, if it exists.
    pub(crate) async fn read(&self, path: &Path) -> Result<Option<Bytes>, Error> {
        Ok(self.read_version(path).await?.map(|(bytes, _)| bytes))
    }

    /// Reads a file and its version, if it exists.
    pub(crate) async fn read_version(&self, path: &Path) -> Result<Option<(Bytes, UpdateVersion)>, Error> {
        match self.store.get(path).await {
            Ok(found) => {
                let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
                Ok(Some((found.bytes().await.map_err(self.failed("read", path))?, version)))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", path)(error)),
        }
    }

    /// Replaces a version of a file, or creates the file; false if another attempt was first. On a local disk, a lock keeps
    /// other attempts away.
    pub(crate) async fn replace(
        &self,
        path: &Path,
        bytes: Bytes,
        version: Option<UpdateVersion>,
    ) -> Result<bool, Error> {
        let mode = version.map_or(PutMode::Create, PutMode::Update);
        match self.store.put_opts(path, bytes.clone().into(), mode.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(object_store::Error::NotImplemented { .. }) => self.write(path, bytes).await.map(|()| true),
            Err(error) => Err(self.failed("write", path)(error)),
        }
    }

    /// Creates a file; false if it exists.
    pub(crate) async fn create(&self, path: &Path, bytes: Bytes) -> Result<bool, Error> {
        match self.store.put_opts(path, bytes.into(), PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.failed("create", path)(error)),
        }
    }

    /// Writes or replaces a file.
    pub(crate) async fn write(&self, path: &Path, bytes: Bytes) -> Result<(), Error> {
        self.store.put(path, bytes.into()).await.map(drop).map_err(self.failed("write", path))
    }

    pub(crate) async fn list(&self, directory: &Path) -> Result<Vec<ObjectMeta>, Error> {
        self.store.list(Some(directory)).try_collect().await.map_err(self.failed("list", directory))
    }

    /// Deletes a file, unless it is already gone.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), Error> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", path)(error)),
        }
    }

    /// Writes an immutable file. Its name contains the attempt, so nobody else ever writes or expects a file of this name:
    /// that makes it safe to remove whatever no manifest names.
    pub(crate) async fn write_data(
        &self,
        directory: &str,
        attempt: Uuid,
        rows: u64,
        bytes: Bytes,
    ) -> Result<DataFile, Error> {
        let sha256 = hex(Sha256::digest(&bytes));
        let path = Path::from(format!("{directory}/{}", DataFile::name(&sha256, attempt)));
        let length = bytes.len() as u64;
        self.write(&path, bytes).await?;
        Ok(DataFile { path: path.to_string(), rows, bytes: length, sha256 })
    }

    /// Reads an immutable file, which must be as it was written.
    pub(crate) async fn read_data(&self, file: &DataFile) -> Result<Bytes, Error> {
        let path = Path::from(file.path.as_str());
        let bytes = self.read(&path).await?.ok_or_else(|| self.damaged(file, MISSING))?;
        match hex(Sha256::digest(&bytes)) == file.sha256 {
            true => Ok(bytes),
            false => Err(self.damaged(file, CHANGED)),
        }
    }

    pub(crate) fn damaged(&self, file: &DataFile, why: &str) -> Error {
        let path = self.full_name(&Path::from(file.path.as_str()));
        Error::Damaged { path, snapshot: self.name.clone(), why: why.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_an_attempt_gives_are_names_of_data_files() {
        let name = DataFile::name("0123456789abcdef0000", Uuid::now_v7());
        assert!(DataFile::is_name(&name), "{name}");
        for other in
            ["thesis.odt", "0123456789abcdef.parquet", &name[1..], &name.replace('-', ""), &name.to_uppercase()]
        {
            assert!(!DataFile::is_name(other), "{other}");
        }
    }
}
