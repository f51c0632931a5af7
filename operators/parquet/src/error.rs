//! What can go wrong at the output, and what a caller can do about it.

use std::io;

use object_store::path::Path;
use parquet::errors::ParquetError;
use pubtag_stream::{Fault, FaultKind};

use crate::Conflict;

/// The name of the stage in reports and faults.
pub(crate) const STAGE: &str = "write";

/// Why the output could not be opened, written or committed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The output folder cannot be made or entered.
    #[error("cannot use {path} as the output directory")]
    Folder {
        /// The folder.
        path: String,
        /// What the file system says.
        source: io::Error,
    },
    /// The folder was not made by pubtag.
    #[error("{path} is not an output of pubtag (it has no _pubtag/output.json)")]
    NotAnOutput {
        /// The folder.
        path: String,
    },
    /// The output folder holds files that are not ours.
    #[error(
        "the output folder {output} holds something else ({found}): choose an empty folder or one that pubtag made"
    )]
    Foreign {
        /// The folder.
        output: String,
        /// Some of what is in it.
        found: String,
    },
    /// A file in our own folder was written by a program newer than this one.
    #[error("{path} has version {found}, and this pubtag knows versions up to {known}: update pubtag")]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
        /// The newest version known here.
        known: u32,
    },
    /// A file in our own folder does not parse.
    #[error("{path} is damaged: restore it from a backup, or delete it and its input is tagged again")]
    Damaged {
        /// The file.
        path: String,
        /// Why it does not parse.
        source: serde_json::Error,
    },
    /// A lock file cannot be made or locked.
    #[error("cannot lock {path}; the output directory must be on a file system that supports file locks")]
    Lock {
        /// The lock file.
        path: String,
        /// What the file system says.
        source: io::Error,
    },
    /// Other runs hold the lock for replacing commits.
    #[error("other runs have been replacing commits in this output for minutes ({path} is locked): run again")]
    Busy {
        /// The lock file.
        path: String,
    },
    /// What the store holds is not what was sent to it.
    #[error(
        "{path} was written as {expected}, but the store holds {found}: nothing is committed; check the disk and run again"
    )]
    Altered {
        /// The part.
        path: String,
        /// What was sent.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The file system or store has no room left.
    #[error("no room left to {action} {path}: make room and run again; the input at hand is not committed")]
    NoRoom {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: String,
        /// What the store says.
        source: object_store::Error,
    },
    /// The file system or store does not let us.
    #[error("not allowed to {action} {path}: give the user of this program the right to, or choose another output")]
    Denied {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: String,
        /// What the store says.
        source: object_store::Error,
    },
    /// The store failed otherwise.
    #[error("cannot {action} {path}: run again; what is committed stays")]
    Store {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: String,
        /// What the store says.
        source: object_store::Error,
    },
    /// The input, or its content, is committed already and differently.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A table cannot be encoded.
    #[error("cannot encode table {table} of {uri}")]
    Encode {
        /// The table.
        table: &'static str,
        /// The input.
        uri: String,
        /// What the encoder says.
        source: ParquetError,
    },
    /// The rows are not what the source met in the input.
    #[error(
        "{uri}: {rows} {what} written, {met} met: nothing is committed; this is a defect of pubtag, please report it"
    )]
    Reconciliation {
        /// The input.
        uri: String,
        /// Which rows.
        what: &'static str,
        /// Rows written.
        rows: u64,
        /// Records met.
        met: u64,
    },
    /// A record breaks a rule that the stages before keep.
    #[error("{uri}, record {ordinal}, document {doc_id}: {why}; this is a defect of pubtag, please report it")]
    Record {
        /// The input.
        uri: String,
        /// Number of the record in it.
        ordinal: u32,
        /// The document.
        doc_id: String,
        /// The rule.
        why: String,
    },
    /// A committed part cannot be read back.
    #[error("cannot read {path}: check it with `pubtag verify`")]
    Unreadable {
        /// The part.
        path: String,
        /// What the reader says.
        source: ParquetError,
    },
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Folder { source, .. } if is_full(source) => FaultKind::Transient,
            Self::Folder { .. }
            | Self::Foreign { .. }
            | Self::NotAnOutput { .. }
            | Self::Newer { .. }
            | Self::Damaged { .. }
            | Self::Lock { .. }
            | Self::Denied { .. }
            | Self::Conflict(_) => FaultKind::Configuration,
            Self::NoRoom { .. }
            | Self::Store { .. }
            | Self::Busy { .. }
            | Self::Altered { .. }
            | Self::Unreadable { .. } => FaultKind::Transient,
            Self::Encode { .. } | Self::Reconciliation { .. } | Self::Record { .. } => FaultKind::Internal,
        }
    }

    /// A failure of the store, sorted by what can be done about it.
    pub(crate) fn store(action: &'static str, output: &str, path: &Path, source: object_store::Error) -> Self {
        let path = format!("{output}/{path}");
        match io_cause(&source) {
            Some(cause) if is_full(cause) => Self::NoRoom { action, path, source },
            Some(cause) if is_denied(cause) => Self::Denied { action, path, source },
            _ if is_refused(&source) => Self::Denied { action, path, source },
            _ => Self::Store { action, path, source },
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::new(STAGE, error.kind(), error)
    }
}

/// The operating system's own error at the bottom of a chain.
fn io_cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a io::Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn is_denied(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | NotADirectory)
}

fn is_refused(error: &object_store::Error) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    matches!(error, PermissionDenied { .. } | Unauthenticated { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(os_error: io::ErrorKind) -> FaultKind {
        let source = object_store::Error::Generic { store: "test", source: Box::new(io::Error::from(os_error)) };
        Error::store("write", "/out", &Path::from("annotations/x.parquet"), source).kind()
    }

    #[test]
    fn a_full_disk_can_be_tried_again_and_a_closed_one_is_a_matter_of_setup() {
        assert_eq!(kind_of(io::ErrorKind::StorageFull), FaultKind::Transient);
        assert_eq!(kind_of(io::ErrorKind::QuotaExceeded), FaultKind::Transient);
        assert_eq!(kind_of(io::ErrorKind::TimedOut), FaultKind::Transient);
        assert_eq!(kind_of(io::ErrorKind::PermissionDenied), FaultKind::Configuration);
        assert_eq!(kind_of(io::ErrorKind::ReadOnlyFilesystem), FaultKind::Configuration);
    }
}
