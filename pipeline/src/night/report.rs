//! What a night did, step by step: `nightly.json` in the output, and a summary.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::time::Instant;

use pubtag_parquet::Tables;
use pubtag_store::{Address, StoreOptions};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::exit::{Exit, Failure};
use crate::figures::human_time;
use crate::outputs;
use crate::provenance::PROGRAM;
use crate::report::write;
use crate::runtime::runtime;

/// The report of a night. Serialized as `nightly.json` when the night begins and after each step; fields are only ever
/// added.
#[derive(Debug, Serialize)]
pub(crate) struct NightReport {
    /// Name and version of the program.
    program: String,
    /// Start (RFC 3339, UTC).
    started_at: String,
    /// Duration in seconds so far.
    seconds: f64,
    /// The exit code; null while the night is in progress, or if it was killed.
    exit_code: Option<u8>,
    /// The step in progress; null between nights.
    step: Option<&'static str>,
    /// The steps that have ended, in order.
    steps: Vec<StepLine>,
    #[serde(skip)]
    output: Address,
    #[serde(skip)]
    options: StoreOptions,
    #[serde(skip)]
    runtime: Runtime,
    #[serde(skip)]
    began: Instant,
}

/// A step that has ended.
#[derive(Debug, Serialize)]
struct StepLine {
    step: &'static str,
    exit_code: u8,
    seconds: f64,
    /// What it did, or why it failed.
    summary: Vec<String>,
}

/// How a step ended.
#[derive(Debug)]
pub(crate) struct StepEnd {
    exit_code: u8,
    /// What it did, in lines.
    summary: Vec<String>,
    /// Whether the next step may begin.
    goes_on: bool,
}

impl StepEnd {
    /// A step whose failure ends the night.
    pub(crate) fn new(exit: Exit, summary: Vec<String>) -> Self {
        Self { exit_code: exit.code(), summary, goes_on: exit == Exit::Done }
    }

    /// A step whose failure is part of the exit code, and does not end the night.
    pub(crate) fn in_any_case(self) -> Self {
        Self { goes_on: true, ..self }
    }
}

impl NightReport {
    /// Begins a night that writes to an output.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(crate) fn begin(output: Address, options: StoreOptions) -> Result<Self, Failure> {
        Ok(Self {
            program: PROGRAM.to_owned(),
            started_at: jiff::Timestamp::now().to_string(),
            seconds: 0.0,
            exit_code: None,
            step: None,
            steps: Vec::new(),
            output,
            options,
            runtime: runtime(NonZeroUsize::MIN)?,
            began: Instant::now(),
        })
    }

    /// Does a step and records how it ended; false if the night ends with it.
    pub(crate) fn step(&mut self, step: &'static str, work: impl FnOnce() -> Result<StepEnd, Failure>) -> bool {
        tracing::info!("{step}: begins");
        self.step = Some(step);
        self.leave();
        let began = Instant::now();
        let StepEnd { exit_code, summary, goes_on } = work().unwrap_or_else(|Failure { exit, error }| {
            tracing::error!("{step}: {error:#}");
            StepEnd::new(exit, error.chain().map(ToString::to_string).collect())
        });
        let seconds = began.elapsed().as_secs_f64();
        match exit_code {
            0 => tracing::info!("{step}: done in {}", human_time(seconds)),
            code => tracing::error!("{step}: failed with exit code {code} after {}", human_time(seconds)),
        }
        self.steps.push(StepLine { step, exit_code, seconds, summary });
        self.step = None;
        goes_on
    }

    /// Ends the night; returns its exit code, which is that of the last step that failed.
    pub(crate) fn close(&mut self) -> u8 {
        let code = self.steps.iter().rev().map(|step| step.exit_code).find(|code| *code != 0).unwrap_or(0);
        self.exit_code = Some(code);
        self.leave();
        code
    }

    /// The summary for a person.
    pub(crate) fn page(&self) -> String {
        let ending = match self.exit_code {
            Some(0) => "done".to_owned(),
            Some(code) => format!("failed with exit code {code}"),
            None => "in progress".to_owned(),
        };
        let mut text = format!("\nnight {ending} in {}\n", human_time(self.began.elapsed().as_secs_f64()));
        for StepLine { step, exit_code, seconds, summary } in &self.steps {
            let state = if *exit_code == 0 { "done".to_owned() } else { format!("FAILED ({exit_code})") };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {step:<10} {state} in {}", human_time(*seconds));
            for line in summary {
                let _ = writeln!(text, "  {:<10} {line}", "");
            }
        }
        text
    }

    /// Writes `nightly.json`, once the output exists; logs a failure to do so.
    fn leave(&mut self) {
        self.seconds = self.began.elapsed().as_secs_f64();
        let write = async {
            match outputs::open(&self.output, &self.options)? {
                Some(output) if Tables::exist_at(&output).await? => {
                    write(&output, "nightly.json", serde_json::to_string_pretty(self)?).await
                }
                _ => Ok(()),
            }
        };
        if let Err(Failure { error, .. }) = self.runtime.block_on(write) {
            tracing::warn!("{error:#}");
        }
    }
}
