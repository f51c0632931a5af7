//! `pubtag run`.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::cli::RunArgs;
use crate::config::RunConfig;
use crate::exit::{Exit, Failure};
use crate::model::Model;
use crate::outputs;
use crate::progress::Audience;
use crate::record::RunRecord;
use crate::report::Report;
use crate::run;
use crate::runtime::runtime;
use crate::signals::Shutdown;
use crate::telemetry;

/// Time for blocking threads (such as a read of standard input) to end once the work is done.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);

/// Tags, prints the summary and writes `report.json` and `report.html`, however the run ends.
///
/// # Errors
/// The run cannot start; later errors are in the report and in the exit code.
pub fn execute(args: RunArgs, quiet: bool) -> Result<u8, Failure> {
    let (report, exit) = tag_all(args, quiet)?;
    show_errors(&report);
    if !quiet {
        telemetry::summarize(&report.summary());
    }
    Ok(exit.code())
}

/// Tags and writes the report.
///
/// # Errors
/// As [`execute`].
pub(crate) fn tag_all(args: RunArgs, quiet: bool) -> Result<(Report, Exit), Failure> {
    let config = RunConfig::check(args)?;
    let mut record = RunRecord::new(&config);
    let ran = tag(&config, &mut record, quiet);
    if let Err(failure) = &ran {
        record.not_started(failure);
    }
    let exit = record.close(config.max_rejects, config.max_differences);
    let left = leave(record.report(), &config);
    if ran.is_ok() && left.is_err() {
        show_errors(record.report());
    }
    ran.and(left)?;
    Ok((record.into_report(), exit))
}

fn tag(config: &RunConfig, record: &mut RunRecord, quiet: bool) -> Result<(), Failure> {
    let runtime = runtime(config.tagger.device.threads)?;
    let ran = runtime.block_on(async {
        let shutdown = Shutdown::listen(config.grace).map_err(|error| Failure::new(Exit::Internal, error))?;
        run::run(config, &mut Model::default(), record, &shutdown, Audience::Stderr { quiet }).await
    });
    match &ran {
        // Loading a model cannot be interrupted.
        Err(Failure { exit: Exit::Signal(_), .. }) => runtime.shutdown_background(),
        _ => runtime.shutdown_timeout(FAREWELL),
    }
    ran
}

/// Writes the report to the output, if it is one.
fn leave(report: &Report, config: &RunConfig) -> Result<(), Failure> {
    let Some(store) = outputs::open(&config.output, &config.store_options)? else { return Ok(()) };
    runtime(NonZeroUsize::MIN)?.block_on(report.leave(&store))
}

/// Prints the errors of a run.
pub(crate) fn show_errors(report: &Report) {
    for error in &report.errors {
        tracing::error!("{error}");
    }
}
