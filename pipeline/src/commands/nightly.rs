//! `pubtag nightly`: sync, run, verify, snapshot, comparison with NLM, under one lock.

use std::num::NonZeroUsize;
use std::path::Path;

use pubtag_store::Store;
use pubtag_sync::DELETED_PMIDS;

use crate::cli::{NightlyArgs, RunArgs, SnapshotArgs, SyncArgs, Tolerance, VerifyArgs};
use crate::commands::{run, snapshot, sync, verify};
use crate::exit::{Exit, Failure};
use crate::lock::DirectoryLock;
use crate::night::{LiveSet, NightReport, OutsideOfRun, Plan, StepEnd};
use crate::runtime::runtime;
use crate::terminal;

/// The lock file, in the mirror. It is hidden, so readers of the mirror skip it.
const LOCK: &str = ".pubtag-nightly.lock";

/// Does the steps in order, up to the first one that fails.
///
/// # Errors
/// The settings are not valid, or another night is in progress. A failing step is part of the report and the exit code.
pub fn execute(args: &NightlyArgs, quiet: bool) -> Result<u8, Failure> {
    let Plan { output, sync, run, verify, snapshot } = Plan::read(&args.config)?;
    let signals = OutsideOfRun::listen()?;
    let _lock = DirectoryLock::hold(&sync.into, LOCK, "`pubtag nightly`")?;
    let most = run.max_differences;
    let mut report = NightReport::begin(output, run.store.options())?;
    let _ = report.step("sync", || mirror(&sync, quiet))
        && report.step("run", || signals.except(|| tag(run, quiet)))
        && report.step("verify", || check(&verify, quiet))
        && report.step("snapshot", || publish(&snapshot))
        && report.step("compare", || compare(&snapshot, &sync.into, most));
    let code = report.close();
    if !quiet {
        terminal::eprint(&report.page());
    }
    Ok(code)
}

fn mirror(args: &SyncArgs, quiet: bool) -> Result<StepEnd, Failure> {
    let summary = sync::mirror(args, quiet)?;
    let exit_code = sync::exit(&summary).code();
    Ok(StepEnd { exit_code, summary: lines(&sync::page(&summary)) })
}

fn tag(args: RunArgs, quiet: bool) -> Result<StepEnd, Failure> {
    let (report, exit) = run::tag_all(args, quiet)?;
    run::show_errors(&report);
    let lines = report.lines().into_iter().map(|(name, value)| format!("{name}: {value}"));
    Ok(StepEnd { exit_code: exit.code(), summary: report.errors.iter().cloned().chain(lines).collect() })
}

fn check(args: &VerifyArgs, quiet: bool) -> Result<StepEnd, Failure> {
    let verified = verify::check(args, quiet)?;
    Ok(StepEnd { exit_code: verify::exit(&verified).code(), summary: lines(&verify::summary(args, &verified)) })
}

fn publish(args: &SnapshotArgs) -> Result<StepEnd, Failure> {
    let summary = snapshot::publish(args)?;
    snapshot::warn(&summary.generations);
    let page = snapshot::page(&snapshot::place_of(args), &summary);
    Ok(StepEnd { exit_code: Exit::Done.code(), summary: lines(&page) })
}

/// Compares the published state with NLM's list of deleted PMIDs.
fn compare(args: &SnapshotArgs, mirror: &Path, most: Tolerance) -> Result<StepEnd, Failure> {
    let found = runtime(NonZeroUsize::MIN)?.block_on(async {
        let place = snapshot::open(&snapshot::place_of(args), &args.store.options())?;
        LiveSet::compare(&place, &Store::directory(mirror)?).await
    })?;
    let Some(live) = found else {
        let summary = vec![format!("no {DELETED_PMIDS} in {}; nothing was compared", mirror.display())];
        return Ok(StepEnd { exit_code: Exit::Done.code(), summary });
    };
    let mut summary = vec![live.line()];
    if live.still_live > 0 {
        tracing::warn!("{}", live.line());
    }
    let exceeds = most.exceeded_by(live.still_live, live.live);
    summary.extend(exceeds.then(|| format!("`max-differences` in section `run` is {most}")));
    Ok(StepEnd { exit_code: if exceeds { Exit::Data } else { Exit::Done }.code(), summary })
}

fn lines(page: &str) -> Vec<String> {
    page.lines().map(str::to_owned).collect()
}
