//! `pubtag vacuum`.

use std::time::Duration;

use clap::Args;
use pubtag_store::Address;

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

/// Parses an age in days, of 24 hours, or hours. A number alone would be one of seconds elsewhere.
fn age(text: &str) -> Result<Duration, &'static str> {
    let parse = |unit, hours| Some(text.strip_suffix(unit)?.parse::<u64>().ok()?.saturating_mul(hours).min(1 << 32));
    parse('d', 24)
        .or_else(|| parse('h', 1))
        .map(Duration::from_hours)
        .ok_or("expected days or hours, such as 7d or 60h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit() {
        assert_eq!(age("7d"), Ok(Duration::from_hours(168)));
        assert_eq!(age("60h"), Ok(Duration::from_hours(60)));
        for bad in ["", "30", "30s", "d", "-1d", "1.5h"] {
            assert!(age(bad).is_err(), "{bad:?}");
        }
    }
}
