//! The interface of the readers of each format.

use std::io;

use pubtag_schemas::Pmid;

use crate::collector::Collector;
use crate::window::Window;

/// The result of a step.
#[derive(Debug)]
pub(crate) enum Step {
    More,
    End(End),
}

/// How reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    Limited,
    /// The input is truncated or corrupt; what was read before is valid.
    Damaged {
        cause: String,
        in_record: bool,
    },
    /// The input cannot be read at all.
    Unreadable(String),
}

/// A reader of one format, which moves records from a window to a collector.
pub(crate) trait RecordReader {
    /// Reads the next piece of the input, of at most one record.
    fn step(&mut self, window: &mut Window, out: &mut Collector) -> io::Result<Step>;

    /// The PMID of a truncated record, if it is certain.
    fn salvage_pmid(&self, record: &[u8]) -> Option<Pmid>;
}
