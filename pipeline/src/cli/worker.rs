//! `pubtag worker`.

use clap::Args;

use super::run::RunOptions;

/// Arguments of `pubtag worker`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "The exit code is the worst of all records: 0 success · 65 data · 70 internal error · 75 transient error, retry · \
                        78 configuration or device · 130/143 signal"
)]
pub struct WorkerArgs {
    /// How each input is tagged, and where to.
    #[command(flatten)]
    pub options: RunOptions,
}
