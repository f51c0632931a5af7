//! What a run says of itself: `report.json`, `report.html`, and the summary on the terminal.

mod files;
mod page;
mod summary;

use std::collections::BTreeMap;
use std::fmt;

use pubtag_schemas::Tally;
use pubtag_schemas::{Commit, Ending, UnitReport};
use pubtag_stream::Snapshot;
use serde::Serialize;
use uuid::Uuid;

use crate::figures::counted;

/// Everything that is known of a run. Serialised as `report.json`; fields are only ever added.
///
/// A run leaves its report in the output directory twice: when it starts, with the ending [`RunEnding::Running`], and
/// when it ends, whatever the ending is. So the report of an earlier run never passes for that of a run that failed to
/// start or was killed. A directory that is not an output of pubtag gets no report. Of several runs on one output, the
/// report of the last to end stays.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The run.
    pub run_id: Uuid,
    /// Name and version of the program.
    pub program: String,
    /// When the run began (RFC 3339, UTC).
    pub started_at: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Seconds from the beginning to the first micro-batch; null if there was none.
    pub first_micro_batch_seconds: Option<f64>,
    /// How it ended.
    pub ending: RunEnding,
    /// The exit code that goes with it; null while the run is going on.
    pub exit_code: Option<u8>,
    /// Why it did not end well; one cause a line, outermost first.
    pub errors: Vec<String>,
    /// The model; null until it is opened.
    pub model: Option<ModelSummary>,
    /// Where the model ran; null if there was nothing to tag.
    pub device: Option<String>,
    /// Threads of the model's arithmetic.
    pub threads: usize,
    /// The settings that are part of every fingerprint.
    pub settings: BTreeMap<String, String>,
    /// What became of each input, in input order.
    pub inputs: Vec<InputLine>,
    /// Whether what was met equals what was written.
    pub reconciliation: Reconciliation,
    /// Documents of this run by status.
    pub statuses: BTreeMap<String, u64>,
    /// Annotations written by this run.
    pub annotations: u64,
    /// What definitions of abbreviations changed in all that was tagged; null if they were left alone or there was
    /// nothing to tag.
    pub abbreviations: Option<AbbreviationSummary>,
    /// How fast it went.
    pub throughput: Throughput,
    /// How well micro-batches were filled.
    pub packing: Packing,
    /// Where time went, in stream order.
    pub stages: Vec<StageLine>,
}

/// What definitions of abbreviations changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AbbreviationSummary {
    /// Annotations that were added.
    pub added: u64,
    /// Annotations of the model's that were removed.
    pub removed: u64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnding {
    /// It has not ended, or it was killed: it is alive as long as `_pubtag/attempts/<run_id>.lock` is locked.
    Running,
    /// All inputs were dealt with.
    Done,
    /// A signal ended the run early, before the first citation perhaps; what is committed is whole.
    Interrupted,
    /// An error ended the run early or kept it from starting; what is committed is whole.
    Failed,
}

/// The model of a run.
#[derive(Clone, Debug, Serialize)]
pub struct ModelSummary {
    /// What tables carry as `model_id`.
    pub id: String,
    /// SHA-256 over configuration, weights and tokenizer.
    pub sha256: String,
    /// Entity types.
    pub entity_types: Vec<String>,
}

/// What became of one input.
#[derive(Clone, Debug, Serialize)]
pub struct InputLine {
    /// Path or URI.
    pub input: String,
    /// What became of it.
    pub status: InputStatus,
    /// Why, where the status does not say it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Citations read in this run.
    pub citations: u64,
    /// Deletions read in this run.
    pub deletions: u64,
    /// Records of this run that could not be read.
    pub rejects: u64,
    /// Annotations committed in this run.
    pub annotations: u64,
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputStatus {
    /// Tagged and committed by this run.
    Committed,
    /// Committed already, by an earlier run or a concurrent one; this run wrote nothing for it.
    AlreadyCommitted,
    /// The same content as another input of this run.
    Duplicate,
    /// In a folder that was named, but no input by its content.
    Skipped,
    /// Left out as a whole: damaged, or not what it should be.
    Quarantined,
    /// Not finished when the run ended; nothing of it is committed.
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
            Ending::Committed(_) => (InputStatus::Committed, None),
            Ending::Identical(_) => (InputStatus::AlreadyCommitted, Some("committed by another run meanwhile".into())),
            Ending::Quarantined { reason } => (InputStatus::Quarantined, Some(reason.clone())),
            Ending::Abandoned => (InputStatus::Unfinished, None),
        };
        let Tally { citations, deletions, rejects } = report.tally;
        let annotations = committed(report).map_or(0, |commit| commit.rows("annotations"));
        Self { input: report.unit.uri().to_owned(), status, reason, citations, deletions, rejects, annotations }
    }
}

/// The commit that this run made for a unit, if it made one.
pub(crate) fn committed(report: &UnitReport) -> Option<&Commit> {
    match &report.ending {
        Ending::Committed(commit) => Some(commit),
        _ => None,
    }
}

/// The reconciliation over all units that this run committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// Citations met.
    pub citations: u64,
    /// Deletions met.
    pub deletions: u64,
    /// Records met that could not be read.
    pub rejects: u64,
    /// Rows of `documents` written.
    pub document_rows: u64,
    /// Rows of `rejects` written.
    pub reject_rows: u64,
}

impl Reconciliation {
    /// Adds a unit that was committed.
    pub fn add(&mut self, tally: Tally, commit: &Commit) {
        self.citations += tally.citations;
        self.deletions += tally.deletions;
        self.rejects += tally.rejects;
        self.document_rows += commit.rows("documents");
        self.reject_rows += commit.rows("rejects");
    }

    /// Whether everything met was written, and nothing else.
    pub fn holds(&self) -> bool {
        self.citations + self.deletions == self.document_rows && self.rejects == self.reject_rows
    }

    /// All records met.
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
        f.write_str(if self.holds() { "" } else { "  DOES NOT HOLD" })
    }
}

/// How fast a run went, start-up included.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Throughput {
    /// Citations tagged per second.
    pub citations_per_second: f64,
    /// Tokens that the model read per second, special tokens and overlaps included.
    pub tokens_per_second: f64,
}

/// How well micro-batches were filled.
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
    /// Rows that were computed beyond these tokens, because shapes are rounded up; 0 on the CPU.
    pub rounding_tokens: u64,
    /// Places in the rows of attention that were computed without a token in them; 0 on the CPU.
    pub attention_padding: u64,
}

impl Packing {
    /// The mean share of the budget that micro-batches filled, from 0 to 1.
    pub fn fill(&self) -> f64 {
        share(self.tokens as f64, (self.micro_batches * self.token_budget) as f64)
    }

    /// The share of computed rows that hold no token, from 0 to 1.
    pub fn waste(&self) -> f64 {
        share(self.rounding_tokens as f64, (self.tokens + self.rounding_tokens) as f64)
    }

    /// The share of attention's places that hold no token, from 0 to 1.
    pub fn attention_waste(&self) -> f64 {
        share(self.attention_padding as f64, (self.tokens + self.attention_padding) as f64)
    }
}

/// Where a stage's time went.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StageLine {
    /// The stage.
    pub stage: &'static str,
    /// What it yielded, as it counts.
    pub items: u64,
    /// Seconds at work, summed over its threads.
    pub busy_seconds: f64,
    /// Seconds waiting for input.
    pub starved_seconds: f64,
    /// Seconds waiting for the next stage to take its output.
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
    fn the_reconciliation_notices_a_row_too_few() {
        let mut reconciliation =
            Reconciliation { citations: 5, deletions: 1, rejects: 2, document_rows: 6, reject_rows: 2 };
        assert!(reconciliation.holds());
        reconciliation.document_rows -= 1;
        assert!(!reconciliation.holds() && reconciliation.to_string().ends_with("DOES NOT HOLD"));
    }
}
