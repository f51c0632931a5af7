//! What a worker writes.

use std::path::absolute;

use pubtag_schemas::{Commit, Tally};
use pubtag_store::Address;
use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::config::RunConfig;
use crate::exit::{Exit, Failure};
use crate::progress::Position;
use crate::record::RunRecord;
use crate::report::{InputStatus, Report};
use crate::terminal;

/// Version of the protocol; within it, fields and types of records are only ever added.
pub(super) const PROTOCOL: u32 = 1;

/// A record: one line of standard output.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Answer {
    /// The model is loaded; the first record.
    Ready {
        /// Version of the protocol.
        protocol: u32,
        /// Name and version of the program.
        program: &'static str,
        /// Name of the model.
        model: String,
        /// SHA-256 of the model, lower-case hex.
        model_sha256: String,
        /// Device or devices.
        device: String,
    },
    /// How far a request is.
    Progress(Progress),
    /// The input is committed.
    Commit(Box<Committed>),
    /// Nothing of the input was committed by this request.
    Failure(Failed),
}

/// How far a request is.
#[derive(Debug, Serialize)]
pub(super) struct Progress {
    id: Json,
    line: u64,
    /// Bytes of the input processed, compressed as it is.
    bytes: u64,
    /// Size of the input; null if unknown.
    total_bytes: Option<u64>,
    citations: u64,
    tokens: u64,
    seconds: f64,
}

/// A commit that counts.
#[derive(Debug, Serialize)]
pub(super) struct Committed {
    id: Json,
    line: u64,
    input: String,
    /// `committed`, or `already_committed`.
    status: InputStatus,
    /// 0, or 65 if the commit exceeds a limit, such as `--max-rejects`, or what failed after it.
    exit_code: u8,
    errors: Vec<String>,
    output: String,
    /// The run and the attempt that made it; for `already_committed`, earlier ones.
    run_id: Uuid,
    attempt_id: String,
    committed_at: String,
    model_id: String,
    /// SHA-256 of the input, lower-case hex.
    sha256: String,
    citations: u64,
    deletions: u64,
    rejects: u64,
    annotations: u64,
    parts: Vec<Part>,
    /// Tokens that the model read for this request; citations in the cache have none.
    tokens: u64,
    seconds: f64,
    #[serde(skip)]
    exit: Exit,
}

/// A file of a commit.
#[derive(Debug, Serialize)]
struct Part {
    table: String,
    /// Path or URL.
    uri: String,
    rows: u64,
    bytes: u64,
    sha256: String,
}

/// A request that led to no commit.
#[derive(Debug, Serialize)]
pub(super) struct Failed {
    id: Json,
    line: u64,
    /// Null if the line is not a request.
    input: Option<String>,
    /// `quarantined`, `unfinished`, or null if the input was not opened.
    status: Option<InputStatus>,
    exit_code: u8,
    errors: Vec<String>,
    seconds: f64,
    #[serde(skip)]
    exit: Exit,
}

impl Answer {
    /// Says that a line is not a request.
    pub(super) fn refused(id: Json, line: u64, reason: String) -> Self {
        let exit = Exit::Configuration;
        let (exit_code, errors) = (exit.code(), vec![reason]);
        Self::Failure(Failed { id, line, input: None, status: None, exit_code, errors, seconds: 0.0, exit })
    }

    /// Writes the record.
    ///
    /// # Errors
    /// Nobody reads it.
    pub(super) fn send(&self) -> Result<(), Failure> {
        let line = serde_json::to_string(self)? + "\n";
        let failed =
            |error| Failure::message(Exit::Transient, format!("failed to write a record to standard output: {error}"));
        terminal::print(&line).map_err(failed)
    }

    /// What it contributes to the worker's exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Ready { .. } | Self::Progress(_) => Exit::Done,
            Self::Commit(committed) => committed.exit,
            Self::Failure(failed) => failed.exit,
        }
    }
}

impl Progress {
    pub(super) fn new(id: &Json, line: u64, at: Position, total_bytes: u64, seconds: f64) -> Self {
        let Position { bytes, citations, tokens } = at;
        let total_bytes = (total_bytes > 0).then_some(total_bytes);
        Self { id: id.clone(), line, bytes, total_bytes, citations, tokens, seconds }
    }
}

/// A request that has ended.
pub(super) struct Outcome<'a> {
    pub(super) id: Json,
    pub(super) line: u64,
    pub(super) seconds: f64,
    pub(super) config: &'a RunConfig,
    pub(super) exit: Exit,
}

impl Outcome<'_> {
    /// The record of a request from that of its run.
    pub(super) fn answer(self, record: &RunRecord) -> Answer {
        match record.commits() {
            // A bug outweighs what was committed.
            [commit] if self.exit < Exit::Internal || matches!(self.exit, Exit::Signal(_)) => {
                Answer::Commit(Box::new(self.committed(commit, record.report())))
            }
            _ => Answer::Failure(self.failed(record.report())),
        }
    }

    fn committed(self, commit: &Commit, report: &Report) -> Committed {
        // A signal that arrives while an input is finished does not take its commit back.
        let exit = if matches!(self.exit, Exit::Signal(_)) { Exit::Done } else { self.exit };
        let Tally { citations, deletions, rejects } = commit.tally;
        let output = absolute_uri(&self.config.output);
        let parts = commit.parts.iter().map(|part| Part {
            table: part.table.clone(),
            uri: format!("{output}/{}", part.path),
            rows: part.rows,
            bytes: part.bytes,
            sha256: part.sha256.clone(),
        });
        Committed {
            id: self.id,
            line: self.line,
            input: self.config.inputs.concat(),
            status: report.inputs.first().map_or(InputStatus::Committed, |input| input.status),
            exit_code: exit.code(),
            errors: report.errors.clone(),
            run_id: commit.run_id,
            attempt_id: commit.attempt_id.clone(),
            committed_at: commit.committed_at.clone(),
            model_id: commit.model_id.clone(),
            sha256: commit.input.sha256.clone(),
            citations,
            deletions,
            rejects,
            annotations: commit.rows("annotations"),
            parts: parts.collect(),
            tokens: report.packing.tokens,
            seconds: self.seconds,
            output,
            exit,
        }
    }

    fn failed(self, report: &Report) -> Failed {
        let input = report.inputs.first();
        let reason = input.and_then(|input| input.reason.clone());
        // A wrong URL is a usage error on a command line only.
        let exit = if self.exit == Exit::Usage { Exit::Configuration } else { self.exit };
        let mut errors: Vec<String> = report.errors.iter().cloned().chain(reason).collect();
        if errors.is_empty() && matches!(exit, Exit::Signal(_)) {
            errors.push("interrupted by a signal; nothing was committed".to_owned());
        }
        Failed {
            id: self.id,
            line: self.line,
            input: Some(self.config.inputs.concat()),
            status: input.map(|input| input.status),
            exit_code: exit.code(),
            errors,
            seconds: self.seconds,
            exit,
        }
    }
}

/// An address that does not depend on the working directory.
fn absolute_uri(address: &Address) -> String {
    let path = address.local().and_then(|path| absolute(path).ok());
    path.map_or_else(|| address.to_string(), |path| path.display().to_string())
}
