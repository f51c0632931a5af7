//! The commit point: one marker, created if absent.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{PutMode, UpdateVersion};

use crate::output::Marker;
use crate::{Commit, Conflict, Error, Output, Recipe, layout};

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

/// Commits: creates the marker, or finds out who did.
///
/// `replaced` are the commits of the same URI with another content; they and a commit of the same content with another
/// recipe are superseded if `overwrite` says so. What the marker replaces is removed once it stands.
///
/// # Errors
/// A [`Conflict`], or the store's failure. After the latter the marker may stand or not: the parts must stay until the
/// next sweep has looked.
pub(crate) async fn publish(
    output: &Output,
    mut commit: Commit,
    recipe: &Recipe,
    mut replaced: Vec<Arc<Commit>>,
    overwrite: bool,
) -> Result<Published, Error> {
    let path = layout::marker(&commit.input.sha256);
    if let Some(earlier) = replaced.first().filter(|_| !overwrite) {
        return Err(Conflict::other_content(earlier, &commit.input.sha256).into());
    }
    commit.supersedes = replaced.iter().map(|old| old.attempt_id.clone()).collect();
    match put(output, &path, &commit, PutMode::Create).await? {
        Found::Ours => {}
        Found::Other(found) if found.commit.fingerprint == commit.fingerprint => {
            return Ok(Published::Identical(Arc::new(found.commit)));
        }
        Found::Other(found) if overwrite => {
            commit.supersedes.push(found.commit.attempt_id.clone());
            replaced.push(Arc::new(found.commit));
            replace(output, &path, &commit, found.version).await?;
        }
        Found::Other(found) => {
            return Err(Conflict::other_recipe(&commit.input.uri, &found.commit, recipe).into());
        }
    }
    remove_replaced(output, &path, &replaced).await;
    Ok(Published::Ours(Arc::new(commit)))
}

/// The marker that stands after a put.
enum Found {
    Ours,
    Other(Box<Marker>),
}

/// Puts a marker; on any failure, the marker that stands decides. A put that may still be under way is put again, so
/// that it cannot come into force behind our back.
async fn put(output: &Output, path: &Path, commit: &Commit, mode: PutMode) -> Result<Found, Error> {
    let json = serde_json::to_vec_pretty(commit).expect("a struct of strings, numbers and string maps is valid JSON");
    let mut attempt = 1;
    loop {
        let put = output.store().put_opts(path, json.clone().into(), mode.clone().into()).await;
        let Err(failure) = put else { return Ok(Found::Ours) };
        match output.read_marker(path).await? {
            Some(found) if found.commit.attempt_id == commit.attempt_id => return Ok(Found::Ours),
            Some(found) if mode == PutMode::Create => return Ok(Found::Other(found.into())),
            _ if attempt == ATTEMPTS => return Err(output.failed("commit", path)(failure)),
            _ => attempt += 1,
        }
    }
}

/// Replaces the marker that stands: only that one where the store can say so, else the last of two runs that replace
/// the same marker at the same moment wins, and the other's parts are swept.
async fn replace(output: &Output, path: &Path, commit: &Commit, version: UpdateVersion) -> Result<(), Error> {
    let result = match put(output, path, commit, PutMode::Update(version)).await {
        Err(Error::Store { source: object_store::Error::NotImplemented { .. }, .. }) => {
            put(output, path, commit, PutMode::Overwrite).await
        }
        result => result,
    };
    result.map(drop)
}

/// Removes superseded markers, then their parts. A failure is left to the sweep that ends the run.
async fn remove_replaced(output: &Output, marker: &Path, replaced: &[Arc<Commit>]) {
    let markers = replaced.iter().map(|old| layout::marker(&old.input.sha256)).filter(|old| old != marker);
    let parts = replaced.iter().flat_map(|old| &old.parts).map(|part| Path::from(part.path.as_str()));
    if let Err(error) = output.delete(markers.chain(parts).collect()).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a superseded file stays for now");
    }
}
