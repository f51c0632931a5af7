//! Exit codes: what a scheduler can decide by, after `sysexits.h`.

use std::process::ExitCode;

use pubtag_stream::{Fault, FaultKind};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything asked for is done.
    Done,
    /// The input is at fault: too many rejects, or files that had to be quarantined. Everything else is committed.
    Data,
    /// Something outside failed that may work later (disk full, store unreachable). Run again.
    Transient,
    /// The setup is at fault: model, device, folder, a conflict with what is already there.
    Configuration,
    /// The program broke one of its own rules.
    Internal,
    /// A signal ended the run; nothing partial is committed.
    Signal(i32),
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Data => 65,
            Self::Internal => 70,
            Self::Transient => 75,
            Self::Configuration => 78,
            Self::Signal(signal) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(0)),
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

/// An error with the exit code that it means.
#[derive(Debug)]
pub struct Failure {
    /// The exit code's meaning.
    pub exit: Exit,
    /// The causes, outermost first.
    pub error: anyhow::Error,
}

impl Failure {
    /// An error of a kind.
    pub fn new(exit: impl Into<Exit>, error: impl Into<anyhow::Error>) -> Self {
        Self { exit: exit.into(), error: error.into() }
    }

    /// A configuration error with a message of its own.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Exit::Configuration, anyhow::Error::msg(message.into()))
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::new(fault.kind(), fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_follow_the_shell_convention() {
        assert_eq!(Exit::Signal(2).code(), 130);
        assert_eq!(Exit::Signal(15).code(), 143);
    }
}
