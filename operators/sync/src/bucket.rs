//! A mirror in an object store: a file is downloaded to a local directory, verified there, and put in one request.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use md5::{Digest, Md5};
use object_store::path::Path as Key;
use object_store::{Error, ObjectStoreExt};
use pubtag_schemas::hex;
use pubtag_store::{Address, Store};
use tokio::runtime::{Builder, Runtime};

use crate::disk;
use crate::error::SyncError;
use crate::lock::Lock;
use crate::place::{Entry, HeldFile, Place, files_among, md5_of_bytes};
use crate::{Folder, PubmedFile, SyncConfig};

/// A mirror in an object store.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: Store,
    runtime: Runtime,
    /// Where files are downloaded to.
    scratch: PathBuf,
}

impl Bucket {
    /// A prefix in an object store. Downloads are in a directory of their own below the scratch directory, so that the next
    /// sync into the same prefix resumes them.
    pub(crate) fn open(address: &Address, config: &SyncConfig) -> Result<Self, SyncError> {
        let store = address.open(&config.store_options)?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|source| SyncError::Runtime { source })?;
        let name = format!("pubtag-sync-{}", &hex(Md5::digest(store.name()))[..16]);
        Ok(Self { store, runtime, scratch: config.scratch.join(name) })
    }

    fn failed(&self, action: &'static str, path: &str, error: Error) -> SyncError {
        SyncError::Store { action, object: self.full_name(path), failure: error.into() }
    }

    fn put(&self, path: &str, content: Bytes) -> Result<(), SyncError> {
        let put = self.runtime.block_on(self.store.objects().put(&Key::from(path), content.into()));
        put.map(drop).map_err(|error| self.failed("write", path, error))
    }
}

impl Place for Bucket {
    fn full_name(&self, path: &str) -> String {
        self.store.full_name(&Key::from(path))
    }

    fn hold(&self) -> Result<Lock, SyncError> {
        disk::make_private_folder(&self.scratch)?;
        disk::hold(&self.scratch)
    }

    fn list(&self, folder: Folder) -> Result<BTreeMap<PubmedFile, HeldFile>, SyncError> {
        let folder = folder.name();
        let listed = self.runtime.block_on(self.store.objects().list_with_delimiter(Some(&Key::from(folder))));
        let objects = listed.map_err(|error| self.failed("list", folder, error))?.objects;
        Ok(files_among(objects.into_iter().map(|object| Entry {
            name: object.location.filename().unwrap_or_default().to_owned(),
            bytes: object.size,
            written: Some(object.last_modified.timestamp_micros()),
        })))
    }

    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>, SyncError> {
        match self.runtime.block_on(self.store.objects().get(&Key::from(path))) {
            Ok(found) => {
                let (runtime, stream) = (&self.runtime, found.into_stream());
                Ok(Some(Box::new(Object { runtime, stream, chunk: Bytes::new() })))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", path, error)),
        }
    }

    fn write(&self, path: &str, content: &[u8]) -> Result<(), SyncError> {
        self.put(path, Bytes::copy_from_slice(content))
    }

    fn take(&self, download: &Path, path: &str, md5: &str) -> Result<(), SyncError> {
        let content = fs::read(download).map_err(|error| SyncError::disk("read", download, error))?;
        // The scratch directory may be one that others can write to.
        if md5_of_bytes(&*content).is_ok_and(|found| found != md5) {
            let source = io::Error::other("the file has changed since it was verified");
            return Err(SyncError::disk("read", download, source));
        }
        self.put(path, content.into())?;
        disk::remove(download)
    }

    fn remove(&self, path: &str) -> Result<(), SyncError> {
        match self.runtime.block_on(self.store.objects().delete(&Key::from(path))) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("remove", path, error)),
        }
    }

    fn downloads(&self) -> &Path {
        &self.scratch
    }

    fn keeps_downloads(&self) -> bool {
        false
    }
}

/// An object that is being read.
struct Object<'a> {
    runtime: &'a Runtime,
    stream: BoxStream<'static, Result<Bytes, Error>>,
    chunk: Bytes,
}

impl Read for Object<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}
