//! `pubtag show`.

use clap::{Args, ValueEnum};
use pubtag_store::Address;

use super::store::{StoreArgs, address};

/// Arguments of `pubtag show`.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// PMID of the document; or, if no citation has it, its ID in the input.
    #[arg(value_name = "PMID")]
    pub id: String,

    /// Directory or URL of the output to read.
    #[arg(long, short, value_name = "DIR|URL", value_parser = address())]
    pub output: Address,

    /// Options of object stores.
    #[command(flatten)]
    pub store: StoreArgs,

    /// When to color mentions; otherwise they are in brackets.
    #[arg(long, visible_alias = "colour", value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// If stdout is a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
