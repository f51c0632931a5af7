//! The bytes of one part on their way to the store.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, Result};

/// Pieces of a multipart upload; stores want at least 5 MiB, and all of one size.
const PIECE_BYTES: usize = 8 * 1024 * 1024;

/// Writes one object piece by piece; it appears whole or not at all.
///
/// `object_store::buffered::BufWriter` does the same, but when the last step fails it aborts the upload and reports the
/// abort's own failure in place of the cause: a full disk would look like a defect.
///
/// # Memory
/// One piece.
#[derive(Debug)]
pub(crate) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    buffer: BytesMut,
    /// Begun once there is a whole piece; a smaller object is put at once.
    multipart: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Self {
        Self { store, path, buffer: BytesMut::new(), multipart: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends bytes.
    pub(crate) async fn put(&mut self, bytes: Bytes) -> Result<()> {
        self.buffer.extend_from_slice(&bytes);
        while self.buffer.len() >= PIECE_BYTES {
            let piece = self.buffer.split_to(PIECE_BYTES).freeze();
            if self.multipart.is_none() {
                self.multipart = Some(self.store.put_multipart(&self.path).await?);
            }
            if let Some(multipart) = &mut self.multipart {
                multipart.put_part(piece.into()).await?;
            }
        }
        Ok(())
    }

    /// Makes the object appear; on return it outlives a power cut.
    pub(crate) async fn complete(mut self) -> Result<()> {
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

    /// Gives up; nothing appears.
    pub(crate) async fn abort(mut self) -> Result<()> {
        match &mut self.multipart {
            None => Ok(()),
            Some(multipart) => multipart.abort().await,
        }
    }
}
