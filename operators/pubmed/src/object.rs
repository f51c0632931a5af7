//! The bytes of an object in a store, read in ranges ahead of the reader.
//!
//! A connection that is held open while the model computes would be closed by the store, so each request fetches a whole
//! range. Every request names the ETag that was discovered: an object that changes meanwhile is never read further.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path as Key;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use pubtag_schemas::InputUnit;
use pubtag_store::{Address, Buckets, StoreFailure};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Bytes per request.
const RANGE: u64 = 8 * 1024 * 1024;
/// How often a range is requested, in addition to the retries of the connection.
const ATTEMPTS: u32 = 4;
/// Time before the second attempt; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(200);
/// Checksum files are shorter than this.
const MOST_SIDECAR_BYTES: u64 = 1 << 20;

/// An object that is being read from its start to its end, outside of the runtime.
///
/// # Memory
/// Two ranges of 8 MiB: the one being read, and the next.
pub(crate) struct Object {
    source: Source,
    runtime: Handle,
    position: u64,
    current: Bytes,
    next: Option<JoinHandle<Result<Bytes, Error>>>,
    changed: Option<String>,
}

#[derive(Clone)]
struct Source {
    store: Arc<dyn ObjectStore>,
    key: Key,
    size: u64,
    e_tag: Option<String>,
}

impl Object {
    /// Opens the object of a unit; nothing is requested yet. Must be called on a thread of a runtime for blocking work.
    pub(crate) fn open(unit: &InputUnit, url: &str, buckets: &Buckets) -> io::Result<Self> {
        let Ok(Address::Bucket(bucket)) = url.parse() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the URL of an object"));
        };
        let store = buckets.open(&bucket).map_err(invalid)?;
        let source = Source { store, key: bucket.key, size: unit.size.unwrap_or_default(), e_tag: unit.e_tag.clone() };
        let runtime = Handle::current();
        Ok(Self { source, runtime, position: 0, current: Bytes::new(), next: None, changed: None })
    }

    /// How the object changed while it was read.
    pub(crate) fn changed(&self) -> Option<String> {
        self.changed.clone()
    }

    /// The content of `NAME.md5` beside it, if there is one.
    pub(crate) fn sidecar(&self) -> io::Result<Option<Bytes>> {
        let key = Key::parse(format!("{}.md5", self.source.key)).map_err(invalid)?;
        let options = GetOptions { range: Some(GetRange::Bounded(0..MOST_SIDECAR_BYTES)), ..GetOptions::default() };
        let store = self.source.store.clone();
        let read = async move { store.get_opts(&key, options).await?.bytes().await };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Requests the range at a position.
    fn request(&self, position: u64) -> Option<JoinHandle<Result<Bytes, Error>>> {
        let end = self.source.size.min(position + RANGE);
        (position < end).then(|| self.runtime.spawn(fetch(self.source.clone(), position, end)))
    }

    fn fill(&mut self) -> io::Result<()> {
        let Some(task) = self.next.take().or_else(|| self.request(self.position)) else { return Ok(()) };
        let fetched = self.runtime.block_on(task).unwrap_or_else(|error| Err(error.into()));
        match fetched {
            Ok(bytes) => {
                self.position += bytes.len() as u64;
                self.next = self.request(self.position);
                self.current = bytes;
                Ok(())
            }
            Err(Error::Precondition { .. } | Error::NotModified { .. }) => self.ends("replaced by another object"),
            Err(Error::NotFound { .. }) if self.position > 0 => self.ends("deleted"),
            Err(error) => Err(failed(error)),
        }
    }

    /// Ends the input here, so that it is quarantined.
    fn ends(&mut self, how: &str) -> io::Result<()> {
        self.changed = Some(how.to_owned());
        self.source.size = self.position;
        Ok(())
    }
}

impl Read for Object {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            self.fill()?;
        }
        let count = buffer.len().min(self.current.len());
        buffer[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if let Some(next) = &self.next {
            next.abort();
        }
    }
}

/// Fetches a range, again after a failure: an answer may break off at any byte.
async fn fetch(source: Source, start: u64, end: u64) -> Result<Bytes, Error> {
    let mut pause = PAUSE;
    for _ in 1..ATTEMPTS {
        match fetch_once(&source, start, end).await {
            Err(Error::Generic { .. }) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            fetched => return fetched,
        }
    }
    fetch_once(&source, start, end).await
}

async fn fetch_once(source: &Source, start: u64, end: u64) -> Result<Bytes, Error> {
    let Source { store, key, e_tag, .. } = source;
    let options =
        GetOptions { range: Some(GetRange::Bounded(start..end)), if_match: e_tag.clone(), ..GetOptions::default() };
    let bytes = store.get_opts(key, options).await?.bytes().await?;
    if bytes.len() as u64 == end - start {
        return Ok(bytes);
    }
    let short = format!("{} bytes instead of {}", bytes.len(), end - start);
    Err(Error::Generic { store: "range", source: short.into() })
}

/// The start of an object.
///
/// # Errors
/// The store's error.
pub(crate) fn head(store: &Arc<dyn ObjectStore>, key: &Key, size: u64, count: u64) -> Result<Vec<u8>, Error> {
    match size.min(count) {
        // An empty range is an error.
        0 => Ok(Vec::new()),
        count => Handle::current().block_on(store.get_range(key, 0..count)).map(|bytes| bytes.to_vec()),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// A store's error as an I/O error whose kind says what can be done about it.
pub(crate) fn failed(error: Error) -> io::Error {
    let is_missing = matches!(error, Error::NotFound { .. });
    let failure = StoreFailure::from(error);
    let kind = match failure.is_transient() {
        false => io::ErrorKind::PermissionDenied,
        true if is_missing => io::ErrorKind::NotFound,
        true => io::ErrorKind::Other,
    };
    io::Error::new(kind, failure)
}
