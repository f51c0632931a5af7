//! Claims of inputs: of two runs that commit different contents of one input at the same time, one fails with a conflict.
//! An input is claimed by its identity: its URI, or for a file of the PubMed distribution its generation and number.
//!
//! ```text
//! claims/<hash of the identity>-000001.json   {"key": A}      created if absent, never changed, never removed
//!        <hash of the identity>-000002.json   {"key": B}
//! ```
//!
//! A run claims the identity of a unit before it puts the marker: the next free number, or the highest if that is for the same
//! key. The marker names the number, and the lower numbers that it replaces.
//!
//! Of two runs with different keys, the one with the higher number looks for the marker of the lower *after* it has claimed,
//! and the lower looks for a higher claim *after* it has put its marker. Whichever comes second sees the other, so at least
//! one of them fails; and since the higher marker names the lower number, only one of the two markers counts.

use object_store::PutMode;
use object_store::path::Path;
use pubtag_schemas::{Claim, Commit, identity};
use serde::{Deserialize, Serialize};

use crate::objects::{Objects, parse};
use crate::{Conflict, Error, layout};

/// Version of the content of a claim.
const VERSION: u32 = 1;

/// The content of a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claimed {
    version: u32,
    /// The identity.
    uri: String,
    /// What is committed under it: the [key](crate::RunSpec::key).
    key: String,
    /// The attempt that created it.
    attempt_id: String,
}

/// What a run may do about the claims of others.
pub(crate) struct Terms<'a> {
    /// Whether commits of other contents may be replaced.
    pub(crate) overwrite: bool,
    /// Whether an input of this run has a key: its commit is not replaced.
    pub(crate) is_held: &'a (dyn Fn(&str) -> bool + Sync),
    /// The highest claim of the identity that was known when the output was opened.
    pub(crate) known: Option<&'a Claim>,
}

/// A claim that has been taken, and the commits that it replaces.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) claim: Claim,
    pub(crate) replaced: Vec<Commit>,
}

/// Claims the identity of a commit that has no claim yet.
///
/// # Errors
/// A [`Conflict`] with the commit of another content, or the store's failure.
pub(crate) async fn take(objects: &Objects, commit: &Commit, terms: Terms<'_>) -> Result<Taken, Error> {
    let identity = pubtag_schemas::identity(commit.uri());
    let (number, others) = claim_number(objects, commit, terms.known.map_or(1, |known| known.number)).await?;
    let mut claim = Claim { uri: identity.clone().into_owned(), number, replaces: Vec::new() };
    if let Some(known) = terms.known {
        claim.replaces = known.replaces.iter().copied().filter(|replaced| *replaced < number).collect();
    }
    let mut replaced = Vec::new();
    for (number, other) in others {
        if (terms.is_held)(&other.key) {
            continue;
        }
        match objects.read_marker(&layout::marker(&other.key)).await? {
            Some(marker) if holds(&marker.commit, &identity, number) => {
                if !terms.overwrite {
                    return Err(Conflict::claimed(&commit.input.uri, &marker.commit, commit).into());
                }
                replaced.push(marker.commit);
                claim.replaces.push(number);
            }
            // Its content is committed under another identity or claim.
            Some(_) => {}
            // A run that died before it put its marker, or that is about to: then its marker will not count.
            None => claim.replaces.push(number),
        }
    }
    Ok(Taken { claim, replaced })
}

/// Whether another run has claimed the identity with another key since a claim was taken.
pub(crate) async fn is_outbid(objects: &Objects, claim: &Claim) -> Result<bool, Error> {
    Ok(read(objects, &layout::claim(&claim.uri, claim.number + 1)).await?.is_some())
}

/// Whether a commit is the one under a claim.
fn holds(commit: &Commit, identity: &str, number: u32) -> bool {
    commit.claim.as_ref().is_some_and(|claim| claim.uri == identity && claim.number == number)
}

/// Takes the next free number, or the highest if it is for the same key. Also returns the claims for other keys from
/// `start` on.
async fn claim_number(objects: &Objects, commit: &Commit, start: u32) -> Result<(u32, Vec<(u32, Claimed)>), Error> {
    let (mut number, mut others) = (start, Vec::new());
    let mut same: Option<u32> = None;
    loop {
        let path = layout::claim(&identity(commit.uri()), number);
        let found = match same {
            // The highest so far has the same key: only if there is a higher one, a new one is needed.
            Some(_) => read(objects, &path).await?,
            None => create(objects, &path, commit).await?,
        };
        match (found, same) {
            (None, Some(same)) => return Ok((same, others)),
            (None, None) => return Ok((number, others)),
            (Some(found), _) if found.key == commit.input.key() => same = Some(number),
            (Some(found), _) => {
                others.push((number, found));
                same = None;
            }
        }
        number += 1;
    }
}

/// Creates a claim; returns the one that already exists.
async fn create(objects: &Objects, path: &Path, commit: &Commit) -> Result<Option<Claimed>, Error> {
    let claimed = Claimed {
        version: VERSION,
        uri: identity(commit.uri()).into_owned(),
        key: commit.input.key().to_owned(),
        attempt_id: commit.attempt_id.clone(),
    };
    let json = serde_json::to_vec_pretty(&claimed).expect("a struct of strings and a number is valid JSON");
    let mut attempts = objects.attempts();
    loop {
        let Err(failure) = objects.store().put_opts(path, json.clone().into(), PutMode::Create.into()).await else {
            return Ok(None);
        };
        // A store may refuse although nothing exists, or create although the answer was lost.
        match read(objects, path).await? {
            Some(found) if found == claimed => return Ok(None),
            Some(found) => return Ok(Some(found)),
            None if attempts.again().await => {}
            None => return Err(objects.failed("write", path)(failure)),
        }
    }
}

async fn read(objects: &Objects, path: &Path) -> Result<Option<Claimed>, Error> {
    let Some((bytes, _)) = objects.read(path).await? else { return Ok(None) };
    parse(&bytes, "version", VERSION, || objects.full_name(path)).map(Some)
}
