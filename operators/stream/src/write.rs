//! The operator that feeds a sink: packets in, one report per unit out.

use std::sync::Arc;

use async_stream::try_stream;
use futures::TryStreamExt;
use pubtag_schemas::{Close, CommitOutcome, Ending, InputUnit, Packet, TaggedRecord, Tally, UnitReport};

use crate::{Attempt, Fault, FaultKind, Flow, Meter, Operator, Sink};

/// Writes tagged records to a [`Sink`], one attempt per unit, and finishes or abandons it when the unit closes.
///
/// - *Ordering*: records are written in input order; reports come in the order of the units.
/// - *Memory*: the packet being written, and what the sink's attempt holds.
/// - *Cancellation*: a step that has begun (a packet being written, a commit) runs to its end when the stream is
///   dropped; no further step begins.
/// - *Rejects*: written like any other record.
#[derive(Debug)]
pub struct Write<S> {
    sink: Arc<S>,
}

impl<S: Sink> Write<S> {
    /// An operator that writes to a sink.
    pub fn new(sink: S) -> Self {
        Self { sink: Arc::new(sink) }
    }
}

impl<S: Sink> Operator<Packet<TaggedRecord>> for Write<S> {
    type Output = UnitReport;

    fn name(&self) -> &'static str {
        self.sink.name()
    }

    fn apply(self, mut input: Flow<Packet<TaggedRecord>>, meter: Meter) -> Flow<UnitReport> {
        let sink = self.sink;
        let mut writer = Writer { sink: sink.clone(), meter, open: None };
        Box::pin(try_stream! {
            while let Some(packet) = input.try_next().await? {
                let report;
                (writer, report) = sink.uninterrupted(writer.step(packet)).await??;
                if let Some(report) = report {
                    yield report;
                }
            }
            if let Some(report) = sink.uninterrupted(writer.end()).await? {
                yield report;
            }
        })
    }
}

struct Writer<S: Sink> {
    sink: Arc<S>,
    meter: Meter,
    open: Option<Open<S::Attempt>>,
}

/// The unit being written.
struct Open<A> {
    unit: Arc<InputUnit>,
    attempt: A,
}

impl<S: Sink> Writer<S> {
    async fn step(mut self, packet: Packet<TaggedRecord>) -> Result<(Self, Option<UnitReport>), Fault> {
        let report = self.take(packet).await?;
        Ok((self, report))
    }

    async fn take(&mut self, packet: Packet<TaggedRecord>) -> Result<Option<UnitReport>, Fault> {
        let name = self.sink.name();
        match (packet, &mut self.open) {
            (Packet::Open(unit), open @ None) => {
                let attempt = self.sink.begin(unit.clone()).await?;
                *open = Some(Open { unit, attempt });
            }
            (Packet::Open(unit), Some(open)) => {
                return Err(misframed(name, format!("{} begins before {} has ended", unit.uri(), open.unit.uri())));
            }
            (Packet::Items(records), Some(open)) => {
                let count = records.len();
                open.attempt.write(records, &self.meter).await?;
                self.meter.add_items(count);
            }
            (Packet::Items(_), None) => return Err(misframed(name, "records came outside of any unit".to_owned())),
            (Packet::Close(close), open) => {
                let open = open.take().filter(|open| open.unit.index == close.unit.index);
                let open =
                    open.ok_or_else(|| misframed(name, format!("{} ends but did not begin", close.unit.uri())))?;
                return self::close(open.attempt, close, &self.meter).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Ends the stream; a unit that is still open was abandoned by the source.
    async fn end(mut self) -> Option<UnitReport> {
        let Open { unit, attempt } = self.open.take()?;
        attempt.abandon().await;
        Some(UnitReport { unit, tally: Tally::default(), ending: Ending::Abandoned })
    }
}

/// Finishes an attempt, or abandons it if its unit must not be committed.
async fn close<A: Attempt>(attempt: A, close: Close, meter: &Meter) -> Result<UnitReport, Fault> {
    let ending = match committable(&close) {
        Ok(outcome) => attempt.finish(&close, outcome, meter).await?,
        Err(reason) => {
            attempt.abandon().await;
            Ending::Quarantined { reason }
        }
    };
    Ok(UnitReport { unit: close.unit, tally: close.tally, ending })
}

/// How to commit a unit, or why it must not be committed.
fn committable(close: &Close) -> Result<CommitOutcome, String> {
    let outcome = CommitOutcome::of(close.outcome.clone())?;
    match &close.unit.sha256 {
        // The source hashes every file to its end, even if it reads records from a part of it only.
        Some(known) if *known != close.sha256 => Err("the file changed while it was read".to_owned()),
        _ => Ok(outcome),
    }
}

fn misframed(stage: &'static str, what: String) -> Fault {
    Fault::new(stage, FaultKind::Internal, format!("{what}; this is a bug in pubtag, please report it"))
}
