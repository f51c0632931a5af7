//! Finds entries by key.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use pubtag_stream::{Fault, Meter, spawn_blocking};

use crate::blocks::{BlockId, Blocks};
use crate::columns::{Entries, Found};
use crate::entry::Entry;
use crate::error::CacheError;
use crate::key::Key;
use crate::name::SegmentName;
use crate::segment::Segment;
use crate::store::{Cache, Listed};

/// Keys looked up together: their row groups are in memory at the same time.
const KEYS_AT_ONCE: usize = 16;
/// Requests at once.
const CONCURRENT_REQUESTS: usize = 8;
/// Size of the row groups that are kept, in bytes.
const BLOCKS_BYTES: usize = 64 * 1024 * 1024;
/// Footers that are kept.
const MOST_FOOTERS: usize = 128;
/// After this many failing segments, the store is left alone.
const MOST_FAILURES: usize = 8;

/// Finds entries in the segments that existed when the first one was looked up.
///
/// Segments that the run itself writes are not looked at, so what is found does not depend on timing. A segment that
/// cannot be read is left out, with a warning: its texts are tagged again.
///
/// *Memory*: 64 MiB of row groups, 128 footers, and the row groups of 16 keys.
pub(crate) struct Lookup {
    cache: Cache,
    /// `None` before the first look-up.
    segments: Option<Vec<Listed>>,
    footers: BTreeMap<SegmentName, Arc<Segment>>,
    blocks: Blocks,
    /// Segments that could not be read.
    failed: HashSet<SegmentName>,
    failures: usize,
    has_damaged_entries: bool,
}

/// Prefers an entry to its damaged copy.
fn rank(found: &Found) -> u8 {
    match found {
        Found::Nothing => 0,
        Found::Damaged => 1,
        Found::Entry(_) => 2,
    }
}

impl Lookup {
    pub(crate) fn new(cache: Cache) -> Self {
        let (footers, blocks) = (BTreeMap::new(), Blocks::new(BLOCKS_BYTES));
        Self { cache, segments: None, footers, blocks, failed: HashSet::new(), failures: 0, has_damaged_entries: false }
    }

    /// The entry of each key, if it exists.
    ///
    /// # Errors
    /// A panic while searching.
    pub(crate) async fn find(&mut self, keys: &[Key], meter: &Meter) -> Result<Vec<Option<Entry>>, Fault> {
        let mut found = Vec::with_capacity(keys.len());
        self.list().await;
        for keys in keys.chunks(KEYS_AT_ONCE) {
            if self.segments.as_ref().is_none_or(Vec::is_empty) {
                found.resize(found.len() + keys.len(), None);
                continue;
            }
            let blocks = self.blocks_of(keys, meter).await?;
            let (keys, spec) = (keys.to_vec(), self.cache.id.clone());
            let search = move || {
                let in_blocks = |key: &Key| {
                    let near = blocks.iter().filter(|near| near.first <= key.locus && key.locus <= near.last);
                    near.map(|near| near.entries.find(key, &spec)).max_by_key(rank).unwrap_or_default()
                };
                keys.iter().map(in_blocks).collect::<Vec<_>>()
            };
            for result in spawn_blocking(meter, search).await? {
                found.push(match result {
                    Found::Entry(entry) => Some(entry),
                    Found::Nothing => None,
                    Found::Damaged => self.damaged(),
                });
            }
        }
        Ok(found)
    }

    /// Lists the segments, once; again only after another run has merged some of them.
    async fn list(&mut self) {
        if self.segments.is_some() {
            return;
        }
        let listed = self.cache.list().await.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the cache is not used");
            Vec::new()
        });
        self.segments = Some(listed.into_iter().filter(|segment| !self.failed.contains(&segment.name)).collect());
    }

    /// The row groups that may contain keys.
    async fn blocks_of(&mut self, keys: &[Key], meter: &Meter) -> Result<Vec<Near>, Fault> {
        self.open_all(keys).await;
        let (mut near, mut missing) = (Vec::new(), Vec::new());
        let ranges: BTreeSet<(BlockId, u64, u64)> = keys.iter().flat_map(|key| self.blocks_at(key.locus)).collect();
        for (id, first, last) in ranges {
            match self.blocks.get(&id) {
                Some(entries) => near.push(Near { first, last, entries }),
                None => missing.extend(self.footers.get(&id.0).map(|segment| (id, first, last, segment.clone()))),
            }
        }
        let cache = self.cache.clone();
        let read = async |(id, first, last, segment): (BlockId, u64, u64, Arc<Segment>)| {
            (id, first, last, read(&cache, &segment, id.1, meter).await)
        };
        let read: Vec<_> =
            futures::stream::iter(missing).map(read).buffer_unordered(CONCURRENT_REQUESTS).collect().await;
        for (id, first, last, entries) in read {
            match entries? {
                Ok(entries) => {
                    let entries = Arc::new(entries);
                    self.blocks.insert(id, entries.clone());
                    near.push(Near { first, last, entries });
                }
                Err(error) => self.leave_out(id.0, &error),
            }
        }
        Ok(near)
    }

    fn blocks_at(&self, locus: u64) -> impl Iterator<Item = (BlockId, u64, u64)> + '_ {
        let names = self.segments_at(locus);
        names.filter_map(|listed| self.footers.get_key_value(&listed.name)).flat_map(move |(name, segment)| {
            let blocks = segment.blocks.iter().enumerate();
            let at = blocks.filter(move |(_, block)| block.first <= locus && locus <= block.last);
            at.map(move |(number, block)| ((*name, number), block.first, block.last))
        })
    }

    fn segments_at(&self, locus: u64) -> impl Iterator<Item = &Listed> + '_ {
        self.segments.iter().flatten().filter(move |listed| listed.name.overlaps(locus, locus))
    }

    /// Reads the footers of the segments that may contain keys.
    async fn open_all(&mut self, keys: &[Key]) {
        let listed = keys.iter().flat_map(|key| self.segments_at(key.locus)).map(|listed| (listed.name, *listed));
        let wanted: BTreeMap<SegmentName, Listed> = listed.collect();
        if self.footers.len() + wanted.len() > MOST_FOOTERS {
            self.footers.retain(|name, _| wanted.contains_key(name));
        }
        let missing: Vec<Listed> =
            wanted.into_values().filter(|listed| !self.footers.contains_key(&listed.name)).collect();
        let cache = self.cache.clone();
        let open = async |listed: Listed| (listed.name, Segment::open(&cache, &listed).await);
        let opened: Vec<_> =
            futures::stream::iter(missing).map(open).buffer_unordered(CONCURRENT_REQUESTS).collect().await;
        for (name, segment) in opened {
            match segment {
                Ok(segment) => drop(self.footers.insert(name, segment.into())),
                Err(error) => self.leave_out(name, &error),
            }
        }
    }

    /// Goes on without an entry; said once.
    fn damaged(&mut self) -> Option<Entry> {
        if !std::mem::replace(&mut self.has_damaged_entries, true) {
            tracing::warn!("entries of the cache are damaged; their texts are tagged again");
        }
        None
    }

    /// Goes on without a segment.
    fn leave_out(&mut self, name: SegmentName, error: &CacheError) {
        self.footers.remove(&name);
        if !self.failed.insert(name) {
            return;
        }
        if error.is_gone() {
            // Another run has merged it: its entries are in a new segment.
            self.segments = None;
            return;
        }
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "a part of the cache is left out; its texts are tagged again"
        );
        self.failures += 1;
        let segments = self.segments.get_or_insert_default();
        segments.retain(|listed| listed.name != name);
        if self.failures == MOST_FAILURES {
            tracing::warn!("the cache is not used any more: {MOST_FAILURES} of its files could not be read");
            segments.clear();
        }
    }
}

/// A row group near a key.
struct Near {
    first: u64,
    last: u64,
    entries: Arc<Entries>,
}

/// Reads and decodes a row group.
async fn read(
    cache: &Cache,
    segment: &Segment,
    block: usize,
    meter: &Meter,
) -> Result<Result<Entries, CacheError>, Fault> {
    match segment.read(cache, block).await {
        Ok(block) => spawn_blocking(meter, move || block.decode()).await,
        Err(error) => Ok(Err(error)),
    }
}
