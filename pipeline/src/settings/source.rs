//! Where the value of a setting came from.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// A setting as it is in effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Effective {
    /// Its name in a settings file: the option without dashes.
    pub(crate) name: String,
    /// Null if it is not set and has no default of its own.
    pub(crate) value: serde_json::Value,
    pub(crate) source: Source,
}

/// The layer that a value came from, in order of precedence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    CommandLine,
    Environment,
    /// The settings file.
    File(PathBuf),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Environment => f.write_str("environment"),
            Self::File(path) => path.display().fmt(f),
            Self::Default => f.write_str("default"),
        }
    }
}
