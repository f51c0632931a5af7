//! The bytes of an input on disk: counted, hashed, and checked for changes.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use ::md5::Md5;
use pubtag_schemas::{InputUnit, Location, hex};
use pubtag_store::Buckets;
use pubtag_stream::CancellationToken;
use sha2::{Digest, Sha256};

use crate::PubmedError;
use crate::md5::{Sidecar, sidecar};
use crate::object::Object;

/// Bytes read from disk at once.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// An open input. Clones share the position and the hashes: one is read, the other gives the checksums.
#[derive(Clone)]
pub(crate) struct Disk {
    input: Arc<Mutex<Input>>,
}

struct Input {
    handle: Handle,
    sha256: Sha256,
    md5: Option<Md5>,
    sidecar: Sidecar,
    bytes: u64,
}

enum Handle {
    /// A file; every read seeks to the end of the last one, because others may move its position.
    File(File),
    /// A stream that can be read only once.
    Stream(Box<dyn Read + Send>),
    /// An object in a store.
    Object(Object),
}

/// The result of reading an input to its end.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Number of bytes read.
    pub(crate) bytes: u64,
    /// Their SHA-256 in lower-case hex.
    pub(crate) sha256: String,
    /// How the input changed while it was read.
    pub(crate) changed: Option<String>,
    /// How the input differs from the checksum file beside it.
    pub(crate) mismatch: Option<String>,
}

impl Disk {
    /// Opens the input of a unit. Opening a pipe waits for its writer.
    pub(crate) fn open(unit: &InputUnit, buckets: &Buckets) -> Result<Self, PubmedError> {
        let disk = Self::without_sidecar(unit, buckets)?;
        let sidecar = disk.with(|input| match &input.handle {
            Handle::Stream(_) => Ok(Sidecar::None),
            Handle::File(_) => Ok(sidecar(Path::new(unit.uri()))),
            Handle::Object(object) => {
                let content = object.sidecar().map_err(PubmedError::io(unit.uri(), "read the .md5 of"))?;
                Ok(content.map_or(Sidecar::None, |content| Sidecar::of(&content, unit.file_name())))
            }
        })?;
        disk.with(|input| {
            input.md5 = matches!(sidecar, Sidecar::Md5(_)).then(Md5::new);
            input.sidecar = sidecar;
        });
        Ok(disk)
    }

    fn without_sidecar(unit: &InputUnit, buckets: &Buckets) -> Result<Self, PubmedError> {
        let open = |path| File::open(path).map_err(PubmedError::io(path, "open"));
        let handle = match &unit.location {
            Location::Object(url) => {
                Handle::Object(Object::open(unit, url, buckets).map_err(PubmedError::io(url, "open"))?)
            }
            Location::Stdin => Handle::Stream(Box::new(io::stdin())),
            Location::File(path) if unit.read_once => Handle::Stream(Box::new(open(path)?)),
            Location::File(path) => Handle::File(open(path)?),
        };
        let input = Input { handle, sha256: Sha256::new(), md5: None, sidecar: Sidecar::None, bytes: 0 };
        Ok(Self { input: Arc::new(Mutex::new(input)) })
    }

    /// The open file, for random access; `None` for a stream.
    pub(crate) fn file(&self) -> io::Result<Option<File>> {
        self.with(|input| match &input.handle {
            Handle::File(file) => file.try_clone().map(Some),
            Handle::Stream(_) | Handle::Object(_) => Ok(None),
        })
    }

    /// Whether it is an object in a store.
    pub(crate) fn is_object(&self) -> bool {
        self.with(|input| matches!(input.handle, Handle::Object(_)))
    }

    /// Reads the rest of a file, so that the checksums cover all of it, and compares it with the unit.
    ///
    /// The rest of a stream is not read: it may be endless.
    pub(crate) fn finish(self, unit: &InputUnit) -> Result<Checked, PubmedError> {
        self.finish_unless(&CancellationToken::new(), unit)
    }

    /// The same, unless cancelled; the token is checked between blocks.
    fn finish_unless(mut self, stop: &CancellationToken, unit: &InputUnit) -> Result<Checked, PubmedError> {
        if self.with(|input| !matches!(input.handle, Handle::Stream(_))) {
            let mut buffer = vec![0; READ_BYTES];
            while self.read(&mut buffer).map_err(PubmedError::io(unit.uri(), "read"))? > 0 {
                if stop.is_cancelled() {
                    return Err(PubmedError::io(unit.uri(), "read")(io::ErrorKind::Interrupted.into()));
                }
            }
        }
        self.with(|input| input.check(unit))
    }

    /// Number of bytes read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.with(|input| input.bytes)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Input) -> T) -> T {
        // The counters are right even if a reader panicked: they change only after a successful read.
        f(&mut self.input.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Read for Disk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|input| input.read(buffer))
    }
}

impl Input {
    /// Reads until the buffer is full or the input ends, so that the number of bytes read from a pipe, and the hash of a
    /// limited read, do not depend on the pace of its writer.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Handle::File(file) = &mut self.handle {
            file.seek(SeekFrom::Start(self.bytes))?;
        }
        let mut count = 0;
        while count < buffer.len() {
            let result = match &mut self.handle {
                Handle::File(file) => file.read(&mut buffer[count..]),
                Handle::Stream(stream) => stream.read(&mut buffer[count..]),
                Handle::Object(object) => object.read(&mut buffer[count..]),
            };
            match result {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let read = &buffer[..count];
        self.sha256.update(read);
        if let Some(md5) = &mut self.md5 {
            md5.update(read);
        }
        self.bytes += count as u64;
        Ok(count)
    }

    fn check(&mut self, unit: &InputUnit) -> Result<Checked, PubmedError> {
        let sha256 = hex(self.sha256.finalize_reset());
        let changed = match &self.handle {
            Handle::File(file) => {
                let metadata = file.metadata().map_err(PubmedError::io(unit.uri(), "get metadata of"))?;
                // A file that is deleted by now has been read all the same.
                let replaced = fs::metadata(unit.uri()).is_ok_and(|named| !is_same_file(&named, &metadata));
                let replaced = replaced.then(|| "replaced by another file".to_owned());
                difference(unit, &metadata, self.bytes, &sha256).or(replaced)
            }
            Handle::Stream(_) => None,
            Handle::Object(object) => object.changed(),
        };
        let found = self.md5.take().map(|md5| hex(md5.finalize()));
        let mismatch = match (&self.sidecar, found) {
            (Sidecar::None, _) => None,
            (Sidecar::Unreadable(why), _) => Some(why.clone()),
            (Sidecar::Md5(expected), Some(found)) if *expected == found => None,
            (Sidecar::Md5(expected), found) => {
                Some(format!("MD5 is {}, but the .md5 file says {expected}", found.unwrap_or_default()))
            }
        };
        Ok(Checked { bytes: self.bytes, sha256, changed, mismatch })
    }
}

#[cfg(unix)]
fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Metadata does not identify files here: size, time and SHA-256 decide.
#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// How a file that has been read differs from its unit.
fn difference(unit: &InputUnit, metadata: &Metadata, bytes: u64, sha256: &str) -> Option<String> {
    let differs = |what: &str, before: String, now: String| Some(format!("{what} was {before} and is now {now}"));
    match unit {
        InputUnit { size: Some(size), .. } if *size != bytes => differs("size", size.to_string(), bytes.to_string()),
        InputUnit { size: Some(size), .. } if *size != metadata.len() => {
            differs("size", size.to_string(), metadata.len().to_string())
        }
        InputUnit { modified_us: Some(before), .. } if modified_us(metadata).is_some_and(|now| now != *before) => {
            differs("modification time", format!("{before} µs"), format!("{:?} µs", modified_us(metadata)))
        }
        InputUnit { sha256: Some(before), .. } if before != sha256 => {
            differs("SHA-256", before.clone(), sha256.to_owned())
        }
        _ => None,
    }
}

/// Modification time in microseconds since 1970 UTC, if the file system has it.
pub(crate) fn modified_us(metadata: &Metadata) -> Option<i64> {
    let time = metadata.modified().ok()?;
    let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).ok();
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => micros(before.duration()).map(|us| -us),
    }
}

/// The unit with its SHA-256, for which the whole file is read. Streams are returned unchanged.
///
/// *Cancellation*: between blocks of the file.
///
/// # Errors
/// [`PubmedError::Io`] if the file cannot be read or hashing is cancelled.
pub fn hashed(unit: &InputUnit, buckets: &Buckets, stop: &CancellationToken) -> Result<InputUnit, PubmedError> {
    if unit.read_once {
        return Ok(unit.clone());
    }
    let checked = Disk::without_sidecar(unit, buckets)?.finish_unless(stop, unit)?;
    Ok(InputUnit { sha256: Some(checked.sha256), ..unit.clone() })
}
