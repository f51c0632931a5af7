//! `pubtag vacuum`.

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use pubtag_parquet::{VacuumConfig, Vacuumed, vacuum};

use crate::cli::VacuumArgs;
use crate::exit::{Exit, Failure};
use crate::figures::counted;
use crate::outputs::open_output;
use crate::runtime::runtime;
use crate::terminal;

/// A run may commit what is up to a day old, and take a while for that.
const LEAST_AGE: Duration = Duration::from_hours(48);

/// Removes what no commit names from an output.
///
/// # Errors
/// It is not an output, the age is too short, or the store fails.
pub fn execute(args: &VacuumArgs) -> Result<io::Result<()>, Failure> {
    let older_than = args.older_than.unwrap_or(VacuumConfig::DEFAULT_AGE);
    if older_than < LEAST_AGE && !args.no_runs {
        let message = "--older-than must be at least 2 days, because runs commit what is up to a day old; pass --no-runs if \
                       no run is writing to this output";
        return Err(Failure::message(Exit::Usage, message));
    }
    let config = VacuumConfig { older_than, dry_run: args.dry_run };
    let vacuumed = runtime(NonZeroUsize::MIN)?.block_on(async {
        let store = open_output(&args.output, &args.store.options()).await?;
        Ok::<_, Failure>(vacuum(store, config).await?)
    })?;
    let text = if args.json { serde_json::to_string_pretty(&vacuumed)? + "\n" } else { summary(args, vacuumed) };
    Ok(terminal::print(&text))
}

fn summary(args: &VacuumArgs, Vacuumed { parts, bytes, younger }: Vacuumed) -> String {
    let removed = if args.dry_run { "would remove" } else { "removed" };
    let megabytes = bytes as f64 / 1e6;
    let mut text = format!("{}: {removed} {} ({megabytes:.1} MB)", args.output, counted(parts, "part"));
    if younger > 0 {
        text += &format!("; {} of unfinished or replaced work not old enough yet", counted(younger, "part"));
    }
    text + "\n"
}
