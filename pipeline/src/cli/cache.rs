//! `pubtag cache` and its subcommands.

use clap::{Args, Subcommand};
use pubtag_store::Address;

use super::store::{StoreArgs, address};

/// The subcommands of `pubtag cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Print models, settings, entries and size.
    Stats(CacheStatsArgs),
    /// Merge files, remove damaged ones, and on request the entries of all but the latest models.
    Prune(CachePruneArgs),
}

/// Arguments of `pubtag cache stats`.
#[derive(Args, Debug)]
pub struct CacheStatsArgs {
    /// Directory or URL of an output, or what was given to `pubtag run --cache`.
    #[arg(value_name = "OUTPUT|CACHE", value_parser = address())]
    pub place: Address,

    /// Options of object stores.
    #[command(flatten)]
    pub store: StoreArgs,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `pubtag cache prune`.
#[derive(Args, Debug)]
#[command(
    after_help = "May be killed at any time, and run beside other runs: these may tag a text again that they would \
                        have found"
)]
pub struct CachePruneArgs {
    /// Directory or URL of an output, or what was given to `pubtag run --cache`.
    #[arg(value_name = "OUTPUT|CACHE", value_parser = address())]
    pub place: Address,

    /// Options of object stores.
    #[command(flatten)]
    pub store: StoreArgs,

    /// Remove the entries of all models and settings except the N that were written to last [default: keep all].
    #[arg(long, value_name = "N")]
    pub keep: Option<usize>,
}
