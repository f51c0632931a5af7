//! Errors of the cache, by what a caller can do about them.

use object_store::path::Path;
use pubtag_stream::FaultKind;

/// The cache could not be listed, read or written.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The store failed.
    #[error("failed to {action} {path}")]
    Store {
        /// What was attempted.
        action: &'static str,
        /// The object.
        path: String,
        /// The store's error.
        source: object_store::Error,
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
            Self::Store { source: object_store::Error::PermissionDenied { .. }, .. } => FaultKind::Configuration,
            Self::Store { .. } => FaultKind::Transient,
            Self::Damaged { .. } => FaultKind::Data,
            Self::Encode { .. } => FaultKind::Internal,
        }
    }

    pub(crate) fn store(action: &'static str, name: &str, path: &Path, source: object_store::Error) -> Self {
        Self::Store { action, path: format!("{name}/{path}"), source }
    }

    /// Whether the object was gone: a concurrent run has merged it into another.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Store { source: object_store::Error::NotFound { .. }, .. })
    }
}
