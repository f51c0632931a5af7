//! How fast this machine tags a sample.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_stream::try_stream;
use futures::TryStreamExt;
use pubtag_abbreviations::Abbreviations;
use pubtag_parquet::{Output, ParquetSink, WriteConfig};
use pubtag_schemas::{Citation, Close, Ending, InputUnit, Location, Outcome, Packet, Place, Record, Tally};
use pubtag_stream::{Flow, Meters, Write, stage};
use serde::Serialize;
use uuid::Uuid;

use crate::config::RunConfig;
use crate::device::names;
use crate::exit::{Exit, Failure};
use crate::model::Model;
use crate::provenance::PROGRAM;
use crate::run::spec;
use crate::tagger::{QUEUE_CAPACITY, Stages};

/// Citations per packet: few, because what is in the queues when the time is up is still tagged.
const PACKET: usize = 4;

/// What was measured while a sample was tagged and written.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Speed {
    pub(crate) model: String,
    pub(crate) device: String,
    pub(crate) citations: u64,
    /// Special tokens and overlaps included.
    pub(crate) tokens: u64,
    /// Bytes of the parts of all tables.
    pub(crate) output_bytes: u64,
    /// Without loading the model.
    pub(crate) seconds: f64,
}

/// Tags citations with the operators of a run, until they run out or the time is up, and writes them to a temporary
/// directory.
///
/// # Errors
/// The model cannot be loaded or fails, or the temporary directory cannot be written.
pub(super) async fn measure(
    config: &RunConfig,
    model: &mut Model,
    citations: Vec<Citation>,
    time: Duration,
) -> Result<Speed, Failure> {
    let checkpoint = model.checkpoint(&config.tagger).await?;
    let engine = model.engine(&config.tagger).await?;
    let (device, stats) = (names(&engine.config.devices), engine.tag.stats());
    let run_spec = spec(config, &checkpoint);
    let model_id = run_spec.model_id.clone();
    let store = config.output.create(&config.store_options)?;
    let (output, commit_log) = Output::open(store, Uuid::now_v7()).await?;

    let started = Instant::now();
    let meters = Meters::default();
    let abbreviations = config.tagger.abbreviations(&checkpoint).then(Abbreviations::default);
    let flow = Stages::new(engine, abbreviations, config.tagger.device.threads).wire(packets(citations, time), &meters);
    let write_config = WriteConfig { text: config.text, ..WriteConfig::new(run_spec, PROGRAM) };
    let write = Write::new(ParquetSink::new(&output, &commit_log, write_config));
    let reports: Vec<_> = stage(write, flow, QUEUE_CAPACITY, &meters).try_collect().await?;
    let seconds = started.elapsed().as_secs_f64();
    output.finish().await?;

    let Some(Ending::Committed(commit)) = reports.first().map(|report| &report.ending) else {
        return Err(Failure::message(Exit::Internal, "the sample was not written"));
    };
    let output_bytes = commit.parts.iter().map(|part| part.bytes).sum();
    let citations = commit.tally.citations;
    Ok(Speed { model: model_id, device, citations, tokens: stats.tokens(), output_bytes, seconds })
}

/// The citations as one unit, which ends when the time is up.
fn packets(citations: Vec<Citation>, time: Duration) -> Flow<Packet<Record>> {
    let unit = Arc::new(InputUnit::new(0, Location::File("sample".to_owned())));
    Box::pin(try_stream! {
        yield Packet::Open(unit.clone());
        let started = Instant::now();
        let mut tally = Tally::default();
        let mut rest = citations.into_iter().peekable();
        while rest.peek().is_some() && (tally.citations == 0 || started.elapsed() < time) {
            let records: Vec<Record> = rest.by_ref().take(PACKET).map(|mut citation| {
                let ordinal = u32::try_from(tally.citations).unwrap_or(u32::MAX);
                citation.place = Place { unit: unit.clone(), ordinal, byte_offset: 0 };
                tally.citations += 1;
                Record::Document(Box::new(citation))
            }).collect();
            yield Packet::Items(records);
        }
        yield Packet::Close(Close { unit, tally, bytes: 0, sha256: "0".repeat(64), outcome: Outcome::Complete });
    })
}
