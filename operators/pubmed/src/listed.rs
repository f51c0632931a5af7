//! The objects that a URL names: one, all below a prefix, or those that match a pattern.

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};
use pubtag_schemas::MARKS;
use pubtag_store::{Address, Bucket};
use tokio::runtime::Handle;

use crate::object::{failed, head};
use crate::pattern::{bad_pattern, is_pattern};
use crate::sniff::{HEAD_BYTES, recognise};
use crate::{PubmedError, ReadOptions};

/// An object that was found.
pub(crate) struct Found {
    /// Its URL.
    pub(crate) url: String,
    /// Its size, age and ETag.
    pub(crate) meta: ObjectMeta,
    /// Whether an argument names this very object.
    pub(crate) named: bool,
}

/// Finds objects, sorted by key. Must be called on a thread of a runtime for blocking work.
///
/// # Errors
/// There are none, or the store fails.
pub(crate) fn find(argument: &str, bucket: &Bucket, options: &ReadOptions) -> Result<Vec<Found>, PubmedError> {
    let store =
        options.buckets.open(bucket).map_err(|source| PubmedError::Store { argument: argument.to_owned(), source })?;
    let found = |meta: ObjectMeta, named| Found { url: bucket.url_of(&meta.location), meta, named };
    if is_pattern(bucket.key.as_ref()) {
        let pattern = glob::Pattern::new(bucket.key.as_ref()).map_err(|error| bad_pattern(argument, &error))?;
        let matches = |meta: &ObjectMeta| pattern.matches_with(meta.location.as_ref(), SEPARATED);
        let matching: Vec<_> = list(argument, &store, &literal(&bucket.key))?.into_iter().filter(matches).collect();
        if matching.is_empty() {
            return Err(PubmedError::NoMatch { pattern: argument.to_owned() });
        }
        return Ok(matching.into_iter().map(|meta| found(meta, false)).collect());
    }
    if !bucket.key.as_ref().is_empty() && !argument.ends_with('/') {
        match Handle::current().block_on(store.head(&bucket.key)) {
            Ok(meta) => return Ok(vec![found(meta, true)]),
            Err(Error::NotFound { .. }) => {}
            Err(error) => {
                // The answer to HEAD has no body that says why; that to a listing has.
                list(argument, &store, &bucket.key)?;
                return Err(PubmedError::io(argument, "read")(failed(error)));
            }
        }
    }
    let below = list(argument, &store, &bucket.key)?;
    if below.is_empty() {
        return Err(PubmedError::NoObjects { argument: argument.to_owned() });
    }
    Ok(below.into_iter().map(|meta| found(meta, false)).collect())
}

/// `*` does not match across `/`, as in a shell.
const SEPARATED: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// The prefix before the first component with a wildcard.
fn literal(pattern: &Key) -> Key {
    pattern.parts().take_while(|part| !is_pattern(part.as_ref())).collect()
}

fn list(argument: &str, store: &Arc<dyn ObjectStore>, prefix: &Key) -> Result<Vec<ObjectMeta>, PubmedError> {
    let listed = Handle::current().block_on(store.list(Some(prefix)).try_collect::<Vec<_>>());
    let mut listed = listed.map_err(|error| PubmedError::io(argument, "list")(failed(error)))?;
    listed.sort_by(|one, other| one.location.cmp(&other.location));
    Ok(listed)
}

/// What pubtag has written among objects: the prefixes that contain a mark.
pub(crate) fn outputs(found: &[Found]) -> Vec<String> {
    let marked = |url: &str| MARKS.iter().find_map(|mark| url.strip_suffix(mark)).map(str::to_owned);
    found.iter().filter_map(|found| marked(&found.url)).collect()
}

/// Whether the start of an object shows an input; if not, why.
///
/// # Errors
/// The store fails.
pub(crate) fn recognised(found: &Found, options: &ReadOptions) -> Result<Result<(), String>, PubmedError> {
    let io = |error| PubmedError::io(&found.url, "read")(failed(error));
    let Ok(Address::Bucket(bucket)) = found.url.parse() else { return Ok(Err("not a valid URL".to_owned())) };
    let store =
        options.buckets.open(&bucket).map_err(|source| PubmedError::Store { argument: found.url.clone(), source })?;
    let head = head(&store, &found.meta.location, found.meta.size, HEAD_BYTES as u64).map_err(io)?;
    Ok(recognise(&head, options))
}
