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
    #[error("{argument}: there is no such file or folder; check the path")]
    Missing {
        /// The argument.
        argument: String,
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
    /// What a caller can do about it: run again after an I/O error, mend the input otherwise.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Io { .. } => FaultKind::Transient,
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
