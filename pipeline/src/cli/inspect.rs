//! `pubtag inspect`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `pubtag inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// Model or output directory [default: the bundled model].
    #[arg(value_name = "MODEL|OUTPUT")]
    pub path: Option<PathBuf>,

    /// Number of most frequent mentions to list; 0 skips reading annotations.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub top: usize,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
