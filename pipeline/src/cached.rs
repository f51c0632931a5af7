//! The cache of results: where it is, and what its entries depend on.

use std::time::Duration;

use object_store::path::Path as Key;
use pubtag_cache::{Cache, CacheSpec, CacheStats, check, claim, is_own_name};
use pubtag_ner::Checkpoint;
use pubtag_parquet::{RunSpec, Tables};
use pubtag_store::{Address, Store, StoreOptions, remove_staged};

use crate::config::RunConfig;
use crate::exit::Failure;
use crate::signals::Shutdown;

/// The cache of an output, below its directory.
const BESIDE: &str = "_pubtag/cache";

/// Half-written files of this age belong to dead processes: a segment is written in seconds.
const ABANDONED: Duration = Duration::from_hours(24);

/// Where a run keeps results for later runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheChoice {
    /// Nowhere: every text is tagged.
    Off,
    /// In the output.
    Beside,
    /// In a place of its own, which outputs may share.
    At(Address),
}

/// A cache of all models and settings.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) store: Store,
    /// The cache's directory in it.
    pub(crate) prefix: Key,
}

impl Place {
    /// The cache in an output, or in a place of its own, which is created and marked if necessary.
    ///
    /// # Errors
    /// It cannot be created or read, or contains something else.
    pub(crate) async fn open(address: &Address, options: &StoreOptions) -> Result<Self, Failure> {
        let place = Self::of(address.create(options)?).await?;
        if place.is_of_its_own() {
            claim(place.store.name(), place.store.objects()).await?;
        }
        Ok(place)
    }

    /// A cache that exists; nothing is written.
    ///
    /// # Errors
    /// It cannot be read, or contains something else.
    pub(crate) async fn existing(address: &Address, options: &StoreOptions) -> Result<Self, Failure> {
        let place = Self::of(address.open(options)?).await?;
        if place.is_of_its_own() {
            check(place.store.name(), place.store.objects()).await?;
        }
        Ok(place)
    }

    async fn of(store: Store) -> Result<Self, Failure> {
        let prefix = if Tables::exist_at(&store).await? { BESIDE.into() } else { Key::default() };
        Ok(Self { store, prefix })
    }

    fn is_of_its_own(&self) -> bool {
        self.prefix == Key::default()
    }

    /// The part of the cache for a model and settings.
    pub(crate) fn cache(&self, spec: CacheSpec) -> Cache {
        Cache::new(self.store.name(), self.store.objects().clone(), &self.prefix, spec)
    }

    /// Removes half-written files of dead processes from a part of the cache; they exist on local disks only.
    ///
    /// # Errors
    /// The directory cannot be read, or a file cannot be removed.
    pub(crate) fn remove_abandoned(&self, cache: &Cache) -> Result<(), Failure> {
        let Some(root) = self.store.folder() else { return Ok(()) };
        let directory = root.join(cache.directory());
        remove_staged(&directory, ABANDONED, is_own_name).map_err(|error| Failure::write(&directory, error))?;
        Ok(())
    }
}

/// The cache of a run.
#[derive(Clone, Debug)]
pub(crate) struct CacheInUse {
    pub(crate) cache: Cache,
    /// What it is a part of.
    place: Place,
    /// What it saves the run.
    pub(crate) stats: CacheStats,
}

/// The cache of a run; `None` without one.
///
/// # Errors
/// As [`Place::open`].
pub(crate) async fn open(
    config: &RunConfig,
    checkpoint: &Checkpoint,
    spec: &RunSpec,
) -> Result<Option<CacheInUse>, Failure> {
    let address = match &config.cache {
        CacheChoice::Off => return Ok(None),
        CacheChoice::Beside => &config.output,
        CacheChoice::At(address) => address,
    };
    let place = Place::open(address, &config.store_options).await?;
    let spec =
        CacheSpec::new(spec.model_id.clone(), spec.model_sha256.clone(), config.tagger.tagging_settings(checkpoint));
    Ok(Some(CacheInUse { cache: place.cache(spec), place, stats: CacheStats::default() }))
}

/// Merges the segments of a cache once there are many, and removes what dead processes left. What fails is left to the
/// next run: the output does not depend on it.
pub(crate) async fn tidy(CacheInUse { cache, place, .. }: &CacheInUse, shutdown: &Shutdown) {
    let work = async {
        place.remove_abandoned(cache)?;
        match cache.needs_compaction().await? {
            false => {}
            // A run in an object store removes nothing: it may not be allowed to.
            true if place.store.folder().is_none() => {
                tracing::info!("the cache has many small files; merge them with `pubtag cache prune {}`", place.store);
            }
            true => {
                let done = cache.compact().await?;
                tracing::info!(written = done.written, deleted = done.deleted, "merged files of the cache");
            }
        }
        Ok::<(), Failure>(())
    };
    tokio::select! {
        () = shutdown.drain.cancelled() => {}
        done = work => {
            if let Err(Failure { error, .. }) = done {
                tracing::warn!("the files of the cache were not merged: {error:#}");
            }
        }
    }
}
