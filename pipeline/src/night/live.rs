//! The published state against NLM's list of deleted PMIDs.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pubtag_snapshot::Manifest;
use pubtag_sync::deleted_pmids;

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
    /// Compares the newest snapshot in a directory with a list; `None` without a list or a snapshot.
    ///
    /// *Memory*: one bit for each number up to the highest deleted PMID, and a batch of rows.
    ///
    /// # Errors
    /// The list or the snapshot cannot be read.
    pub(crate) fn compare(snapshot: &Path, list: &Path) -> Result<Option<Self>, Failure> {
        let latest = snapshot.join("latest.json");
        let (Some(list), Some(manifest)) = (open(list)?, open(&latest)?) else { return Ok(None) };
        let manifest: Manifest = serde_json::from_reader(manifest).map_err(|error| damaged(&latest, error))?;
        let mut set = Self::default();
        let deleted = set.read_list(list)?;
        for bucket in &manifest.buckets {
            set.read_bucket(&snapshot.join(&bucket.documents.path), &deleted)?;
        }
        Ok(Some(set))
    }

    fn read_list(&mut self, list: File) -> Result<Bits, Failure> {
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
                        .context("deleted.pmids.gz is damaged; delete it, and the next sync fetches it again");
                    return Err(Failure::new(Exit::Data, error));
                }
            }
        }
        Ok(deleted)
    }

    fn read_bucket(&mut self, path: &Path, deleted: &Bits) -> Result<(), Failure> {
        let file = File::open(path).map_err(|error| Failure::new(Exit::Transient, named(path, error)))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path, error))?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), ["pmid"]);
        let rows = builder.with_projection(mask).build().map_err(|error| damaged(path, error))?;
        for batch in rows {
            let batch = batch.map_err(|error| damaged(path, error))?;
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

/// Opens a file, if it exists.
fn open(path: &Path) -> Result<Option<File>, Failure> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(Exit::Transient, named(path, error))),
    }
}

fn named(path: &Path, error: std::io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("failed to read {}", path.display()))
}

fn damaged(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    let error = anyhow::Error::new(error).context(format!("{} is damaged", path.display()));
    Failure::new(Exit::Data, error)
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
