//! `pubtag config` and its subcommands.

use clap::{Args, Subcommand, ValueEnum};

use super::nightly::NightlyArgs;
use super::pretrain::PretrainArgs;
use super::run::RunArgs;
use super::train::TrainArgs;

/// The subcommands of `pubtag config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the effective settings of a command and where each comes from: an option, the environment, a settings file
    /// or a default.
    Show(ShowConfigArgs),
}

/// Arguments of `pubtag config show`.
#[derive(Args, Debug)]
pub struct ShowConfigArgs {
    /// The command, with its options.
    #[command(subcommand)]
    pub command: Configurable,

    /// Output format.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub format: ShowFormat,
}

/// Commands that read settings files.
#[derive(Debug, Subcommand)]
pub enum Configurable {
    /// Settings of `pubtag run`.
    Run(RunArgs),
    /// Settings of `pubtag train`.
    Train(TrainArgs),
    /// Settings of `pubtag pretrain`.
    Pretrain(PretrainArgs),
    /// Settings of `pubtag nightly`, by section.
    Nightly(NightlyArgs),
}

/// Output formats of `pubtag config show`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ShowFormat {
    /// A table.
    #[default]
    Table,
    /// A JSON object.
    Json,
}
