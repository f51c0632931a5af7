//! Log lines on stderr, for people and for log collectors.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::EnvFilter;

use crate::cli::LogFormat;
use crate::terminal;

/// Whether stderr has one JSON object per line.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Sends `tracing` events to stderr. `RUST_LOG` overrides the level.
///
/// On a terminal, lines have no time, to fit above the progress bar; elsewhere each has time and level.
pub fn init(format: LogFormat, quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "pubtag=info,warn",
        (false, 1) => "pubtag=debug,pubtag_ner=debug,pubtag_parquet=debug,pubtag_pubmed=debug,info",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(terminal::log).with_target(false);
    let fields = terminal::fields();
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    // A second call (tests in one process) keeps the first subscriber.
    let _ = match format {
        LogFormat::Json => subscriber.json().try_init(),
        LogFormat::Text if terminal::stderr_is_terminal() => {
            subscriber.without_time().compact().fmt_fields(fields).try_init()
        }
        LogFormat::Text => subscriber.with_ansi(false).fmt_fields(fields).try_init(),
    };
}

/// Says on stderr what a command did: as it is for people, as a log line for log collectors.
pub(crate) fn summarize(page: &str) {
    match IS_JSON.load(Ordering::Relaxed) {
        true => tracing::info!("{}", page.trim_end()),
        false => terminal::eprint(page),
    }
}
