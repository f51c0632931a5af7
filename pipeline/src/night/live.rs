//! The published state against NLM's list of deleted PMIDs.

use std::io::ErrorKind;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::errors::ParquetError;
use pubtag_parquet::StoredFile;
use pubtag_snapshot::{DataFile, Manifest, Place};
use pubtag_store::Store;
use pubtag_sync::{DELETED_PMIDS, deleted_pmids};

use crate::exit::{Exit, Failure};
use crate::figures::{counted, grouped};

/// PMIDs that a line lists.
const SHOWN: usize = 5;

/// How the published state and NLM's list agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LiveSet {
    /// Live citations.
    pub(crate) live: u64,
    /// PMIDs that NLM lists as deleted.
    pub(crate) listed: u64,
    /// Lines of the list that are not PMIDs.
    pub(crate) unreadable: u64,
    /// Live citations that NLM lists as deleted.
    pub(crate) still_live: u64,
    /// The first of them.
    pub(crate) first: Vec<u64>,
}

impl LiveSet {
    /// Compares the newest snapshot with the list in a mirror; `None` without a snapshot or a list.
    ///
    /// *Memory*: the list, one bit for each number up to the highest deleted PMID, and a batch of rows.
    ///
    /// # Errors
    /// The list or the snapshot cannot be read.
    pub(crate) async fn compare(snapshot: &Place, mirror: &Store) -> Result<Option<Self>, Failure> {
        let (Some(list), Some(manifest)) = (read_list(mirror).await?, Manifest::latest(snapshot).await?) else {
            return Ok(None);
        };
        let mut set = Self::default();
        let deleted = set.deleted_in(&list)?;
        for bucket in &manifest.buckets {
            set.read_bucket(snapshot, &bucket.documents, &deleted).await?;
        }
        Ok(Some(set))
    }

    fn deleted_in(&mut self, list: &[u8]) -> Result<Bits, Failure> {
        let mut deleted = Bits::default();
        for pmid in deleted_pmids(list) {
            match pmid {
                Ok(pmid) => {
                    self.listed += 1;
                    deleted.insert(pmid.get().into());
                }
                Err(error) if error.kind() == ErrorKind::InvalidData => self.unreadable += 1,
                Err(error) => {
                    let error = anyhow::Error::new(error)
                        .context(format!("{DELETED_PMIDS} is damaged; delete it, and the next sync fetches it again"));
                    return Err(Failure::new(Exit::Data, error));
                }
            }
        }
        Ok(deleted)
    }

    async fn read_bucket(&mut self, snapshot: &Place, file: &DataFile, deleted: &Bits) -> Result<(), Failure> {
        let damaged = |error| damaged(&format!("{}/{}", snapshot.name, file.path), error);
        let stored = StoredFile::new(snapshot.store.clone(), file.path.as_str().into(), file.bytes);
        let builder = ParquetRecordBatchStreamBuilder::new(stored).await.map_err(damaged)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["pmid"]);
        let mut rows = builder.with_projection(mask).build().map_err(damaged)?;
        while let Some(batch) = rows.try_next().await.map_err(damaged)? {
            self.live += batch.num_rows() as u64;
            let Some(pmids) = batch.column(0).as_primitive_opt::<Int64Type>() else { continue };
            for pmid in pmids.iter().flatten().filter_map(|pmid| u64::try_from(pmid).ok()) {
                if deleted.contains(pmid) {
                    self.still_live += 1;
                    self.first.extend((self.first.len() < SHOWN).then_some(pmid));
                }
            }
        }
        Ok(())
    }

    /// The result in a line.
    pub(crate) fn line(&self) -> String {
        let Self { live, listed, unreadable, still_live, first } = self;
        let unreadable = match unreadable {
            0 => String::new(),
            count => format!("; {} of the list unreadable", counted(*count, "line")),
        };
        let live = counted(*live, "live citation");
        if *still_live == 0 {
            return format!("none of {live} is among {} that NLM deleted{unreadable}", grouped(*listed));
        }
        let shown: Vec<String> = first.iter().map(u64::to_string).collect();
        let more = if *still_live > SHOWN as u64 { ", …" } else { "" };
        format!("{} of {live} deleted by NLM: {}{more}{unreadable}", grouped(*still_live), shown.join(", "))
    }
}

/// A set of numbers, one bit each.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, number: u64) {
        let word = (number / 64) as usize;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    fn contains(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

/// The list of a mirror, if it has one.
async fn read_list(mirror: &Store) -> Result<Option<Bytes>, Failure> {
    let path = Key::from(DELETED_PMIDS);
    let read = async { mirror.objects().get(&path).await?.bytes().await };
    match read.await {
        Ok(list) => Ok(Some(list)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(Failure::store("read", &mirror.full_name(&path), error)),
    }
}

/// A file that is damaged, or gone: the snapshot names it.
fn damaged(path: &str, error: ParquetError) -> Failure {
    match error {
        ParquetError::External(error) => {
            Failure::new(Exit::Transient, anyhow::Error::from_boxed(error).context(format!("failed to read {path}")))
        }
        error => Failure::new(Exit::Data, anyhow::Error::new(error).context(format!("{path} is damaged"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_set_are_found_and_others_are_not() {
        let mut bits = Bits::default();
        for number in [0, 63, 64, 41_000_000] {
            bits.insert(number);
        }
        let found: Vec<u64> = [0, 1, 63, 64, 65, 40_999_999, 41_000_000, u64::MAX].into();
        let found: Vec<u64> = found.into_iter().filter(|number| bits.contains(*number)).collect();
        assert_eq!(found, [0, 63, 64, 41_000_000]);
    }
}
