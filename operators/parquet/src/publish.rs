//! The commit point: one marker, created if absent.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{PutMode, UpdateVersion};
use pubtag_schemas::{Commit, InputUnit};

use crate::output::Marker;
use crate::{CommitLog, Conflict, Error, Output, RunSpec, layout};

/// How often a marker is put before the store's failure is taken for one.
const ATTEMPTS: usize = 3;

/// What became of an attempt to commit.
#[derive(Debug)]
pub(crate) enum Published {
    /// The marker is ours.
    Ours(Arc<Commit>),
    /// Somebody else committed identical work first.
    Identical(Arc<Commit>),
}

/// What a commit may replace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) commit_log: &'a CommitLog,
    pub(crate) spec: &'a RunSpec,
    /// Whether it may replace what another run spec made of the same input, and what an earlier content of its URI became.
    pub(crate) overwrite: bool,
}

/// Commits: creates the marker, or finds out who did.
///
/// A commit that replaces others does so under a lock that one run has at a time. Its marker names what it supersedes, so
/// that these count for nothing from the commit point on; their markers and parts are removed behind it.
///
/// # Errors
/// A [`Conflict`], or the store's failure. After the latter the marker may or may not exist, and the output is told to
/// leave the parts to the next run.
pub(crate) async fn publish(
    output: &Output,
    unit: &InputUnit,
    commit: Commit,
    terms: Terms<'_>,
) -> Result<Published, Error> {
    let earlier = terms.commit_log.earlier_contents(unit, commit.input.key());
    if let Some(earlier) = earlier.first().filter(|_| !terms.overwrite) {
        return Err(Conflict::other_content(unit, earlier, terms.spec).into());
    }
    if earlier.is_empty() {
        match put(output, &commit, PutMode::Create).await? {
            Put::Done => return Ok(Published::Ours(Arc::new(commit))),
            Put::Found(found) => {
                if let Some(identical) = judge(&found.commit, &commit, terms)? {
                    return Ok(identical);
                }
            }
            Put::Changed => (),
        }
    }
    let replacing = output.liveness().exclusive().await?;
    let published = replace(output, commit, earlier, terms).await?;
    replacing.release().await?;
    Ok(published)
}

/// Whether a commit of the same key is the same work, or `None` if it is to be replaced.
fn judge(found: &Commit, ours: &Commit, terms: Terms<'_>) -> Result<Option<Published>, Error> {
    let same = found.fingerprint == ours.fingerprint;
    match () {
        () if same && !terms.commit_log.is_broken(found) => Ok(Some(Published::Identical(Arc::new(found.clone())))),
        () if same || terms.overwrite => Ok(None),
        () => Err(Conflict::other_spec(&ours.input.uri, found, terms.spec).into()),
    }
}

/// Commits in place of others: of the marker of the same key, if there is one, and of `replaced`.
async fn replace(
    output: &Output,
    mut commit: Commit,
    mut replaced: Vec<Arc<Commit>>,
    terms: Terms<'_>,
) -> Result<Published, Error> {
    let path = layout::marker(commit.input.key());
    let others = replaced.len();
    loop {
        let found = output.read_marker(&path).await?;
        replaced.truncate(others);
        let mode = match found {
            None => PutMode::Create,
            Some(Marker { commit: found, version }) => {
                if let Some(identical) = judge(&found, &commit, terms)? {
                    return Ok(identical);
                }
                replaced.push(Arc::new(found));
                PutMode::Update(version)
            }
        };
        commit.supersedes = replaced.iter().flat_map(|old| terms.commit_log.superseded_with(old)).collect();
        if let Put::Done = put(output, &commit, mode).await? {
            remove(output, &path, &replaced).await;
            return Ok(Published::Ours(Arc::new(commit)));
        }
    }
}

/// What a put has come to.
enum Put {
    /// The marker is there.
    Done,
    /// Another marker was there already.
    Found(Box<Marker>),
    /// The marker to be replaced has changed meanwhile.
    Changed,
}

/// Puts a marker; on any failure, the marker that is there decides. A put that may still be under way is put again, so
/// that it cannot come into force behind our back.
async fn put(output: &Output, commit: &Commit, mode: PutMode) -> Result<Put, Error> {
    let path = layout::marker(commit.input.key());
    let put = put_until_known(output, &path, commit, mode).await;
    if let Err(Error::Store { .. } | Error::NoRoom { .. } | Error::Denied { .. }) = &put {
        output.doubt();
    }
    put
}

async fn put_until_known(output: &Output, path: &Path, commit: &Commit, mut mode: PutMode) -> Result<Put, Error> {
    use object_store::Error::{NotImplemented, Precondition};
    let json = serde_json::to_vec_pretty(commit).expect("a struct of strings, numbers and string maps is valid JSON");
    let mut attempt = 1;
    loop {
        let put = output.store().put_opts(path, json.clone().into(), mode.clone().into()).await;
        let failure = match put {
            Ok(_) => return Ok(Put::Done),
            // The lock on replacing stands in for a store that cannot compare.
            Err(NotImplemented { .. }) if matches!(mode, PutMode::Update(_)) => {
                mode = PutMode::Overwrite;
                continue;
            }
            Err(failure) => failure,
        };
        match output.read_marker(path).await? {
            Some(found) if found.commit.attempt_id == commit.attempt_id => return Ok(Put::Done),
            Some(found) if mode == PutMode::Create => return Ok(Put::Found(found.into())),
            found if is_changed(&mode, found.as_ref()) || matches!(failure, Precondition { .. }) => {
                return Ok(Put::Changed);
            }
            _ if attempt == ATTEMPTS => return Err(output.failed("commit", path)(failure)),
            _ => attempt += 1,
        }
    }
}

/// Whether the marker to be replaced has changed since it was read.
fn is_changed(mode: &PutMode, found: Option<&Marker>) -> bool {
    match (mode, found) {
        (PutMode::Update(UpdateVersion { e_tag, version }), Some(found)) => {
            (e_tag, version) != (&found.version.e_tag, &found.version.version)
        }
        (PutMode::Update(_), None) => true,
        _ => false,
    }
}

/// Removes superseded markers, then their parts. A failure is left to the sweep that ends the run.
async fn remove(output: &Output, marker: &Path, replaced: &[Arc<Commit>]) {
    for old in replaced.iter().filter(|old| layout::marker(old.input.key()) != *marker) {
        if let Err(error) = output.remove_marker(old).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a superseded commit stays for now");
        }
    }
    let parts = replaced.iter().flat_map(|old| &old.parts).map(|part| Path::from(part.path.as_str()));
    if let Err(error) = output.delete(parts.collect()).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a superseded part stays for now");
    }
}
