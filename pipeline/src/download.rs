//! `pubtag corpus download`: downloads public corpora over HTTP, resuming partial downloads, and verifies checksums.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pubtag_corpus::WholeFile;
use pubtag_sync::without_credentials;
use thiserror::Error;
use ureq::Agent;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{StatusCode, header};
use zip::ZipArchive;

use crate::cli::Release;
use crate::digest::sha256;
use crate::exit::{Classified, Exit};

/// A file inside an archive of a release.
#[derive(Clone, Copy, Debug)]
struct Part {
    archive: &'static str,
    file: &'static str,
    bytes: u64,
    /// Of the file, since an archive changes with its dates.
    sha256: &'static str,
}

const NCBI_DISEASE: [Part; 3] = [
    Part {
        archive: "NCBItrainset_corpus.zip",
        file: "NCBItrainset_corpus.txt",
        bytes: 1_045_967,
        sha256: "f311381b28a6d0f641f57f4a963bb83619c2bdec5cd9caabb1381f894d5db817",
    },
    Part {
        archive: "NCBIdevelopset_corpus.zip",
        file: "NCBIdevelopset_corpus.txt",
        bytes: 178_373,
        sha256: "02db559974624ae9cbe6cd95d64d953e6926bb63afb6b25b63e53bd8b41a4b55",
    },
    Part {
        archive: "NCBItestset_corpus.zip",
        file: "NCBItestset_corpus.txt",
        bytes: 189_219,
        sha256: "61c8050bf6979ef7b943ec1158dfc03b651ea3367d4c37356f9de4841e85c9a3",
    },
];

impl Release {
    /// URL of the directory with its archives.
    pub fn base_url(self) -> &'static str {
        match self {
            Self::NcbiDisease => "https://www.ncbi.nlm.nih.gov/CBBresearch/Dogan/DISEASE",
        }
    }

    fn parts(self) -> &'static [Part] {
        match self {
            Self::NcbiDisease => &NCBI_DISEASE,
        }
    }
}

/// Why a corpus could not be downloaded.
#[derive(Debug, Error)]
pub(crate) enum DownloadError {
    #[error("failed to write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("failed to download {url}; the partial download was kept, rerun to resume")]
    Fetch { url: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{url}: the server responded {status}; if the corpus has moved, set --base-url")]
    Status { url: String, status: StatusCode },
    #[error("{path}: already exists and is not the file of the release; move it away, or choose another --output")]
    Exists { path: PathBuf },
    #[error("{url}: not a valid URL")]
    Url { url: String },
    #[error("{url}: download is larger than the expected {limit} bytes; it was removed")]
    TooLarge { url: String, limit: u64 },
    #[error("{url}: not a zip archive with {file} in it; the download was removed")]
    Archive { url: String, file: &'static str, source: zip::result::ZipError },
    #[error("{file} from {url} has more than the expected {expected} bytes; the download was removed")]
    FileTooLarge { url: String, file: &'static str, expected: u64 },
    #[error(
        "{file} from {url} has SHA-256 {found}, expected {expected}: the release has changed, or the download is damaged; \
         it was removed"
    )]
    Checksum { url: String, file: &'static str, found: String, expected: &'static str },
}

impl Classified for DownloadError {
    fn exit(&self) -> Exit {
        match self {
            Self::Write { .. } | Self::Fetch { .. } => Exit::Transient,
            Self::Status { status, .. } if status.is_server_error() => Exit::Transient,
            Self::Status { .. } | Self::Exists { .. } | Self::Url { .. } => Exit::Configuration,
            Self::TooLarge { .. } | Self::Archive { .. } | Self::FileTooLarge { .. } | Self::Checksum { .. } => {
                Exit::Data
            }
        }
    }
}

/// Consecutive attempts without progress before giving up.
const TRIES: u32 = 4;

/// Bytes that count as progress.
const PROGRESS: u64 = 64 * 1024;

/// Bytes that an archive may have in addition to its file.
const PACKING: u64 = 1 << 20;

/// Downloads the files that do not exist yet, and returns all of them. `timeout` limits the server's silence; an attempt
/// ends after twice that, and the next one resumes.
///
/// # Errors
/// See [`DownloadError`]. A file is complete and verified, or does not exist.
pub(crate) fn download(
    release: Release,
    base_url: &str,
    folder: &Path,
    timeout: Duration,
) -> Result<Vec<PathBuf>, DownloadError> {
    let agent: Agent = Agent::config_builder()
        .timeout_resolve(Some(timeout))
        .timeout_connect(Some(timeout))
        .timeout_recv_response(Some(timeout))
        .timeout_per_read(Some(timeout))
        .timeout_recv_body(Some(2 * timeout))
        .redirect_auth_headers(RedirectAuthHeaders::Never)
        .https_only(base_url.starts_with("https://"))
        .http_status_as_error(false)
        .build()
        .into();
    fs::create_dir_all(folder).map_err(|source| DownloadError::Write { path: folder.to_owned(), source })?;
    let one = |part: &Part| {
        let target = folder.join(part.file);
        if target.exists() {
            if !part.is(&target) {
                return Err(DownloadError::Exists { path: target });
            }
            tracing::info!("{} already exists", target.display());
            return Ok(target);
        }
        let transfer = Transfer {
            agent: &agent,
            url: format!("{}/{}", base_url.trim_end_matches('/'), part.archive),
            partial: folder.join(format!("{}.partial", part.archive)),
            limit: part.bytes + PACKING,
        };
        let fetched = transfer.with_retries().and_then(|()| unpack(part, &transfer, &target));
        // A damaged download must not be resumed; one that was interrupted, or ran out of disk space, may be.
        if fetched.as_ref().err().is_none_or(|error| error.exit() == Exit::Data) {
            let _ = fs::remove_file(&transfer.partial);
        }
        fetched.map(|()| target)
    };
    release.parts().iter().map(one).collect()
}

impl Part {
    /// Whether a file has this content.
    fn is(&self, path: &Path) -> bool {
        let same_size = fs::metadata(path).is_ok_and(|found| found.len() == self.bytes);
        same_size && fs::read(path).is_ok_and(|bytes| sha256(&bytes) == self.sha256)
    }
}

/// The download of an archive.
struct Transfer<'a> {
    agent: &'a Agent,
    url: String,
    partial: PathBuf,
    /// Maximum size in bytes.
    limit: u64,
}

impl Transfer<'_> {
    /// Downloads, with exponential backoff after failures; progress resets the number of attempts.
    fn with_retries(&self) -> Result<(), DownloadError> {
        let so_far = || fs::metadata(&self.partial).map_or(0, |found| found.len());
        let mut tried = 0;
        loop {
            let before = so_far();
            match self.attempt() {
                Err(error) if error.exit() == Exit::Transient => {
                    tried = if so_far() >= before + PROGRESS { 1 } else { tried + 1 };
                    if tried == TRIES {
                        return Err(error);
                    }
                    let pause = Duration::from_millis(250 << tried);
                    tracing::warn!("{error}; retrying in {} ms", pause.as_millis());
                    std::thread::sleep(pause);
                }
                ended => return ended,
            }
        }
    }

    /// Downloads the rest of a partial file, or all of it if the server does not support ranges.
    fn attempt(&self) -> Result<(), DownloadError> {
        let Self { agent, url, partial, limit } = self;
        if fs::symlink_metadata(partial).is_ok_and(|found| !found.is_file()) {
            return Err(DownloadError::Exists { path: partial.clone() });
        }
        let write_error = |source| DownloadError::Write { path: partial.clone(), source };
        let mut file = OpenOptions::new().create(true).append(true).open(partial).map_err(write_error)?;
        let mut have = file.seek(SeekFrom::End(0)).map_err(write_error)?;
        let request = agent.get(url).header(header::RANGE, format!("bytes={have}-"));
        let response = request.call().map_err(|error| match error {
            // These errors would show the full URL.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => DownloadError::Url { url: without_credentials(url) },
            error => self.broken(error),
        })?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => tracing::info!("resuming {} at byte {have}", without_credentials(url)),
            StatusCode::OK => {
                tracing::info!("downloading {}", without_credentials(url));
                file.set_len(0).map_err(write_error)?;
                have = 0;
            }
            // The partial file is complete; its checksum is verified later.
            StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(()),
            status => return Err(DownloadError::Status { url: without_credentials(url), status }),
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = [0; 64 * 1024];
        loop {
            let got = body.read(&mut buffer).map_err(|error| self.broken(error))?;
            have += got as u64;
            match got {
                0 => return file.sync_all().map_err(write_error),
                _ if have > *limit => {
                    return Err(DownloadError::TooLarge { url: without_credentials(url), limit: *limit });
                }
                _ => file.write_all(&buffer[..got]).map_err(write_error)?,
            }
        }
    }

    fn broken(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DownloadError {
        DownloadError::Fetch { url: without_credentials(&self.url), source: source.into() }
    }
}

/// Extracts the file from its archive, verifies it and moves it to its place.
fn unpack(part: &Part, transfer: &Transfer<'_>, target: &Path) -> Result<(), DownloadError> {
    let Part { file, bytes: expected, .. } = *part;
    let url = || without_credentials(&transfer.url);
    let archive_error = |source| DownloadError::Archive { url: url(), file, source };
    let archive = File::open(&transfer.partial);
    let archive = archive.map_err(|source| DownloadError::Write { path: transfer.partial.clone(), source })?;
    let mut archive = ZipArchive::new(archive).map_err(archive_error)?;
    let mut bytes = Vec::new();
    let entry = archive.by_name(file).map_err(archive_error)?;
    // A small archive can contain a huge file.
    entry.take(expected + 1).read_to_end(&mut bytes).map_err(|error| archive_error(error.into()))?;
    if bytes.len() as u64 > expected {
        return Err(DownloadError::FileTooLarge { url: url(), file, expected });
    }
    let found = sha256(&bytes);
    if found != part.sha256 {
        return Err(DownloadError::Checksum { url: url(), file, found, expected: part.sha256 });
    }
    let written = WholeFile::new(target).and_then(|mut file| file.write_all(&bytes).and_then(|()| file.finish()));
    written.map_err(|source| DownloadError::Write { path: target.to_owned(), source })
}
