//! `pubtag vacuum`.

use std::time::Duration;

use clap::Args;
use pubtag_store::Address;

use super::amounts::duration;
use super::store::{StoreArgs, address};

/// Arguments of `pubtag vacuum`.
#[derive(Args, Debug)]
#[command(
    after_help = "A run in an object store deletes nothing, and does not commit an input that took more than a day. This command \
                  deletes what runs left behind. Exit codes: 0 success · 75 store failed, retry · 78 not an output, \
                  or deleting is denied"
)]
pub struct VacuumArgs {
    /// Directory or URL of the output.
    #[arg(value_name = "OUTPUT", value_parser = address())]
    pub output: Address,

    /// Options of object stores.
    #[command(flatten)]
    pub store: StoreArgs,

    /// Minimum age of the files to remove, by the store's clock, in days (7d) or hours (60h); less than 2 days only with
    /// --no-runs [default: 7d].
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<Duration>,

    /// No run is writing to this output now: also remove what is younger than 2 days.
    #[arg(long)]
    pub no_runs: bool,

    /// Count, but remove nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Parses an age; a day has 24 hours.
fn age(text: &str) -> Result<Duration, String> {
    match text.strip_suffix('d').map(str::parse::<u64>) {
        Some(Ok(days)) => Ok(Duration::from_hours(days.saturating_mul(24).min(1 << 32))),
        _ => duration(text),
    }
}
