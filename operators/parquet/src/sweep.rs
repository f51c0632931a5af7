//! Removes what dead attempts left.

use std::collections::HashSet;

use object_store::ObjectMeta;
use pubtag_schemas::Commit;
use uuid::Uuid;

use crate::objects::Objects;
use crate::replaced::Replacers;
use crate::survey::{Survey, list_parts, run_of, survey};
use crate::{Error, Liveness};

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Part files.
    pub parts: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes every part that no marker in force names and whose run is dead or done, and returns what is committed.
///
/// The order makes it safe beside live runs. Parts are listed first, so whatever is written later is not touched. Then
/// each part's run is checked. Markers are read last, so that the marker of a run that committed and ended between the
/// first two steps is seen.
pub(crate) async fn sweep(
    objects: &Objects,
    liveness: &dyn Liveness,
    run_id: Uuid,
    done: Option<Uuid>,
) -> Result<(Swept, Survey), Error> {
    let parts = list_parts(objects).await?;
    let dead = dead_runs(liveness, &parts, run_id, done).await?;
    let (survey, superseded) = survey(objects, &parts).await?;
    let standing = || survey.whole.iter().chain(survey.broken.iter().map(|broken| &*broken.commit));

    let replacers = Replacers::of(standing());
    let is_dead = |old: &&Commit| replacers.of_commit(old).is_some_and(|(_, run_id)| dead.contains(run_id));
    // A run that replaces a commit removes the old marker itself, unless it dies first.
    let orphans: Vec<&Commit> = superseded.iter().filter(is_dead).collect();
    if !orphans.is_empty() {
        let replacing = liveness.exclusive().await?;
        for old in orphans {
            objects.remove_marker(old).await?;
        }
        replacing.release().await?;
    }

    let named: HashSet<&str> = standing().flat_map(|commit| &commit.parts).map(|part| &*part.path).collect();
    let left = parts.iter().filter(|part| run_of(part).is_some_and(|run_id| dead.contains(&run_id)));
    let left: Vec<_> = left.filter(|part| !named.contains(part.location.as_ref())).collect();
    let swept = Swept { parts: left.len() as u64, bytes: left.iter().map(|part| part.size).sum() };
    objects.delete(left.iter().map(|part| part.location.clone()).collect()).await?;
    liveness.tidy().await?;
    Ok((swept, survey))
}

/// The dead runs among the parts' runs; this run counts as dead once it is `done`.
async fn dead_runs(
    liveness: &dyn Liveness,
    parts: &[ObjectMeta],
    own: Uuid,
    done: Option<Uuid>,
) -> Result<HashSet<Uuid>, Error> {
    let mut dead = HashSet::from_iter(done);
    let runs: HashSet<Uuid> = parts.iter().filter_map(run_of).collect();
    for run_id in runs {
        if run_id != own && !liveness.is_alive(run_id).await? {
            dead.insert(run_id);
        }
    }
    Ok(dead)
}
