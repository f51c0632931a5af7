//! What can go wrong, and what a caller can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pubtag_store::{StoreError, StoreFailure};
use pubtag_stream::FaultKind;

/// Why a mirror, or one of its files, could not be brought up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The server's address cannot be used.
    #[error("{url}: not an http or https URL")]
    Url {
        /// The address, without credentials.
        url: String,
    },
    /// The target cannot be opened.
    #[error(transparent)]
    Target(#[from] StoreError),
    /// The object store of the mirror fails.
    #[error("failed to {action} {object}: {failure}")]
    Store {
        /// What was being done.
        action: &'static str,
        /// The object.
        object: String,
        /// Why, and the way out.
        failure: StoreFailure,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread")]
    Runtime {
        /// What the system says.
        source: io::Error,
    },
    /// The target exists and is not a directory.
    #[error("{path}: not a directory; choose another --into", path = path.display())]
    NotADirectory {
        /// The target.
        path: PathBuf,
    },
    /// Something in the mirror has the name of a file and is not one.
    #[error("{path}: not a regular file; move it away", path = path.display())]
    NotAFile {
        /// What is in the way.
        path: PathBuf,
    },
    /// Another sync has locked the mirror.
    #[error("{path}: another sync is writing to this directory; wait for it to end", path = path.display())]
    Busy {
        /// The mirror.
        path: PathBuf,
    },
    /// The lock file cannot be locked.
    #[error("cannot lock {path}; the directory must be on a file system with working file locks", path = path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The disk cannot hold what is to be fetched.
    #[error(
        "{path}: not enough disk space: about {needed} MB to fetch, {free} MB free; free up space, or choose another directory",
        path = path.display()
    )]
    Space {
        /// The mirror.
        path: PathBuf,
        /// Megabytes that the listing announces.
        needed: u64,
        /// Megabytes that the file system has left.
        free: u64,
    },
    /// The disk is full.
    #[error("cannot {action} {path}: the disk is full; free up space and rerun to resume", path = path.display())]
    Full {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The file system refuses.
    #[error("cannot {action} {path}; check its permissions, or choose another directory", path = path.display())]
    Denied {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// The file system fails otherwise.
    #[error("cannot {action} {path}", path = path.display())]
    Disk {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the file system says.
        source: io::Error,
    },
    /// A transfer failed.
    #[error("cannot fetch {url}; rerun to resume")]
    Fetch {
        /// The address, without credentials.
        url: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server answered with an error.
    #[error("{url}: the server answered {status}{}", hint(*status))]
    Status {
        /// The address, without credentials.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// Many files in a row could not be fetched.
    #[error("giving up after {failures} files in a row could not be fetched; rerun to resume")]
    Unreachable {
        /// How many.
        failures: usize,
        /// The last failure.
        source: Box<SyncError>,
    },
    /// The page of a folder breaks off.
    #[error("{url}: the listing is truncated; rerun later")]
    TruncatedListing {
        /// The folder.
        url: String,
    },
    /// The page of a folder names no PubMed file.
    #[error("{url}: no PubMed files are listed there; check --from")]
    NothingListed {
        /// The folder.
        url: String,
    },
    /// An answer is larger than anything PubMed has.
    #[error("{url}: larger than {limit} bytes; the download was removed")]
    TooLarge {
        /// The address, without credentials.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// A checksum file without a checksum.
    #[error("{url}: no MD5 in it; the file it belongs to was not fetched")]
    NoChecksum {
        /// The address of the checksum file, without credentials.
        url: String,
    },
    /// A file does not have its checksum, however often it is fetched.
    #[error("{url}: MD5 is {found}, expected {expected}; the download was removed")]
    Checksum {
        /// The address, without credentials.
        url: String,
        /// MD5 of what was fetched.
        found: String,
        /// MD5 in its checksum file.
        expected: String,
    },
    /// A file without a checksum is not whole gzip either.
    #[error("{url}: not a complete gzip file, and it has no checksum; the download was removed")]
    Gzip {
        /// The address, without credentials.
        url: String,
        /// What the decoder says.
        source: io::Error,
    },
    /// Update files were asked for without the baseline that they change.
    #[error(
        "the {generation} baseline in {mirror} is incomplete, so its update files cannot be used; rerun without --updates, \
         or name the first file to fetch with --since"
    )]
    NoBaseline {
        /// The generation.
        generation: u16,
        /// The mirror.
        mirror: String,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        404 | 410 => " (not found)",
        401 | 403 => " (access denied)",
        429 | 503 => " (overloaded); rerun later",
        500.. => "; rerun later",
        _ => "",
    }
}

impl SyncError {
    /// What kind of failure it is.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Store { failure, .. } if failure.is_transient() => FaultKind::Transient,
            Self::Url { .. }
            | Self::Target(_)
            | Self::Store { .. }
            | Self::NotADirectory { .. }
            | Self::NotAFile { .. }
            | Self::Lock { .. }
            | Self::Denied { .. }
            | Self::NothingListed { .. }
            | Self::NoBaseline { .. } => FaultKind::Configuration,
            Self::Runtime { .. }
            | Self::Busy { .. }
            | Self::Space { .. }
            | Self::Full { .. }
            | Self::Disk { .. }
            | Self::Fetch { .. }
            | Self::TruncatedListing { .. } => FaultKind::Transient,
            Self::Status { status, .. } => match status {
                408 | 425 | 429 | 500.. => FaultKind::Transient,
                404 | 410 => FaultKind::Data,
                _ => FaultKind::Configuration,
            },
            Self::Unreachable { source, .. } => source.kind(),
            Self::TooLarge { .. } | Self::NoChecksum { .. } | Self::Checksum { .. } | Self::Gzip { .. } => {
                FaultKind::Data
            }
        }
    }

    /// Whether asking the server once more may help.
    pub(crate) fn is_worth_retrying(&self) -> bool {
        let is_remote = matches!(self, Self::Fetch { .. } | Self::Status { .. } | Self::TruncatedListing { .. });
        is_remote && self.kind() == FaultKind::Transient
    }

    /// Whether it is about one file only, so that others are worth trying.
    pub(crate) fn is_about_one_file(&self) -> bool {
        matches!(
            self,
            Self::Fetch { .. }
                | Self::Status { .. }
                | Self::TooLarge { .. }
                | Self::NoChecksum { .. }
                | Self::Checksum { .. }
                | Self::Gzip { .. }
        )
    }

    /// How long the server asks to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A failure of the file system, sorted by what can be done about it.
    pub(crate) fn disk(action: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{
            AlreadyExists, FileTooLarge, IsADirectory, NotADirectory, PermissionDenied, QuotaExceeded,
            ReadOnlyFilesystem, StorageFull,
        };
        let path = path.to_owned();
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full { action, path, source },
            PermissionDenied | ReadOnlyFilesystem => Self::Denied { action, path, source },
            NotADirectory | AlreadyExists => Self::NotADirectory { path },
            IsADirectory => Self::NotAFile { path },
            _ => Self::Disk { action, path, source },
        }
    }

    pub(crate) fn fetch(url: String, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Fetch { url, source: source.into() }
    }

    /// The error and its causes, on one line.
    pub(crate) fn full_text(&self) -> String {
        let first: Option<&dyn std::error::Error> = Some(self);
        let chain = std::iter::successors(first, |error| error.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}
