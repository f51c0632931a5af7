//! Reads all published snapshots back and reports what is wrong with them. Nothing is written.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use arrow::array::AsArray;
use bytes::Bytes;
use object_store::path::Path;
use parquet::errors::ParquetError;
use pubtag_schemas::snapshot::snapshot_schema;
use serde::Serialize;

use crate::Error;
use crate::encode::decode;
use crate::key::{Entry, Key};
use crate::manifest::{LATEST, Manifest};
use crate::mark::is_marked;
use crate::place::{CHANGED, CHANGES, DOCUMENTS, DataFile, HISTORY, MISSING, Place};
use crate::rows::{conform, entries};

/// What happens while snapshots are verified.
#[derive(Clone, Debug)]
pub enum Event {
    /// The number of bytes to read; always the first event.
    Total(u64),
    /// The number of further bytes read.
    Read(u64),
    /// A defect.
    Found(Defect),
}

/// Something wrong in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// The file, below the snapshot's directory.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// What the published snapshots contain according to their manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Snapshots that are kept.
    pub snapshots: u64,
    /// Their files, each counted once.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Citations of the newest.
    pub documents: u64,
    /// Their annotations.
    pub annotations: u64,
    /// Number of defects.
    pub defects: u64,
}

/// Verifies all published snapshots: that every file is there with its length and, unless `quick`, its SHA-256 and rows; and
/// that the newest has each citation once, in the bucket of its key. `on` is called with events as they happen. `None` if the
/// place has no snapshots.
///
/// *Memory*: one file. *Concurrency*: what another process publishes or removes meanwhile is no defect.
///
/// # Errors
/// The store fails, or a snapshot was written by a newer version.
pub async fn verify(place: &Place, quick: bool, mut on: impl FnMut(Event)) -> Result<Option<Verified>, Error> {
    let numbers = Manifest::numbers(place).await?;
    if numbers.is_empty() && !is_marked(place).await? {
        return Ok(None);
    }
    let mut verifier = Verifier { place, quick, verified: Verified::default(), on: &mut on };
    let mut manifests = Vec::new();
    let mut damaged = Vec::new();
    for number in numbers {
        match Manifest::read(place, number).await {
            Ok(manifest) => manifests.extend(manifest),
            Err(Error::Damaged { why, .. }) => damaged.push((Manifest::path(number), why)),
            Err(error) => return Err(error),
        }
    }
    let files: BTreeMap<&str, (&DataFile, &Manifest)> = manifests
        .iter()
        .flat_map(|manifest| manifest.files().map(move |file| (&*file.path, (file, manifest))))
        .collect();
    verifier.count(&manifests, &files);
    damaged.into_iter().for_each(|(path, why)| verifier.found(path.as_ref(), why));
    if let Some(newest) = manifests.last() {
        verifier.check_latest(newest).await?;
        verifier.check_files(&files, newest).await?;
    }
    Ok(Some(verifier.verified))
}

struct Verifier<'a> {
    place: &'a Place,
    quick: bool,
    verified: Verified,
    on: &'a mut dyn FnMut(Event),
}

/// The documents that the buckets of a snapshot were found to have.
#[derive(Default)]
struct Seen {
    last: Option<Key>,
    documents: u64,
    annotations: u64,
}

impl Verifier<'_> {
    fn found(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.verified.defects += 1;
        (self.on)(Event::Found(Defect { path: path.into(), what: what.into() }));
    }

    fn count(&mut self, manifests: &[Manifest], files: &BTreeMap<&str, (&DataFile, &Manifest)>) {
        let newest = manifests.last();
        self.verified = Verified {
            snapshots: manifests.len() as u64,
            files: files.len() as u64,
            bytes: files.values().map(|(file, _)| file.bytes).sum(),
            documents: newest.map_or(0, |newest| newest.documents),
            annotations: newest.map_or(0, |newest| newest.annotations),
            defects: 0,
        };
        (self.on)(Event::Total(if self.quick { 0 } else { self.verified.bytes }));
    }

    /// Readers that cannot list go by the copy under a fixed name.
    async fn check_latest(&mut self, newest: &Manifest) -> Result<(), Error> {
        let bytes = self.place.read(&Path::from(LATEST)).await?;
        let copy = bytes.map(|bytes| serde_json::from_slice::<Manifest>(&bytes));
        let wrong = match copy {
            None => "is missing; `pubtag snapshot` writes it again".to_owned(),
            Some(Err(error)) => format!("is not a manifest ({error}); `pubtag snapshot` writes it again"),
            Some(Ok(copy)) if copy == *newest || copy.snapshot > newest.snapshot => return Ok(()),
            Some(Ok(copy)) => format!(
                "has snapshot {}, which is not the newest one, {}; `pubtag snapshot` writes it again",
                copy.snapshot, newest.snapshot
            ),
        };
        self.found(LATEST, wrong);
        Ok(())
    }

    async fn check_files(
        &mut self,
        files: &BTreeMap<&str, (&DataFile, &Manifest)>,
        newest: &Manifest,
    ) -> Result<(), Error> {
        let mut lengths = HashMap::new();
        for directory in [DOCUMENTS, HISTORY, CHANGES] {
            let listed = self.place.list(&Path::from(directory)).await?;
            lengths.extend(listed.into_iter().map(|meta| (meta.location.to_string(), meta.size)));
        }
        self.check_documents(newest, &lengths).await?;
        let of_documents = |path: &str| newest.buckets.iter().any(|bucket| bucket.documents.path == path);
        for (path, (file, manifest)) in files.iter().filter(|(path, _)| !of_documents(path)) {
            if let Some(bytes) = self.file(file, manifest, &lengths).await? {
                let problem = match rows(bytes) {
                    Ok(rows) => differs(file, rows),
                    Err(error) => Some(error.to_string()),
                };
                problem.into_iter().for_each(|what| self.found(*path, what));
            }
        }
        Ok(())
    }

    /// Checks the citations of a snapshot, bucket by bucket in the order of their keys.
    async fn check_documents(&mut self, newest: &Manifest, lengths: &HashMap<String, u64>) -> Result<(), Error> {
        let mut seen = Seen::default();
        let mut is_whole = true;
        for (number, bucket) in newest.buckets.iter().enumerate() {
            let Some(bytes) = self.file(&bucket.documents, newest, lengths).await? else {
                is_whole = false;
                continue;
            };
            // The first bucket also covers what is before its first key.
            let first = (number > 0).then_some(&bucket.first);
            let next = newest.buckets.get(number + 1).map(|next| &next.first);
            let before = seen.documents;
            let problem = match seen.add(bytes, first, next) {
                Ok(problem) => problem.or_else(|| differs(&bucket.documents, seen.documents - before)),
                Err(error) => Some(error.to_string()),
            };
            is_whole &= problem.is_none();
            problem.into_iter().for_each(|what| self.found(&*bucket.documents.path, what));
        }
        let (named, found) = ((newest.documents, newest.annotations), (seen.documents, seen.annotations));
        if is_whole && named != found {
            let what = format!(
                "has {} documents and {} annotations, but its buckets have {} and {}",
                named.0, named.1, found.0, found.1
            );
            self.found(Manifest::path(newest.snapshot).as_ref(), what);
        }
        Ok(())
    }

    /// Checks a file; its content, if it is to be read and is as it was written.
    async fn file(
        &mut self,
        file: &DataFile,
        manifest: &Manifest,
        lengths: &HashMap<String, u64>,
    ) -> Result<Option<Bytes>, Error> {
        let what = match lengths.get(&file.path) {
            None => MISSING.to_owned(),
            Some(length) if *length != file.bytes => format!("has {length} bytes, expected {}", file.bytes),
            Some(_) if self.quick => return Ok(None),
            Some(_) => match self.place.read_data(file).await {
                Ok(bytes) => {
                    (self.on)(Event::Read(file.bytes));
                    return Ok(Some(bytes));
                }
                Err(Error::Damaged { why, .. }) => why,
                Err(error) => return Err(error),
            },
        };
        // Another process may have removed the snapshot meanwhile.
        if what == CHANGED || Manifest::read(self.place, manifest.snapshot).await?.is_some() {
            self.found(&*file.path, what);
        }
        Ok(None)
    }
}

impl Seen {
    /// Adds the citations of a bucket, whose keys are from `first` up to `next`. Returns what is wrong with them, if something is.
    fn add(&mut self, bytes: Bytes, first: Option<&Key>, next: Option<&Key>) -> Result<Option<String>, ParquetError> {
        let mut problem = None;
        for batch in decode(bytes)? {
            let batch = conform(&batch?, &snapshot_schema())?;
            let lists = batch.column_by_name("annotations").expect("conforms to the schema").as_list::<i32>();
            self.annotations += lists.iter().flatten().map(|list| list.len() as u64).sum::<u64>();
            for Entry { key, .. } in entries(&batch, |_| 0) {
                if first.is_some_and(|first| key < *first) || next.is_some_and(|next| key >= *next) {
                    problem.get_or_insert_with(|| format!("has {key}, which belongs to another bucket"));
                } else if self.last.as_ref().is_some_and(|last| *last >= key) {
                    problem.get_or_insert_with(|| format!("has {key} twice or out of order"));
                }
                self.documents += 1;
                self.last = Some(key);
            }
        }
        Ok(problem)
    }
}

/// The rows of a file, each of them decoded.
fn rows(bytes: Bytes) -> Result<u64, ParquetError> {
    let mut rows = 0;
    for batch in decode(bytes)? {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}

/// What is wrong if a file has other than its recorded number of rows.
fn differs(file: &DataFile, rows: u64) -> Option<String> {
    (rows != file.rows).then(|| format!("has {rows} rows, expected {}", file.rows))
}
