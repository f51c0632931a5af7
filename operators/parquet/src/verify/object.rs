//! An object of a store, read in ranges.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::digest;

/// Bytes per request.
const PIECE_BYTES: u64 = 4 * 1024 * 1024;

/// An object, readable from a thread outside of the runtime.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a> {
    pub(super) store: &'a dyn ObjectStore,
    pub(super) runtime: &'a Handle,
    pub(super) path: &'a Path,
    /// Its length in bytes.
    pub(super) len: u64,
}

impl Object<'_> {
    /// Reads a range.
    ///
    /// # Errors
    /// The store's error.
    pub(super) fn read(&self, range: Range<u64>) -> std::result::Result<Bytes, object_store::Error> {
        self.runtime.block_on(self.store.get_range(self.path, range))
    }

    /// Its SHA-256, lower-case hex.
    ///
    /// # Errors
    /// The store's error.
    pub(super) fn sha256(&self) -> std::result::Result<String, object_store::Error> {
        let mut hasher = Sha256::new();
        let mut at = 0;
        while at < self.len {
            let end = self.len.min(at + PIECE_BYTES);
            hasher.update(self.read(at..end)?);
            at = end;
        }
        Ok(digest::finish(hasher))
    }
}

/// A range of a file in memory, addressed by file offsets: the input for reading one row group.
#[derive(Clone, Debug)]
pub(super) struct Extract {
    pub(super) start: u64,
    pub(super) bytes: Bytes,
}

impl Extract {
    fn from(&self, start: u64) -> Result<Bytes> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|&at| at <= self.bytes.len());
        at.map(|at| self.bytes.slice(at..)).ok_or_else(|| outside(start))
    }
}

fn outside(start: u64) -> ParquetError {
    ParquetError::General(format!("a page at byte {start} is outside of its row group"))
}

impl Length for Extract {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Extract {
    type T = io::Cursor<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        self.from(start).map(io::Cursor::new)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.from(start)?;
        if length <= bytes.len() { Ok(bytes.slice(..length)) } else { Err(outside(start)) }
    }
}
