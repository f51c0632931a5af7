//! The sync itself: list, compare, fetch the baseline, then the update files that may follow it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use crate::disk;
use crate::error::SyncError;
use crate::generation::Generation;
use crate::held::Held;
use crate::jobs::{self, Happened};
use crate::listing::Listings;
use crate::place::{self, Place, md5_of};
use crate::plan::{Candidate, Compared, candidates, first_wanted};
use crate::server::{Server, without_credentials};
use crate::summary::{Failed, GenerationState};
use crate::transfer::Transfer;
use crate::{DeletedPmids, Folder, MOST_CONNECTIONS, Planned, PubmedFile, Scope, Summary, SyncConfig};

/// The list of deleted PMIDs, beside the folders of a mirror.
pub const DELETED_PMIDS: &str = "deleted.pmids.gz";

/// What happens during a sync, for whoever shows it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// So many of the listed files have been compared with the mirror.
    Compared {
        /// Files compared.
        done: usize,
        /// Files listed.
        of: usize,
    },
    /// The files to fetch are known.
    Planned(&'a [Planned]),
    /// Bytes received so far, of all files.
    Received(u64),
    /// A file has its name.
    Fetched(&'a Planned),
}

/// Brings a mirror up to date.
///
/// *Ordering*: baseline files before update files, each in PubMed's order, a few at a time.
/// *Memory*: a block of 64 KiB for each connection, and a few hundred bytes for each listed file. In an object store, a whole
/// file for each connection.
/// *Cancellation*: the process may be killed at any moment. A file has its name only when it is whole, verified and on disk;
/// a partial download is resumed by the next sync.
/// *Rejects*: a file that cannot be fetched or verified is listed in [`Summary::failed`], and the others are fetched.
///
/// # Errors
/// What concerns the whole mirror: the target, the listing, a full disk, an unreachable server. See [`SyncError`].
pub fn sync(config: &SyncConfig, mut on_event: impl FnMut(Event<'_>)) -> Result<Summary, SyncError> {
    let server = Server::new(&config.from, &config.user_agent, config.timeout, config.retries)?;
    let place = place::open(config)?;
    let _lock = if config.dry_run { None } else { Some(place.hold()?) };
    let listings = server.listings()?;
    let sync = Sync { config, place: &*place, server: &server, listings: &listings };
    let mut summary = Summary {
        from: without_credentials(&config.from),
        into: config.into.to_string(),
        dry_run: config.dry_run,
        ..Summary::default()
    };
    sync.run(&mut summary, &mut on_event)?;
    summary.received_bytes = server.received.load(Ordering::Relaxed);
    summary.sort();
    Ok(summary)
}

struct Sync<'a> {
    config: &'a SyncConfig,
    place: &'a dyn Place,
    server: &'a Server,
    listings: &'a Listings,
}

impl Sync<'_> {
    fn run(&self, summary: &mut Summary, on_event: &mut impl FnMut(Event<'_>)) -> Result<(), SyncError> {
        let held = Held::scan(self.place)?;
        let generations = Generation::all(self.listings, &held, &self.config.known_gaps);
        self.find_missing(&generations, &held, summary);
        let mut planned = self.compare(&held, summary, on_event)?;
        let updates =
            planned.split_off(planned.iter().position(|p| p.folder == Folder::Updates).unwrap_or(planned.len()));
        if self.config.dry_run {
            // As if all of it had been fetched.
            let held = held.with_baseline(planned.iter().map(|planned| planned.file));
            let updates = self.without_held_back(updates, &generations, &held, summary)?;
            planned.extend(updates);
            on_event(Event::Planned(&planned));
            summary.fetched = planned;
            self.describe(&generations, &held, summary);
            return self.prune(&held, summary);
        }
        self.sweep(planned.iter().chain(&updates))?;
        on_event(Event::Planned(&[&planned[..], &updates[..]].concat()));
        self.check_space(planned.iter().chain(&updates))?;
        self.fetch(&planned, summary, on_event)?;
        let held = Held::scan(self.place)?;
        let updates = self.without_held_back(updates, &generations, &held, summary)?;
        self.fetch(&updates, summary, on_event)?;
        summary.deleted_pmids = self.fetch_deleted_pmids()?;
        let held = Held::scan(self.place)?;
        self.describe(&generations, &held, summary);
        self.prune(&held, summary)
    }

    /// The first wanted number of a generation.
    fn since(&self, generation: u16) -> Option<u16> {
        first_wanted(generation, self.config.since)
    }

    /// Looks for gaps in the numbers, and for files that the server no longer lists.
    fn find_missing(&self, generations: &BTreeMap<u16, Generation>, held: &Held, summary: &mut Summary) {
        for (year, generation) in generations.iter().filter(|(_, generation)| generation.listed) {
            let Some(since) = self.since(*year).filter(|_| generation.has_baseline()) else { continue };
            for folder in self.config.scope.folders() {
                let files = |numbers: Vec<u16>| numbers.into_iter().filter_map(|number| PubmedFile::new(*year, number));
                summary.missing.extend(files(generation.missing(*folder, since)));
                summary.known_gaps.extend(files(generation.gaps(*folder, since)));
            }
        }
        for folder in self.config.scope.folders() {
            let listed = &self.listings.of(*folder).files;
            let years: BTreeSet<u16> = listed.keys().map(|file| file.generation()).collect();
            let gone = held.of(*folder).keys().filter(|file| years.contains(&file.generation()));
            let gone = gone.filter(|file| !listed.get(file).is_some_and(|listed| listed.data));
            summary.not_listed.extend(gone.copied());
        }
    }

    /// Compares every listed file with the mirror; the files to fetch, baseline first.
    fn compare(
        &self,
        held: &Held,
        summary: &mut Summary,
        on_event: &mut impl FnMut(Event<'_>),
    ) -> Result<Vec<Planned>, SyncError> {
        let SyncConfig { scope, since, verify, dry_run, connections, .. } = self.config;
        let candidates = candidates(self.listings, held, *scope, *since);
        let (mut planned, mut stats, mut done) = (Vec::new(), Vec::new(), 0);
        let compare = |candidate: &Candidate<'_>| candidate.compare(self.server, self.place, *verify, *dry_run);
        jobs::run(self.server, &candidates, self.connections(*connections), compare, |happened| {
            match happened {
                Happened::Nothing => return,
                Happened::Failed(candidate, error) => {
                    summary.failed.push(Failed::new(candidate.file, candidate.folder, &error));
                }
                Happened::Done(candidate, Compared { planned: plan, has_checksum, stats_only }) => {
                    summary.up_to_date += usize::from(plan.is_none());
                    planned.extend(plan);
                    summary.without_checksum.extend((!has_checksum).then_some(candidate.file));
                    let lacks_stats = candidate.folder == Folder::Updates && !candidate.listed.stats;
                    summary.without_stats.extend(lacks_stats.then_some(candidate.file));
                    stats.extend(stats_only.then_some(candidate.file));
                }
            }
            done += 1;
            on_event(Event::Compared { done, of: candidates.len() });
        })?;
        if !dry_run {
            for file in stats {
                self.fetch_stats(file)?;
            }
        }
        planned.sort_by_key(|planned: &Planned| (planned.folder, planned.file));
        Ok(planned)
    }

    /// Removes what earlier syncs left of files that are not to be fetched any more.
    fn sweep<'p>(&self, planned: impl Iterator<Item = &'p Planned>) -> Result<(), SyncError> {
        let wanted: BTreeSet<(Folder, String)> = planned.map(|p| (p.folder, p.file.to_string())).collect();
        for folder in [Folder::Baseline, Folder::Updates] {
            for (name, path) in disk::entries(&self.place.downloads().join(folder.name()))? {
                let stale = disk::unfinished(&name).is_some_and(|name| !wanted.contains(&(folder, name.to_owned())));
                if stale {
                    disk::remove(&path)?;
                }
            }
        }
        Ok(())
    }

    /// Fails before the first byte if the files cannot all find room.
    fn check_space<'p>(&self, planned: impl Iterator<Item = &'p Planned>) -> Result<(), SyncError> {
        let downloads = self.place.downloads();
        let to_come = |planned: &Planned| {
            let partial = disk::partial_path(&downloads.join(planned.folder.name()), &planned.file.to_string());
            let arrived = std::fs::metadata(partial).map_or(0, |found| found.len());
            planned.listed_bytes.unwrap_or(0).saturating_sub(arrived)
        };
        let mut to_come: Vec<u64> = planned.map(to_come).collect();
        if !self.place.keeps_downloads() {
            to_come.sort_unstable_by(|one, other| other.cmp(one));
            to_come.truncate(self.connections(self.config.connections));
        }
        let needed = to_come.into_iter().fold(0, u64::saturating_add);
        match disk::free_bytes(downloads) {
            Some(free) if free < needed => Err(SyncError::Space {
                path: downloads.to_owned(),
                needed: needed.div_ceil(1_000_000),
                free: free / 1_000_000,
            }),
            _ => Ok(()),
        }
    }

    /// Sets aside the update files whose baseline the mirror does not hold as a whole.
    fn without_held_back(
        &self,
        updates: Vec<Planned>,
        generations: &BTreeMap<u16, Generation>,
        held: &Held,
        summary: &mut Summary,
    ) -> Result<Vec<Planned>, SyncError> {
        let incomplete: BTreeSet<u16> = updates
            .iter()
            .map(|planned| planned.file.generation())
            .filter(|year| !self.is_open(*year, generations, held, summary))
            .collect();
        let (held_back, updates): (Vec<_>, Vec<_>) =
            updates.into_iter().partition(|planned| incomplete.contains(&planned.file.generation()));
        if let Some(first) = held_back.first()
            && self.config.scope == Scope::Updates
            && updates.is_empty()
        {
            let (generation, mirror) = (first.file.generation(), self.config.into.to_string());
            return Err(SyncError::NoBaseline { generation, mirror });
        }
        summary.held_back.extend(held_back.iter().map(|planned| planned.file));
        Ok(updates)
    }

    /// Whether the update files of a generation may be fetched: its baseline is held, and none of it is out of date.
    fn is_open(&self, year: u16, generations: &BTreeMap<u16, Generation>, held: &Held, summary: &Summary) -> bool {
        let (Some(since), Some(generation)) = (self.since(year), generations.get(&year)) else { return false };
        let of_baseline = |failed: &Failed| failed.folder == Folder::Baseline && failed.file.generation() == year;
        generation.is_baseline_held(year, held, since) && !summary.failed.iter().any(of_baseline)
    }

    fn fetch(
        &self,
        planned: &[Planned],
        summary: &mut Summary,
        on_event: &mut impl FnMut(Event<'_>),
    ) -> Result<(), SyncError> {
        let connections = self.connections(self.config.connections);
        let received = || self.server.received.load(Ordering::Relaxed);
        jobs::run(
            self.server,
            planned,
            connections,
            |planned| self.fetch_one(planned),
            |happened| match happened {
                Happened::Nothing => on_event(Event::Received(received())),
                Happened::Failed(planned, error) => {
                    tracing::error!("{}", error.full_text());
                    summary.failed.push(Failed::new(planned.file, planned.folder, &error));
                }
                Happened::Done(planned, ()) => {
                    on_event(Event::Received(received()));
                    on_event(Event::Fetched(planned));
                    summary.fetched.push(planned.clone());
                }
            },
        )
    }

    fn fetch_one(&self, planned: &Planned) -> Result<(), SyncError> {
        let Planned { file, folder, .. } = planned;
        let transfer = Transfer { server: self.server, place: self.place, path: format!("{folder}/{file}") };
        let verified = transfer.fetch(planned.checksum.clone(), || self.server.checksum(*folder, *file))?;
        // They are of the former issue. Without them, the next sync asks for the new ones, whatever happens to this one.
        self.place.remove(&stats_path(*file))?;
        transfer.publish(&verified)?;
        if planned.stats { self.fetch_stats(*file) } else { Ok(()) }
    }

    /// Fetches the statistics of an update file. The citations do not depend on them: their absence is a warning.
    fn fetch_stats(&self, file: PubmedFile) -> Result<(), SyncError> {
        let path = stats_path(file);
        match self.server.text(&path) {
            Ok(Some(content)) => self.place.write(&path, &content)?,
            Ok(None) => tracing::warn!("{path}: listed, but not found"),
            Err(error) => tracing::warn!("{}", error.full_text()),
        }
        Ok(())
    }

    /// Fetches the list of deleted PMIDs. It has no checksum, so it is compared once it is here.
    fn fetch_deleted_pmids(&self) -> Result<DeletedPmids, SyncError> {
        let transfer = Transfer { server: self.server, place: self.place, path: DELETED_PMIDS.to_owned() };
        let verified = match transfer.fetch(None, || Ok(None)) {
            Ok(verified) => verified,
            Err(SyncError::Status { status: 404 | 410, .. }) => {
                transfer.discard()?;
                return Ok(DeletedPmids::NotFound);
            }
            Err(error) if error.is_about_one_file() => {
                tracing::error!("{}", error.full_text());
                return Ok(DeletedPmids::Failed);
            }
            Err(error) => return Err(error),
        };
        if md5_of(self.place, DELETED_PMIDS)?.as_ref() == Some(&verified.md5) {
            transfer.discard()?;
            return Ok(DeletedPmids::UpToDate);
        }
        transfer.publish(&verified)?;
        Ok(DeletedPmids::Fetched)
    }

    fn describe(&self, generations: &BTreeMap<u16, Generation>, held: &Held, summary: &mut Summary) {
        summary.held = held.baseline.keys().chain(held.updates.keys()).copied().collect();
        for (year, generation) in generations {
            let count = |folder| held.of(folder).keys().filter(|file| file.generation() == *year).count();
            summary.generations.push(GenerationState {
                generation: *year,
                baseline_files: count(Folder::Baseline),
                update_files: count(Folder::Updates),
                last_of_baseline: generation.last_of_baseline(),
                is_baseline_complete: self.is_open(*year, generations, held, summary),
            });
        }
    }

    /// Removes the generations before the newest one whose baseline is complete; with a failure or a gap, none.
    fn prune(&self, held: &Held, summary: &mut Summary) -> Result<(), SyncError> {
        let is_whole = summary.failed.is_empty() && summary.missing.is_empty();
        let complete = summary.generations.iter().rev().find(|state| state.is_baseline_complete);
        let Some(newest) = complete.filter(|_| self.config.prune && is_whole && self.config.since.is_none()) else {
            return Ok(());
        };
        for folder in [Folder::Baseline, Folder::Updates] {
            for file in held.of(folder).keys().filter(|file| file.generation() < newest.generation) {
                summary.pruned.push(*file);
                summary.held.retain(|held| held != file);
                if !self.config.dry_run {
                    for name in [file.to_string(), file.checksum_name(), file.stats_name()] {
                        self.place.remove(&format!("{folder}/{name}"))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn connections(&self, wanted: usize) -> usize {
        wanted.clamp(1, MOST_CONNECTIONS)
    }
}
/// Where the statistics of a file are.
fn stats_path(file: PubmedFile) -> String {
    format!("{}/{}", Folder::Updates, file.stats_name())
}
