//! `pubtag run`.

use crate::cli::RunArgs;
use crate::config::RunConfig;
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::run;
use crate::signals::Shutdown;

/// Tags, prints the summary and writes `report.json`.
///
/// # Errors
/// What kept the run from starting; everything later is in the report and in the exit code.
pub async fn execute(args: RunArgs, quiet: bool) -> Result<u8, Failure> {
    let config = RunConfig::check(args)?;
    let shutdown = Shutdown::listen(config.grace).map_err(|error| Failure::new(Exit::Internal, error))?;
    let report = run::run(&config, &shutdown, quiet).await?;
    for error in &report.errors {
        tracing::error!("{error}");
    }
    if !quiet {
        // A closed stderr must not fail a run that is committed.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), report.summary().as_bytes());
    }
    write_report(&config, &report)?;
    Ok(report.exit_code)
}

/// Writes `report.json` whole or not at all.
fn write_report(config: &RunConfig, report: &Report) -> Result<(), Failure> {
    let path = config.output.join("report.json");
    let draft = config.output.join(format!("report.json.{}", report.run_id));
    let text = serde_json::to_vec_pretty(report).map_err(|error| Failure::new(Exit::Internal, error))?;
    std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path)).map_err(|error| {
        let error = anyhow::Error::new(error).context(format!("cannot write {}", path.display()));
        Failure::new(Exit::Transient, error)
    })
}
