//! What is to be done: each listed file is compared with the mirror.

use serde::Serialize;

use crate::error::SyncError;
use crate::held::Held;
use crate::listing::{Listed, Listings};
use crate::place::{HeldFile, Place, is_whole_gzip, md5_of, recorded_md5};
use crate::server::{Checksum, Server};
use crate::{Folder, PubmedFile, Scope};

/// A file to fetch.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Planned {
    /// The file.
    pub file: PubmedFile,
    /// The folder it is in.
    pub folder: Folder,
    /// Why it is to be fetched.
    pub reason: Reason,
    /// Its size in bytes as the listing gives it, which is rounded; `None` if it does not.
    pub listed_bytes: Option<u64>,
    #[serde(skip)]
    pub(crate) checksum: Option<Checksum>,
    #[serde(skip)]
    pub(crate) stats: bool,
}

/// Why a file is to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// The mirror does not hold it.
    New,
    /// NLM has replaced it: its checksum on the server has changed.
    Reissued,
    /// The mirror's copy does not have the checksum that was recorded with it.
    Damaged,
}

/// A file that the server lists, and what the mirror has of it.
pub(crate) struct Candidate<'a> {
    pub(crate) file: PubmedFile,
    pub(crate) folder: Folder,
    pub(crate) listed: Listed,
    pub(crate) held: Option<&'a HeldFile>,
}

/// The first number of a generation that is wanted; `None` if none is.
pub(crate) fn first_wanted(generation: u16, since: Option<PubmedFile>) -> Option<u16> {
    match since {
        Some(since) if generation < since.generation() => None,
        Some(since) if generation == since.generation() => Some(since.number()),
        _ => Some(1),
    }
}

/// The listed files to compare, in PubMed's order.
pub(crate) fn candidates<'a>(
    listings: &Listings,
    held: &'a Held,
    scope: Scope,
    since: Option<PubmedFile>,
) -> Vec<Candidate<'a>> {
    let mut candidates: Vec<_> = scope
        .folders()
        .iter()
        .flat_map(|folder| {
            let listed = listings.of(*folder).files.iter().filter(|(_, listed)| listed.data);
            listed.map(|(file, listed)| Candidate {
                file: *file,
                folder: *folder,
                listed: *listed,
                held: held.of(*folder).get(file),
            })
        })
        .filter(|candidate| since.is_none_or(|since| candidate.file >= since))
        .collect();
    candidates.sort_by_key(|candidate| (candidate.file, candidate.folder));
    candidates
}

/// What comparing a file has shown.
pub(crate) struct Compared {
    /// What to fetch; `None` if the mirror is up to date.
    pub(crate) planned: Option<Planned>,
    /// Whether the server has a checksum of it.
    pub(crate) has_checksum: bool,
    /// Whether its statistics are to be fetched although the file is not.
    pub(crate) stats_only: bool,
}

impl Candidate<'_> {
    /// Asks the server for the file's checksum and holds it against the mirror's.
    ///
    /// The mirror's own bytes are read only if the recorded checksum differs, or if `verify` asks for it. If they turn out
    /// to be current after all, the checksum is recorded, unless `dry_run`.
    pub(crate) fn compare(
        &self,
        server: &Server,
        place: &dyn Place,
        verify: bool,
        dry_run: bool,
    ) -> Result<Compared, SyncError> {
        let Self { file, folder, listed, held } = self;
        let checksum = server.checksum(*folder, *file)?;
        let path = format!("{folder}/{file}");
        let has = |md5: &str| Ok::<_, SyncError>(md5_of(place, &path)?.as_deref() == Some(md5));
        let reason = match (held, &checksum) {
            (None, _) => Some(Reason::New),
            (Some(held), Some(Checksum { md5, content })) => {
                let is_recorded = held.has_checksum && recorded_md5(place, *folder, *file)?.as_ref() == Some(md5);
                match is_recorded {
                    true => (verify && !has(md5)?).then_some(Reason::Damaged),
                    false if has(md5)? => {
                        if !dry_run {
                            place.write(&format!("{folder}/{}", file.checksum_name()), content)?;
                        }
                        None
                    }
                    false => Some(Reason::Reissued),
                }
            }
            (Some(_), None) if verify && !is_whole_gzip(place, &path)? => Some(Reason::Damaged),
            (Some(held), None) => {
                let length = server.length(&path)?;
                length.is_some_and(|length| length != held.bytes).then_some(Reason::Reissued)
            }
        };
        let stats_only = reason.is_none() && listed.stats && held.is_some_and(|held| !held.has_stats);
        let planned = reason.map(|reason| Planned {
            file: *file,
            folder: *folder,
            reason,
            listed_bytes: listed.bytes,
            checksum: checksum.clone(),
            stats: listed.stats,
        });
        Ok(Compared { planned, has_checksum: checksum.is_some(), stats_only })
    }
}
