//! `pubtag sync`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pubtag_store::Address;
use pubtag_sync::{NLM, PubmedFile};

use super::numbers::whole;
use super::store::{StoreArgs, address};

/// Arguments of `pubtag sync`.
#[derive(Args, Debug)]
#[command(
    override_usage = "pubtag sync [OPTIONS] --into <DIR|URL>",
    after_help = "May be killed at any time; rerun to resume. Exit codes: 0 up to date · 2 usage · 65 files missing or \
                  damaged on the server · 75 transient, rerun · 78 configuration"
)]
pub struct SyncArgs {
    /// Mirror: a directory, or a prefix in an object store (s3://, gs://, az://). Files that it already holds are not
    /// fetched again.
    #[arg(long, value_name = "DIR|URL", value_parser = address())]
    pub into: Address,

    /// Options of object stores.
    #[command(flatten)]
    pub store: StoreArgs,

    /// Directory for downloads if the mirror is in an object store; partial ones are resumed from it [default: the
    /// system's].
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,

    /// Server to mirror: the URL of the directory with `baseline/` and `updatefiles/`.
    #[arg(long, value_name = "URL", default_value = NLM)]
    pub from: String,

    /// Mirror the baseline only.
    #[arg(long, conflicts_with = "updates")]
    pub baseline: bool,

    /// Mirror the update files only; their baseline must be in the mirror.
    #[arg(long)]
    pub updates: bool,

    /// First file to mirror, such as pubmed26n1335; earlier files are neither fetched nor required.
    #[arg(long, value_name = "FILE", conflicts_with = "prune")]
    pub since: Option<PubmedFile>,

    /// File that NLM never issued, such as pubmed26n1412: its absence is a warning, not an error. May be repeated.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub known_gap: Vec<PubmedFile>,

    /// Read the files that the mirror already holds, and fetch damaged ones again.
    #[arg(long)]
    pub verify: bool,

    /// Remove older generations once a newer baseline is complete.
    #[arg(long)]
    pub prune: bool,

    /// Print what would be fetched and removed; fetch and write nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Concurrent connections, 4 at most, as NLM asks.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub connections: u8,

    /// Seconds without data after which a connection is dropped and retried.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = whole::<NonZeroU32>)]
    pub timeout: NonZeroU32,

    /// Email address or URL for the User-Agent, where NLM can reach you.
    #[arg(long, value_name = "ADDRESS", env = "PUBTAG_CONTACT", value_parser = contact)]
    pub contact: Option<String>,

    /// Format of the summary on stdout.
    #[arg(long, value_enum, default_value_t)]
    pub format: SyncFormat,
}

/// Formats of a summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SyncFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// An address that can be part of an HTTP header.
fn contact(text: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'\\');
    let usable = !text.is_empty() && text.bytes().all(is_plain);
    usable.then(|| text.to_owned()).ok_or_else(|| "not an email address or URL".to_owned())
}
