//! Removes what no marker names from an output in an object store.

use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use pubtag_schemas::{Commit, split_superseded};
use pubtag_store::Store;
use serde::Serialize;
use uuid::Uuid;

use crate::age::VACUUM_AGE;
use crate::mark::check_output;
use crate::objects::{CONCURRENT_REQUESTS, Objects};
use crate::replaced::Replacers;
use crate::survey::{list_parts, run_of};
use crate::{Error, Output, Swept, layout};

/// What may be removed.
#[derive(Clone, Copy, Debug)]
pub struct VacuumConfig {
    /// The age, by the store's clock, from which it is removed.
    pub older_than: Duration,
    /// Whether nothing is removed.
    pub dry_run: bool,
}

impl VacuumConfig {
    /// The age from which parts are removed by default: 7 days.
    pub const DEFAULT_AGE: Duration = VACUUM_AGE;
}

/// What was removed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Vacuumed {
    /// Part files that no marker in force names.
    pub parts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Such files that are not old enough yet.
    pub younger: u64,
}

/// Removes the parts that no marker in force names and that are old enough: those of dead attempts, and those of commits that
/// were replaced that long ago. Markers and claims are never removed.
///
/// On a local disk, where it is known which runs are alive, it removes what a run would, whatever its age.
///
/// # Errors
/// [`Error::NoDryRun`] on a local disk; if it is not an output, or the store fails or denies deleting.
pub async fn vacuum(store: Store, config: VacuumConfig) -> Result<Vacuumed, Error> {
    let objects = Objects::new(store.clone());
    check_output(&objects).await?;
    if objects.is_locked() {
        return if config.dry_run {
            Err(Error::NoDryRun { output: objects.name().to_owned() })
        } else {
            sweep(store).await
        };
    }
    let now = clock(&objects).await?;
    let oldest = now.saturating_sub_unsigned(config.older_than.as_secs());
    // Parts before markers: the marker of a part that is committed meanwhile is seen.
    let parts = list_parts(&objects).await?;
    let Kept { standing, replaced } = kept(&objects, oldest).await?;
    let mut vacuumed = Vacuumed::default();
    let mut removed = Vec::new();
    for part in parts.iter().filter(|part| run_of(part).is_some() && !standing.contains(part.location.as_ref())) {
        let is_young = part.last_modified.timestamp() > oldest || replaced.contains(part.location.as_ref());
        if is_young { vacuumed.younger += 1 } else { removed.push(part) }
    }
    vacuumed.parts = removed.len() as u64;
    vacuumed.bytes = removed.iter().map(|part| part.size).sum();
    if !config.dry_run {
        objects.delete(removed.iter().map(|part| part.location.clone()).collect()).await?;
    }
    Ok(vacuumed)
}

/// Removes what dead runs left on a local disk.
async fn sweep(store: Store) -> Result<Vacuumed, Error> {
    let (output, _) = Output::open(store, Uuid::now_v7()).await?;
    let swept = output.swept();
    let finished = output.finish().await?;
    let Swept { parts, bytes } = finished.swept;
    Ok(Vacuumed { parts: swept.parts + parts, bytes: swept.bytes + bytes, younger: 0 })
}

/// The store's time in seconds since 1970 UTC: that at which it says a new object was written.
async fn clock(objects: &Objects) -> Result<i64, Error> {
    let path = Path::from(layout::CLOCK);
    objects.store().put(&path, "{}".into()).await.map_err(objects.failed("write", &path))?;
    let found = objects.store().head(&path).await.map_err(objects.failed("inspect", &path))?;
    Ok(found.last_modified.timestamp())
}

/// Parts that are not removed.
struct Kept {
    /// Those of commits in force.
    standing: HashSet<String>,
    /// Those of commits that were replaced less than the age ago: somebody may still read them.
    replaced: HashSet<String>,
}

async fn kept(objects: &Objects, oldest: i64) -> Result<Kept, Error> {
    let markers = read_markers(objects).await?;
    let recent: Vec<Commit> =
        markers.iter().filter(|(_, written)| *written > oldest).map(|(commit, _)| commit.clone()).collect();
    let (standing, void) = split_superseded(markers.into_iter().map(|(commit, _)| commit).collect());
    let replacers = Replacers::of(recent.iter());
    let replaced = void.into_iter().filter(|commit| replacers.of_commit(commit).is_some());
    Ok(Kept { standing: paths(standing), replaced: paths(replaced) })
}

fn paths(commits: impl IntoIterator<Item = Commit>) -> HashSet<String> {
    commits.into_iter().flat_map(|commit| commit.parts).map(|part| part.path).collect()
}

/// All markers as they are now, each with the time at which it was written.
async fn read_markers(objects: &Objects) -> Result<Vec<(Commit, i64)>, Error> {
    let folder = Path::from(layout::COMMITS);
    let listed = objects.store().list(Some(&folder)).try_collect::<Vec<_>>().await;
    futures::stream::iter(listed.map_err(objects.failed("list", &folder))?)
        .map(|meta: ObjectMeta| async move {
            let marker = objects.read_marker(&meta.location).await?;
            Ok(marker.map(|marker| (marker.commit, meta.last_modified.timestamp())))
        })
        .buffered(CONCURRENT_REQUESTS)
        .try_filter_map(async |found| Ok(found))
        .try_collect()
        .await
}
