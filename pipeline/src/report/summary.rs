//! The summary of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{AbbreviationSummary, CacheSummary, InputStatus, Report, RunEnding, StageLine, Throughput, share};
use crate::figures::{counted, grouped, human_time, plural};

impl Report {
    /// The summary printed at the end of a run.
    pub fn summary(&self) -> String {
        let mut text = format!("\n{}, run {}\n", self.ended(), self.run_id);
        let stages = self.stages.iter().map(|stage| ("stage", self.stage_line(stage)));
        for (name, value) in self.lines().into_iter().chain(stages) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<10} {value}");
        }
        text
    }

    /// How the run ended, and after how long.
    pub(super) fn ended(&self) -> String {
        let ending = match self.ending {
            RunEnding::Running => return format!("running since {}", self.started_at),
            RunEnding::Done => "done",
            RunEnding::Interrupted => "interrupted",
            RunEnding::Failed => "failed",
        };
        format!("{ending} in {}", human_time(self.seconds))
    }

    /// The results, as names and lines.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if !self.inputs.is_empty() {
            lines.push(("inputs", self.inputs_line()));
        }
        if self.already_committed.rejects > 0 {
            let rejects = counted(self.already_committed.rejects, "reject");
            lines.push(("rejects", format!("{rejects} in files already committed")));
        }
        if self.reconciliation.records() > 0 {
            lines.extend([("reconciled", self.reconciliation.to_string()), ("found", self.found_line())]);
            lines.extend(self.nlm.as_ref().map(|nlm| ("nlm", nlm.line())));
            lines.extend(self.cache.map(|cache| ("cache", self.cache_line(cache))));
            lines.extend([("speed", self.speed_line()), ("packing", self.packing_line())]);
        }
        lines
    }

    fn inputs_line(&self) -> String {
        let mut counts = BTreeMap::<InputStatus, u64>::new();
        for input in &self.inputs {
            *counts.entry(input.status).or_default() += 1;
        }
        let parts = counts.into_iter().map(|(status, count)| {
            let why = if status == InputStatus::Skipped { self.skipped_for() } else { String::new() };
            format!("{} {}{why}", counted(count, "file"), said(status))
        });
        parts.collect::<Vec<_>>().join(" · ")
    }

    /// Why files were skipped, in a few words each.
    fn skipped_for(&self) -> String {
        let mut counts = BTreeMap::<&str, u64>::new();
        for input in self.inputs.iter().filter(|input| input.status == InputStatus::Skipped) {
            let reason = input.reason.as_deref().unwrap_or_default();
            let short = reason.split([',', ':', ';', '(']).next().unwrap_or(reason).trim();
            *counts.entry(short).or_default() += 1;
        }
        let counts: Vec<_> = counts.iter().map(|(reason, count)| format!("{} {reason}", grouped(*count))).collect();
        format!(" ({})", counts.join(", "))
    }

    fn found_line(&self) -> String {
        let statuses = self.statuses.iter().map(|(status, count)| format!("{} {status}", grouped(*count)));
        let abbreviations = self.abbreviations.map(|AbbreviationSummary { added, removed }| {
            format!(" · abbreviations: {} added, {} removed", grouped(added), grouped(removed))
        });
        format!(
            "{}{} · documents: {}",
            counted(self.annotations, "annotation"),
            abbreviations.unwrap_or_default(),
            statuses.collect::<Vec<_>>().join(", ")
        )
    }

    fn cache_line(&self, cache: CacheSummary) -> String {
        let CacheSummary { looked_up, hits, tokens_saved, added } = cache;
        let tokens = tokens_saved + self.packing.tokens;
        format!(
            "{} of {} found ({:.1}%) · {} of {} saved ({:.1}%) · {} added",
            grouped(hits),
            counted(looked_up, "text"),
            100.0 * share(hits as f64, looked_up as f64),
            grouped(tokens_saved),
            counted(tokens, "model token"),
            100.0 * share(tokens_saved as f64, tokens as f64),
            grouped(added),
        )
    }

    fn speed_line(&self) -> String {
        let Throughput { citations_per_second, tokens_per_second } = self.throughput;
        let start = self.first_micro_batch_seconds.map(|seconds| format!(" · first micro-batch after {seconds:.2} s"));
        format!(
            "{citations_per_second:.1} citations/s · {} tokens/s, including start-up{}",
            grouped(tokens_per_second as u64),
            start.unwrap_or_default()
        )
    }

    fn packing_line(&self) -> String {
        let packing = &self.packing;
        format!(
            "{} tokens in {} of at most {} · {:.1}% full · {:.1}% padding, {:.1}% in attention",
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
            "{:<8} busy {:>5.1}% · waiting for input {:>5.1}% · blocked by the next stage {:>5.1}%",
            stage.stage,
            percent(stage.busy_seconds),
            percent(stage.starved_seconds),
            percent(stage.blocked_seconds),
        )
    }
}

/// A status in words that follow "1 file".
pub(super) fn said(status: InputStatus) -> &'static str {
    match status {
        InputStatus::Committed => "tagged and committed",
        InputStatus::AlreadyCommitted => "already committed",
        InputStatus::Duplicate => "with the same content as another",
        InputStatus::Skipped => "skipped",
        InputStatus::Unreadable => "not readable",
        InputStatus::Quarantined => "quarantined",
        InputStatus::Unfinished => "unfinished",
    }
}
