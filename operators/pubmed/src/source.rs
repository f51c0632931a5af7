//! The stream of packets of all units.

use std::io;
use std::sync::Arc;

use async_stream::try_stream;
use futures::StreamExt;
use pubtag_schemas::{Close, InputUnit, Outcome, Packet, Record, Tally};
use pubtag_stream::{CancellationToken, Fault, Flow, Meter, spawn_blocking};

use crate::reader::UnitReader;
use crate::{PubmedError, ReadOptions};

/// The units of a run, one after another.
///
/// - *Ordering*: units in the order given, records in file order.
/// - *Memory*: one packet (at most 64 records, about 512 KiB of text) and a few MiB of the open file; a record of up to 16 MiB
///   is held in memory.
/// - *Cancellation*: the token is checked only between units and ends the stream there; the pipeline decides how long the
///   current unit may take. Dropping the stream stops after the current packet. A read of standard input that waits for its
///   writer cannot be stopped: shut the runtime down with a timeout.
/// - *Rejects*: a record that cannot be read is a [`Record::Reject`]; a file that cannot be read to its end is closed as
///   [`Outcome::Quarantined`]. A fault is an I/O error, which may be temporary.
#[derive(Debug)]
pub struct Source {
    units: Vec<Arc<InputUnit>>,
    options: ReadOptions,
    cancel: CancellationToken,
}

impl Source {
    /// The name of its stage in reports and errors.
    pub const NAME: &'static str = "source";

    /// A source of units; [`ReadOptions::limit`] applies to all of them together.
    pub fn new(units: Vec<Arc<InputUnit>>, options: ReadOptions, cancel: CancellationToken) -> Self {
        Self { units, options, cancel }
    }

    /// The packets of all units. Units beyond the limit are not opened.
    pub fn flow(self, meter: Meter) -> Flow<Packet<Record>> {
        let Self { units, mut options, cancel } = self;
        Box::pin(try_stream! {
            for unit in units {
                if cancel.is_cancelled() || options.limit == Some(0) {
                    break;
                }
                let mut packets = read_unit(unit, options.clone(), meter.clone());
                while let Some(packet) = packets.next().await {
                    let packet = packet?;
                    if let Packet::Close(close) = &packet {
                        options.limit = options.limit.map(|limit| limit.saturating_sub(close.tally.records()));
                    }
                    yield packet;
                }
            }
        })
    }
}

/// One unit as `Open`, any number of `Items`, `Close`, with the properties of [`Source`].
///
/// Each packet is read on a blocking thread only when it is polled for.
pub fn read_unit(unit: Arc<InputUnit>, options: ReadOptions, meter: Meter) -> Flow<Packet<Record>> {
    Box::pin(try_stream! {
        yield Packet::Open(unit.clone());
        let opening = unit.clone();
        let opened = spawn_blocking(&meter, move || UnitReader::open(opening, options)).await?;
        if let Err(PubmedError::Io { source, .. }) = &opened && source.kind() == io::ErrorKind::NotFound {
            yield Packet::Close(vanished(unit));
            return;
        }
        let mut reader = opened.map_err(fault)?;
        let mut bytes = 0;
        loop {
            let (at, records) = spawn_blocking(&meter, move || {
                let records = reader.next_records();
                (reader, records)
            })
            .await?;
            reader = at;
            meter.add_bytes(reader.bytes_read() - bytes);
            bytes = reader.bytes_read();
            let Some(records) = records.map_err(fault)? else { break };
            meter.add_items(records.len());
            yield Packet::Items(records);
        }
        let close = spawn_blocking(&meter, move || reader.close()).await?.map_err(fault)?;
        tracing::debug!(unit = close.unit.uri(), records = close.tally.records(), outcome = ?close.outcome, "unit read");
        yield Packet::Close(close);
    })
}

/// The close of a unit whose file was deleted after discovery.
fn vanished(unit: Arc<InputUnit>) -> Close {
    let outcome = Outcome::Quarantined(format!("{}: file no longer exists", unit.uri()));
    Close { unit, tally: Tally::default(), bytes: 0, sha256: String::new(), outcome }
}

fn fault(error: PubmedError) -> Fault {
    error.fault(Source::NAME)
}
