//! `pubtag run`.

use crate::cli::RunArgs;
use crate::config::RunConfig;
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::run;
use crate::signals::Shutdown;

/// Tags, prints the summary and writes `report.json` and `report.html`.
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
    let json = serde_json::to_string_pretty(&report).map_err(|error| Failure::new(Exit::Internal, error))?;
    leave(&config, &report, "report.json", &json)?;
    leave(&config, &report, "report.html", &report.html())?;
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
