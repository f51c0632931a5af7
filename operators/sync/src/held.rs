//! The files that a mirror holds.

use std::collections::BTreeMap;

use crate::error::SyncError;
use crate::place::{HeldFile, Place};
use crate::{Folder, PubmedFile};

/// The files that a mirror holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) baseline: BTreeMap<PubmedFile, HeldFile>,
    pub(crate) updates: BTreeMap<PubmedFile, HeldFile>,
}

impl Held {
    /// Looks at a mirror; one that does not exist yet is empty.
    pub(crate) fn scan(place: &dyn Place) -> Result<Self, SyncError> {
        Ok(Self { baseline: place.list(Folder::Baseline)?, updates: place.list(Folder::Updates)? })
    }

    /// The mirror with more baseline files.
    pub(crate) fn with_baseline(mut self, files: impl Iterator<Item = PubmedFile>) -> Self {
        for file in files {
            self.baseline.entry(file).or_default();
        }
        self
    }

    pub(crate) fn of(&self, folder: Folder) -> &BTreeMap<PubmedFile, HeldFile> {
        match folder {
            Folder::Baseline => &self.baseline,
            Folder::Updates => &self.updates,
        }
    }
}
