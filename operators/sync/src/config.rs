//! What to mirror, and how.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use pubtag_store::{Address, StoreOptions};

use crate::{Folder, PubmedFile, Retries};

/// Where NLM publishes PubMed.
pub const NLM: &str = "https://ftp.ncbi.nlm.nih.gov/pubmed/";

/// Most connections at once: what NLM asks its users to keep to.
pub const MOST_CONNECTIONS: usize = 4;

/// What to mirror, from where, into what.
#[derive(Clone, Debug)]
pub struct SyncConfig {
    /// The mirror: a directory, which is made if it does not exist, or a prefix in an object store.
    pub into: Address,
    /// Options of the object store.
    pub store_options: StoreOptions,
    /// Where downloads into an object store are kept until they are whole.
    pub scratch: PathBuf,
    /// The URL that `baseline/` and `updatefiles/` are below.
    pub from: String,
    /// Which files.
    pub scope: Scope,
    /// The first file to mirror, in PubMed's order; those before it are not missed.
    pub since: Option<PubmedFile>,
    /// Numbers that NLM never issued: they are not missed.
    pub known_gaps: BTreeSet<PubmedFile>,
    /// Read the files that the mirror already holds, and fetch again what is damaged.
    pub verify: bool,
    /// Remove older generations once a newer baseline is complete.
    pub prune: bool,
    /// Fetch and write nothing.
    pub dry_run: bool,
    /// Connections at once, 1 to [`MOST_CONNECTIONS`].
    pub connections: usize,
    /// How long the server may be silent before a connection is given up.
    pub timeout: Duration,
    /// How often a request is tried.
    pub retries: Retries,
    /// The HTTP `User-Agent`. NLM asks for one with a contact.
    pub user_agent: String,
}

/// Which of the two folders to mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Both.
    #[default]
    All,
    /// The baseline only.
    Baseline,
    /// The update files only; the mirror must hold their baseline.
    Updates,
}

impl Scope {
    pub(crate) fn folders(self) -> &'static [Folder] {
        match self {
            Self::All => &[Folder::Baseline, Folder::Updates],
            Self::Baseline => &[Folder::Baseline],
            Self::Updates => &[Folder::Updates],
        }
    }
}
