//! The names of calls.

use std::fmt;

use object_store::path::Path;

/// The operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the call of its name")]
pub enum Call {
    Put,
    Replace,
    PutMultipart,
    PutPart,
    Complete,
    AbortUpload,
    Get,
    Head,
    List,
    Delete,
    Copy,
    Hold,
    IsAlive,
    Tidy,
    Release,
    Lock,
    Unlock,
}

impl Call {
    /// Whether the call only adds an object under a unique name.
    pub fn only_adds(self) -> bool {
        matches!(self, Self::Put | Self::PutPart | Self::Complete)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Replace => "replace",
            Self::PutMultipart => "put-multipart",
            Self::PutPart => "put-part",
            Self::Complete => "complete",
            Self::AbortUpload => "abort-upload",
            Self::Get => "get",
            Self::Head => "head",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Hold => "hold",
            Self::IsAlive => "is-alive",
            Self::Tidy => "tidy",
            Self::Release => "release",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
        }
    }
}

/// An operation and the kind of object, such as `put annotations` or `get marker`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// The operation.
    pub call: Call,
    /// The kind of object: `marker`, `output.json`, a table, `root` or `run`.
    pub subject: &'static str,
}

impl Point {
    /// A call on an object or a prefix.
    pub fn on(call: Call, path: &Path) -> Self {
        let subject = match path.as_ref() {
            "" => "root",
            "_pubtag/output.json" => "output.json",
            path if path.starts_with("_pubtag/commits") => "marker",
            path if path.starts_with("_pubtag/claims") => "claim",
            path if path.starts_with("annotations") => "annotations",
            path if path.starts_with("documents") => "documents",
            path if path.starts_with("rejects") => "rejects",
            _ => "other",
        };
        Self { call, subject }
    }

    /// A call on a run's liveness.
    pub fn on_run(call: Call) -> Self {
        Self { call, subject: "run" }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.call.name(), self.subject)
    }
}
