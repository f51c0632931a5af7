//! The stages of a commit. Each is a type that the next step consumes, so that none can be skipped or repeated.
//!
//! ```text
//!            ParquetAttempt ─prepare─► Prepared ─publish─► Published ─clean_up─► Ending
//! parts      being sent                durable, read back  durable               durable
//! marker     none                      none                ours, or identical    ours, or identical
//! if killed  parts are swept           parts are swept     the next run cleans up
//! ```
//!
//! The commit point is in `publish`: one marker, created if absent.

use std::error::Error as StdError;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, PutMode, UpdateVersion};
use pubtag_schemas::{Claim, Commit, Ending, InputUnit, Part, identity};

use crate::age::Age;
use crate::claims::{self, Taken};
use crate::objects::{Marker, Objects};
use crate::{CommitLog, Conflict, Error, Hold, Output, RunSpec, layout};

/// What a commit may replace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) commit_log: &'a CommitLog,
    pub(crate) spec: &'a RunSpec,
    /// Whether it may replace what another run spec made of the same input, and the commit of an earlier content of its
    /// URI.
    pub(crate) overwrite: bool,
}

/// A unit whose parts are durable and were read back, but do not count yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) output: Output,
    pub(crate) unit: Arc<InputUnit>,
    pub(crate) commit: Commit,
    /// When the attempt began.
    pub(crate) begun: Age,
}

/// A unit that counts: its marker is in force, ours or one for identical work.
#[derive(Debug)]
pub(crate) struct Published {
    output: Output,
    ending: Ending,
    /// Superseded markers to remove.
    markers: Vec<Arc<Commit>>,
    /// Parts to remove: no marker in force names them.
    parts: Vec<Part>,
    /// The lock on replacing, while something is replaced.
    replacing: Option<Box<dyn Hold>>,
}

impl Prepared {
    /// Commits: creates the marker, or finds the one that another run created.
    ///
    /// Commits are replaced under a lock, by one run at a time. The marker names the commits that it supersedes, so that
    /// they stop counting at the commit point.
    ///
    /// # Errors
    /// A [`Conflict`], or the store's failure. After the latter the marker may or may not exist, and the parts are left
    /// to the next run.
    pub(crate) async fn publish(mut self, terms: Terms<'_>) -> Result<Published, Error> {
        self.output.check_age(&self.commit.input.uri, self.begun)?;
        let mut earlier = terms.commit_log.earlier_contents(&self.unit, self.commit.input.key());
        if let Some(earlier) = earlier.first().filter(|_| !terms.overwrite) {
            return Err(Conflict::other_content(self.unit.uri(), &self.commit.input.sha256, earlier, terms.spec).into());
        }
        for replaced in self.claim(terms).await? {
            if earlier.iter().all(|known| known.attempt_id != replaced.attempt_id) {
                earlier.push(replaced.into());
            }
        }
        let published = self.commit(earlier, terms).await?;
        published.check_claim().await?;
        Ok(published)
    }

    async fn commit(self, earlier: Vec<Arc<Commit>>, terms: Terms<'_>) -> Result<Published, Error> {
        if earlier.is_empty() {
            match put(&self.output, &self.commit, PutMode::Create).await? {
                Put::Done => return Ok(self.ours(Vec::new())),
                Put::Found(found) if is_identical(&found.commit, &self.commit, terms)? => {
                    return Ok(self.identical(found.commit));
                }
                Put::Found(_) | Put::Changed => (),
            }
        }
        let replacing = match self.output.liveness() {
            Some(liveness) => Some(liveness.exclusive().await?),
            None => None,
        };
        let published = self.replace(earlier, terms).await?;
        Ok(Published { replacing, ..published })
    }

    /// Claims the identity, and returns the commits under it that the claim replaces. What can be read only once has
    /// none of its own.
    async fn claim(&mut self, terms: Terms<'_>) -> Result<Vec<Commit>, Error> {
        if self.unit.read_once {
            return Ok(Vec::new());
        }
        let terms = claims::Terms {
            overwrite: terms.overwrite,
            is_held: &|key| terms.commit_log.is_held(key),
            known: terms.commit_log.highest_claim(&identity(self.unit.uri())),
        };
        let Taken { claim, replaced } = claims::take(self.output.objects(), &self.commit, terms).await?;
        self.commit.claim = Some(claim);
        Ok(replaced)
    }

    /// Commits in place of others: of `replaced`, and of the marker with the same key, if it exists.
    async fn replace(mut self, mut replaced: Vec<Arc<Commit>>, terms: Terms<'_>) -> Result<Published, Error> {
        let path = layout::marker(self.commit.input.key());
        let others = replaced.len();
        loop {
            let found = self.output.objects().read_marker(&path).await?;
            replaced.truncate(others);
            let mode = match found {
                None => PutMode::Create,
                Some(Marker { commit: found, .. }) if is_identical(&found, &self.commit, terms)? => {
                    return Ok(self.identical(found));
                }
                Some(Marker { commit: found, version }) => {
                    replaced.push(Arc::new(found));
                    PutMode::Update(version)
                }
            };
            self.commit.supersedes = replaced.iter().flat_map(|old| terms.commit_log.superseded_with(old)).collect();
            self.commit.former_claims.clear();
            self.commit.keep_claims_of(replaced.iter().map(AsRef::as_ref));
            if let Put::Done = put(&self.output, &self.commit, mode).await? {
                return Ok(self.ours(replaced));
            }
        }
    }

    fn ours(self, replaced: Vec<Arc<Commit>>) -> Published {
        let parts = replaced.iter().flat_map(|old| old.parts.clone()).collect();
        let ours = layout::marker(self.commit.input.key());
        let markers = replaced.into_iter().filter(|old| layout::marker(old.input.key()) != ours).collect();
        let ending = Ending::Committed(Arc::new(self.commit));
        Published { output: self.output, ending, markers, parts, replacing: None }
    }

    fn identical(self, found: Commit) -> Published {
        let ending = Ending::Identical(Arc::new(found));
        Published { output: self.output, ending, markers: Vec::new(), parts: self.commit.parts, replacing: None }
    }
}

impl Published {
    /// # Errors
    /// [`Conflict::Outbid`] if another run has claimed the URI for other content in the meantime.
    async fn check_claim(&self) -> Result<(), Error> {
        let Ending::Committed(commit) = &self.ending else { return Ok(()) };
        let Some(claim) = &commit.claim else { return Ok(()) };
        if claims::is_outbid(self.output.objects(), claim).await? {
            return Err(Conflict::Outbid { uri: claim.uri.clone() }.into());
        }
        Ok(())
    }

    /// Removes what no longer counts: markers, then parts. What cannot be removed is left to the next sweep. In an object
    /// store, nothing is removed.
    ///
    /// # Errors
    /// If the lock on replacing cannot be released.
    pub(crate) async fn clean_up(self) -> Result<Ending, Error> {
        let objects = self.output.objects();
        if self.output.liveness().is_none() {
            return Ok(self.ending);
        }
        for old in &self.markers {
            if let Err(error) = objects.remove_marker(old).await {
                tracing::warn!(error = &error as &dyn StdError, "a superseded commit was not removed");
            }
        }
        let parts = self.parts.iter().map(|part| Path::from(part.path.as_str()));
        if let Err(error) = objects.delete(parts.collect()).await {
            tracing::warn!(error = &error as &dyn StdError, "a superseded part was not removed");
        }
        if let Some(replacing) = self.replacing {
            replacing.release().await?;
        }
        Ok(self.ending)
    }
}

/// Whether a commit of the same key is the same work; false if it is to be replaced.
fn is_identical(found: &Commit, ours: &Commit, terms: Terms<'_>) -> Result<bool, Error> {
    let same = found.fingerprint == ours.fingerprint;
    match () {
        () if is_void(found, ours, terms) => Ok(false),
        () if same && !terms.commit_log.is_broken(found) => Ok(true),
        () if same || terms.overwrite => Ok(false),
        () => Err(Conflict::other_spec(&ours.input.uri, found, terms.spec).into()),
    }
}

/// Whether a commit of the same key has been replaced, and not by what this run knows as its successor.
fn is_void(found: &Commit, ours: &Commit, terms: Terms<'_>) -> bool {
    let is_older = |ours: &Claim, found: &Claim| ours.uri == found.uri && found.number < ours.number;
    let claims = ours.claim.as_ref().zip(found.claim.as_ref());
    terms.commit_log.is_superseded(found) || claims.is_some_and(|(ours, found)| is_older(ours, found))
}

/// The result of a put.
enum Put {
    /// The marker is in force.
    Done,
    /// Another marker already existed.
    Found(Box<Marker>),
    /// The marker to replace has changed meanwhile.
    Changed,
}

/// Puts a marker; after any failure, the marker that exists decides. A put that may still be in progress is repeated, so
/// that it cannot come into force unnoticed.
async fn put(output: &Output, commit: &Commit, mode: PutMode) -> Result<Put, Error> {
    let path = layout::marker(commit.input.key());
    let put = put_until_known(output.objects(), &path, commit, mode).await;
    if let Err(Error::Store { .. }) = &put {
        output.doubt();
    }
    put
}

async fn put_until_known(objects: &Objects, path: &Path, commit: &Commit, mut mode: PutMode) -> Result<Put, Error> {
    use object_store::Error::{NotImplemented, Precondition};
    let json = serde_json::to_vec_pretty(commit).expect("a struct of strings, numbers and string maps is valid JSON");
    let mut attempts = objects.attempts();
    loop {
        let put = objects.store().put_opts(path, json.clone().into(), mode.clone().into()).await;
        let failure = match put {
            Ok(_) => return Ok(Put::Done),
            // The store cannot compare versions; the lock on replacing suffices.
            Err(NotImplemented { .. }) if objects.is_locked() && matches!(mode, PutMode::Update(_)) => {
                mode = PutMode::Overwrite;
                continue;
            }
            Err(failure) => failure,
        };
        match objects.read_marker(path).await? {
            Some(found) if found.commit.attempt_id == commit.attempt_id => return Ok(Put::Done),
            Some(found) if mode == PutMode::Create => return Ok(Put::Found(found.into())),
            found if is_changed(&mode, found.as_ref()) || matches!(failure, Precondition { .. }) => {
                return Ok(Put::Changed);
            }
            _ if attempts.again().await => {}
            _ => return Err(objects.failed("commit", path)(failure)),
        }
    }
}

/// Whether the marker to replace has changed since it was read.
fn is_changed(mode: &PutMode, found: Option<&Marker>) -> bool {
    match (mode, found) {
        (PutMode::Update(UpdateVersion { e_tag, version }), Some(found)) => {
            (e_tag, version) != (&found.version.e_tag, &found.version.version)
        }
        (PutMode::Update(_), None) => true,
        _ => false,
    }
}
