//! The cache of results: where it is, and what its entries depend on.

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use pubtag_cache::{Cache, CacheSpec, CacheStats};
use pubtag_ner::Checkpoint;
use pubtag_parquet::{RunSpec, Tables};

use crate::config::RunConfig;
use crate::exit::{Exit, Failure};
use crate::signals::Shutdown;

/// The cache of an output, below its directory.
const BESIDE: &str = "_pubtag/cache";

/// Where a run keeps results for later runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheChoice {
    /// Nowhere: every text is tagged.
    Off,
    /// In the output, if that is on a local disk.
    Beside,
    /// In a directory, which outputs may share.
    At(String),
}

/// A cache of all models and settings.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// How messages name it.
    pub(crate) name: String,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) prefix: StorePath,
}

impl Place {
    /// The cache in an output, or in a directory of its own, which is created if necessary.
    ///
    /// # Errors
    /// It is not a directory, or cannot be created.
    pub(crate) fn open(directory: &str) -> Result<Self, Failure> {
        if directory.contains("://") {
            return Err(Failure::configuration(format!(
                "{directory}: not a directory; the cache must be on local disk"
            )));
        }
        let path = Path::new(directory);
        let unusable = |error: anyhow::Error| {
            Failure::new(Exit::Configuration, error.context(format!("cannot use {directory} as a cache")))
        };
        std::fs::create_dir_all(path).map_err(|error| unusable(error.into()))?;
        let store = LocalFileSystem::new_with_prefix(path).map_err(|error| unusable(error.into()))?;
        let prefix = if Tables::exist_in(path) { BESIDE.into() } else { StorePath::default() };
        Ok(Self { name: directory.to_owned(), store: Arc::new(store), prefix })
    }
}

/// The cache of a run, and its counters; `None` without a cache.
///
/// # Errors
/// As [`Place::open`].
pub(crate) fn open(
    config: &RunConfig,
    checkpoint: &Checkpoint,
    spec: &RunSpec,
) -> Result<Option<(Cache, CacheStats)>, Failure> {
    let place = match &config.cache {
        CacheChoice::Off => return Ok(None),
        CacheChoice::Beside => match config.output.local() {
            Some(directory) => Place::open(&directory.display().to_string())?,
            // Merging the files of a cache removes some, and a run in an object store removes nothing.
            None => return Ok(None),
        },
        CacheChoice::At(directory) => Place::open(directory)?,
    };
    let spec = CacheSpec::new(spec.model_id.clone(), spec.model_sha256.clone(), config.tagging_settings(checkpoint));
    Ok(Some((Cache::new(&place.name, place.store, &place.prefix, spec), CacheStats::default())))
}

/// Merges the segments of a cache once there are many. What fails is left to the next run: the output does not depend on
/// it.
pub(crate) async fn tidy(cache: &Cache, shutdown: &Shutdown) {
    let work = async {
        if cache.needs_compaction().await? {
            let done = cache.compact().await?;
            tracing::info!(written = done.written, deleted = done.deleted, "merged files of the cache");
        }
        Ok::<(), pubtag_cache::CacheError>(())
    };
    tokio::select! {
        () = shutdown.drain.cancelled() => {}
        done = work => {
            if let Err(error) = done {
                tracing::warn!(error = &error as &dyn std::error::Error, "the files of the cache were not merged");
            }
        }
    }
}
