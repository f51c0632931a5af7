//! Lets the commit of a renamed file follow it: so that a new file of the old name does not replace it.

use object_store::{PutMode, PutOptions};
use pubtag_schemas::{Commit, InputUnit};

use crate::claims::{self, Taken, Terms};
use crate::objects::{Marker, Objects};
use crate::{Error, Output, layout};

impl Output {
    /// Notes in the marker of a commit that its content is now under the URI of a unit. Only the claim in the marker changes; its
    /// input still says where the content was read.
    ///
    /// Call it for a unit whose content is committed under another URI, if no input of the run has that URI. If another run
    /// changes the commit or the URI at the same time, nothing happens.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn follow(&self, unit: &InputUnit, commit: &Commit) -> Result<(), Error> {
        let mut moved = commit.clone();
        unit.uri().clone_into(&mut moved.input.uri);
        let terms = Terms { overwrite: false, is_held: &|_| false, known: None };
        let claim = match claims::take(self.objects(), &moved, terms).await {
            Ok(Taken { claim, .. }) => claim,
            Err(Error::Conflict(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let replacing = match self.liveness() {
            Some(liveness) => Some(liveness.exclusive().await?),
            None => None,
        };
        rewrite(self.objects(), Commit { claim: Some(claim), ..commit.clone() }).await?;
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
