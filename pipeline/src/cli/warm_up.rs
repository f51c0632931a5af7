//! `pubtag warmup`.

use std::path::PathBuf;

use clap::Args;

use super::device::DeviceArgs;

/// Arguments of `pubtag warmup`.
#[derive(Args, Debug)]
pub struct WarmUpArgs {
    /// Hugging Face directory of a token classifier [default: the bundled model].
    #[arg(long, short, value_name = "DIR", env = "PUBTAG_MODEL")]
    pub model: Option<PathBuf>,

    /// Where and how the model will run.
    #[command(flatten)]
    pub device: DeviceArgs,
}
