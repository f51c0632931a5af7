//! What a cache contains.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::CacheError;
use crate::mark::is_own_name;
use crate::segment::Segment;
use crate::spec::{CacheSpec, SpecId};
use crate::store::{Cache, SPEC_FILE};

/// Requests at once.
const CONCURRENT_REQUESTS: usize = 16;

/// The entries of one model with its settings.
#[derive(Clone, Debug)]
pub struct SpecSummary {
    /// Their directory.
    pub directory: String,
    /// What they depend on; `None` if its file is missing or damaged.
    pub spec: Option<CacheSpec>,
    /// Segments.
    pub segments: usize,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Entries, counted once per segment that has them.
    pub entries: u64,
    /// Segments that cannot be read.
    pub damaged: usize,
    /// When the last segment was written, in RFC 3339.
    pub last_written: Option<String>,
}

/// The specs of a cache below a prefix, the most recently written one first. `name` is used in messages.
///
/// # Errors
/// The store fails.
pub async fn survey(name: &str, store: &Arc<dyn ObjectStore>, prefix: &Path) -> Result<Vec<SpecSummary>, CacheError> {
    let listed = store.list_with_delimiter(Some(prefix)).await;
    let listed = listed.map_err(|error| CacheError::store("list", name, prefix, error))?;
    let mut specs = Vec::new();
    for folder in listed.common_prefixes {
        if let Some(id) = folder.filename().and_then(SpecId::of_directory) {
            let summary = describe(name, store, folder, id).await?;
            // A directory with neither is not of the cache.
            if summary.spec.is_some() || summary.segments > 0 {
                specs.push(summary);
            }
        }
    }
    specs.sort_by(|one, other| other.last_written.cmp(&one.last_written));
    Ok(specs)
}

async fn describe(
    name: &str,
    store: &Arc<dyn ObjectStore>,
    folder: Path,
    id: SpecId,
) -> Result<SpecSummary, CacheError> {
    let spec = read_spec(store, &folder).await.filter(|spec| spec.id() == id);
    let unknown = || CacheSpec::new(String::new(), String::new(), Default::default());
    let cache = Cache {
        name: name.into(),
        store: store.clone(),
        folder: folder.clone(),
        spec: spec.clone().unwrap_or_else(unknown).into(),
        id,
    };
    let segments = cache.list().await?;
    let opened = futures::stream::iter(&segments).map(|listed| Segment::open(&cache, listed));
    let mut opened = opened.buffered(CONCURRENT_REQUESTS);
    let (mut entries, mut damaged) = (0, 0);
    while let Some(segment) = opened.next().await {
        match segment {
            Ok(segment) => entries += segment.entries(),
            Err(error) if error.is_gone() => {}
            Err(CacheError::Damaged { .. }) => damaged += 1,
            Err(error) => return Err(error),
        }
    }
    // The name of a segment is a UUID that contains the time.
    let times = segments.iter().filter_map(|segment| Some(segment.name.id.get_timestamp()?.to_unix()));
    let last = times.max();
    let written =
        last.and_then(|(seconds, nanos)| jiff::Timestamp::new(seconds.try_into().ok()?, nanos.try_into().ok()?).ok());
    Ok(SpecSummary {
        directory: folder.filename().unwrap_or_default().to_owned(),
        spec,
        segments: segments.len(),
        bytes: segments.iter().map(|segment| segment.bytes).sum(),
        entries,
        damaged,
        // With as many digits for all, so that texts sort as times do.
        last_written: written.map(|time| format!("{time:.3}")),
    })
}

async fn read_spec(store: &Arc<dyn ObjectStore>, folder: &Path) -> Option<CacheSpec> {
    let found = store.get(&folder.clone().join(SPEC_FILE)).await.ok()?;
    serde_json::from_slice(&found.bytes().await.ok()?).ok()
}

/// Deletes all entries of a spec, by the name of its directory. A run that uses them finds nothing any more.
///
/// # Errors
/// The store fails.
pub async fn remove(
    name: &str,
    store: &Arc<dyn ObjectStore>,
    prefix: &Path,
    directory: &str,
) -> Result<(), CacheError> {
    let folder = prefix.clone().join(directory);
    let listed: Result<Vec<_>, _> = store.list(Some(&folder)).try_collect().await;
    let listed = listed.map_err(|error| CacheError::store("list", name, &folder, error))?;
    for object in listed.iter().filter(|object| object.location.filename().is_some_and(is_own_name)) {
        match store.delete(&object.location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(CacheError::store("delete", name, &object.location, error)),
        }
    }
    Ok(())
}
