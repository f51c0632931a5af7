//! `pubtag selftest`.

use std::path::PathBuf;

use clap::Args;

use super::device::{DeviceArgs, Precision};

/// Arguments of `pubtag selftest`.
#[derive(Args, Debug)]
pub struct SelfTestArgs {
    /// Hugging Face directory of a token classifier [default: the bundled model].
    #[arg(long, short, value_name = "DIR", env = "PUBTAG_MODEL")]
    pub model: Option<PathBuf>,

    /// The device to test. `--precision` is ignored: every precision is tested.
    #[command(flatten)]
    pub device: DeviceArgs,

    /// Test one precision and print its lines of the table; the whole test starts one such process per precision.
    #[arg(long, hide = true, value_enum)]
    pub only_precision: Option<Precision>,
}
