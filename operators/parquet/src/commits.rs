//! Reads all markers of an output: in an object store, those that have not changed from the compacted log.

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;
use pubtag_schemas::Commit;

use crate::compact::{Entry, Log};
use crate::objects::{CONCURRENT_REQUESTS, Objects};
use crate::{Error, layout};

/// The number of markers that are read one by one before a run writes a new log.
const UNLOGGED: usize = 64;

/// Whether a new log may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing is written.
    Read,
    /// A log is written if many markers were not in the last.
    Write,
}

/// Reads all markers, in no particular order.
///
/// Markers are always listed: the log only saves reading those whose ETag it knows.
pub(crate) async fn read_commits(objects: &Objects, access: Access) -> Result<Vec<Commit>, Error> {
    let folder = Path::from(layout::COMMITS);
    let listed = objects.store().list(Some(&folder)).try_collect::<Vec<_>>();
    if objects.is_locked() {
        let listed = listed.await.map_err(objects.failed("list", &folder))?;
        return Ok(fetch(objects, listed).await?.0);
    }
    let (listed, mut log) = tokio::join!(listed, Log::read(objects));
    let (known, unknown): (Vec<_>, Vec<_>) =
        listed.map_err(objects.failed("list", &folder))?.into_iter().partition(|meta| log.get(meta).is_some());
    let mut commits = Vec::with_capacity(known.len() + unknown.len());
    for meta in &known {
        let bytes = log.get(meta).unwrap_or_default();
        commits.push(objects.parse_marker(&meta.location, bytes.as_bytes())?);
    }
    let (fetched, mut entries) = fetch(objects, unknown).await?;
    if access == Access::Write && fetched.len() > UNLOGGED {
        entries.extend(known.iter().filter_map(|meta| log.take(meta)));
        Log::write(objects, entries).await;
    }
    commits.extend(fetched);
    Ok(commits)
}

/// Reads markers one by one, also as entries of a log; those that have been removed meanwhile are left out.
async fn fetch(objects: &Objects, listed: Vec<ObjectMeta>) -> Result<(Vec<Commit>, Vec<Entry>), Error> {
    let (mut commits, mut entries) = (Vec::with_capacity(listed.len()), Vec::new());
    let mut found = futures::stream::iter(listed)
        .map(|meta| async move {
            let Some((bytes, version)) = objects.read(&meta.location).await? else { return Ok::<_, Error>(None) };
            let commit = objects.parse_marker(&meta.location, &bytes)?;
            // The marker may be newer than the listing.
            let meta = ObjectMeta { e_tag: version.e_tag, ..meta };
            let entry = std::str::from_utf8(&bytes).ok().and_then(|json| Entry::new(&meta, json));
            Ok(Some((commit, entry)))
        })
        .buffered(CONCURRENT_REQUESTS);
    while let Some(found) = found.try_next().await? {
        let Some((commit, entry)) = found else { continue };
        commits.push(commit);
        entries.extend(entry);
    }
    Ok((commits, entries))
}
