//! One file on its way: resumed where it broke off, verified, and only then named.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Body, BodyReader};

use crate::disk::{self, partial_path, validator_path};
use crate::error::SyncError;
use crate::place::{Place, check_gzip, md5_of_bytes};
use crate::server::{Checksum, Server, number};

/// Most bytes of a file; PubMed's have less than a tenth of it.
const MOST_BYTES: u64 = 4 << 30;

/// Bytes that must arrive within the server's timeout, or the connection is given up.
const SLOWEST: u64 = 16 * 1024;

/// Bytes that count as progress: an attempt that brings fewer counts as one that failed.
const PROGRESS: u64 = 64 * 1024;

/// Downloads that may differ from their checksum before a file is given up.
const MISMATCHES: u32 = 3;

/// A file to fetch.
pub(crate) struct Transfer<'a> {
    pub(crate) server: &'a Server,
    /// The mirror.
    pub(crate) place: &'a dyn Place,
    /// Where it is on the server, and in the mirror.
    pub(crate) path: String,
}

/// A whole and verified file that has no name yet.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Its MD5.
    pub(crate) md5: String,
    /// The checksum file that agrees with it; `None` if the server has none.
    pub(crate) checksum: Option<Checksum>,
}

impl Transfer<'_> {
    /// Downloads the file and verifies it by its MD5, or by its gzip checksum if the server has no MD5 of it.
    ///
    /// `current` asks the server for the checksum once more: the file may have been re-issued since it was planned.
    pub(crate) fn fetch(
        &self,
        mut expected: Option<Checksum>,
        current: impl Fn() -> Result<Option<Checksum>, SyncError>,
    ) -> Result<Verified, SyncError> {
        let url = || self.server.shown(&self.path);
        let mut mismatches = 0;
        loop {
            self.download()?;
            let md5 =
                self.read_partial(md5_of_bytes)?.map_err(|source| SyncError::disk("read", &self.partial(), source))?;
            if expected.as_ref().is_some_and(|expected| expected.md5 != md5) {
                expected = current()?;
            }
            let error = match &expected {
                Some(checksum) if checksum.md5 == md5 => return Ok(Verified { md5, checksum: expected }),
                Some(checksum) => SyncError::Checksum { url: url(), found: md5, expected: checksum.md5.clone() },
                None => match self.read_partial(check_gzip)? {
                    Ok(()) => return Ok(Verified { md5, checksum: None }),
                    Err(source) => SyncError::Gzip { url: url(), source },
                },
            };
            self.discard()?;
            mismatches += 1;
            if mismatches == MISMATCHES {
                return Err(error);
            }
            tracing::warn!("{}; fetching it again", error.full_text());
        }
    }

    /// Gives the file its name.
    pub(crate) fn publish(&self, verified: &Verified) -> Result<(), SyncError> {
        let checksum_path = format!("{}.md5", self.path);
        // A reader must not hold a new file against an old checksum: for a moment, there is none.
        self.place.remove(&checksum_path)?;
        self.place.take(&self.partial(), &self.path, &verified.md5)?;
        disk::remove(&self.validator())?;
        match &verified.checksum {
            Some(checksum) => self.place.write(&checksum_path, &checksum.content),
            None => Ok(()),
        }
    }

    /// Removes what has been downloaded.
    pub(crate) fn discard(&self) -> Result<(), SyncError> {
        disk::remove(&self.partial())?;
        disk::remove(&self.validator())
    }

    fn partial(&self) -> PathBuf {
        let (folder, name) = disk::split(self.place.downloads(), &self.path);
        partial_path(&folder, name)
    }

    fn validator(&self) -> PathBuf {
        let (folder, name) = disk::split(self.place.downloads(), &self.path);
        validator_path(&folder, name)
    }

    fn read_partial<T>(&self, read: impl FnOnce(File) -> T) -> Result<T, SyncError> {
        let path = self.partial();
        File::open(&path).map(read).map_err(|source| SyncError::disk("read", &path, source))
    }

    /// Downloads until the file is whole, with as many attempts as it takes and the server deserves.
    fn download(&self) -> Result<(), SyncError> {
        let length = || fs::metadata(self.partial()).map_or(0, |found| found.len());
        let mut patience = self.server.patience();
        loop {
            let before = length();
            let Err(error) = self.attempt() else { return Ok(()) };
            if matches!(error, SyncError::TooLarge { .. }) {
                self.discard()?;
            }
            if length() >= before + PROGRESS {
                patience.progressed();
            }
            patience.after(error)?;
        }
    }

    /// Fetches the rest of the file, or all of it if the server has another version or cannot give parts.
    fn attempt(&self) -> Result<(), SyncError> {
        let mut partial = Partial::open(self.partial(), self.validator())?;
        let response = self.server.get(&self.path, &partial.conditions())?;
        let headers = response.headers();
        let expected = match response.status() {
            StatusCode::OK => {
                partial.restart(validator(headers))?;
                number(headers, &header::CONTENT_LENGTH)
            }
            StatusCode::PARTIAL_CONTENT => match content_range(headers) {
                Some((start, total)) if start == partial.length => total,
                _ => return self.restart(partial, "the server sent another range than it was asked for"),
            },
            StatusCode::RANGE_NOT_SATISFIABLE if total_of_unsatisfied(headers) == Some(partial.length) => return Ok(()),
            StatusCode::RANGE_NOT_SATISFIABLE => return self.restart(partial, "the file has become shorter"),
            status => return Err(self.server.status(&self.path, status, headers)),
        };
        if expected.is_some_and(|expected| expected > MOST_BYTES) {
            return Err(self.too_large());
        }
        self.receive(&mut partial, response)?;
        match expected {
            Some(expected) if expected != partial.length => {
                Err(self.server.short(&self.path, partial.length, expected))
            }
            _ => Ok(()),
        }
    }

    fn restart(&self, mut partial: Partial, why: &'static str) -> Result<(), SyncError> {
        partial.restart(None)?;
        Err(SyncError::fetch(self.server.shown(&self.path), why))
    }

    fn receive(&self, partial: &mut Partial, response: Response<Body>) -> Result<(), SyncError> {
        let mut body: BodyReader<'_> = response.into_body().into_reader();
        let mut buffer = vec![0; 64 * 1024];
        let (mut since, mut arrived) = (Instant::now(), 0);
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => return partial.flush(),
                Ok(read) => read,
                Err(error) => {
                    // What has arrived is kept for the next attempt.
                    partial.flush()?;
                    return Err(self.server.broken(&self.path, error));
                }
            };
            partial.append(&buffer[..read])?;
            self.server.received.fetch_add(read as u64, Ordering::Relaxed);
            if partial.length > MOST_BYTES {
                return Err(self.too_large());
            }
            arrived += read as u64;
            if since.elapsed() >= self.server.timeout {
                if arrived < SLOWEST {
                    return Err(SyncError::fetch(self.server.shown(&self.path), "the server is too slow"));
                }
                (since, arrived) = (Instant::now(), 0);
            }
            if self.server.is_stopped() {
                return Err(SyncError::fetch(self.server.shown(&self.path), "stopped"));
            }
        }
    }

    fn too_large(&self) -> SyncError {
        SyncError::TooLarge { url: self.server.shown(&self.path), limit: MOST_BYTES }
    }
}

/// The bytes of a file that have arrived, and the version of the file that they belong to.
struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    validator_path: PathBuf,
    /// Without one, the bytes cannot be added to.
    validator: Option<String>,
}

impl Partial {
    fn open(path: PathBuf, validator_path: PathBuf) -> Result<Self, SyncError> {
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(SyncError::NotAFile { path });
        }
        let open = || {
            let mut file = File::options().create(true).append(true).open(&path)?;
            let length = file.seek(SeekFrom::End(0))?;
            Ok((file, length))
        };
        let (file, length) = open().map_err(|source| SyncError::disk("write", &path, source))?;
        let validator = fs::read_to_string(&validator_path).ok().filter(|validator| is_validator(validator));
        Ok(Self { path, file, length, validator_path, validator })
    }

    /// The headers that ask for the rest of this version, or for the whole of another.
    fn conditions(&self) -> Vec<(ureq::http::HeaderName, String)> {
        match &self.validator {
            Some(validator) if self.length > 0 => {
                vec![(header::RANGE, format!("bytes={}-", self.length)), (header::IF_RANGE, validator.clone())]
            }
            _ => Vec::new(),
        }
    }

    /// Empties the file, for the bytes of a version.
    fn restart(&mut self, validator: Option<String>) -> Result<(), SyncError> {
        // In this order: at no moment do bytes of one version lie beside the validator of another.
        disk::remove(&self.validator_path)?;
        self.file.set_len(0).map_err(|source| SyncError::disk("write", &self.path, source))?;
        self.length = 0;
        if let Some(validator) = &validator {
            self.flush()?;
            let written = fs::write(&self.validator_path, validator);
            written.map_err(|source| SyncError::disk("write", &self.validator_path, source))?;
        }
        self.validator = validator;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), SyncError> {
        self.file.write_all(bytes).map_err(|source| SyncError::disk("write", &self.path, source))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn flush(&self) -> Result<(), SyncError> {
        self.file.sync_all().map_err(|source| SyncError::disk("write", &self.path, source))
    }
}

/// What names the version of an answer for `If-Range` (RFC 9110, 13.1.5): a strong ETag, or the date of its last change.
fn validator(headers: &HeaderMap) -> Option<String> {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| is_validator(value));
    value(header::ETAG).or_else(|| value(header::LAST_MODIFIED)).map(str::to_owned)
}

fn is_validator(value: &str) -> bool {
    let is_weak = value.starts_with("W/");
    value.len() > 2 && value.len() < 1024 && !is_weak && value.bytes().all(|b| (b' '..0x7f).contains(&b))
}

/// The start and, where it is known, the total of `Content-Range: bytes START-END/TOTAL`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?;
    let (range, total) = range.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// The total of `Content-Range: bytes */TOTAL`, which a server sends with 416.
fn total_of_unsatisfied(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes */")?.trim().parse().ok()
}
