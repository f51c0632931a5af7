//! Reads the corpora that a command names.

use std::collections::BTreeMap;

use pubtag_corpus::{CorpusSpec, DiagnosticKind, Diagnostics, Format, Gold, Labels};

use crate::diagnostics::{in_words, log_diagnostics};
use crate::exit::{Exit, Failure};

/// Reads a corpus and logs its diagnostics.
///
/// # Errors
/// See [`Gold::read`].
pub(crate) fn read_gold(corpus: &CorpusSpec, format: Option<Format>, labels: Labels) -> Result<Gold, Failure> {
    let mut diagnostics = Diagnostics::default();
    let gold = Gold::read(corpus, format, labels, &mut diagnostics);
    log_diagnostics(&diagnostics);
    let gold = gold.map_err(|error| Failure::new(Exit::Data, error))?;
    if !gold.unmapped.is_empty() {
        tracing::warn!("{corpus}: map= names categories that no mention has: {}", gold.unmapped.join(", "));
    }
    Ok(gold)
}

/// Keeps the mentions of these types, warns of the other types and returns them.
///
/// # Errors
/// No mention is left.
pub(crate) fn keep_types(gold: &mut Gold, types: &[String], why: &str) -> Result<Vec<String>, Failure> {
    let dropped = gold.keep_types(types).map_err(|error| Failure::new(Exit::Configuration, error))?;
    if !dropped.is_empty() {
        tracing::warn!("{}: not scored, because {why}: {}", gold.corpus.path.display(), dropped.join(", "));
    }
    Ok(dropped)
}

/// Warns of mentions that tags cannot express, in a corpus whose types are final, and returns their counts.
pub(crate) fn warn_of_untaggable(gold: &Gold) -> BTreeMap<DiagnosticKind, u64> {
    let counts = gold.untaggable();
    if !counts.is_empty() {
        tracing::warn!(
            "{}: not used, because tags cannot express them: {}",
            gold.corpus.path.display(),
            in_words(&counts)
        );
    }
    counts
}

/// Rejects a weight for a corpus that is not trained on.
///
/// # Errors
/// The corpus has a weight.
pub(crate) fn refuse_weight(corpus: &CorpusSpec, option: &str) -> Result<(), Failure> {
    if corpus.weight == 1.0 {
        return Ok(());
    }
    Err(Failure::configuration(format!("{option} {corpus}: weight= is for --train only")))
}
