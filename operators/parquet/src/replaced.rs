//! Which commit has replaced which.

use std::collections::HashMap;

use pubtag_schemas::Commit;
use uuid::Uuid;

/// What has been replaced, each with the replacing attempt and its run.
pub(crate) struct Replacers {
    attempts: HashMap<String, (String, Uuid)>,
    claims: HashMap<(String, u32), (String, Uuid)>,
}

impl Replacers {
    /// What these commits have replaced.
    pub(crate) fn of<'a>(commits: impl Iterator<Item = &'a Commit> + Clone) -> Self {
        let by = |commit: &Commit| (commit.attempt_id.clone(), commit.run_id);
        let attempts =
            commits.clone().flat_map(|commit| commit.supersedes.iter().map(move |old| (old.clone(), by(commit))));
        let claims = commits.flat_map(|commit| commit.claims().map(move |claim| (commit, claim)));
        let claims = claims.flat_map(|(commit, claim)| {
            claim.replaces.iter().map(move |number| ((claim.uri.clone(), *number), by(commit)))
        });
        Self { attempts: attempts.collect(), claims: claims.collect() }
    }

    /// The attempt that has replaced a commit, and its run.
    pub(crate) fn of_commit(&self, commit: &Commit) -> Option<&(String, Uuid)> {
        let claim = || self.claims.get(&commit.claim.as_ref().map(|claim| (claim.uri.clone(), claim.number))?);
        self.attempts.get(&commit.attempt_id).or_else(claim)
    }
}
