//! Diagnostics of corpus readers and writers, in the log.

use std::collections::BTreeMap;

use pubtag_corpus::{DiagnosticKind, Diagnostics};

use crate::figures::grouped;

/// Logs diagnostics: a count per kind, and each of them with `--verbose`.
pub(crate) fn log_diagnostics(diagnostics: &Diagnostics) {
    for (kind, count) in &diagnostics.counts {
        tracing::warn!("{} (use --verbose to list them)", in_words(*kind, count.things));
    }
    for diagnostic in &diagnostics.kept {
        tracing::debug!("{diagnostic}");
    }
}

/// What is not in a corpus that was read, in one line; empty if that is nothing.
pub(crate) fn left_out(counts: &BTreeMap<DiagnosticKind, u64>) -> String {
    counts.iter().map(|(kind, count)| in_words(*kind, *count)).collect::<Vec<_>>().join("; ")
}

fn in_words(kind: DiagnosticKind, count: u64) -> String {
    format!("{}: {} {}", kind.subjects(), grouped(count), kind.effect())
}
