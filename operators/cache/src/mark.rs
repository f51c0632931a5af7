//! Marks a place as a cache of its own, so that nothing else is ever written to or removed there.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use pubtag_schemas::CACHE_MARK;
use pubtag_store::foreign;

use crate::error::CacheError;
use crate::name::SegmentName;
use crate::spec::{CACHE_VERSION, SpecId};
use crate::store::SPEC_FILE;

/// Marks an empty place as a cache, or checks that it is one. `name` is used in messages.
///
/// # Errors
/// The store fails, or the place contains something else.
pub async fn claim(name: &str, store: &Arc<dyn ObjectStore>) -> Result<(), CacheError> {
    let path = Path::from(CACHE_MARK);
    if is_marked(name, store).await? {
        return Ok(());
    }
    check(name, store).await?;
    let json = format!("{{\"version\": {CACHE_VERSION}}}\n");
    match store.put_opts(&path, json.into(), PutMode::Create.into()).await {
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(CacheError::store("write", name, &path, error)),
    }
}

/// Checks that a place is a cache or empty: marked, or nothing but entries, as caches from before there were marks are.
///
/// # Errors
/// The store fails, or the place contains something else.
pub async fn check(name: &str, store: &Arc<dyn ObjectStore>) -> Result<(), CacheError> {
    if is_marked(name, store).await? {
        return Ok(());
    }
    let failed = |error| CacheError::store("list", name, &Path::default(), error);
    let folders = store.list_with_delimiter(None).await.map_err(failed)?.common_prefixes;
    let mut ours = BTreeSet::from(["_pubtag/".to_owned()]);
    for folder in folders {
        if folder.filename().and_then(SpecId::of_directory).is_some()
            && has_only_entries(store, &folder).await.map_err(failed)?
        {
            ours.insert(format!("{folder}/"));
        }
    }
    match foreign(&**store, |name| ours.contains(name)).await.map_err(failed)? {
        // Another run may have marked it meanwhile.
        Some(found) if !is_marked(name, store).await? => Err(CacheError::Foreign { place: name.to_owned(), found }),
        _ => Ok(()),
    }
}

/// Whether a cache writes files of this name.
pub fn is_own_name(name: &str) -> bool {
    name == SPEC_FILE || name.parse::<SegmentName>().is_ok()
}

async fn is_marked(name: &str, store: &Arc<dyn ObjectStore>) -> Result<bool, CacheError> {
    let path = Path::from(CACHE_MARK);
    match store.head(&path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(CacheError::store("read", name, &path, error)),
    }
}

async fn has_only_entries(store: &Arc<dyn ObjectStore>, folder: &Path) -> object_store::Result<bool> {
    let found: Vec<_> = store.list(Some(folder)).try_collect().await?;
    let is_entry = |path: &Path| path.parts_count() == 2 && path.filename().is_some_and(is_own_name);
    // Pruning leaves empty directories on a disk.
    Ok(found.iter().all(|object| is_entry(&object.location)))
}
