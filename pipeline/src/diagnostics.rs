//! Diagnostics of corpus readers and writers, in the log.

use pubtag_corpus::Diagnostics;

/// Logs diagnostics: a count per kind, and each of them with `--verbose`.
pub(crate) fn log_diagnostics(diagnostics: &Diagnostics) {
    for (kind, count) in &diagnostics.counts {
        tracing::warn!("{kind}: {} (use --verbose to list them)", count.things);
    }
    for diagnostic in &diagnostics.kept {
        tracing::debug!("{diagnostic}");
    }
}
