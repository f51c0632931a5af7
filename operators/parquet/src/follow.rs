//! Lets the commit of a renamed file follow it: so that a new file of the old name does not replace it. And lets a commit
//! replace others of the same file, where an output has several.

use std::sync::Arc;

use object_store::{PutMode, PutOptions};
use pubtag_schemas::{Commit, InputUnit, identity};

use crate::claims::{self, Taken, Terms};
use crate::objects::{Marker, Objects};
use crate::{CommitLog, Error, Output, layout};

impl Output {
    /// Notes in the marker of a commit that its content is now that of a unit, and that it replaces other commits. Only the
    /// claim and the replaced attempts in the marker change; its input still says where the content was read.
    ///
    /// Call it for a unit whose content is committed, under another identity that no input of the run has, or beside commits of
    /// [earlier contents](CommitLog::earlier_contents) of the unit, which are `replaced`: the file has taken the content of
    /// another, or it is one of PubMed's, and was in another directory before these had an identity of their own. If another
    /// run changes the commit or claims the identity at the same time, nothing happens.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn follow(
        &self,
        unit: &InputUnit,
        commit: &Commit,
        replaced: &[Arc<Commit>],
        commit_log: &CommitLog,
    ) -> Result<(), Error> {
        let mut moved = Commit { claim: None, ..commit.clone() };
        unit.uri().clone_into(&mut moved.input.uri);
        let terms = Terms {
            overwrite: !replaced.is_empty(),
            is_held: &|key| commit_log.is_held(key),
            known: commit_log.highest_claim(&identity(unit.uri())),
        };
        let claim = match claims::take(self.objects(), &moved, terms).await {
            Ok(Taken { claim, .. }) => claim,
            Err(Error::Conflict(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let replacing = match self.liveness() {
            Some(liveness) => Some(liveness.exclusive().await?),
            None => None,
        };
        let mut moved = Commit { claim: Some(claim), ..commit.clone() };
        moved.supersedes.extend(replaced.iter().flat_map(|old| commit_log.superseded_with(old)));
        moved.keep_claims_of(replaced.iter().map(AsRef::as_ref).chain([commit]));
        rewrite(self.objects(), moved).await?;
        match replacing {
            Some(replacing) => replacing.release().await,
            None => Ok(()),
        }
    }
}

/// Replaces the marker of an attempt, unless it has changed.
async fn rewrite(objects: &Objects, commit: Commit) -> Result<(), Error> {
    let path = layout::marker(commit.input.key());
    let Some(Marker { commit: found, version }) = objects.read_marker(&path).await? else { return Ok(()) };
    if found.attempt_id != commit.attempt_id {
        return Ok(());
    }
    let json = serde_json::to_vec_pretty(&commit).expect("a struct of strings, numbers and string maps is valid JSON");
    let mode = if objects.is_locked() { PutMode::Overwrite } else { PutMode::Update(version) };
    match objects.store().put_opts(&path, json.into(), PutOptions::from(mode)).await {
        Ok(_) | Err(object_store::Error::Precondition { .. }) => Ok(()),
        Err(error) => Err(objects.failed("write", &path)(error)),
    }
}
