//! `pubtag plan`.

use std::time::Duration;

use clap::Args;

use super::amounts::duration;
use super::config::ShowFormat;
use super::run::RunOptions;

/// Arguments of `pubtag plan`.
#[derive(Args, Clone, Debug)]
pub struct PlanArgs {
    /// Inputs, as for `pubtag run`.
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// Time in which all inputs should be tagged, such as 8h: print how many machines like this one that takes.
    #[arg(long, value_name = "DURATION", value_parser = deadline)]
    pub deadline: Option<Duration>,

    /// Time for which the model runs on a sample.
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = duration)]
    pub sample: Duration,

    /// Print the inputs, and measure nothing.
    #[arg(long, conflicts_with = "deadline")]
    pub list: bool,

    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    pub format: ShowFormat,

    /// The options of the run that is planned. Of an --output that exists, what is committed there is left out.
    #[command(flatten)]
    pub options: RunOptions,
}

/// Parses a time that is not 0, in which nothing can be done.
fn deadline(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than 0".to_owned()),
        time => Ok(time),
    }
}
