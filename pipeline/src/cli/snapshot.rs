//! `pubtag snapshot`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use pubtag_store::Address;

use super::ByteSize;
use super::numbers::whole;
use super::store::{StoreArgs, address};

/// Arguments of `pubtag snapshot`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "The snapshot is in OUTPUT/snapshot: latest.json names the files that it consists of. Exit codes: \
                        0 published or up to date · 2 usage · 65 damaged output or snapshot · 75 transient, rerun · \
                        78 configuration"
)]
pub struct SnapshotArgs {
    /// Directory or URL of the output.
    #[arg(value_name = "OUTPUT", value_parser = address())]
    pub output: Address,

    /// Directory or URL of the snapshot [default: OUTPUT/snapshot].
    #[arg(long, value_name = "DIR|URL", value_parser = address())]
    pub into: Option<Address>,

    /// Options of object stores.
    #[command(flatten)]
    pub store: StoreArgs,

    /// PubMed generation to publish, such as 2026 [default: the newest with a complete baseline].
    #[arg(long, value_name = "YEAR", value_parser = whole::<i32>)]
    pub generation: Option<i32>,

    /// Number of snapshots to keep; older ones are removed.
    #[arg(long, value_name = "N", default_value = "7", value_parser = whole::<NonZeroUsize>)]
    pub keep: NonZeroUsize,

    /// Size in memory of a bucket, the unit that is rewritten.
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub bucket_size: ByteSize,

    /// Memory for sorting new rows; more rows are sorted in temporary files.
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub sort_memory: ByteSize,

    /// Directory for temporary files [default: the system's].
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
