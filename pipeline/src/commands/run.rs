//! `pubtag run`.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::cli::RunArgs;
use crate::config::RunConfig;
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::run;
use crate::signals::Shutdown;

/// Threads of the stages themselves, which only hand things on.
const WORKERS: usize = 2;

/// Blocking threads beside those that tokenize: one that reads, and one that writes. What more there is to do
/// waits its turn; each further thread would keep memory of its own (`tests/bench/memory.py`).
const SPARE: usize = 2;

/// How long blocking threads (a read of standard input, say) may take to end once the work is done.
const FAREWELL: Duration = Duration::from_secs(2);

/// Tags, prints the summary and writes `report.json` and `report.html`.
///
/// # Errors
/// What kept the run from starting; everything later is in the report and in the exit code.
pub fn execute(args: RunArgs, quiet: bool) -> Result<u8, Failure> {
    let config = RunConfig::check(args)?;
    let runtime = runtime(config.device.threads).map_err(|error| Failure::new(Exit::Internal, error))?;
    let ended = runtime.block_on(tag(&config, quiet));
    runtime.shutdown_timeout(FAREWELL);
    ended
}

/// What the stream runs on.
pub(crate) fn runtime(threads: NonZeroUsize) -> io::Result<Runtime> {
    let blocking = threads.get() + SPARE;
    Builder::new_multi_thread().enable_all().worker_threads(WORKERS).max_blocking_threads(blocking).build()
}

async fn tag(config: &RunConfig, quiet: bool) -> Result<u8, Failure> {
    let shutdown = Shutdown::listen(config.grace).map_err(|error| Failure::new(Exit::Internal, error))?;
    let report = run::run(config, &shutdown, quiet).await?;
    for error in &report.errors {
        tracing::error!("{error}");
    }
    if !quiet {
        // A closed stderr must not fail a run that is committed.
        let _ = io::stderr().write_all(report.summary().as_bytes());
    }
    let json = serde_json::to_string_pretty(&report).map_err(|error| Failure::new(Exit::Internal, error))?;
    leave(config, &report, "report.json", &json)?;
    leave(config, &report, "report.html", &report.html())?;
    Ok(report.exit_code)
}

/// Writes a file beside the tables, whole or not at all.
fn leave(config: &RunConfig, report: &Report, name: &str, text: &str) -> Result<(), Failure> {
    let path = config.output.join(name);
    let draft = config.output.join(format!("{name}.{}", report.run_id));
    std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path)).map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("cannot write {}", path.display()));
        Failure::new(Exit::Transient, error)
    })
}
