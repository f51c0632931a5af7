//! `report.html` of a run.

use maud::{Markup, html};

use super::summary::said;
use super::{InputLine, InputStatus, Report, StageLine, share};
use crate::figures::grouped;
use crate::html::{page, pairs};

impl Report {
    /// The page; problems come first.
    pub fn html(&self) -> String {
        let (troubled, fine): (Vec<_>, Vec<_>) = self.inputs.iter().partition(|input| is_trouble(input));
        let body = html! {
            @if !self.errors.is_empty() {
                h2.bad { "Errors" }
                pre.bad { @for error in &self.errors { (error) "\n" } }
            }
            (inputs("Inputs that need attention", &troubled))
            @if !self.lines().is_empty() {
                h2 { "Summary" }
                (pairs(self.lines().iter().map(|(name, value)| (*name, value.as_str()))))
            }
            (self.stage_bars())
            (inputs("Inputs", &fine))
            h2 { "Provenance" }
            (pairs(self.provenance().iter().map(|(name, value)| (name.as_str(), value.as_str()))))
        };
        let exit_code = self.exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
        page(&format!("pubtag run: {}{exit_code}", self.ended()), &body)
    }

    fn stage_bars(&self) -> Markup {
        html! {
            @if !self.stages.is_empty() {
                h2 { "Time by stage" }
                p.key {
                    i.busy {} "busy" i.starved {} "waiting for input" i.blocked {} "blocked by the next stage"
                }
                table {
                    tr { th { "stage" } th { "items" } th { "busy seconds" } th {} }
                    @for stage in &self.stages {
                        tr {
                            td { (stage.stage) }
                            td { (grouped(stage.items)) }
                            td { (format!("{:.2}", stage.busy_seconds)) }
                            td { (bar(stage, self.seconds)) }
                        }
                    }
                }
            }
        }
    }

    fn provenance(&self) -> Vec<(String, String)> {
        let lines = [
            ("program", self.program.clone()),
            ("run", self.run_id.to_string()),
            ("started", self.started_at.clone()),
            ("device", self.device.clone().unwrap_or_else(|| "none (nothing to tag)".to_owned())),
            ("threads", self.threads.to_string()),
        ];
        let settings = self.settings.iter().map(|(name, value)| (name.clone(), value.clone()));
        let model = self.model.iter().flat_map(|model| {
            let types = model.entity_types.join(", ");
            [("model", model.id.clone()), ("model SHA-256", model.sha256.clone()), ("entity types", types)]
        });
        lines.into_iter().chain(model).map(|(name, value)| (name.to_owned(), value)).chain(settings).collect()
    }
}

/// Whether an input needs attention.
fn is_trouble(input: &InputLine) -> bool {
    input.rejects > 0 || {
        use InputStatus::{Quarantined, Unfinished, Unreadable};
        matches!(input.status, Quarantined | Unfinished | Unreadable)
    }
}

fn inputs(title: &str, lines: &[&InputLine]) -> Markup {
    html! {
        @if !lines.is_empty() {
            h2 { (title) }
            table {
                tr {
                    th { "input" } th { "citations" } th { "deletions" } th { "rejects" } th { "annotations" }
                    th.text { "status" }
                }
                @for line in lines {
                    tr {
                        td { (line.input) }
                        @for count in [line.citations, line.deletions, line.rejects, line.annotations] {
                            td { (grouped(count)) }
                        }
                        td.text { (said(line.status)) @if let Some(reason) = &line.reason { ": " (reason) } }
                    }
                }
            }
        }
    }
}

/// A stage's time as parts of the run's, or of its total if several threads were busy.
fn bar(stage: &StageLine, seconds: f64) -> Markup {
    let parts = [("busy", stage.busy_seconds), ("starved", stage.starved_seconds), ("blocked", stage.blocked_seconds)];
    let whole = parts.iter().map(|(_, seconds)| seconds).sum::<f64>().max(seconds);
    html! {
        div.bar {
            @for (class, seconds) in parts {
                i class=(class) style=(format!("width:{:.1}%", 100.0 * share(seconds, whole))) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{ModelSummary, Packing, Reconciliation, RunEnding, Throughput};
    use super::*;

    fn report(inputs: Vec<InputLine>) -> Report {
        Report {
            run_id: uuid::Uuid::nil(),
            program: "pubtag".to_owned(),
            started_at: "2026-01-01T00:00:00Z".to_owned(),
            seconds: 2.0,
            first_micro_batch_seconds: Some(0.5),
            ending: RunEnding::Failed,
            exit_code: Some(65),
            errors: vec!["the disk is <full>".to_owned()],
            model: Some(ModelSummary {
                id: "m@0".to_owned(),
                sha256: "0".to_owned(),
                entity_types: vec!["Disease".to_owned()],
            }),
            device: None,
            threads: 2,
            settings: BTreeMap::new(),
            inputs,
            already_committed: pubtag_schemas::Tally::default(),
            reconciliation: Reconciliation { citations: 1, document_rows: 1, ..Reconciliation::default() },
            nlm: None,
            statuses: BTreeMap::new(),
            annotations: 0,
            abbreviations: None,
            cache: None,
            throughput: Throughput::default(),
            packing: Packing::default(),
            stages: vec![StageLine {
                stage: "tag",
                items: 1,
                busy_seconds: 1.5,
                starved_seconds: 0.5,
                blocked_seconds: 0.0,
            }],
        }
    }

    #[test]
    fn problems_come_first_and_nothing_from_outside_is_markup() {
        let line =
            |input: &str, status, reason: Option<&str>| InputLine::unread(input, status, reason.map(str::to_owned));
        let page = report(vec![
            line("well.xml", InputStatus::Committed, None),
            line("<b>cut</b>.xml", InputStatus::Quarantined, Some("ends early & badly")),
        ])
        .html();
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text} is missing in {page}"));
        assert!(at("the disk is &lt;full&gt;") < at("&lt;b&gt;cut&lt;/b&gt;.xml"), "{page}");
        assert!(at("quarantined: ends early &amp; badly") < at("well.xml"), "{page}");
        assert!(page.contains("style=\"width:75.0%\"") && !page.contains("<b>"), "{page}");
    }
}
