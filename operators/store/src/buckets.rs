//! Buckets that are opened once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::ObjectStore;
use object_store::path::Path as Key;

use crate::address::{Bucket, Scheme};
use crate::{Address, Store, StoreError, StoreOptions};

/// Opens buckets and keeps their connections and credentials. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    options: StoreOptions,
    open: Arc<Mutex<HashMap<(Scheme, String), Store>>>,
}

impl Buckets {
    /// Opens buckets with these options.
    pub fn new(options: StoreOptions) -> Self {
        Self { options, open: Arc::default() }
    }

    /// A whole bucket: keys are those of the store.
    ///
    /// # Errors
    /// If an option is unknown or invalid.
    pub fn open(&self, bucket: &Bucket) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (bucket.scheme, bucket.name.clone());
        if let Some(store) = open.get(&place) {
            return Ok(store.objects().clone());
        }
        let whole = Bucket { key: Key::default(), ..bucket.clone() };
        let store = Address::Bucket(whole).open(&self.options)?;
        Ok(open.entry(place).or_insert(store).objects().clone())
    }
}

/// What is open does not matter.
impl PartialEq for Buckets {
    fn eq(&self, other: &Self) -> bool {
        self.options == other.options
    }
}

impl Eq for Buckets {}
