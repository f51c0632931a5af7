//! What every format's reader is: a step at a time from a window into a collector.

use std::io;

use pubtag_schemas::Pmid;

use crate::collector::Collector;
use crate::window::Window;

/// What a step of reading has come to.
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
    /// The input ends too early or is corrupt; what was read before is sound.
    Damaged {
        cause: String,
        in_record: bool,
    },
    /// The input is not what it should be at all.
    Unreadable(String),
}

/// A reader of one format.
pub(crate) trait RecordReader {
    /// Deals with what comes next.
    fn step(&mut self, window: &mut Window, out: &mut Collector) -> io::Result<Step>;

    /// The PMID of a record that breaks off, where it can be told without guessing.
    fn salvage_pmid(&self, record: &[u8]) -> Option<Pmid>;
}
