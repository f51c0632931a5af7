//! The bytes of an input as they lie on disk: counted, hashed, and checked to stay the same.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use ::md5::Md5;
use pubtag_schemas::{InputUnit, Location, hex};
use pubtag_stream::CancellationToken;
use sha2::{Digest, Sha256};

use crate::PubmedError;
use crate::md5::{Sidecar, sidecar};

/// How much is read from disk at once.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// An open input. Clones share the position and the hashes: one end is read, the other asked for the checksums.
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
    /// A file, which is read where the last read has ended, wherever others have moved its position.
    File(File),
    /// What can be read only once.
    Stream(Box<dyn Read + Send>),
}

/// What reading an input to its end has shown.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Bytes read.
    pub(crate) bytes: u64,
    /// SHA-256 of them, lower-case hex.
    pub(crate) sha256: String,
    /// How the input differs from the unit: it changed while it was read.
    pub(crate) changed: Option<String>,
    /// How the input differs from the checksum beside it.
    pub(crate) mismatch: Option<String>,
}

impl Disk {
    /// Opens a unit's input. Opening a pipe waits for its writer.
    pub(crate) fn open(unit: &InputUnit) -> Result<Self, PubmedError> {
        let sidecar = if unit.read_once { Sidecar::None } else { sidecar(Path::new(unit.uri())) };
        Self::with_sidecar(unit, sidecar)
    }

    fn with_sidecar(unit: &InputUnit, sidecar: Sidecar) -> Result<Self, PubmedError> {
        let open = |path| File::open(path).map_err(PubmedError::io(path, "open it"));
        let handle = match &unit.location {
            Location::Stdin => Handle::Stream(Box::new(io::stdin())),
            Location::File(path) if unit.read_once => Handle::Stream(Box::new(open(path)?)),
            Location::File(path) => Handle::File(open(path)?),
        };
        let md5 = matches!(sidecar, Sidecar::Md5(_)).then(Md5::new);
        let input = Input { handle, sha256: Sha256::new(), md5, sidecar, bytes: 0 };
        Ok(Self { input: Arc::new(Mutex::new(input)) })
    }

    /// The file that is open, to be read anywhere; `None` if it can be read only once.
    pub(crate) fn file(&self) -> io::Result<Option<File>> {
        self.with(|input| match &input.handle {
            Handle::File(file) => file.try_clone().map(Some),
            Handle::Stream(_) => Ok(None),
        })
    }

    /// Reads what is left of a file, so that the checksums are those of the whole, and compares it with the unit.
    ///
    /// What can be read only once is left where it is: what is left of it may have no end.
    pub(crate) fn finish(self, unit: &InputUnit) -> Result<Checked, PubmedError> {
        self.finish_unless(&CancellationToken::new(), unit)
    }

    /// The same, unless it is cancelled: the token is looked at between two blocks.
    fn finish_unless(mut self, stop: &CancellationToken, unit: &InputUnit) -> Result<Checked, PubmedError> {
        if self.with(|input| matches!(input.handle, Handle::File(_))) {
            let mut buffer = vec![0; READ_BYTES];
            while self.read(&mut buffer).map_err(PubmedError::io(unit.uri(), "read it"))? > 0 {
                if stop.is_cancelled() {
                    return Err(PubmedError::io(unit.uri(), "read it")(io::ErrorKind::Interrupted.into()));
                }
            }
        }
        self.with(|input| input.check(unit))
    }

    /// Bytes read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.with(|input| input.bytes)
    }

    fn with<T>(&self, f: impl FnOnce(&mut Input) -> T) -> T {
        // The counters stay right even if a reader panicked: they change only after a read has succeeded.
        f(&mut self.input.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Read for Disk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.with(|input| input.read(buffer))
    }
}

impl Input {
    /// Reads until the buffer is full or the input ends, so that how much of a pipe has been read, and with it the hash of
    /// a limited one, does not depend on its writer's pace.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Handle::File(file) = &mut self.handle {
            file.seek(SeekFrom::Start(self.bytes))?;
        }
        let mut count = 0;
        while count < buffer.len() {
            let result = match &mut self.handle {
                Handle::File(file) => file.read(&mut buffer[count..]),
                Handle::Stream(stream) => stream.read(&mut buffer[count..]),
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
                let metadata = file.metadata().map_err(PubmedError::io(unit.uri(), "look at it"))?;
                // A file that is gone has been read all the same.
                let replaced = fs::metadata(unit.uri()).is_ok_and(|named| !is_same_file(&named, &metadata));
                let replaced = replaced.then(|| "another file has taken its place".to_owned());
                difference(unit, &metadata, self.bytes, &sha256).or(replaced)
            }
            Handle::Stream(_) => None,
        };
        let found = self.md5.take().map(|md5| hex(md5.finalize()));
        let mismatch = match (&self.sidecar, found) {
            (Sidecar::None, _) => None,
            (Sidecar::Unreadable(why), _) => Some(why.clone()),
            (Sidecar::Md5(told), Some(found)) if *told == found => None,
            (Sidecar::Md5(told), found) => {
                Some(format!("its MD5 is {}, the .md5 file beside it says {told}", found.unwrap_or_default()))
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

/// Not to be told from metadata here: size, time and SHA-256 decide.
#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// How a file that has been read differs from what its unit says.
fn difference(unit: &InputUnit, metadata: &Metadata, bytes: u64, sha256: &str) -> Option<String> {
    let told = |what: &str, before: String, now: String| Some(format!("its {what} was {before} and is {now}"));
    match unit {
        InputUnit { size: Some(size), .. } if *size != bytes => told("size", size.to_string(), bytes.to_string()),
        InputUnit { size: Some(size), .. } if *size != metadata.len() => {
            told("size", size.to_string(), metadata.len().to_string())
        }
        InputUnit { modified_us: Some(before), .. } if modified_us(metadata).is_some_and(|now| now != *before) => {
            told("time of modification", format!("{before} µs"), format!("{:?} µs", modified_us(metadata)))
        }
        InputUnit { sha256: Some(before), .. } if before != sha256 => {
            told("SHA-256", before.clone(), sha256.to_owned())
        }
        _ => None,
    }
}

/// Last modification in microseconds since 1970 UTC, where the file system says.
pub(crate) fn modified_us(metadata: &Metadata) -> Option<i64> {
    let time = metadata.modified().ok()?;
    let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).ok();
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => micros(before.duration()).map(|us| -us),
    }
}

/// The unit with its SHA-256, which takes one read of the whole file. What can be read only once comes back as it is.
///
/// *Cancellation*: between two blocks of the file.
///
/// # Errors
/// [`PubmedError::Io`] if the file cannot be read, or hashing it was cancelled.
pub fn hashed(unit: &InputUnit, stop: &CancellationToken) -> Result<InputUnit, PubmedError> {
    if unit.read_once {
        return Ok(unit.clone());
    }
    let checked = Disk::with_sidecar(unit, Sidecar::None)?.finish_unless(stop, unit)?;
    Ok(InputUnit { sha256: Some(checked.sha256), ..unit.clone() })
}
