//! What ends a stream early.

use std::error::Error;
use std::fmt;

use crate::panic_message;

/// An error that ends the stream: which stage failed, what kind of failure it is, and why.
///
/// A bad record is never a fault; it travels as a reject.
#[derive(Debug)]
pub struct Fault {
    stage: &'static str,
    kind: FaultKind,
    source: Box<dyn Error + Send + Sync>,
}

/// Kinds of faults: what a caller can do about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The input is not what it should be: mend the input.
    Data,
    /// The program is set up wrongly (model, device, output folder): mend the setup.
    Configuration,
    /// Something outside failed that may work later (disk full, store unreachable): run again.
    Transient,
    /// The program broke one of its own rules, or panicked: report it.
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
