//! Exit codes, after `sysexits.h`: what a scheduler can act on.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use pubtag_corpus::CorpusError;
use pubtag_corpus::score::ScoreError;
use pubtag_ner::NerError;
use pubtag_pubmed::PubmedError;
use pubtag_store::{StoreError, StoreFailure};
use pubtag_stream::{Fault, FaultKind};
use pubtag_tokenize::TokenizeError;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Success.
    Done,
    /// Bad input: too many rejects, or quarantined files. Everything else is committed.
    Data,
    /// Something outside failed and may work later (disk full, store unreachable).
    Transient,
    /// Invalid command line or settings file.
    Usage,
    /// Bad setup: model, device, directory, or a conflict with existing output.
    Configuration,
    /// A bug: the program broke one of its own rules.
    Internal,
    /// Ended by a signal; nothing partial is committed.
    Signal(i32),
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::Data => 65,
            Self::Internal => 70,
            Self::Transient => 75,
            Self::Configuration => 78,
            Self::Signal(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
        }
    }
}

impl Exit {
    /// For a file that cannot be written: a retry helps if the disk is full, and not if the place is wrong.
    fn of_write(error: &io::Error) -> Self {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        match error.kind() {
            NotFound | NotADirectory | IsADirectory | PermissionDenied | ReadOnlyFilesystem => Self::Configuration,
            _ => Self::Transient,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<FaultKind> for Exit {
    fn from(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Data => Self::Data,
            FaultKind::Configuration => Self::Configuration,
            FaultKind::Transient => Self::Transient,
            FaultKind::Internal => Self::Internal,
        }
    }
}

/// An error with its exit code.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// The causes, outermost first.
    pub error: anyhow::Error,
}

impl Failure {
    /// An error with an exit code.
    pub fn new(exit: impl Into<Exit>, error: impl Into<anyhow::Error>) -> Self {
        Self { exit: exit.into(), error: error.into() }
    }

    /// A failure without another error as its cause.
    pub fn message(exit: Exit, message: impl Into<String>) -> Self {
        Self::new(exit, anyhow::Error::msg(message.into()))
    }

    /// A configuration error.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::message(Exit::Configuration, message)
    }

    /// A store that fails.
    pub fn store(action: &str, object: &str, error: object_store::Error) -> Self {
        let failure = StoreFailure::from(error);
        let exit = if failure.is_transient() { Exit::Transient } else { Exit::Configuration };
        Self::message(exit, format!("failed to {action} {object}: {failure}"))
    }

    /// A file that cannot be written.
    pub fn write(path: &Path, error: io::Error) -> Self {
        Self::new(
            Exit::of_write(&error),
            anyhow::Error::new(error).context(format!("failed to write {}", path.display())),
        )
    }
}

/// An error that knows its exit code.
pub trait Classified {
    /// What the program ends with.
    fn exit(&self) -> Exit;
}

/// Lets `?` turn errors into failures.
impl<E: Classified + Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.exit(), error)
    }
}

macro_rules! by_kind {
    ($($error:ty),* $(,)?) => {$(
        impl Classified for $error {
            fn exit(&self) -> Exit {
                self.kind().into()
            }
        }
    )*};
}

by_kind!(
    Fault,
    NerError,
    PubmedError,
    TokenizeError,
    pubtag_cache::CacheError,
    pubtag_parquet::Error,
    pubtag_snapshot::Error,
);

impl Classified for StoreError {
    fn exit(&self) -> Exit {
        match self {
            Self::Folder { source, .. }
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                Exit::Transient
            }
            Self::Empty | Self::Url { .. } | Self::NotAnOption => Exit::Usage,
            _ => Exit::Configuration,
        }
    }
}

impl Classified for CorpusError {
    fn exit(&self) -> Exit {
        match self {
            Self::Exists { .. } | Self::InPlace { .. } => Exit::Configuration,
            Self::Write { source, .. } => Exit::of_write(source),
            _ => Exit::Data,
        }
    }
}

/// Both sides of a score come from the program itself.
impl Classified for ScoreError {
    fn exit(&self) -> Exit {
        Exit::Internal
    }
}

/// JSON that comes from outside is read elsewhere; what the program writes itself is always valid.
impl Classified for serde_json::Error {
    fn exit(&self) -> Exit {
        Exit::Internal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_wrong_is_not_worth_a_retry() {
        let exit = |kind: io::ErrorKind| Failure::write(Path::new("x"), kind.into()).exit;
        assert_eq!(exit(io::ErrorKind::StorageFull), Exit::Transient);
        assert_eq!(exit(io::ErrorKind::NotFound), Exit::Configuration);
        assert_eq!(exit(io::ErrorKind::PermissionDenied), Exit::Configuration);
    }

    #[test]
    fn signals_follow_the_shell_convention() {
        assert_eq!(Exit::Signal(2).code(), 130);
        assert_eq!(Exit::Signal(15).code(), 143);
    }
}
