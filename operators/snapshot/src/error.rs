//! Errors of a snapshot, by what a caller can do about them.

use std::io;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use pubtag_store::StoreFailure;
use pubtag_stream::{Fault, FaultKind};

/// A snapshot could not be made. The published state is as before.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store of the snapshot failed.
    #[error("failed to {action} {path}; the published snapshot is unchanged: {failure}")]
    Store {
        /// The operation.
        action: &'static str,
        /// The file.
        path: String,
        /// Why, and the way out.
        failure: StoreFailure,
    },
    /// A file of the published snapshot is missing, or not as it was written.
    #[error("{path} {why}; delete {snapshot} to build the snapshot again from the output")]
    Damaged {
        /// The file.
        path: String,
        /// The snapshot's directory.
        snapshot: String,
        /// What is wrong.
        why: String,
    },
    /// The snapshot was written by a newer version.
    #[error("{path} has version {found}, but this pubtag supports versions up to {known}; update pubtag")]
    Newer {
        /// The manifest.
        path: String,
        /// Its version.
        found: u64,
        /// The newest supported version.
        known: u32,
    },
    /// The place contains something else.
    #[error("{place} contains {found}; choose an empty directory for the snapshot")]
    Foreign {
        /// The place.
        place: String,
        /// What it contains.
        found: String,
    },
    /// The place has the snapshots of another output.
    #[error("{place} has the snapshots of another output; choose another directory, or delete it first")]
    OtherOutput {
        /// The place.
        place: String,
    },
    /// Another process published a snapshot meanwhile.
    #[error("another process published {path} meanwhile; run again")]
    Overtaken {
        /// Its manifest.
        path: String,
    },
    /// The attempt took so long that others may have removed its files.
    #[error("the snapshot took more than a day, so its files may have been removed; run again with fewer new inputs")]
    TooOld,
    /// The rows of an input do not fit together.
    #[error("{uri}: {why}; check the output with `pubtag verify`")]
    Inconsistent {
        /// The input.
        uri: String,
        /// What is wrong.
        why: String,
    },
    /// The requested generation does not exist.
    #[error("no input belongs to generation {wanted}; the output has {}", list(.found))]
    NoGeneration {
        /// The generation.
        wanted: i32,
        /// Those of the output.
        found: Vec<i32>,
    },
    /// Temporary files cannot be written or read.
    #[error(
        "failed to use a temporary file in {path}; free some space there, or choose another directory with --scratch"
    )]
    Scratch {
        /// The directory.
        path: String,
        /// The file system's error.
        source: io::Error,
    },
    /// The output cannot be read.
    #[error(transparent)]
    Output(#[from] Fault),
    /// Rows cannot be encoded or decoded.
    #[error("failed to encode the snapshot")]
    Encode(#[from] ParquetError),
    /// Rows cannot be put together.
    #[error("failed to assemble rows of the snapshot")]
    Rows(#[from] ArrowError),
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Newer { .. } | Self::NoGeneration { .. } | Self::Foreign { .. } | Self::OtherOutput { .. } => {
                FaultKind::Configuration
            }
            Self::Store { failure, .. } if !failure.is_transient() => FaultKind::Configuration,
            Self::Store { .. } | Self::Overtaken { .. } | Self::TooOld | Self::Scratch { .. } => FaultKind::Transient,
            Self::Damaged { .. } | Self::Inconsistent { .. } => FaultKind::Data,
            Self::Output(fault) => fault.kind(),
            Self::Encode(_) | Self::Rows(_) => FaultKind::Internal,
        }
    }
}

fn list(years: &[i32]) -> String {
    match years {
        [] => "none".to_owned(),
        years => years.iter().map(i32::to_string).collect::<Vec<_>>().join(", "),
    }
}
