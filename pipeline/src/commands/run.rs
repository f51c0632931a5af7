//! `pubtag run`.

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::cli::RunArgs;
use crate::config::RunConfig;
use crate::exit::{Exit, Failure};
use crate::record::RunRecord;
use crate::report::Report;
use crate::run;
use crate::signals::Shutdown;
use crate::terminal;

/// Threads of the stages themselves, which only hand things on.
const WORKERS: usize = 2;

/// Blocking threads beside those that tokenize: one that reads, and one that writes. What more there is to do
/// waits its turn; each further thread would keep memory of its own (`tests/bench/memory.py`).
const SPARE: usize = 2;

/// How long blocking threads (a read of standard input, say) may take to end once the work is done.
const FAREWELL: Duration = Duration::from_secs(2);

/// Tags, prints the summary and leaves `report.json` and `report.html`, however the run ended.
///
/// # Errors
/// What kept the run from starting; everything later is in the report and in the exit code.
pub fn execute(args: RunArgs, quiet: bool) -> Result<u8, Failure> {
    let config = RunConfig::check(args);
    let mut record = RunRecord::new(&config);
    let ran = tag(&config, &mut record, quiet);
    if let Err(failure) = &ran {
        record.not_started(failure);
    }
    let exit = record.close(config.max_rejects);
    if ran.is_ok() {
        show(record.report(), quiet);
    }
    let left = record.report().leave(&config.output);
    ran.and(left)?;
    Ok(exit.code())
}

fn tag(config: &RunConfig, record: &mut RunRecord, quiet: bool) -> Result<(), Failure> {
    let internal = |error| Failure::new(Exit::Internal, error);
    let runtime = runtime(config.device.threads).map_err(internal)?;
    let ran = runtime.block_on(async {
        let shutdown = Shutdown::listen(config.grace).map_err(internal)?;
        record.announce(&config.output);
        run::run(config, record, &shutdown, quiet).await
    });
    match &ran {
        // A model that is being loaded cannot be told to stop.
        Err(Failure { exit: Exit::Signal(_), .. }) => runtime.shutdown_background(),
        _ => runtime.shutdown_timeout(FAREWELL),
    }
    ran
}

/// What the stream runs on.
pub(crate) fn runtime(threads: NonZeroUsize) -> io::Result<Runtime> {
    let blocking = threads.get() + SPARE;
    Builder::new_multi_thread().enable_all().worker_threads(WORKERS).max_blocking_threads(blocking).build()
}

/// Prints what a person reads at the end of a run.
fn show(report: &Report, quiet: bool) {
    for error in &report.errors {
        tracing::error!("{error}");
    }
    if !quiet {
        terminal::eprint(&report.summary());
    }
}
