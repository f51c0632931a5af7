//! The main job: source → tokenize → tag → abbreviations → write, read from top to bottom.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use pubtag_abbreviations::Abbreviations;
use pubtag_ner::{Checkpoint, Tag, TagStats};
use pubtag_parquet::{Ledger, Output, Recipe, Standing, UnitReport, Write, WriteConfig};
use pubtag_pubmed::{InputFormat, Inputs, Source};
use pubtag_schemas::{InputUnit, Packet, TaggedRecord};
use pubtag_stream::{Fault, Flow, Meter, stage, stage_from};
use pubtag_tokenize::Tokenize;
use uuid::Uuid;

use crate::config::RunConfig;
use crate::device;
use crate::exit::Failure;
use crate::progress::{Position, Progress};
use crate::record::RunRecord;
use crate::report::{InputLine, InputStatus, Report};
use crate::signals::Shutdown;
use crate::training::predict::tokenizer;

/// What writes the output, as provenance.
pub const PROGRAM: &str = concat!("pubtag ", env!("CARGO_PKG_VERSION"));

/// Packets that wait between two stages. A packet holds at most a few dozen citations.
const QUEUE_CAPACITY: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// Tags all inputs that are not committed yet, and says what became of each.
///
/// # Errors
/// What keeps a run from starting: unusable inputs, model, device or output folder, or work that is already there with
/// other settings. Once the stream flows, a failure is part of the [`Report`]: everything committed before it stands.
pub async fn run(config: &RunConfig, shutdown: &Shutdown, quiet: bool) -> Result<Report, Failure> {
    let (started, run_id) = (Instant::now(), Uuid::now_v7());
    let inputs =
        pubtag_pubmed::discover(&config.inputs, &config.read).map_err(|error| Failure::new(error.kind(), error))?;
    let checkpoint = Checkpoint::open(config.model.clone()).map_err(|error| Failure::new(error.kind(), error))?;
    let recipe = recipe(config, &checkpoint);
    let (output, mut ledger) =
        Output::open_local(&config.output, run_id).await.map_err(|error| Failure::new(error.kind(), error))?;
    for broken in ledger.broken() {
        tracing::warn!("{broken}");
    }
    let plan = plan(inputs, &mut ledger, &recipe, config.overwrite).await?;

    let mut record = RunRecord::new(started, run_id, config, &checkpoint, recipe.model_id.clone(), plan.settled);
    if !plan.units.is_empty() {
        device::use_threads(config.device.threads)?;
        let (tag_config, tag) = device::start(&config.device, &checkpoint, config.aggregation, config.decode)?;
        record.runs_on(&tag_config);
        let stats = tag.stats();
        let abbreviations = config.abbreviations(&checkpoint).then(Abbreviations::default);
        let changes = abbreviations.as_ref().map(Abbreviations::stats);
        let meters = Meters::new(abbreviations.is_some());
        let flow = tagging(config, plan.units.clone(), &checkpoint, tag, &meters, shutdown)?;
        let flow = completing(abbreviations, flow, &meters);
        let write = Write::new(&output, &ledger, write_config(config, recipe));
        let reports = stage(write, flow, QUEUE_CAPACITY, meters.write.clone());
        let progress = Progress::start(plan.units.iter().filter_map(|unit| unit.size).sum(), quiet);
        let ending = drain(reports, &plan.units, &mut record, progress, &meters, &stats, shutdown).await;
        record.ended(ending, shutdown.signal());
        record.measured(&stats, changes.map(|changes| changes.changes()), meters.all().map(Meter::snapshot));
    }
    match output.finish().await {
        Ok(finished) => record.finished(&finished),
        Err(error) => record.failed(error.kind(), &error),
    }
    Ok(record.into_report(config.max_rejects))
}

/// The stream up to the model.
fn tagging(
    config: &RunConfig,
    units: Vec<Arc<InputUnit>>,
    checkpoint: &Checkpoint,
    tag: Tag,
    meters: &Meters,
    shutdown: &Shutdown,
) -> Result<Flow<Packet<TaggedRecord>>, Failure> {
    let tokenizer = tokenizer(checkpoint)?.with_context(config.context(checkpoint));
    let source = Source::new(units, config.read.clone(), shutdown.drain.clone()).flow(meters.source.clone());
    let flow = stage_from(Source::NAME, source, QUEUE_CAPACITY, meters.source.clone());
    let flow = stage(Tokenize::new(tokenizer, config.device.threads), flow, QUEUE_CAPACITY, meters.tokenize.clone());
    Ok(stage(tag, flow, QUEUE_CAPACITY, meters.tag.clone()))
}

/// The stream behind the model, with abbreviations if they are to be tagged.
fn completing(
    abbreviations: Option<Abbreviations>,
    flow: Flow<Packet<TaggedRecord>>,
    meters: &Meters,
) -> Flow<Packet<TaggedRecord>> {
    match abbreviations.zip(meters.abbreviations.clone()) {
        Some((abbreviations, meter)) => stage(abbreviations, flow, QUEUE_CAPACITY, meter),
        None => flow,
    }
}

fn recipe(config: &RunConfig, checkpoint: &Checkpoint) -> Recipe {
    let sha256 = checkpoint.fingerprint().to_owned();
    let model_id = format!("{}@{}", checkpoint.name(), &sha256[..12]);
    let named_after_file = config.read.format.is_some_and(InputFormat::names_after_file);
    Recipe { model_id, model_sha256: sha256, settings: config.decisive_settings(checkpoint), named_after_file }
}

fn write_config(config: &RunConfig, recipe: Recipe) -> WriteConfig {
    WriteConfig { text: config.text, overwrite: config.overwrite, ..WriteConfig::new(recipe, PROGRAM) }
}

/// What is to be tagged, and what needs no tagging.
struct Plan {
    units: Vec<Arc<InputUnit>>,
    settled: Vec<InputLine>,
}

/// Compares all inputs with what is committed, once each is known by its SHA-256.
async fn plan(inputs: Inputs, ledger: &mut Ledger, recipe: &Recipe, overwrite: bool) -> Result<Plan, Failure> {
    let skipped =
        inputs.skipped.into_iter().map(|file| InputLine::unread(file.path, InputStatus::Skipped, Some(file.reason)));
    let mut plan = Plan { units: Vec::new(), settled: skipped.collect() };
    let mut units = Vec::with_capacity(inputs.units.len());
    for unit in inputs.units {
        units.push(identified(unit, ledger, recipe).await?);
    }
    for (standing, unit) in ledger.plan(&units, recipe).into_iter().zip(units) {
        match standing {
            Standing::Committed(_) => {
                plan.settled.push(InputLine::unread(&unit.uri, InputStatus::AlreadyCommitted, None));
            }
            Standing::Duplicate { of } => {
                let reason = Some(format!("same content as {of}"));
                plan.settled.push(InputLine::unread(&unit.uri, InputStatus::Duplicate, reason));
            }
            Standing::Conflict(conflict) if !overwrite => return Err(Failure::configuration(conflict.to_string())),
            Standing::New | Standing::Broken(_) | Standing::Conflict(_) => plan.units.push(unit),
        }
    }
    Ok(plan)
}

/// The unit with its SHA-256, which only a file that has not been touched since its commit gets without being read.
async fn identified(unit: Arc<InputUnit>, ledger: &Ledger, recipe: &Recipe) -> Result<Arc<InputUnit>, Failure> {
    if let Some(sha256) = ledger.recall(&unit, recipe) {
        return Ok(Arc::new(InputUnit { sha256: Some(sha256), ..InputUnit::clone(&unit) }));
    }
    let hashing = tokio::task::spawn_blocking(move || pubtag_pubmed::hashed(&unit)).await;
    let hashed = hashing.map_err(|error| Failure::new(crate::exit::Exit::Internal, error))?;
    hashed.map(Arc::new).map_err(|error| Failure::new(error.kind(), error))
}

/// How the stream came to its end.
#[derive(Debug)]
pub(crate) enum StreamEnd {
    /// By itself. If a signal came, after the file at hand.
    Drained,
    /// By a second signal or the end of the grace period: dropped.
    Aborted,
    /// By a fault.
    Fault(Fault),
}

/// Draws unit reports until the stream ends, showing progress in between. Dropping the stream is what aborts it.
async fn drain(
    mut reports: Flow<UnitReport>,
    units: &[Arc<InputUnit>],
    record: &mut RunRecord,
    mut progress: Progress,
    meters: &Meters,
    stats: &TagStats,
    shutdown: &Shutdown,
) -> StreamEnd {
    let mut tick = tokio::time::interval(TICK);
    let end = loop {
        tokio::select! {
            biased;
            () = shutdown.abort.cancelled() => break StreamEnd::Aborted,
            report = reports.next() => match report {
                None => break StreamEnd::Drained,
                Some(Err(fault)) => break StreamEnd::Fault(fault),
                Some(Ok(report)) => record.unit(&report),
            },
            _ = tick.tick() => {
                let (read, tagged) = (meters.source.snapshot(), meters.tag.snapshot());
                // The source is ahead of the model, by a whole file if that is small: only what is tagged is progress.
                let bytes = (read.bytes as f64 * tagged.items as f64 / read.items.max(1) as f64) as u64;
                progress.show(Position { bytes, citations: tagged.items, tokens: stats.tokens() });
            }
        }
    };
    progress.finish();
    record.unread(units);
    end
}

/// One meter per stage.
struct Meters {
    source: Meter,
    tokenize: Meter,
    tag: Meter,
    abbreviations: Option<Meter>,
    write: Meter,
}

impl Meters {
    fn new(abbreviations: bool) -> Self {
        let [source, tokenize, tag, write] = [Source::NAME, "tokenize", "tag", "write"].map(Meter::new);
        Self { source, tokenize, tag, abbreviations: abbreviations.then(|| Meter::new("abbreviations")), write }
    }

    fn all(&self) -> impl Iterator<Item = &Meter> {
        [&self.source, &self.tokenize, &self.tag].into_iter().chain(&self.abbreviations).chain([&self.write])
    }
}
