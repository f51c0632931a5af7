//! `pubtag verify`.

use std::num::NonZeroUsize;

use clap::Args;
use pubtag_store::Address;

use super::numbers::whole;
use super::store::{StoreArgs, address};

/// Arguments of `pubtag verify`.
#[derive(Args, Debug)]
#[command(
    after_help = "Prints one line per defect. Exit codes: 0 no defects · 65 defects · 75 output cannot be read, \
                        retry · 78 neither an output nor a snapshot"
)]
pub struct VerifyArgs {
    /// Directory or URL of the output, or of its snapshots, to verify.
    #[arg(value_name = "OUTPUT", value_parser = address())]
    pub output: Address,

    /// Options of object stores.
    #[command(flatten)]
    pub store: StoreArgs,

    /// Check markers, lengths and (of an output) footers only; read neither rows nor checksums.
    #[arg(long)]
    pub quick: bool,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// Inputs to verify at once [default: number of available physical cores, at most 8].
    #[arg(long, value_name = "N", value_parser = whole::<NonZeroUsize>)]
    pub threads: Option<NonZeroUsize>,
}
