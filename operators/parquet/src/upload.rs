//! The upload of one part.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, Result as StoreResult};
use pubtag_schemas::Part;
use pubtag_stream::{Fault, Meter, spawn_blocking};
use sha2::{Digest, Sha256};

use crate::objects::Objects;
use crate::{Error, digest};

/// Size of the pieces of a multipart upload; object stores require at least 5 MiB, and equal sizes.
pub(crate) const PIECE_BYTES: NonZeroUsize = NonZeroUsize::new(8 * 1024 * 1024).expect("8 MiB is not 0");

/// Writes one object piece by piece; it appears whole or not at all.
///
/// `object_store::buffered::BufWriter` does the same, but if the last step fails it aborts the upload and reports the
/// failure of the abort instead of the cause: a full disk would look like a bug.
///
/// # Memory
/// One piece.
#[derive(Debug)]
pub(crate) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    buffer: BytesMut,
    piece_bytes: usize,
    /// Begun with the first full piece; a smaller object is put in one request.
    multipart: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path, piece_bytes: NonZeroUsize) -> Self {
        Self { store, path, buffer: BytesMut::new(), piece_bytes: piece_bytes.get(), multipart: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes.
    pub(crate) async fn put(&mut self, bytes: Bytes) -> StoreResult<()> {
        self.buffer.extend_from_slice(&bytes);
        while self.buffer.len() >= self.piece_bytes {
            let piece = self.buffer.split_to(self.piece_bytes).freeze();
            if self.multipart.is_none() {
                self.multipart = Some(self.store.put_multipart(&self.path).await?);
            }
            if let Some(multipart) = &mut self.multipart {
                multipart.put_part(piece.into()).await?;
            }
        }
        Ok(())
    }

    /// Makes the object appear; on return it survives a power cut.
    pub(crate) async fn complete(mut self) -> StoreResult<()> {
        let rest = self.buffer.freeze();
        match &mut self.multipart {
            None => self.store.put(&self.path, rest.into()).await.map(drop),
            Some(multipart) => {
                if !rest.is_empty() {
                    multipart.put_part(rest.into()).await?;
                }
                multipart.complete().await.map(drop)
            }
        }
    }

    /// Gives up; no object appears.
    pub(crate) async fn abort(mut self) -> StoreResult<()> {
        match &mut self.multipart {
            None => Ok(()),
            Some(multipart) => multipart.abort().await,
        }
    }
}

/// Reads a part back and compares length and SHA-256 with what was sent.
///
/// # Memory
/// One piece.
pub(crate) async fn check(objects: &Objects, part: &Part, meter: &Meter) -> Result<(), Fault> {
    let path = Path::from(part.path.as_str());
    let found = objects.store().head(&path).await.map_err(objects.failed("inspect", &path))?;
    let altered = |found: String| Error::Altered {
        path: objects.full_name(&path),
        expected: format!("{} bytes with SHA-256 {}", part.bytes, part.sha256),
        found,
    };
    if found.size != part.bytes {
        return Err(altered(format!("{} bytes", found.size)).into());
    }
    let (mut hasher, mut start) = (Sha256::new(), 0);
    while start < part.bytes {
        let end = part.bytes.min(start + PIECE_BYTES.get() as u64);
        let piece = objects.store().get_range(&path, start..end).await.map_err(objects.failed("read back", &path))?;
        hasher = spawn_blocking(meter, move || hasher.chain_update(&piece)).await?;
        start = end;
    }
    match digest::finish(hasher) {
        sha256 if sha256 == part.sha256 => Ok(()),
        sha256 => Err(altered(format!("bytes with SHA-256 {sha256}")).into()),
    }
}
