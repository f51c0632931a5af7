//! Removes what no retained snapshot needs.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;
use object_store::path::Path;

use crate::Error;
use crate::manifest::{MANIFESTS, Manifest};
use crate::place::{CHANGES, DOCUMENTS, DataFile, HISTORY, Place};

/// Directories of immutable files.
const DIRECTORIES: [&str; 3] = [DOCUMENTS, HISTORY, CHANGES];
/// Where no lock tells live attempts from dead ones, files of this age belong to dead ones: an attempt never publishes
/// after [`LONGEST_ATTEMPT`].
const ORPHANED: Duration = Duration::from_hours(7 * 24);
/// An attempt that takes longer does not publish.
pub(crate) const LONGEST_ATTEMPT: Duration = Duration::from_hours(24);

/// Removes all but the newest snapshots: first their manifests, then the files that only they name, and those of dead
/// attempts. Returns the number of files.
///
/// If this is the only attempt (`is_alone`), every file that no manifest names is of a dead one.
pub(crate) async fn retain(place: &Place, keep: NonZeroUsize, is_alone: bool) -> Result<u64, Error> {
    let numbers = Manifest::numbers(place).await?;
    let (old, kept) = numbers.split_at(numbers.len().saturating_sub(keep.get()));
    let mut named = HashSet::new();
    for snapshot in kept {
        let manifest = Manifest::read(place, *snapshot).await?;
        named.extend(manifest.iter().flat_map(Manifest::files).map(|file| file.path.clone()));
    }
    let mut released = HashSet::new();
    for snapshot in old {
        let manifest = Manifest::read(place, *snapshot).await?;
        released.extend(manifest.iter().flat_map(Manifest::files).map(|file| file.path.clone()));
        Manifest::remove(place, *snapshot).await?;
    }
    let now = Timestamp::now();
    let mut removed = 0;
    for directory in DIRECTORIES {
        for file in place.list(&Path::from(directory)).await? {
            let path = file.location.to_string();
            let is_ours = file.location.parts_count() == 2 && file.location.filename().is_some_and(DataFile::is_name);
            if !is_ours {
                continue;
            }
            let age = now.as_second() - file.last_modified.timestamp();
            let is_dead = is_alone || released.contains(&path) || age > ORPHANED.as_secs().cast_signed();
            if !named.contains(&path) && is_dead {
                place.delete(&file.location).await?;
                removed += 1;
            }
        }
    }
    tracing::debug!(removed, kept = kept.len(), directory = MANIFESTS, "old snapshots");
    Ok(removed)
}
