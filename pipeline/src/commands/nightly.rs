//! `pubtag nightly`: sync, run, verify, snapshot, comparison with NLM, under one lock.

use std::collections::HashSet;
use std::num::NonZeroUsize;

use pubtag_parquet::Tables;
use pubtag_snapshot::Baselines;
use pubtag_store::Address;
use pubtag_sync::{DELETED_PMIDS, PubmedFile};

use crate::cli::{NightlyArgs, RunArgs, SnapshotArgs, SyncArgs, Tolerance, VerifyArgs};
use crate::commands::{run, snapshot, sync, verify};
use crate::committed::committed;
use crate::exit::{Exit, Failure};
use crate::figures::counted;
use crate::lock::DirectoryLock;
use crate::night::{LiveSet, NightReport, OutsideOfRun, Plan, StepEnd};
use crate::outputs::open_output;
use crate::runtime::runtime;
use crate::telemetry;

/// The lock file, in the mirror. It is hidden, so readers of the mirror skip it.
const LOCK: &str = ".pubtag-nightly.lock";

/// Does the steps in order, up to the first one whose failure would make what follows wrong.
///
/// Files that `sync` cannot fetch and gaps in the numbers do not: what has arrived is tagged and published, since a file that
/// arrives later is applied at its place. The night then ends with `sync`'s exit code.
///
/// # Errors
/// The settings are not valid, or another night is in progress. A failing step is part of the report and the exit code.
pub fn execute(args: &NightlyArgs, quiet: bool) -> Result<u8, Failure> {
    let plan = Plan::read(&args.config)?;
    plan.check()?;
    let Plan { output, sync, run, verify, snapshot } = plan;
    let signals = OutsideOfRun::listen()?;
    let _lock = lock(&sync.into)?;
    let most = run.options.max_differences;
    let is_of_mirror = matches!(&run.inputs[..], [all] if all.parse().ok() == Some(sync.into.clone()));
    let (mut baselines, mut held) = (Baselines::new(), Vec::new());
    let mut report = NightReport::begin(output, run.options.store.options())?;
    let _ = report.step("sync", || mirror(&sync, &mut baselines, &mut held, quiet))
        && report.step("run", || signals.except(|| tag(run, quiet)))
        && report.step("verify", || check(&verify, if is_of_mirror { &held } else { &[] }, quiet))
        && report.step("snapshot", || publish(&snapshot, baselines))
        && report.step("compare", || compare(&snapshot, &sync, most));
    let code = report.close();
    if !quiet {
        telemetry::summarize(&report.page());
    }
    Ok(code)
}

/// Keeps other nights away from a mirror.
fn lock(mirror: &Address) -> Result<Option<DirectoryLock>, Failure> {
    match mirror.local() {
        Some(directory) => DirectoryLock::hold(directory, LOCK, "`pubtag nightly`").map(Some),
        None => {
            tracing::info!("{mirror}: an object store has no locks; a second night at once would only repeat work");
            Ok(None)
        }
    }
}

fn mirror(
    args: &SyncArgs,
    baselines: &mut Baselines,
    held: &mut Vec<PubmedFile>,
    quiet: bool,
) -> Result<StepEnd, Failure> {
    let summary = sync::mirror(args, quiet)?;
    *baselines = sync::baselines(&summary);
    held.clone_from(&summary.held);
    let lines = sync::faults(&summary).into_iter().chain(lines(&sync::page(&summary))).collect();
    Ok(StepEnd::new(sync::exit(&summary), lines).in_any_case())
}

fn tag(args: RunArgs, quiet: bool) -> Result<StepEnd, Failure> {
    let (report, exit) = run::tag_all(args, quiet)?;
    run::show_errors(&report);
    let lines = report.lines().into_iter().map(|(name, value)| format!("{name}: {value}"));
    Ok(StepEnd::new(exit, report.errors.iter().cloned().chain(lines).collect()))
}

/// Verifies the output, and that nothing of the mirror is missing in it.
fn check(args: &VerifyArgs, held: &[PubmedFile], quiet: bool) -> Result<StepEnd, Failure> {
    let verified = verify::check(args, quiet)?;
    let mut summary = lines(&verify::summary(args, &verified));
    let missing = not_committed(args, held)?;
    let Some(first) = missing.first() else { return Ok(StepEnd::new(verify::exit(verified.defects), summary)) };
    let files = counted(missing.len() as u64, "file");
    let line = format!("{files} of the mirror not committed; first is {first}");
    tracing::error!("{line}");
    summary.push(line);
    Ok(StepEnd::new(Exit::Data, summary))
}

/// The files of a mirror that are not committed.
fn not_committed(args: &VerifyArgs, held: &[PubmedFile]) -> Result<Vec<PubmedFile>, Failure> {
    let committed = runtime(NonZeroUsize::MIN)?.block_on(async {
        let output = open_output(&args.output, &args.store.options()).await?;
        Ok::<_, Failure>(committed(&Tables::open(output).await?))
    })?;
    let committed: HashSet<_> = committed.iter().map(|commit| (commit.generation, commit.file_seq)).collect();
    let number = |file: &PubmedFile| (Some(file.generation().into()), Some(file.number().into()));
    Ok(held.iter().filter(|file| !committed.contains(&number(file))).copied().collect())
}

fn publish(args: &SnapshotArgs, baselines: Baselines) -> Result<StepEnd, Failure> {
    let summary = snapshot::publish(args, baselines)?;
    snapshot::warn(&summary.generations);
    Ok(StepEnd::new(Exit::Done, lines(&snapshot::page(&snapshot::place_of(args), &summary))))
}

/// Compares the published state with NLM's list of deleted PMIDs.
fn compare(args: &SnapshotArgs, mirror: &SyncArgs, most: Tolerance) -> Result<StepEnd, Failure> {
    let found = runtime(NonZeroUsize::MIN)?.block_on(async {
        let place = snapshot::open(&snapshot::place_of(args), &args.store.options())?;
        LiveSet::compare(&place, &mirror.into.open(&mirror.store.options())?).await
    })?;
    let Some(live) = found else {
        let summary = vec![format!("no {DELETED_PMIDS} in {}; nothing was compared", mirror.into)];
        return Ok(StepEnd::new(Exit::Done, summary));
    };
    let mut summary = vec![live.line()];
    if live.still_live > 0 {
        tracing::warn!("{}", live.line());
    }
    let exceeds = most.exceeded_by(live.still_live, live.live);
    summary.extend(exceeds.then(|| format!("`max-differences` in section `run` is {most}")));
    Ok(StepEnd::new(if exceeds { Exit::Data } else { Exit::Done }, summary))
}

fn lines(page: &str) -> Vec<String> {
    page.lines().map(str::to_owned).collect()
}
