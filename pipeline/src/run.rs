//! `pubtag run`: source → recall → tokenize → tag → abbreviations → remember → write. Read it from top to bottom.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use pubtag_abbreviations::Abbreviations;
use pubtag_cache::{Recall, Remember};
use pubtag_ner::{Checkpoint, TagStats};
use pubtag_parquet::{CommitLog, Conflict, Output, ParquetSink, RunSpec, Standing, Tables, WriteConfig};
use pubtag_pubmed::{InputFormat, Inputs, Source};
use pubtag_schemas::{InputUnit, Location, UnitReport, identity};
use pubtag_store::Buckets;
use pubtag_stream::{CancellationToken, Flow, Meters, Operator, Write, stage, stage_from};

use crate::cached::{self, CacheInUse};
use crate::config::RunConfig;
use crate::exit::Failure;
use crate::figures::counted;
use crate::model::{Engine, Model};
use crate::outputs;
use crate::progress::{Audience, Position, Progress};
use crate::provenance::PROGRAM;
use crate::record::{Found, RunRecord, StreamEnd};
use crate::report::{InputLine, InputStatus};
use crate::runtime::off_thread;
use crate::signals::Shutdown;
use crate::tagger::{QUEUE_CAPACITY, Stages};

/// Time between progress updates.
const TICK: Duration = Duration::from_millis(200);

/// Tags all inputs that are not committed yet and records the outcome of each.
///
/// # Errors
/// The run cannot start: inputs, model, device or output directory cannot be used, inputs are committed with other
/// settings, or a signal arrived. Later failures are recorded; what was committed before stays committed.
pub(crate) async fn run(
    config: &RunConfig,
    model: &mut Model,
    record: &mut RunRecord,
    shutdown: &Shutdown,
    audience: Audience,
) -> Result<(), Failure> {
    if let Some(store) = outputs::open(&config.output, &config.store_options)? {
        // What cannot be used ends the run here, and not after several attempts.
        Tables::exist_at(&store).await?;
        record.announce(&store).await;
    }
    let (output, work) = shutdown.unless_signalled(start_up(config, model, record, &shutdown.drain)).await?;

    let mut cache_to_tidy = None;
    if let Some(Work { units, reissued, commit_log, spec, engine, abbreviations, cache }) = work {
        let (stats, changes) = (engine.tag.stats(), abbreviations.as_ref().map(Abbreviations::stats));
        let meters = Meters::default();
        let source = Source::new(units.clone(), config.read.clone(), shutdown.drain.clone());
        let flow = stage_from(Source::NAME, |meter| source.flow(meter), QUEUE_CAPACITY, &meters);
        let flow = match &cache {
            Some(CacheInUse { cache, stats, .. }) => {
                stage(Recall::new(cache.clone(), stats.clone()), flow, QUEUE_CAPACITY, &meters)
            }
            None => flow,
        };
        let tagger = engine.tag.name();
        let flow = Stages::new(engine, abbreviations, config.tagger.device.threads).wire(flow, &meters);
        let flow = match &cache {
            Some(CacheInUse { cache, stats, .. }) => {
                stage(Remember::new(cache.clone(), stats.clone()), flow, QUEUE_CAPACITY, &meters)
            }
            None => flow,
        };
        let write = Write::new(ParquetSink::new(&output, &commit_log, write_config(config, spec, reissued)));
        let reports = stage(write, flow, QUEUE_CAPACITY, &meters);

        let progress = audience.progress(units.iter().filter_map(|unit| unit.size).sum());
        let position = || position(&meters, tagger, &stats);
        let ending = drain(reports, &units, record, progress, &position, shutdown).await;
        record.ended(ending, shutdown.signal());
        record.saved(cache.as_ref().map(|cache| cache.stats.counts()));
        cache_to_tidy = cache;
        record.measured(&stats, changes.map(|changes| changes.changes()), &meters.snapshots());
    }
    match output.finish().await {
        Ok(finished) => record.finished(&finished),
        Err(error) => record.failed(error.kind(), &error),
    }
    if let Some(cache) = cache_to_tidy {
        cached::tidy(&cache, shutdown).await;
    }
    Ok(())
}

/// What to tag, and what to tag it with.
struct Work {
    units: Vec<Arc<InputUnit>>,
    /// URIs of those that replace their earlier contents.
    reissued: HashSet<String>,
    commit_log: CommitLog,
    spec: RunSpec,
    engine: Engine,
    abbreviations: Option<Abbreviations>,
    cache: Option<CacheInUse>,
}

/// Everything before the first citation; no work if every input is done.
async fn start_up(
    config: &RunConfig,
    model: &mut Model,
    record: &mut RunRecord,
    stop: &CancellationToken,
) -> Result<(Output, Option<Work>), Failure> {
    let mut inputs = inputs(config).await?;
    let checkpoint = model.checkpoint(&config.tagger).await?;
    let spec = spec(config, &checkpoint);
    record.tags_with(&checkpoint, &spec);

    let store = config.output.create(&config.store_options)?;
    let (output, mut commit_log) = Output::open(store.clone(), record.run_id()).await?;
    record.announce(&store).await;
    for broken in commit_log.broken() {
        tracing::warn!("{broken}");
    }
    record.unreadable(std::mem::take(&mut inputs.unreadable));
    let Plan { units, settled, found, reissued } = plan(inputs, &output, &mut commit_log, &spec, config, stop).await?;
    record.settled(settled, found).await;
    if units.is_empty() {
        return Ok((output, None));
    }

    let cache = cached::open(config, &checkpoint, &spec).await?;
    let abbreviations = config.tagger.abbreviations(&checkpoint).then(Abbreviations::default);
    let engine = model.engine(&config.tagger).await?;
    record.runs_on(&engine.config);
    Ok((output, Some(Work { units, reissued, commit_log, spec, engine, abbreviations, cache })))
}

/// The inputs of the run's shard; there may be none.
pub(crate) async fn inputs(config: &RunConfig) -> Result<Inputs, Failure> {
    let (arguments, read) = (config.inputs.clone(), config.read.clone());
    let mut inputs = off_thread(move || Ok(pubtag_pubmed::discover(&arguments, &read)?)).await?;
    if config.single_input && inputs.units.len() > 1 {
        let (named, files) = (config.inputs.join(" "), inputs.units.len());
        return Err(Failure::configuration(format!("{named}: {files} inputs; expected the path or URL of one file")));
    }
    if let Some(shard) = config.shard {
        inputs.units.retain(|unit| shard.has(unit.file_name()));
    }
    Ok(inputs)
}

/// What determines the rows of an input, besides its content.
pub(crate) fn spec(config: &RunConfig, checkpoint: &Checkpoint) -> RunSpec {
    let named_after_file = config.read.format.is_some_and(InputFormat::names_after_file);
    RunSpec {
        model_id: checkpoint.id(),
        model_sha256: checkpoint.fingerprint().to_owned(),
        settings: config.decisive_settings(checkpoint),
        named_after_file,
    }
}

fn write_config(config: &RunConfig, spec: RunSpec, reissued: HashSet<String>) -> WriteConfig {
    WriteConfig { text: config.text, overwrite: config.overwrite, reissued, ..WriteConfig::new(spec, PROGRAM) }
}

/// The inputs to tag, and those that need no tagging.
struct Plan {
    units: Vec<Arc<InputUnit>>,
    settled: Vec<InputLine>,
    /// Those of the latter that are committed.
    found: Vec<Found>,
    /// URIs of inputs that replace their earlier contents.
    reissued: HashSet<String>,
}

/// Identifies all inputs by SHA-256 and compares them with the commits.
async fn plan(
    inputs: Inputs,
    output: &Output,
    commit_log: &mut CommitLog,
    spec: &RunSpec,
    config: &RunConfig,
    stop: &CancellationToken,
) -> Result<Plan, Failure> {
    let skipped =
        inputs.skipped.into_iter().map(|file| InputLine::unread(file.path, InputStatus::Skipped, Some(file.reason)));
    let mut plan = Plan { units: Vec::new(), settled: skipped.collect(), found: Vec::new(), reissued: HashSet::new() };
    let buckets = &config.read.buckets;
    let mut identities = HashMap::<String, usize>::new();
    for unit in &inputs.units {
        *identities.entry(identity(unit.uri()).into_owned()).or_default() += 1;
    }
    let mut units = Vec::with_capacity(inputs.units.len());
    for unit in inputs.units {
        let is_unhashed = is_hashed_later(&unit) && !commit_log.knows(&unit) && identities[&*identity(unit.uri())] == 1;
        units.push(if is_unhashed { unit } else { identified(unit, buckets, commit_log, spec, stop).await? });
    }
    check_numbers(&units)?;
    check_names(&units, config.read.format)?;
    for (standing, unit) in commit_log.plan(&units, spec).into_iter().zip(units) {
        match standing {
            Standing::Committed(commit) => {
                // A renamed file: a later run over a new file of its old name must not replace it.
                let is_renamed = !unit.read_once && !identities.contains_key(&*identity(commit.uri()));
                let replaced = commit_log.earlier_contents(&unit, commit.input.key());
                if let Some(earlier) = replaced.first().filter(|_| !config.overwrite && !config.replaces(&unit)) {
                    return Err(Failure::configuration(commit_log.conflict(&unit, earlier, spec).to_string()));
                }
                for other in &replaced {
                    tracing::warn!("{}: an earlier content of {}; its rows are replaced", other.input.uri, unit.uri());
                }
                if is_renamed || !replaced.is_empty() {
                    output.follow(&unit, &commit, &replaced, commit_log).await?;
                }
                let rejects = Some(commit.tally.rejects).filter(|rejects| *rejects > 0);
                let reason = rejects.map(|rejects| counted(rejects, "reject"));
                plan.settled.push(InputLine::unread(unit.uri(), InputStatus::AlreadyCommitted, reason));
                plan.found.push(Found { unit, commit });
            }
            Standing::Duplicate { of } => {
                let reason = Some(format!("same content as {of}"));
                plan.settled.push(InputLine::unread(unit.uri(), InputStatus::Duplicate, reason));
            }
            Standing::Conflict(Conflict::OtherContent { uri, committed, found }) if config.replaces(&unit) => {
                tracing::warn!(committed, found, "{uri}: re-issued since it was committed; its rows are replaced");
                plan.reissued.insert(uri);
                plan.units.push(unit);
            }
            Standing::Conflict(conflict) if !config.overwrite => {
                return Err(Failure::configuration(conflict.to_string()));
            }
            Standing::New | Standing::Broken(_) | Standing::Conflict(_) => plan.units.push(unit),
        }
    }
    Ok(plan)
}

/// Whether an input is hashed while it is tagged: an object in a store. Not if it is committed already, which may be a
/// conflict, nor if another input may have the same content.
fn is_hashed_later(unit: &InputUnit) -> bool {
    matches!(unit.location, Location::Object(_))
}

/// Refuses two files of the PubMed distribution that have one number and different contents: their rows would count twice.
fn check_numbers(units: &[Arc<InputUnit>]) -> Result<(), Failure> {
    let mut first = HashMap::new();
    for unit in units.iter().filter(|unit| unit.file_seq.is_some() && !unit.read_once) {
        let other: &InputUnit = first.entry(identity(unit.uri())).or_insert(unit);
        if other.sha256 != unit.sha256 {
            return Err(Failure::configuration(format!(
                "{} and {} are the same file of PubMed with different contents; name or keep only one of them",
                other.uri(),
                unit.uri()
            )));
        }
    }
    Ok(())
}

/// Refuses two files of plain text whose documents would have the same ids: only one of them could be current.
fn check_names(units: &[Arc<InputUnit>], format: Option<InputFormat>) -> Result<(), Failure> {
    let mut first = HashMap::new();
    for unit in units.iter().filter(|unit| !unit.read_once) {
        let Some(name) = format.and_then(|format| format.document_name(unit.file_name())) else { continue };
        let other: &InputUnit = first.entry(name).or_insert(unit);
        let is_same = other.sha256.is_some() && other.file_name() == unit.file_name() && other.sha256 == unit.sha256;
        if other.uri() != unit.uri() && !is_same {
            return Err(Failure::configuration(format!(
                "{} and {} would have the same document ids ({name}); rename one of them, or write the texts as JSONL with ids",
                other.uri(),
                unit.uri()
            )));
        }
    }
    Ok(())
}

/// The unit with its SHA-256. A file that has not been modified since its commit is not read for that.
async fn identified(
    unit: Arc<InputUnit>,
    buckets: &Buckets,
    commit_log: &CommitLog,
    spec: &RunSpec,
    stop: &CancellationToken,
) -> Result<Arc<InputUnit>, Failure> {
    if let Some(sha256) = commit_log.recall(&unit, spec) {
        return Ok(Arc::new(InputUnit { sha256: Some(sha256), ..InputUnit::clone(&unit) }));
    }
    let (stop, buckets) = (stop.clone(), buckets.clone());
    Ok(Arc::new(off_thread(move || Ok(pubtag_pubmed::hashed(&unit, &buckets, &stop)?)).await?))
}

/// Reads unit reports until the stream ends, showing progress in between. Dropping the stream aborts it.
async fn drain(
    mut reports: Flow<UnitReport>,
    units: &[Arc<InputUnit>],
    record: &mut RunRecord,
    mut progress: Progress,
    position: &(dyn Fn() -> Position + Sync),
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
                Some(Ok(report)) => record.unit(&report).await,
            },
            _ = tick.tick() => progress.show(position()),
        }
    };
    progress.finish();
    record.unread(units);
    end
}

/// How far the run is. The source is ahead of the model, by a whole file if that is small: only what is tagged counts.
fn position(meters: &Meters, tagger: &str, stats: &TagStats) -> Position {
    let (read, tagged) = (meters.snapshot(Source::NAME), meters.snapshot(tagger));
    let citations = tagged.map_or(0, |tagged| tagged.items);
    let bytes = read.map_or(0.0, |read| read.bytes as f64 * citations as f64 / read.items.max(1) as f64);
    Position { bytes: bytes as u64, citations, tokens: stats.tokens() }
}
