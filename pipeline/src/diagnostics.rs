//! Diagnostics of corpus readers and writers, in the log.

use std::collections::BTreeMap;

use pubtag_corpus::{DiagnosticKind, Diagnostics};

use crate::figures::grouped;

/// Logs diagnostics: a count per kind, and each of them with `--verbose`.
pub(crate) fn log_diagnostics(diagnostics: &Diagnostics) {
    for (kind, count) in &diagnostics.counts {
        tracing::warn!("{} (use --verbose to list them)", line(*kind, count.things));
    }
    for diagnostic in &diagnostics.kept {
        tracing::debug!("{diagnostic}");
    }
}

/// Counts of things that were left out, in one line; empty if there are none.
pub(crate) fn in_words(counts: &BTreeMap<DiagnosticKind, u64>) -> String {
    counts
        .iter()
        .map(|(kind, count)| format!("{}: {}", kind.subjects(), grouped(*count)))
        .collect::<Vec<_>>()
        .join("; ")
}

fn line(kind: DiagnosticKind, count: u64) -> String {
    format!("{}: {} {}", kind.subjects(), grouped(count), kind.effect())
}
