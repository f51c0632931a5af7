//! The cache of results: where it is, and what its entries depend on.

use std::path::Path;

use object_store::path::Path as Key;
use pubtag_cache::{Cache, CacheSpec, CacheStats};
use pubtag_ner::Checkpoint;
use pubtag_parquet::{RunSpec, Tables};
use pubtag_store::{Address, Store, StoreOptions};

use crate::config::RunConfig;
use crate::exit::Failure;
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
    pub(crate) store: Store,
    /// The cache's directory in it.
    pub(crate) prefix: Key,
}

impl Place {
    /// The cache in an output, or in a directory of its own, which is created if necessary.
    ///
    /// # Errors
    /// It is not a directory, or cannot be created.
    pub(crate) fn open(directory: &str) -> Result<Self, Failure> {
        if Address::is_url(directory) {
            return Err(Failure::configuration(format!(
                "{directory}: not a directory; the cache must be on local disk"
            )));
        }
        let store = Address::from(Path::new(directory)).create(&StoreOptions::default())?;
        let prefix = if Tables::exist_in(Path::new(directory)) { BESIDE.into() } else { Key::default() };
        Ok(Self { store, prefix })
    }

    /// The part of the cache for a model and settings.
    pub(crate) fn cache(&self, spec: CacheSpec) -> Cache {
        Cache::new(self.store.name(), self.store.objects().clone(), &self.prefix, spec)
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
    Ok(Some((place.cache(spec), CacheStats::default())))
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
