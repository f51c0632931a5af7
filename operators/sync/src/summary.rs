//! What a sync did, found and left undone.

use pubtag_stream::FaultKind;
use serde::Serialize;

use crate::error::SyncError;
use crate::plan::Planned;
use crate::{Folder, PubmedFile, Reason};

/// What a sync did, found and left undone. Files are in PubMed's order.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// The server, without credentials.
    pub from: String,
    /// The mirror.
    pub into: String,
    /// Whether it was a dry run: nothing was fetched or written.
    pub dry_run: bool,
    /// Files that the mirror already held.
    pub up_to_date: usize,
    /// Files that were fetched; in a dry run, that would be.
    pub fetched: Vec<Planned>,
    /// Bytes of citation files that were received, resumed downloads without what had arrived before.
    pub received_bytes: u64,
    /// Files that could not be fetched.
    pub failed: Vec<Failed>,
    /// Files that must exist by their numbers, and that neither the server lists nor the mirror holds.
    pub missing: Vec<PubmedFile>,
    /// Files that are absent and known never to have been issued.
    pub known_gaps: Vec<PubmedFile>,
    /// Update files that were not fetched because their generation's baseline is incomplete.
    pub held_back: Vec<PubmedFile>,
    /// Files of a listed generation that the mirror holds and the server does not list any more. They are kept.
    pub not_listed: Vec<PubmedFile>,
    /// Files without a checksum on the server; they were checked by their gzip checksum.
    pub without_checksum: Vec<PubmedFile>,
    /// Update files without statistics on the server.
    pub without_stats: Vec<PubmedFile>,
    /// The generations in the mirror.
    pub generations: Vec<GenerationState>,
    /// All files that the mirror holds.
    #[serde(skip)]
    pub held: Vec<PubmedFile>,
    /// Older generations' files that were removed; in a dry run, that would be.
    pub pruned: Vec<PubmedFile>,
    /// What became of `deleted.pmids.gz`.
    pub deleted_pmids: DeletedPmids,
}

/// A file that could not be fetched.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Failed {
    /// The file.
    pub file: PubmedFile,
    /// The folder it is in.
    pub folder: Folder,
    /// Why.
    pub error: String,
    /// Whether it may succeed later.
    pub transient: bool,
    #[serde(skip)]
    pub(crate) kind: Option<FaultKind>,
}

impl Failed {
    pub(crate) fn new(file: PubmedFile, folder: Folder, error: &SyncError) -> Self {
        let kind = error.kind();
        Self { file, folder, error: error.full_text(), transient: kind == FaultKind::Transient, kind: Some(kind) }
    }
}

/// A generation in the mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GenerationState {
    /// The year of its baseline.
    pub generation: u16,
    /// Baseline files held.
    pub baseline_files: usize,
    /// Update files held.
    pub update_files: usize,
    /// The number of the last baseline file; `None` while neither the README nor an update file tells.
    pub last_of_baseline: Option<u16>,
    /// Whether every baseline file (from `since` on) is held.
    pub is_baseline_complete: bool,
}

/// What became of `deleted.pmids.gz`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeletedPmids {
    /// Not looked at.
    #[default]
    Skipped,
    /// The mirror's copy is the server's.
    UpToDate,
    /// Fetched.
    Fetched,
    /// The server has none.
    NotFound,
    /// Not fetched; see the log.
    Failed,
}

impl Summary {
    /// What is wrong with the mirror, `None` if nothing is: a file that may be fetched later makes it
    /// [`FaultKind::Transient`]; a damaged or missing file, [`FaultKind::Data`].
    pub fn fault(&self) -> Option<FaultKind> {
        let failed = |kind| self.failed.iter().any(|failed| failed.kind == Some(kind));
        match () {
            () if failed(FaultKind::Transient) || self.deleted_pmids == DeletedPmids::Failed => {
                Some(FaultKind::Transient)
            }
            () if failed(FaultKind::Configuration) => Some(FaultKind::Configuration),
            () if !self.failed.is_empty() || !self.missing.is_empty() => Some(FaultKind::Data),
            () => None,
        }
    }

    /// Files that were fetched for a reason.
    pub fn count(&self, reason: Reason) -> usize {
        self.fetched.iter().filter(|planned| planned.reason == reason).count()
    }

    pub(crate) fn sort(&mut self) {
        self.fetched.sort_by_key(|planned| (planned.file, planned.folder));
        self.failed.sort_by_key(|failed| (failed.file, failed.folder));
        for files in [
            &mut self.missing,
            &mut self.known_gaps,
            &mut self.held_back,
            &mut self.not_listed,
            &mut self.without_checksum,
            &mut self.without_stats,
            &mut self.pruned,
        ] {
            files.sort_unstable();
            files.dedup();
        }
    }
}
