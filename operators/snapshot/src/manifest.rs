//! What a snapshot consists of. Creating its manifest publishes it.

use std::collections::HashMap;

use bytes::Bytes;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;
use crate::inputs::Input;
use crate::key::Key;
use crate::place::{CHANGED, DOCUMENTS, DataFile, HISTORY, MISSING, Place};

/// Version of the manifest's layout; fields are added within a version, never renamed or retyped.
const VERSION: u32 = 1;
/// Directory of the manifests.
pub(crate) const MANIFESTS: &str = "manifests";
/// A copy of the newest manifest under a fixed name, for readers that cannot list.
pub(crate) const LATEST: &str = "latest.json";

/// One published state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this layout.
    pub version: u32,
    /// Number of the snapshot, from 1.
    pub snapshot: u64,
    /// The attempt that published it.
    pub attempt: Uuid,
    /// When, in RFC 3339.
    pub created_at: String,
    /// Name and version of the program.
    pub program: String,
    /// The generation in force.
    pub generation: Option<i32>,
    /// Live citations.
    pub documents: u64,
    /// Their annotations.
    pub annotations: u64,
    /// The buckets in order: together, all live citations.
    pub buckets: Vec<Bucket>,
    /// What this snapshot changed; absent from the first.
    pub changes: Option<Changes>,
    /// The inputs that it reflects.
    pub inputs: Vec<Input>,
    /// The number of the next input.
    pub next_input: i32,
}

/// The citations from one key up to that of the next bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// The first key. The first bucket also covers what is before it.
    pub first: Key,
    /// The live citations with their annotations, in order of their keys.
    pub documents: DataFile,
    /// Annotations of them.
    pub annotations: u64,
    /// All states of all documents: superseded, deleted and live ones.
    pub history: DataFile,
    /// Size in memory, in bytes.
    pub memory_bytes: u64,
}

/// What one snapshot changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Citations that were not there before.
    pub inserted: u64,
    /// Citations with another text, other annotations or other metadata.
    pub updated: u64,
    /// Citations that are not there any more.
    pub deleted: u64,
    /// The rows, in order of their keys.
    pub files: Vec<DataFile>,
}

impl Bucket {
    fn files(&self) -> [&DataFile; 2] {
        [&self.documents, &self.history]
    }
}

impl Manifest {
    /// The state before the first snapshot.
    pub(crate) fn empty() -> Self {
        Self {
            version: VERSION,
            snapshot: 0,
            attempt: Uuid::nil(),
            created_at: String::new(),
            program: String::new(),
            generation: None,
            documents: 0,
            annotations: 0,
            buckets: Vec::new(),
            changes: None,
            inputs: Vec::new(),
            next_input: 0,
        }
    }

    /// All files that it names.
    pub fn files(&self) -> impl Iterator<Item = &DataFile> {
        let of_buckets = self.buckets.iter().flat_map(Bucket::files);
        of_buckets.chain(self.changes.iter().flat_map(|changes| &changes.files))
    }

    /// Checks that the files of all buckets are there, with the length that they were written with. Most of them are never
    /// read again, so nothing else would notice.
    ///
    /// # Errors
    /// [`Error::Damaged`] otherwise, and if the store fails.
    pub(crate) async fn check_buckets(&self, place: &Place) -> Result<(), Error> {
        let mut lengths = HashMap::new();
        for directory in [DOCUMENTS, HISTORY] {
            let listed = place.list(&Path::from(directory)).await?;
            lengths.extend(listed.into_iter().map(|meta| (meta.location.to_string(), meta.size)));
        }
        for file in self.buckets.iter().flat_map(Bucket::files) {
            match lengths.get(&file.path) {
                Some(length) if *length == file.bytes => {}
                Some(_) => return Err(place.damaged(file, CHANGED)),
                None => return Err(place.damaged(file, MISSING)),
            }
        }
        Ok(())
    }

    pub(crate) fn path(snapshot: u64) -> Path {
        Path::from(format!("{MANIFESTS}/{snapshot:08}.json"))
    }

    fn json(&self) -> Bytes {
        serde_json::to_vec(self).expect("strings, numbers and lists are valid JSON").into()
    }

    /// Reads a manifest, if it exists.
    ///
    /// # Errors
    /// The store fails, or the manifest is damaged or newer than this version.
    pub async fn read(place: &Place, snapshot: u64) -> Result<Option<Self>, Error> {
        let path = Self::path(snapshot);
        let Some(bytes) = place.read(&path).await? else { return Ok(None) };
        let damaged = |error: serde_json::Error| Error::Damaged {
            path: place.full_name(&path),
            snapshot: place.name.clone(),
            why: format!("is not a manifest ({error})"),
        };
        let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
        match value["version"].as_u64() {
            Some(found) if found > u64::from(VERSION) => {
                Err(Error::Newer { path: place.full_name(&path), found, known: VERSION })
            }
            _ => serde_json::from_value(value).map(Some).map_err(damaged),
        }
    }

    /// Reads the newest manifest: the published state.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn latest(place: &Place) -> Result<Option<Self>, Error> {
        match Self::numbers(place).await?.last() {
            Some(newest) => Self::read(place, *newest).await,
            None => Ok(None),
        }
    }

    /// The numbers of all manifests, in order.
    pub(crate) async fn numbers(place: &Place) -> Result<Vec<u64>, Error> {
        let listed = place.list(&Path::from(MANIFESTS)).await?;
        let number = |path: &Path| path.filename()?.strip_suffix(".json")?.parse().ok();
        let mut numbers: Vec<u64> = listed.iter().filter_map(|meta| number(&meta.location)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes it the published state, unless another attempt was first.
    ///
    /// # Errors
    /// [`Error::Overtaken`] then, and if the store fails.
    pub(crate) async fn publish(&self, place: &Place) -> Result<(), Error> {
        let path = Self::path(self.snapshot);
        let created = place.create(&path, self.json()).await;
        if matches!(created, Ok(true)) {
            return Ok(());
        }
        // The request may have taken effect although the store reported a failure.
        match Self::read(place, self.snapshot).await? {
            Some(published) if published.attempt == self.attempt => Ok(()),
            Some(_) => Err(Error::Overtaken { path: place.full_name(&path) }),
            None => created.map(drop),
        }
    }

    /// The error if another attempt has published the snapshot after this one.
    pub(crate) async fn overtaken(&self, place: &Place) -> Result<Option<Error>, Error> {
        let newer = Self::numbers(place).await?.into_iter().find(|number| *number > self.snapshot);
        Ok(newer.map(|number| Error::Overtaken { path: place.full_name(&Self::path(number)) }))
    }

    /// Copies it to the fixed name, unless a newer one is there: another attempt may have published it meanwhile.
    pub(crate) async fn point_to(&self, place: &Place) -> Result<(), Error> {
        let path = Path::from(LATEST);
        let json = self.json();
        loop {
            let found = place.read_version(&path).await?;
            let is_current = |found: &Bytes| *found == json || number_in(found) > self.snapshot;
            if found.as_ref().is_some_and(|(found, _)| is_current(found)) {
                return Ok(());
            }
            if place.replace(&path, json.clone(), found.map(|(_, version)| version)).await? {
                return Ok(());
            }
        }
    }

    /// Removes manifests.
    pub(crate) async fn remove(place: &Place, snapshot: u64) -> Result<(), Error> {
        place.delete(&Self::path(snapshot)).await
    }
}

/// The number of a manifest; 0 if it is damaged.
fn number_in(json: &[u8]) -> u64 {
    let manifest = serde_json::from_slice::<serde_json::Value>(json).unwrap_or_default();
    manifest["snapshot"].as_u64().unwrap_or(0)
}
