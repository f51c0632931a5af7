//! The sink as an operator: packets in, one report a unit out.

use std::num::NonZeroUsize;

use async_stream::try_stream;
use futures::TryStreamExt;
use pubtag_schemas::{Close, CommitOutcome, Ending, Packet, TaggedRecord, Tally, UnitReport};
use pubtag_stream::{Fault, Flow, Meter, Operator};

use crate::attempt::{Attempt, remove_parts};
use crate::encode::Bounds;
use crate::error::STAGE;
use crate::publish::{Published, Terms, publish};
use crate::upload::PIECE_BYTES;
use crate::{CommitLog, Error, Output, RunSpec, TextPolicy};

/// How units are written.
#[derive(Clone, Debug)]
pub struct WriteConfig {
    /// What decides the rows; the text policy must be among its settings, as all that changes rows.
    pub spec: RunSpec,
    /// Whether the tables carry the citations' text.
    pub text: TextPolicy,
    /// Whether a commit that conflicts is replaced.
    pub overwrite: bool,
    /// Name and version of the program, for people.
    pub program: String,
    /// Bytes of rows in memory that make a row group.
    pub row_group_bytes: NonZeroUsize,
    /// Encoded bytes after which a new part begins.
    pub part_bytes: NonZeroUsize,
    /// Bytes of a part that are sent at a time, if it has more; stores want at least 5 MiB.
    pub piece_bytes: NonZeroUsize,
}

impl WriteConfig {
    /// Text kept, nothing overwritten, row groups of 16 MiB in memory, parts of 512 MiB.
    ///
    /// Larger row groups would hardly be read faster (a file of PubMed's makes a few of these), and encoded pages are most
    /// of what a run on a small model holds.
    pub fn new(spec: RunSpec, program: impl Into<String>) -> Self {
        const MIB: NonZeroUsize = NonZeroUsize::new(1024 * 1024).expect("a million is not zero");
        let mib = |count: usize| MIB.saturating_mul(NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN));
        Self {
            spec,
            text: TextPolicy::Keep,
            overwrite: false,
            program: program.into(),
            row_group_bytes: mib(16),
            part_bytes: mib(512),
            piece_bytes: PIECE_BYTES,
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { row_group_bytes: self.row_group_bytes, part_bytes: self.part_bytes }
    }
}

/// Writes tagged records as three Parquet tables and commits each unit when it closes.
///
/// - *Ordering*: rows are written in the order of the input; reports come in the order of the units.
/// - *Memory*: for each table, one row group (encoded, at most `row_group_bytes` of rows) and one piece of an upload
///   (8 MiB); besides, the rows of the packet at hand.
/// - *Cancellation*: a step that has begun (a part that is sent, a marker that is put) goes on to its end when the
///   stream is dropped; [`Output::finish`] waits for it, and sweeps what no marker names.
/// - *Rejects*: become rows of `rejects`. A record that breaks a rule of the stages before is a fault.
#[derive(Debug)]
pub struct Write {
    output: Output,
    commit_log: CommitLog,
    config: WriteConfig,
}

impl Write {
    /// A writer to an output, which knows what was committed when it was opened and what the run's inputs hold.
    pub fn new(output: &Output, commit_log: &CommitLog, config: WriteConfig) -> Self {
        Self { output: output.clone(), commit_log: commit_log.clone(), config }
    }

    async fn close(&self, attempt: Attempt, close: Close, meter: &Meter) -> Result<UnitReport, Fault> {
        let ending = match judge(&close) {
            Ok((sha256, outcome)) => self.commit(attempt, &close, sha256, outcome, meter).await?,
            Err(reason) => {
                attempt.abandon(&self.output).await;
                Ending::Quarantined { reason }
            }
        };
        Ok(UnitReport { unit: close.unit, tally: close.tally, ending })
    }

    async fn commit(
        &self,
        attempt: Attempt,
        close: &Close,
        sha256: String,
        outcome: CommitOutcome,
        meter: &Meter,
    ) -> Result<Ending, Fault> {
        let Self { output, commit_log, config } = self;
        let commit = attempt.finish(output, close, sha256, outcome, config, meter).await?;
        let parts = commit.parts.clone();
        let terms = Terms { commit_log, spec: &config.spec, overwrite: config.overwrite };
        match publish(output, &close.unit, commit, terms).await? {
            Published::Ours(commit) => Ok(Ending::Committed(commit)),
            Published::Identical(commit) => {
                remove_parts(output, &parts).await;
                Ok(Ending::Identical(commit))
            }
        }
    }
}

impl Operator<Packet<TaggedRecord>> for Write {
    type Output = UnitReport;

    fn name(&self) -> &'static str {
        STAGE
    }

    fn apply(self, mut input: Flow<Packet<TaggedRecord>>, meter: Meter) -> Flow<UnitReport> {
        let output = self.output.clone();
        let mut writer = Writer { sink: self, meter, open: None };
        Box::pin(try_stream! {
            while let Some(packet) = input.try_next().await? {
                let report;
                (writer, report) = output.uninterrupted(writer.step(packet)).await??;
                if let Some(report) = report {
                    yield report;
                }
            }
            if let Some(report) = output.uninterrupted(writer.end()).await? {
                yield report;
            }
        })
    }
}

struct Writer {
    sink: Write,
    meter: Meter,
    open: Option<Attempt>,
}

impl Writer {
    async fn step(mut self, packet: Packet<TaggedRecord>) -> Result<(Self, Option<UnitReport>), Fault> {
        let report = self.take(packet).await?;
        Ok((self, report))
    }

    async fn take(&mut self, packet: Packet<TaggedRecord>) -> Result<Option<UnitReport>, Fault> {
        let Write { output, config, .. } = &self.sink;
        match (packet, &mut self.open) {
            (Packet::Open(unit), open @ None) => *open = Some(Attempt::begin(output, unit, config)?),
            (Packet::Open(unit), Some(attempt)) => {
                return Err(misframed(format!("{} begins before {} has ended", unit.uri(), attempt.unit.uri())));
            }
            (Packet::Items(records), Some(attempt)) => {
                let count = records.len();
                attempt.write(output, records, &self.meter).await?;
                self.meter.add_items(count);
            }
            (Packet::Items(_), None) => return Err(misframed("records came outside of any input".to_owned())),
            (Packet::Close(close), open) => {
                let attempt = open.take().filter(|attempt| attempt.unit.index == close.unit.index);
                let attempt =
                    attempt.ok_or_else(|| misframed(format!("{} ends but did not begin", close.unit.uri())))?;
                return self.sink.close(attempt, close, &self.meter).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Ends the stream; a unit that is still open was abandoned by the source.
    async fn end(mut self) -> Option<UnitReport> {
        let attempt = self.open.take()?;
        let unit = attempt.unit.clone();
        attempt.abandon(&self.sink.output).await;
        Some(UnitReport { unit, tally: Tally::default(), ending: Ending::Abandoned })
    }
}

/// The hash and outcome to commit a unit with, or why it must not be committed.
fn judge(close: &Close) -> Result<(String, CommitOutcome), String> {
    let outcome = CommitOutcome::of(close.outcome.clone())?;
    match &close.unit.sha256 {
        // The source reads every file to its end for its hash, even where records are read from a part of it only.
        Some(known) if *known != close.sha256 => Err("the file changed while it was read".to_owned()),
        _ => Ok((close.sha256.clone(), outcome)),
    }
}

fn misframed(what: String) -> Fault {
    Error::Frames { what }.into()
}
