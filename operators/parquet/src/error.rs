//! Errors of the output, by what a caller can do about them.

use std::io;

use parquet::errors::ParquetError;
use pubtag_store::StoreFailure;
use pubtag_stream::{Fault, FaultKind};

use crate::Conflict;

/// The name of the stage in reports and faults.
pub(crate) const STAGE: &str = "write";

/// The output could not be opened, written, committed or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The output directory cannot be created or opened.
    #[error("cannot use {path} as the output directory")]
    Folder {
        /// The directory.
        path: String,
        /// The file system's error.
        source: io::Error,
    },
    /// The directory was not written by pubtag.
    #[error("{path} is not an output of pubtag (_pubtag/output.json does not exist)")]
    NotAnOutput {
        /// The directory.
        path: String,
    },
    /// The output directory contains other files.
    #[error(
        "the output directory {output} contains other files ({found}); choose an empty directory or an output of pubtag"
    )]
    Foreign {
        /// The directory.
        output: String,
        /// Some of its files.
        found: String,
    },
    /// A file in pubtag's own directory was written by a newer version.
    #[error("{path} has version {found}, but this pubtag supports versions up to {known}; update pubtag")]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
        /// The newest supported version.
        known: u32,
    },
    /// A file in pubtag's own directory does not parse.
    #[error("{path} is damaged; restore it from a backup, or delete it to tag its input again")]
    Damaged {
        /// The file.
        path: String,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// A lock file cannot be created or locked.
    #[error("cannot lock {path}{}", hint_on_locks(source))]
    Lock {
        /// The lock file.
        path: String,
        /// The file system's error.
        source: io::Error,
    },
    /// Other runs hold the lock for replacing commits.
    #[error("timed out waiting for other runs that replace commits in this output ({path} is locked); run again")]
    Busy {
        /// The lock file.
        path: String,
    },
    /// The stored bytes differ from those that were sent.
    #[error(
        "{path} was written as {expected} but read back as {found}; nothing was committed: check the disk and run again"
    )]
    Altered {
        /// The part.
        path: String,
        /// What was sent.
        expected: String,
        /// What was read back.
        found: String,
    },
    /// The file system or store failed.
    #[error("failed to {action} {path}: {failure}")]
    Store {
        /// The operation.
        action: &'static str,
        /// The file.
        path: String,
        /// Why, and what can be done about it.
        failure: StoreFailure,
    },
    /// An attempt has taken so long that its parts may have been removed.
    #[error(
        "{uri}: tagging took more than a day, so it was not committed to the object store; split the file, or run again"
    )]
    TooOld {
        /// The input.
        uri: String,
    },
    /// A dry run of `vacuum` on a local disk.
    #[error("{output}: a dry run needs an object store; on a local disk, every run removes what dead runs left")]
    NoDryRun {
        /// The output.
        output: String,
    },
    /// A store does not honour conditional requests.
    #[error(
        "{output}: this store does not honour the conditions of writes, so runs could overwrite each other's commits; use a \
         store that supports conditional writes (If-None-Match, If-Match)"
    )]
    Unconditional {
        /// The output.
        output: String,
    },
    /// The input, or its content, is already committed differently.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A table cannot be encoded.
    #[error("failed to encode table {table} of {uri}")]
    Encode {
        /// The table.
        table: &'static str,
        /// The input.
        uri: String,
        /// The encoder's error.
        source: ParquetError,
    },
    /// The rows do not match the records that the source counted.
    #[error(
        "{uri}: {met} {what} read but {rows} written; nothing was committed: this is a bug in pubtag, please report it"
    )]
    Reconciliation {
        /// The input.
        uri: String,
        /// Which rows.
        what: &'static str,
        /// Rows written.
        rows: u64,
        /// Records read.
        met: u64,
    },
    /// A record violates a guarantee of the previous stages.
    #[error("{uri}, record {ordinal}, document {doc_id}: {why}; this is a bug in pubtag, please report it")]
    Record {
        /// The input.
        uri: String,
        /// Number of the record in it.
        ordinal: u32,
        /// The document.
        doc_id: String,
        /// The violation.
        why: String,
    },
    /// A committed part cannot be read back.
    #[error("failed to read {path}; check the output with `pubtag verify`")]
    Unreadable {
        /// The part.
        path: String,
        /// The reader's error.
        source: ParquetError,
    },
}

/// What to do about a lock that fails, unless the file system says that it may not be written at all.
fn hint_on_locks(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "",
        _ => "; the output directory must be on a file system that supports file locks",
    }
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
            | Self::NoDryRun { .. }
            | Self::Unconditional { .. }
            | Self::Conflict(_) => FaultKind::Configuration,
            Self::Store { failure, .. } if !failure.is_transient() => FaultKind::Configuration,
            Self::Store { .. }
            | Self::TooOld { .. }
            | Self::Busy { .. }
            | Self::Altered { .. }
            | Self::Unreadable { .. } => FaultKind::Transient,
            Self::Encode { .. } | Self::Reconciliation { .. } | Self::Record { .. } => FaultKind::Internal,
        }
    }

    /// A failure of the store, classified by what can be done about it.
    pub(crate) fn store(action: &'static str, path: String, source: object_store::Error) -> Self {
        Self::Store { action, path, failure: source.into() }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::new(STAGE, error.kind(), error)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(os_error: io::ErrorKind) -> FaultKind {
        let source = object_store::Error::Generic { store: "test", source: Box::new(io::Error::from(os_error)) };
        Error::store("write", "/out/annotations/x.parquet".to_owned(), source).kind()
    }

    #[test]
    fn a_full_disk_is_transient_and_a_read_only_one_is_a_configuration_error() {
        assert_eq!(kind_of(io::ErrorKind::StorageFull), FaultKind::Transient);
        assert_eq!(kind_of(io::ErrorKind::QuotaExceeded), FaultKind::Transient);
        assert_eq!(kind_of(io::ErrorKind::TimedOut), FaultKind::Transient);
        assert_eq!(kind_of(io::ErrorKind::PermissionDenied), FaultKind::Configuration);
        assert_eq!(kind_of(io::ErrorKind::ReadOnlyFilesystem), FaultKind::Configuration);
    }
}
