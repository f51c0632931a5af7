//! The report of a run: `report.json`, `report.html`, and the summary on the terminal.

mod files;
mod page;
mod summary;

use std::collections::BTreeMap;
use std::fmt;

use pubtag_cache::CacheCounts;
use pubtag_schemas::Tally;
use pubtag_schemas::{Commit, Ending, UnitReport};
use pubtag_stream::Snapshot;
use serde::Serialize;
use uuid::Uuid;

use crate::figures::counted;
pub use crate::nlm::{NlmDifference, NlmSummary};
pub(crate) use files::write;

/// The report of a run. Serialized as `report.json`; fields are only ever added.
///
/// A run writes its report to the output directory twice: when it starts, with the ending [`RunEnding::Running`], and
/// when it ends, however it ends. So an earlier run's report is never mistaken for that of a run that failed to start or
/// was killed. A directory that is not an output of pubtag gets no report. Of several runs on one output, the last to end
/// leaves its report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// ID of the run.
    pub run_id: Uuid,
    /// Name and version of the program.
    pub program: String,
    /// Start of the run (RFC 3339, UTC).
    pub started_at: String,
    /// Duration in seconds.
    pub seconds: f64,
    /// Seconds from the start to the first micro-batch; null if there was none.
    pub first_micro_batch_seconds: Option<f64>,
    /// How it ended.
    pub ending: RunEnding,
    /// Its exit code; null while the run is in progress.
    pub exit_code: Option<u8>,
    /// Why it failed; one cause per line, outermost first.
    pub errors: Vec<String>,
    /// The model; null before it is opened.
    pub model: Option<ModelSummary>,
    /// Device or devices; null if there was nothing to tag.
    pub device: Option<String>,
    /// Threads for inference.
    pub threads: usize,
    /// Settings that are part of every fingerprint.
    pub settings: BTreeMap<String, String>,
    /// Status of each input, in input order.
    pub inputs: Vec<InputLine>,
    /// Records in the inputs that were already committed.
    pub already_committed: Tally,
    /// Records read against rows written.
    pub reconciliation: Reconciliation,
    /// Our counts against NLM's statistics; null if no file of this run has any.
    pub nlm: Option<NlmSummary>,
    /// Documents of this run by status.
    pub statuses: BTreeMap<String, u64>,
    /// Annotations written by this run.
    pub annotations: u64,
    /// Annotations changed by definitions of abbreviations; null if these were not tagged, or nothing was.
    pub abbreviations: Option<AbbreviationSummary>,
    /// What the cache saved; null without a cache, or if nothing was tagged.
    pub cache: Option<CacheSummary>,
    /// Speed.
    pub throughput: Throughput,
    /// Fill of the micro-batches.
    pub packing: Packing,
    /// Time per stage, in stream order.
    pub stages: Vec<StageLine>,
}

/// Annotations changed by definitions of abbreviations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AbbreviationSummary {
    /// Annotations added.
    pub added: u64,
    /// Annotations of the model removed.
    pub removed: u64,
}

/// What the cache saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheSummary {
    /// Citations looked up.
    pub looked_up: u64,
    /// Citations found, which the model did not read.
    pub hits: u64,
    /// Tokens that the model would have read of them, special tokens and overlaps included.
    pub tokens_saved: u64,
    /// Texts added.
    pub added: u64,
}

impl From<CacheCounts> for CacheSummary {
    fn from(CacheCounts { looked_up, hits, tokens_saved, added }: CacheCounts) -> Self {
        Self { looked_up, hits, tokens_saved, added }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnding {
    /// In progress, or killed: it is alive as long as `_pubtag/attempts/<run_id>.lock` is locked.
    Running,
    /// All inputs were processed.
    Done,
    /// Ended early by a signal, perhaps before the first citation; only whole files are committed.
    Interrupted,
    /// Ended early by an error, or could not start; only whole files are committed.
    Failed,
}

/// The model of a run.
#[derive(Clone, Debug, Serialize)]
pub struct ModelSummary {
    /// The `model_id` in the tables.
    pub id: String,
    /// SHA-256 of configuration, weights and tokenizer.
    pub sha256: String,
    /// Entity types.
    pub entity_types: Vec<String>,
}

/// The outcome of one input.
#[derive(Clone, Debug, Serialize)]
pub struct InputLine {
    /// Path or URI.
    pub input: String,
    /// Status.
    pub status: InputStatus,
    /// Reason for the status, if there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Citations read in this run.
    pub citations: u64,
    /// Deletions read in this run.
    pub deletions: u64,
    /// Records of this run that could not be parsed.
    pub rejects: u64,
    /// Annotations committed in this run.
    pub annotations: u64,
}

/// Status of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputStatus {
    /// Tagged and committed by this run.
    Committed,
    /// Committed by an earlier or concurrent run; this run wrote nothing for it.
    AlreadyCommitted,
    /// The same content as another input of this run.
    Duplicate,
    /// In an input directory, but not an input by its name or content.
    Skipped,
    /// In an input directory, but not readable.
    Unreadable,
    /// Excluded as a whole because it is damaged or of another format.
    Quarantined,
    /// Not finished when the run ended; nothing was committed.
    Unfinished,
}

impl InputLine {
    /// An input that was not read.
    pub fn unread(input: impl Into<String>, status: InputStatus, reason: Option<String>) -> Self {
        Self { input: input.into(), status, reason, citations: 0, deletions: 0, rejects: 0, annotations: 0 }
    }

    /// An input that went through the stream.
    pub fn of_unit(report: &UnitReport) -> Self {
        let (status, reason) = match &report.ending {
            Ending::Committed(commit) => {
                let replaced = (!commit.supersedes.is_empty()).then(|| "replaced an earlier result".to_owned());
                (InputStatus::Committed, replaced)
            }
            Ending::Identical(_) => {
                (InputStatus::AlreadyCommitted, Some("committed by another run in the meantime".into()))
            }
            Ending::Quarantined { reason } => (InputStatus::Quarantined, Some(reason.clone())),
            Ending::Abandoned => (InputStatus::Unfinished, None),
        };
        let Tally { citations, deletions, rejects } = report.tally;
        let annotations = committed(report).map_or(0, |commit| commit.rows("annotations"));
        Self { input: report.unit.uri().to_owned(), status, reason, citations, deletions, rejects, annotations }
    }
}

/// The commit that this run made for a unit, if any.
pub(crate) fn committed(report: &UnitReport) -> Option<&Commit> {
    match &report.ending {
        Ending::Committed(commit) => Some(commit),
        _ => None,
    }
}

/// Records read against rows written, over all units that this run committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// Citations read.
    pub citations: u64,
    /// Deletions read.
    pub deletions: u64,
    /// Records that could not be parsed.
    pub rejects: u64,
    /// Rows of `documents` written.
    pub document_rows: u64,
    /// Rows of `rejects` written.
    pub reject_rows: u64,
}

impl Reconciliation {
    /// Adds a committed unit.
    pub fn add(&mut self, tally: Tally, commit: &Commit) {
        self.citations += tally.citations;
        self.deletions += tally.deletions;
        self.rejects += tally.rejects;
        self.document_rows += commit.rows("documents");
        self.reject_rows += commit.rows("rejects");
    }

    /// Whether everything read was written, and nothing else.
    pub fn holds(&self) -> bool {
        self.citations + self.deletions == self.document_rows && self.rejects == self.reject_rows
    }

    /// All records read.
    pub fn records(&self) -> u64 {
        self.citations + self.deletions + self.rejects
    }
}

impl fmt::Display for Reconciliation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { citations, deletions, rejects, document_rows, reject_rows } = *self;
        write!(
            f,
            "{} + {} + {} = {} + {}",
            counted(citations, "citation"),
            counted(deletions, "deletion"),
            counted(rejects, "reject"),
            counted(document_rows, "document row"),
            counted(reject_rows, "reject row"),
        )?;
        f.write_str(if self.holds() { "" } else { "  DOES NOT RECONCILE" })
    }
}

/// Speed of a run, start-up included.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Throughput {
    /// Citations tagged per second.
    pub citations_per_second: f64,
    /// Tokens that the model read per second, special tokens and overlaps included.
    pub tokens_per_second: f64,
}

/// Fill of the micro-batches.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Packing {
    /// Micro-batches run.
    pub micro_batches: u64,
    /// Windows run.
    pub windows: u64,
    /// Tokens that the model read.
    pub tokens: u64,
    /// Tokens that a micro-batch may hold.
    pub token_budget: u64,
    /// Extra rows computed because shapes are rounded up; 0 on the CPU.
    pub rounding_tokens: u64,
    /// Padding in attention; 0 on the CPU.
    pub attention_padding: u64,
}

impl Packing {
    /// Mean share of the token budget used, from 0 to 1.
    pub fn fill(&self) -> f64 {
        share(self.tokens as f64, (self.micro_batches * self.token_budget) as f64)
    }

    /// Share of computed rows without a token, from 0 to 1.
    pub fn waste(&self) -> f64 {
        share(self.rounding_tokens as f64, (self.tokens + self.rounding_tokens) as f64)
    }

    /// Share of attention without a token, from 0 to 1.
    pub fn attention_waste(&self) -> f64 {
        share(self.attention_padding as f64, (self.tokens + self.attention_padding) as f64)
    }
}

/// Time of a stage.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StageLine {
    /// The stage.
    pub stage: &'static str,
    /// Items that it yielded, in its unit.
    pub items: u64,
    /// Busy seconds, summed over its threads.
    pub busy_seconds: f64,
    /// Seconds waiting for input.
    pub starved_seconds: f64,
    /// Seconds blocked by the next stage.
    pub blocked_seconds: f64,
}

impl From<Snapshot> for StageLine {
    fn from(meter: Snapshot) -> Self {
        Self {
            stage: meter.stage,
            items: meter.items,
            busy_seconds: meter.busy.as_secs_f64(),
            starved_seconds: meter.starved.as_secs_f64(),
            blocked_seconds: meter.blocked.as_secs_f64(),
        }
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_row_does_not_reconcile() {
        let mut reconciliation =
            Reconciliation { citations: 5, deletions: 1, rejects: 2, document_rows: 6, reject_rows: 2 };
        assert!(reconciliation.holds());
        reconciliation.document_rows -= 1;
        assert!(!reconciliation.holds() && reconciliation.to_string().ends_with("DOES NOT RECONCILE"));
    }
}
