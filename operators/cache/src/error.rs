//! Errors of the cache, by what a caller can do about them.

use object_store::path::Path;
use pubtag_store::{StoreFailure, is_absent};
use pubtag_stream::FaultKind;

/// The cache could not be listed, read or written.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The store failed.
    #[error("failed to {action} {path}: {failure}")]
    Store {
        /// What was attempted.
        action: &'static str,
        /// The object.
        path: String,
        /// Why, and the way out.
        failure: StoreFailure,
    },
    /// The place of a cache contains something else.
    #[error("{place} contains other files ({found}); choose an empty directory for the cache, or one of a cache")]
    Foreign {
        /// The place.
        place: String,
        /// Some of its files.
        found: String,
    },
    /// A segment is gone: a concurrent run has merged it into another.
    #[error("{path} no longer exists; run again")]
    Gone {
        /// The segment.
        path: String,
    },
    /// A segment is not what a run has written.
    #[error("{path} is damaged ({problem}); its entries are lost")]
    Damaged {
        /// The segment.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Entries could not be encoded.
    #[error("failed to encode a segment: {problem}; this is a bug in pubtag, please report it")]
    Encode {
        /// Why.
        problem: String,
    },
}

impl CacheError {
    /// What kind of failure it is.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Store { failure, .. } if !failure.is_transient() => FaultKind::Configuration,
            Self::Foreign { .. } => FaultKind::Configuration,
            Self::Store { .. } | Self::Gone { .. } => FaultKind::Transient,
            Self::Damaged { .. } => FaultKind::Data,
            Self::Encode { .. } => FaultKind::Internal,
        }
    }

    pub(crate) fn store(action: &'static str, name: &str, path: &Path, source: object_store::Error) -> Self {
        let path = format!("{name}/{path}");
        match is_absent(&source) {
            true => Self::Gone { path },
            false => Self::Store { action, path, failure: source.into() },
        }
    }

    /// Whether the segment was gone.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}
