//! Our counts of update files against NLM's statistics, which are beside them in a mirror.

use std::fs::File;
use std::io::Read;
use std::ops::AddAssign;

use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStore};
use pubtag_schemas::{InputUnit, Location, Tally};
use pubtag_store::{Address, Bucket, Buckets};
use pubtag_sync::{NlmCounts, counts_in};
use serde::Serialize;

use crate::figures::{counted, grouped};

/// The largest page that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// Our counts against NLM's, over all files of a run that have statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NlmSummary {
    /// Files with statistics.
    pub files: u64,
    /// Records in them, by our count.
    pub records: u64,
    /// How many records more or fewer NLM counts, over all files.
    pub difference: u64,
    /// The files that differ.
    pub differing: Vec<NlmDifference>,
}

/// A file in which NLM counts other numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NlmDifference {
    /// Path or URI.
    pub input: String,
    /// Citations and rejects.
    pub records: u64,
    /// Deletions.
    pub deletions: u64,
    /// NLM's total; null if it gives none.
    pub nlm_records: Option<u64>,
    /// NLM's deletions; null if it gives none.
    pub nlm_deletions: Option<u64>,
}

impl NlmSummary {
    /// Compares a file with its statistics; `None` if it has none.
    pub(crate) async fn of(unit: &InputUnit, tally: Tally, buckets: &Buckets) -> Option<Self> {
        let counts = counts_beside(unit, buckets).await?;
        let (records, deletions) = (tally.citations + tally.rejects, tally.deletions);
        let difference = counts.difference(records, deletions);
        let NlmCounts { records: nlm_records, deletions: nlm_deletions } = counts;
        let input = unit.uri().to_owned();
        let found = NlmDifference { input, records, deletions, nlm_records, nlm_deletions };
        let differing = (difference > 0).then_some(found).into_iter().collect();
        Some(Self { files: 1, records: tally.records(), difference, differing })
    }

    /// Logs each file that differs.
    pub(crate) fn warn(&self) {
        for found in &self.differing {
            tracing::warn!("{}", found.line());
        }
    }

    /// The result in a line.
    pub(crate) fn line(&self) -> String {
        match self.differing.first() {
            None => format!("{} agree with NLM's counts", counted(self.files, "file")),
            Some(first) => format!(
                "{} of {} differ from NLM's counts, by {}; first is {}",
                grouped(self.differing.len() as u64),
                counted(self.files, "file"),
                counted(self.difference, "record"),
                first.line()
            ),
        }
    }
}

impl AddAssign for NlmSummary {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.records += other.records;
        self.difference += other.difference;
        self.differing.extend(other.differing);
    }
}

impl NlmDifference {
    fn line(&self) -> String {
        let theirs = |count: Option<u64>| count.map_or("not counted".to_owned(), grouped);
        format!(
            "{}: {} and {}, NLM: {} and {}",
            self.input,
            counted(self.records, "record"),
            counted(self.deletions, "deletion"),
            theirs(self.nlm_records),
            theirs(self.nlm_deletions),
        )
    }
}

/// The statistics beside a file of the PubMed distribution. Without them, nothing is compared.
async fn counts_beside(unit: &InputUnit, buckets: &Buckets) -> Option<NlmCounts> {
    let uri = unit.file_seq.and(Some(unit.uri()))?;
    let name = format!("{}_stats.html", uri.strip_suffix(".gz").unwrap_or(uri).strip_suffix(".xml")?);
    let page = match &unit.location {
        Location::File(_) => read_file(&name)?,
        Location::Object(_) => match name.parse().ok()? {
            Address::Bucket(page) => read_object(&page, buckets).await?,
            Address::Local(_) => return None,
        },
        Location::Stdin => return None,
    };
    counts_in(&String::from_utf8_lossy(&page))
}

fn read_file(path: &str) -> Option<Vec<u8>> {
    let mut page = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut page).ok()?;
    Some(page)
}

async fn read_object(page: &Bucket, buckets: &Buckets) -> Option<Vec<u8>> {
    let options = GetOptions { range: Some(GetRange::Bounded(0..LIMIT)), ..GetOptions::default() };
    let found = buckets.open(page).ok()?.get_opts(&Key::from(page.key.as_ref()), options).await.ok()?;
    Some(found.bytes().await.ok()?.to_vec())
}
