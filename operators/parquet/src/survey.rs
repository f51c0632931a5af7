//! What is committed: markers are trusted only if their parts exist.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::ready;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use pubtag_schemas::{Commit, split_superseded};
use uuid::Uuid;

use crate::commits::{Access, read_commits};
use crate::objects::Objects;
use crate::{Error, layout};

/// The commits of an output, by whether their parts exist.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// All of their parts exist and have the lengths in their markers.
    pub(crate) whole: Vec<Commit>,
    /// Some of their parts do not.
    pub(crate) broken: Vec<Broken>,
    /// Superseded attempts whose markers still exist.
    pub(crate) superseded: HashSet<String>,
}

/// A commit that has lost rows.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The commit.
    pub commit: Arc<Commit>,
    /// The first part that is missing or changed, and how.
    pub defect: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: committed on {}, but {}", self.commit.input.uri, self.commit.committed_at, self.defect)
    }
}

/// What is committed in an output.
pub(crate) async fn read(objects: &Objects) -> Result<Survey, Error> {
    let parts = list_parts(objects).await?;
    Ok(survey(objects, &parts).await?.0)
}

/// Lists the files of the tables.
pub(crate) async fn list_parts(objects: &Objects) -> Result<Vec<ObjectMeta>, Error> {
    let list = async |table: &str| {
        let folder = Path::from(table);
        let listed = objects.store().list(Some(&folder)).filter_map(|found| ready(nameable(found)));
        listed.try_collect::<Vec<_>>().await.map_err(objects.failed("list", &folder))
    };
    // A listing is one page after the other, so the tables are listed at once.
    let parts = futures::future::try_join_all(layout::TABLES.map(list)).await?.concat();
    if let Some(stranger) = parts.iter().find(|part| run_of(part).is_none()) {
        tracing::warn!(
            file = objects.full_name(&stranger.location),
            "a file in a table's directory was not written by pubtag"
        );
    }
    Ok(parts)
}

/// A listed object, unless its name is invalid for the store: then no run has written it.
fn nameable(found: Result<ObjectMeta, object_store::Error>) -> Option<Result<ObjectMeta, object_store::Error>> {
    if let Err(object_store::Error::InvalidPath { source }) = &found {
        tracing::warn!(
            error = source as &dyn std::error::Error,
            "a file in a table's directory was not written by pubtag"
        );
        return None;
    }
    Some(found)
}

/// The run that wrote a part.
pub(crate) fn run_of(part: &ObjectMeta) -> Option<Uuid> {
    part.location.filename().and_then(layout::run_of_part)
}

/// Reads all markers and compares them with the parts that were listed before. Also returns the superseded commits.
pub(crate) async fn survey(objects: &Objects, parts: &[ObjectMeta]) -> Result<(Survey, Vec<Commit>), Error> {
    let (standing, superseded) = split_superseded(read_commits(objects, Access::Write).await?);
    let listed: HashMap<&str, u64> = parts.iter().map(|part| (part.location.as_ref(), part.size)).collect();
    let attempts = superseded.iter().map(|commit| commit.attempt_id.clone()).collect();
    let mut survey = Survey { superseded: attempts, ..Survey::default() };
    for commit in standing {
        if commit.parts.iter().all(|part| listed.get(&*part.path) == Some(&part.bytes)) {
            survey.whole.push(commit);
            continue;
        }
        // The marker and its parts may be newer than the listing.
        match look_again(objects, commit).await? {
            Some(Ok(commit)) => survey.whole.push(commit),
            Some(Err(broken)) => survey.broken.push(broken),
            None => (),
        }
    }
    Ok((survey, superseded))
}

/// Checks each part in the store. A commit that has been replaced meanwhile gives way to its successor, if any.
async fn look_again(objects: &Objects, mut commit: Commit) -> Result<Option<Result<Commit, Broken>>, Error> {
    loop {
        let Some(defect) = defect(objects, &commit).await? else { return Ok(Some(Ok(commit))) };
        match objects.read_marker(&layout::marker(commit.input.key())).await? {
            None => return Ok(None),
            Some(now) if now.commit.attempt_id == commit.attempt_id => {
                return Ok(Some(Err(Broken { commit: commit.into(), defect })));
            }
            Some(now) => commit = now.commit,
        }
    }
}

/// Describes the first part that differs from its marker.
async fn defect(objects: &Objects, commit: &Commit) -> Result<Option<String>, Error> {
    for part in &commit.parts {
        let path = Path::from(part.path.as_str());
        match objects.store().head(&path).await {
            Ok(found) if found.size == part.bytes => (),
            Ok(found) => {
                return Ok(Some(format!("its part {} has {} bytes instead of {}", part.path, found.size, part.bytes)));
            }
            Err(object_store::Error::NotFound { .. }) => return Ok(Some(format!("its part {} is missing", part.path))),
            Err(error) => return Err(objects.failed("inspect", &path)(error)),
        }
    }
    Ok(None)
}
