//! What can go wrong before or beside the records.

use std::io;

use pubtag_stream::{Fault, FaultKind};

/// Why inputs cannot be found or read. A bad record is a reject and a bad file is a quarantined unit: neither is one
/// of these.
#[derive(Debug, thiserror::Error)]
pub enum PubmedError {
    /// No argument at all.
    #[error("no input is given; name files, folders or patterns, or `-` for standard input")]
    NoInputs,
    /// An argument that names nothing.
    #[error("{argument}: no such file or directory; check the path")]
    Missing {
        /// The argument.
        argument: String,
    },
    /// An argument that is a link to nothing.
    #[error("{argument}: broken link to {target}; restore the file, or leave the link out")]
    BrokenLink {
        /// The argument.
        argument: String,
        /// What the link names.
        target: String,
    },
    /// An argument that lies in the output of the run.
    #[error("{argument} lies in the output directory {output}; choose another --output")]
    InOutput {
        /// The argument.
        argument: String,
        /// The output, without links.
        output: String,
    },
    /// A pattern that matches nothing.
    #[error("{pattern}: no file matches this pattern; check it, or quote it so that the shell leaves it alone")]
    NoMatch {
        /// The argument.
        pattern: String,
    },
    /// An argument that is not a pattern.
    #[error("{pattern}: not a valid pattern ({reason}); a literal `[`, `*` or `?` is written in brackets, as `[[]`")]
    Pattern {
        /// The argument.
        pattern: String,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// A folder or pattern whose files are all something else.
    #[error("{argument}: none of its {skipped} files is PubMed XML or JSONL (the first: {first}); name another place")]
    NothingReadable {
        /// The argument.
        argument: String,
        /// Number of files that were passed over.
        skipped: usize,
        /// The first of them, and why it was passed over.
        first: String,
    },
    /// An address that is not a local path.
    #[error("{argument}: inputs are read from local paths only; copy it here, or pipe it in as `-`")]
    UnsupportedUri {
        /// The argument.
        argument: String,
    },
    /// A path that tables cannot name.
    #[error("{path}: the path is not UTF-8, so that no table could name it; rename the file")]
    NotUtf8 {
        /// The path, with what is not UTF-8 replaced.
        path: String,
    },
    /// A file or folder that the system does not let us read.
    #[error("{path}: cannot {action}; see that it can be read, then run again")]
    Io {
        /// The file or folder.
        path: String,
        /// What was tried.
        action: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

impl PubmedError {
    /// What a caller can do about it: run again after an I/O error that may not happen again, change the setup where
    /// something may not be read, mend the input otherwise.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::InOutput { .. } => FaultKind::Configuration,
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => FaultKind::Configuration,
            Self::Io { source, .. } if !lasting(source) => FaultKind::Transient,
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

/// Whether an error of the system comes back with every run until somebody changes something.
pub(crate) fn lasting(error: &io::Error) -> bool {
    // What opening a socket gives, on Linux and on the BSDs.
    const NO_SUCH_DEVICE_OR_ADDRESS: i32 = 6;
    use io::ErrorKind::{InvalidFilename, InvalidInput, IsADirectory, NotADirectory, PermissionDenied, Unsupported};
    let kinds = [InvalidFilename, InvalidInput, IsADirectory, NotADirectory, PermissionDenied, Unsupported];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(NO_SUCH_DEVICE_OR_ADDRESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_otherwise_next_time_is_transient() {
        let kind = |source: io::Error| PubmedError::io("/in/x", "read it")(source).kind();
        assert_eq!(kind(io::ErrorKind::PermissionDenied.into()), FaultKind::Configuration);
        for transient in [io::ErrorKind::NotFound, io::ErrorKind::StaleNetworkFileHandle, io::ErrorKind::TimedOut] {
            assert_eq!(kind(transient.into()), FaultKind::Transient, "{transient}");
        }
        assert_eq!(kind(io::Error::from_raw_os_error(5)), FaultKind::Transient, "EIO");
        assert_eq!(kind(io::ErrorKind::NotADirectory.into()), FaultKind::Data);
        assert_eq!(kind(io::Error::from_raw_os_error(6)), FaultKind::Data, "a socket");
    }
}
