//! Errors that end a stream.

use std::error::Error;
use std::fmt;

use crate::panic_message;

/// An error that ends the stream: the stage that failed, the kind of failure, and the cause.
///
/// A bad record is never a fault; it travels as a reject.
#[derive(Debug)]
pub struct Fault {
    stage: &'static str,
    kind: FaultKind,
    source: Box<dyn Error + Send + Sync>,
}

/// Kinds of faults, by what a caller can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The input is invalid: fix the input.
    Data,
    /// The setup is invalid (model, device, output directory): fix the setup.
    Configuration,
    /// Something outside failed and may work later (disk full, store unreachable): run again.
    Transient,
    /// A bug in pubtag: report it.
    Internal,
}

impl Fault {
    /// A fault of a stage.
    pub fn new(stage: &'static str, kind: FaultKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { stage, kind, source: source.into() }
    }

    /// The stage that failed.
    pub fn stage(&self) -> &'static str {
        self.stage
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    pub(crate) fn panic(stage: &'static str, payload: &(dyn std::any::Any + Send)) -> Self {
        Self::new(stage, FaultKind::Internal, format!("panicked: {}", panic_message(payload)))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stage failed", self.stage)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.source.as_ref())
    }
}
