//! What a run says of itself: `report.json`, and the summary on the terminal.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use pubtag_parquet::{Commit, Ending, UnitReport};
use pubtag_schemas::Tally;
use pubtag_stream::Snapshot;
use serde::Serialize;
use uuid::Uuid;

/// Everything that is known of a run at its end. Serialised as `report.json`; fields are only ever added.
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
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// Why it did not end well; one cause a line, outermost first.
    pub errors: Vec<String>,
    /// The model.
    pub model: ModelSummary,
    /// Where the model ran; null if there was nothing to tag.
    pub device: Option<String>,
    /// Threads of the model's arithmetic.
    pub threads: usize,
    /// The settings that are part of every fingerprint.
    pub settings: BTreeMap<String, String>,
    /// What became of each input, in input order.
    pub inputs: Vec<InputLine>,
    /// Whether what was met equals what was written.
    pub identity: Identity,
    /// Documents of this run by status.
    pub statuses: BTreeMap<String, u64>,
    /// Annotations written by this run.
    pub annotations: u64,
    /// How fast it went.
    pub throughput: Throughput,
    /// How well micro-batches were filled.
    pub packing: Packing,
    /// Where time went, in stream order.
    pub stages: Vec<StageLine>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnding {
    /// All inputs were dealt with.
    Done,
    /// A signal ended the run early; what is committed is whole.
    Interrupted,
    /// An error ended the run early; what is committed is whole.
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
        Self { input: report.unit.uri.clone(), status, reason, citations, deletions, rejects, annotations }
    }
}

/// The commit that this run made for a unit, if it made one.
pub(crate) fn committed(report: &UnitReport) -> Option<&Commit> {
    match &report.ending {
        Ending::Committed(commit) => Some(commit),
        _ => None,
    }
}

/// The identity over all units that this run committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Identity {
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

impl Identity {
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

impl fmt::Display for Identity {
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
    pub empty_places: u64,
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
        share(self.empty_places as f64, (self.tokens + self.empty_places) as f64)
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

impl Report {
    /// The summary that a person reads at the end of a run.
    pub fn summary(&self) -> String {
        let ending = match self.ending {
            RunEnding::Done => "done",
            RunEnding::Interrupted => "interrupted",
            RunEnding::Failed => "failed",
        };
        let mut text = format!("\n{ending} in {}, run {}\n", human_time(self.seconds), self.run_id);
        let mut line = |name: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<10} {value}");
        };
        line("inputs", self.inputs_line());
        if self.identity.records() > 0 {
            line("identity", self.identity.to_string());
            line("found", self.found_line());
            line("speed", self.speed_line());
            line("packing", self.packing_line());
            for stage in &self.stages {
                line("stage", self.stage_line(stage));
            }
        }
        text
    }

    fn inputs_line(&self) -> String {
        let mut counts = BTreeMap::<InputStatus, u64>::new();
        for input in &self.inputs {
            *counts.entry(input.status).or_default() += 1;
        }
        let parts = counts.into_iter().map(|(status, count)| {
            let name = match status {
                InputStatus::Committed => "tagged and committed",
                InputStatus::AlreadyCommitted => "already committed: nothing to do",
                InputStatus::Duplicate => "with the content of another",
                InputStatus::Skipped => "skipped: no input by content",
                InputStatus::Quarantined => "quarantined",
                InputStatus::Unfinished => "unfinished",
            };
            format!("{} {name}", counted(count, "file"))
        });
        parts.collect::<Vec<_>>().join(" · ")
    }

    fn found_line(&self) -> String {
        let statuses = self.statuses.iter().map(|(status, count)| format!("{} {status}", grouped(*count)));
        format!("{} · documents: {}", counted(self.annotations, "annotation"), statuses.collect::<Vec<_>>().join(", "))
    }

    fn speed_line(&self) -> String {
        let Throughput { citations_per_second, tokens_per_second } = self.throughput;
        let start = self.first_micro_batch_seconds.map(|seconds| format!(" · first micro-batch after {seconds:.2} s"));
        format!(
            "{citations_per_second:.1} citations/s · {} tokens/s, start-up included{}",
            grouped(tokens_per_second as u64),
            start.unwrap_or_default()
        )
    }

    fn packing_line(&self) -> String {
        let packing = &self.packing;
        format!(
            "{} tokens in {} of at most {} · {:.1}% full · waste {:.1}%, in attention {:.1}%",
            grouped(packing.tokens),
            plural(packing.micro_batches, "micro-batch", "micro-batches"),
            grouped(packing.token_budget),
            100.0 * packing.fill(),
            100.0 * packing.waste(),
            100.0 * packing.attention_waste(),
        )
    }

    fn stage_line(&self, stage: &StageLine) -> String {
        let percent = |seconds: f64| 100.0 * share(seconds, self.seconds);
        format!(
            "{:<8} busy {:>5.1}% · waits for input {:>5.1}% · waits for room {:>5.1}%",
            stage.stage,
            percent(stage.busy_seconds),
            percent(stage.starved_seconds),
            percent(stage.blocked_seconds),
        )
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// A number with thousands set apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn counted(count: u64, noun: &str) -> String {
    plural(count, noun, &format!("{noun}s"))
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A span of time as people say it.
pub(crate) fn human_time(seconds: f64) -> String {
    let whole = Duration::from_secs_f64(seconds.max(0.0)).as_secs();
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 41_000_000].map(grouped), ["0", "999", "1,000", "41,000,000"]);
    }

    #[test]
    fn the_identity_notices_a_row_too_few() {
        let mut identity = Identity { citations: 5, deletions: 1, rejects: 2, document_rows: 6, reject_rows: 2 };
        assert!(identity.holds());
        identity.document_rows -= 1;
        assert!(!identity.holds() && identity.to_string().ends_with("DOES NOT HOLD"));
    }
}
