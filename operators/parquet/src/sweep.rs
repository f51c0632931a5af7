//! What dead attempts left behind goes.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt;
use object_store::ObjectMeta;
use object_store::path::Path;
use uuid::Uuid;

use crate::commit::{Commit, split_superseded};
use crate::{Error, Output, layout};

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Part files.
    pub parts: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes every part that no standing marker names and whose run is dead or done, and returns the standing commits.
///
/// The order is what makes it safe beside runs that live. Parts are listed first: whatever is written later is not
/// touched. Then each part's run is asked for. Markers are read last, so that a run which committed and ended between
/// the first two steps has its marker seen.
pub(crate) async fn sweep(output: &Output, done: Option<Uuid>) -> Result<(Swept, Vec<Commit>), Error> {
    let parts = list_parts(output).await?;
    let dead = dead_runs(output, &parts, done).await?;
    let (standing, superseded) = split_superseded(output.commits().await?);
    warn_of_missing(output, &parts, &standing);

    let orphans = superseded.iter().filter(|old| replacer_is_dead(old, &standing, &dead));
    let markers = orphans.map(|old| layout::marker(&old.input.sha256)).collect();
    output.delete(markers).await?;

    let named: HashSet<&str> = standing.iter().flat_map(|commit| &commit.parts).map(|part| &*part.path).collect();
    let left = parts.iter().filter(|part| run_of(part).is_some_and(|run_id| dead.contains(&run_id)));
    let left: Vec<_> = left.filter(|part| !named.contains(part.location.as_ref())).collect();
    let swept = Swept { parts: left.len() as u64, bytes: left.iter().map(|part| part.size).sum() };
    output.delete(left.iter().map(|part| part.location.clone()).collect()).await?;
    output.liveness().tidy().await?;
    Ok((swept, standing))
}

async fn list_parts(output: &Output) -> Result<Vec<ObjectMeta>, Error> {
    let mut parts = Vec::new();
    for table in layout::TABLES {
        let folder = Path::from(table);
        let listed = output.store().list(Some(&folder)).try_collect::<Vec<_>>().await;
        parts.extend(listed.map_err(output.failed("list", &folder))?);
    }
    if let Some(stranger) = parts.iter().find(|part| run_of(part).is_none()) {
        tracing::warn!(file = output.full_name(&stranger.location), "a file among the tables is not of pubtag");
    }
    Ok(parts)
}

fn run_of(part: &ObjectMeta) -> Option<Uuid> {
    part.location.filename().and_then(layout::run_of_part)
}

/// The runs among the parts that are dead; this run counts as dead once it is `done`.
async fn dead_runs(output: &Output, parts: &[ObjectMeta], done: Option<Uuid>) -> Result<HashSet<Uuid>, Error> {
    let mut dead = HashSet::from_iter(done);
    let runs: HashSet<Uuid> = parts.iter().filter_map(run_of).collect();
    for run_id in runs {
        if run_id != output.run_id() && !output.liveness().is_alive(run_id).await? {
            dead.insert(run_id);
        }
    }
    Ok(dead)
}

/// A run that replaced a commit removes the old marker itself, unless it died just then.
fn replacer_is_dead(old: &Commit, standing: &[Commit], dead: &HashSet<Uuid>) -> bool {
    let replacer = standing.iter().find(|commit| commit.supersedes.contains(&old.attempt_id));
    replacer.is_some_and(|commit| dead.contains(&commit.run_id))
}

/// Committed parts that somebody took away are none of our business, but not a secret either.
fn warn_of_missing(output: &Output, parts: &[ObjectMeta], standing: &[Commit]) {
    let present: HashMap<&str, u64> = parts.iter().map(|part| (part.location.as_ref(), part.size)).collect();
    let old = standing.iter().filter(|commit| commit.run_id != output.run_id());
    for (commit, part) in old.flat_map(|commit| commit.parts.iter().map(move |part| (commit, part))) {
        if present.get(&*part.path) != Some(&part.bytes) {
            tracing::warn!(part = part.path, input = commit.input.uri, "a committed part is missing or was changed");
        }
    }
}
