//! `pubtag nightly`: sync, run, verify, under one lock.

use crate::cli::{NightlyArgs, RunArgs, SyncArgs, VerifyArgs};
use crate::commands::{run, sync, verify};
use crate::exit::Failure;
use crate::night::{NightLock, NightReport, OutsideOfRun, Plan, StepEnd};
use crate::terminal;

/// Does the steps in order, up to the first one that fails.
///
/// # Errors
/// The settings are not valid, or another night is in progress. A failing step is part of the report and the exit code.
pub fn execute(args: &NightlyArgs, quiet: bool) -> Result<u8, Failure> {
    let Plan { sync, run, verify } = Plan::read(&args.config)?;
    let signals = OutsideOfRun::listen()?;
    let _lock = NightLock::hold(&sync.into)?;
    let mut report = NightReport::begin(&verify.output);
    let _ = report.step("sync", || mirror(&sync, quiet))
        && report.step("run", || signals.except(|| tag(run, quiet)))
        && report.step("verify", || check(&verify, quiet));
    let code = report.close();
    if !quiet {
        terminal::eprint(&report.page());
    }
    Ok(code)
}

fn mirror(args: &SyncArgs, quiet: bool) -> Result<StepEnd, Failure> {
    let summary = sync::mirror(args, quiet)?;
    let exit_code = sync::exit(&summary).code();
    Ok(StepEnd { exit_code, summary: sync::page(&summary).lines().map(str::to_owned).collect() })
}

fn tag(args: RunArgs, quiet: bool) -> Result<StepEnd, Failure> {
    let (report, exit) = run::tag_all(args, quiet)?;
    run::show_errors(&report);
    let lines = report.lines().into_iter().map(|(name, value)| format!("{name}: {value}"));
    Ok(StepEnd { exit_code: exit.code(), summary: report.errors.iter().cloned().chain(lines).collect() })
}

fn check(args: &VerifyArgs, quiet: bool) -> Result<StepEnd, Failure> {
    let verified = verify::check(args, quiet)?;
    let summary = verify::summary(args, &verified).lines().map(str::to_owned).collect();
    Ok(StepEnd { exit_code: verify::exit(&verified).code(), summary })
}
