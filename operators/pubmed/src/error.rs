//! Errors other than those of records and files.

use std::io;

use pubtag_store::StoreError;
use pubtag_stream::{Fault, FaultKind};

/// Why inputs cannot be found or read. Bad records become rejects and bad files are quarantined instead.
#[derive(Debug, thiserror::Error)]
pub enum PubmedError {
    /// No inputs were given.
    #[error("no inputs; give files, directories or glob patterns, or `-` for standard input")]
    NoInputs,
    /// An argument is empty, as one of an unset variable in quotes is.
    #[error("INPUT is empty; give a file, directory or glob pattern, or `-` for standard input")]
    EmptyInput,
    /// An input does not exist.
    #[error("{argument}: no such file or directory")]
    Missing {
        /// The argument.
        argument: String,
    },
    /// An input is a broken symbolic link.
    #[error("{argument}: broken symbolic link to {target}")]
    BrokenLink {
        /// The argument.
        argument: String,
        /// The target of the link.
        target: String,
    },
    /// An input is in the output directory of the run.
    #[error("{argument}: input is inside the output directory {output}; choose another --output")]
    InOutput {
        /// The argument.
        argument: String,
        /// The output directory, with links resolved.
        output: String,
    },
    /// A pattern matches nothing.
    #[error("{pattern}: no file matches this pattern")]
    NoMatch {
        /// The argument.
        pattern: String,
    },
    /// A pattern is invalid.
    #[error("{pattern}: invalid pattern ({reason}); write a literal `[`, `*` or `?` in brackets, as in `[[]`")]
    Pattern {
        /// The argument.
        pattern: String,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// A directory or pattern leads to no readable file.
    #[error("{argument}: no readable input ({first})")]
    NothingReadable {
        /// The argument.
        argument: String,
        /// Number of files skipped.
        skipped: usize,
        /// The first of them, and why it was skipped; or that there are no files.
        first: String,
    },
    /// A directory or pattern leads to no readable file, and to some that cannot be read.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The first of these.
        path: String,
        /// Why it cannot be read.
        reason: String,
        /// How to react.
        kind: FaultKind,
    },
    /// A URL does not name a place in a store, or the store's options are invalid.
    #[error("{argument}: not a usable input")]
    Store {
        /// The argument.
        argument: String,
        /// Why.
        source: StoreError,
    },
    /// Neither an object nor a prefix of objects.
    #[error("{argument}: no such object or prefix; check the URL")]
    NoObjects {
        /// The argument.
        argument: String,
    },
    /// A path is not UTF-8, so it cannot be stored in the tables.
    #[error("{path}: path is not UTF-8; rename the file")]
    NotUtf8 {
        /// The path, with invalid bytes replaced.
        path: String,
    },
    /// A file or directory cannot be read.
    #[error("cannot {action} {path}")]
    Io {
        /// The file or directory.
        path: String,
        /// What was attempted.
        action: &'static str,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
}

impl PubmedError {
    /// How to react: retry after an I/O error that may be temporary, change the setup if access is denied, otherwise fix the
    /// input.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Unreadable { kind, .. } => *kind,
            Self::InOutput { .. } | Self::Store { .. } => FaultKind::Configuration,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => FaultKind::Configuration,
            Self::Io { source, .. } if !is_permanent(source) => FaultKind::Transient,
            _ => FaultKind::Data,
        }
    }

    pub(crate) fn io(path: impl ToString, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_string();
        move |source| Self::Io { path, action, source }
    }

    pub(crate) fn fault(self, stage: &'static str) -> Fault {
        Fault::new(stage, self.kind(), self)
    }
}

/// Whether an I/O error is permanent: it recurs until something is changed.
pub(crate) fn is_permanent(error: &io::Error) -> bool {
    // The error of opening a socket on Linux and the BSDs.
    const NO_SUCH_DEVICE_OR_ADDRESS: i32 = 6;
    use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, PermissionDenied, Unsupported};
    let kinds = [InvalidFilename, InvalidInput, IsADirectory, NotADirectory, PermissionDenied, Unsupported];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(NO_SUCH_DEVICE_OR_ADDRESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_that_may_not_recur_are_transient() {
        let kind = |source: io::Error| PubmedError::io("/in/x", "read")(source).kind();
        assert_eq!(kind(io::ErrorKind::PermissionDenied.into()), FaultKind::Configuration);
        for transient in [io::ErrorKind::NotFound, io::ErrorKind::StaleNetworkFileHandle, io::ErrorKind::TimedOut] {
            assert_eq!(kind(transient.into()), FaultKind::Transient, "{transient}");
        }
        assert_eq!(kind(io::Error::from_raw_os_error(5)), FaultKind::Transient, "EIO");
        assert_eq!(kind(io::ErrorKind::NotADirectory.into()), FaultKind::Data);
        assert_eq!(kind(io::Error::from_raw_os_error(6)), FaultKind::Data, "a socket");
    }
}
