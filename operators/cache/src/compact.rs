//! Merges segments that overlap into buckets that do not.
//!
//! Whoever is killed or runs concurrently loses nothing: a segment is deleted only after another one with its entries was
//! written, and entries that exist twice are equal.

use std::collections::{BTreeSet, VecDeque};

use pubtag_stream::{Meter, spawn_blocking};

use crate::entry::Entry;
use crate::error::CacheError;
use crate::name::SegmentName;
use crate::segment::Segment;
use crate::store::{Cache, Listed, encode_all};

/// Entries per bucket.
const BUCKET_ENTRIES: usize = 32 * 1024;
/// A bucket of at least this many entries that nothing is added to is not rewritten.
const LEAST_ENTRIES: usize = 8 * 1024;
/// Size of a segment, in bytes, above which it is not even read if it overlaps no other.
const LEAST_BYTES: u64 = 512 * 1024;
/// A text is looked up in at most this many segments before they are merged.
const MOST_LAYERS: usize = 16;
/// Small segments that are left before they are merged.
const MOST_SMALL: usize = 64;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments written.
    pub written: usize,
    /// Segments deleted.
    pub deleted: usize,
    /// Segments that stayed as they were.
    pub kept: usize,
    /// Entries in the segments written.
    pub entries: u64,
    /// Segments or parts of segments that were damaged; their entries are lost.
    pub damaged: usize,
}

impl Cache {
    /// Whether a look-up reads many segments.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub async fn needs_compaction(&self) -> Result<bool, CacheError> {
        let segments = self.list().await?;
        let small = segments.iter().filter(|segment| segment.bytes < LEAST_BYTES).count();
        Ok(layers(&segments) > MOST_LAYERS || small > MOST_SMALL)
    }

    /// Merges segments that overlap into buckets of about 32,768 entries that do not; a large bucket to which nothing is
    /// added stays as it is. Damaged segments are deleted.
    ///
    /// *Memory*: a bucket, and one row group for each segment that overlaps it.
    ///
    /// *Cancellation*: may be dropped or killed at any time.
    ///
    /// # Errors
    /// The store fails, or another run is merging the same segments. Nothing was deleted then.
    pub async fn compact(&self) -> Result<Compacted, CacheError> {
        let segments = self.list().await?;
        let mut merge = Merge::new(self, &segments);
        merge.run().await?;
        let Merge { mut done, kept, .. } = merge;
        for Listed { name, .. } in segments.iter().filter(|segment| !kept.contains(&segment.name)) {
            self.delete(&self.path(name)).await?;
            done.deleted += 1;
        }
        done.kept = kept.len();
        Ok(done)
    }
}

/// The largest number of segments that a locus may be in.
fn layers(segments: &[Listed]) -> usize {
    let starts = segments.iter().map(|segment| (segment.name.first, 0, 1_isize));
    let ends = segments.iter().map(|segment| (segment.name.last, 1, -1));
    let mut ends: Vec<(u64, u8, isize)> = starts.chain(ends).collect();
    ends.sort_unstable();
    let depths = ends.iter().scan(0, |depth, (_, _, change)| {
        *depth += change;
        Some(*depth)
    });
    depths.max().map_or(0, isize::unsigned_abs)
}

/// A merge in progress.
struct Merge<'a> {
    cache: &'a Cache,
    meter: Meter,
    /// Segments that begin further on, in order.
    waiting: VecDeque<Listed>,
    open: Vec<Cursor>,
    /// The next bucket, and the segments that its entries come from.
    bucket: Vec<Entry>,
    sources: BTreeSet<SegmentName>,
    kept: BTreeSet<SegmentName>,
    done: Compacted,
}

impl<'a> Merge<'a> {
    fn new(cache: &'a Cache, segments: &[Listed]) -> Self {
        Self {
            cache,
            meter: Meter::new("compact"),
            waiting: segments.iter().copied().collect(),
            open: Vec::new(),
            bucket: Vec::new(),
            sources: BTreeSet::new(),
            kept: BTreeSet::new(),
            done: Compacted::default(),
        }
    }

    async fn run(&mut self) -> Result<(), CacheError> {
        while !(self.waiting.is_empty() && self.open.is_empty()) {
            if self.skips_next() {
                continue;
            }
            let Some(bound) = self.next_bound().await? else { continue };
            for cursor in &mut self.open {
                let taken = cursor.take_until(bound);
                if !taken.is_empty() {
                    self.sources.insert(cursor.name);
                    self.bucket.extend(taken);
                }
            }
            if self.bucket.len() >= BUCKET_ENTRIES || self.is_whole_bucket() {
                self.write().await?;
            }
        }
        self.write().await
    }

    /// Keeps the next segment if it is large and overlaps no other.
    fn skips_next(&mut self) -> bool {
        let (Some(next), others) = (self.waiting.front(), self.waiting.get(1)) else { return false };
        let alone = self.open.is_empty() && self.bucket.is_empty() && next.bytes >= LEAST_BYTES;
        let skips = alone && others.is_none_or(|other| other.name.first > next.name.last);
        if skips {
            self.kept.insert(next.name);
            self.waiting.pop_front();
        }
        skips
    }

    /// The locus up to which the entries of all segments are decoded.
    async fn next_bound(&mut self) -> Result<Option<u64>, CacheError> {
        loop {
            for cursor in &mut self.open {
                self.done.damaged += cursor.fill(self.cache, &self.meter).await?;
            }
            self.open.retain(|cursor| cursor.last().is_some());
            let bound = self.open.iter().filter_map(Cursor::last).min();
            match self.waiting.front() {
                Some(next) if bound.is_none_or(|bound| next.name.first <= bound) => {
                    let next = *next;
                    self.waiting.pop_front();
                    match Segment::open(self.cache, &next).await {
                        Ok(segment) => self.open.push(Cursor::new(next.name, segment)),
                        Err(error @ CacheError::Damaged { .. }) => self.damaged(&error),
                        Err(error) => return Err(error),
                    }
                }
                _ => return Ok(bound),
            }
        }
    }

    fn damaged(&mut self, error: &CacheError) {
        tracing::warn!(error = error as &dyn std::error::Error, "a damaged part of the cache is removed");
        self.done.damaged += 1;
    }

    /// Whether the bucket is a whole segment, large enough to stay.
    fn is_whole_bucket(&self) -> bool {
        self.bucket.len() >= LEAST_ENTRIES && self.only_source().is_some()
    }

    /// The segment that the bucket consists of, if it is a single one, and the whole of it.
    fn only_source(&self) -> Option<SegmentName> {
        let only = self.sources.first().copied().filter(|_| self.sources.len() == 1)?;
        let begun = self.bucket.first().is_some_and(|entry| entry.key.locus == only.first);
        let ended = self.open.iter().all(|cursor| cursor.name != only || cursor.is_at_end());
        (begun && ended).then_some(only)
    }

    async fn write(&mut self) -> Result<(), CacheError> {
        let only = self.only_source();
        let (bucket, spec) = (std::mem::take(&mut self.bucket), self.cache.id.clone());
        self.sources.clear();
        if let Some(only) = only {
            self.kept.insert(only);
            return Ok(());
        }
        let encoded = spawn_blocking(&self.meter, move || (bucket.len(), encode_all(bucket, &spec))).await;
        let (count, encoded) = encoded.map_err(|fault| CacheError::Encode { problem: format!("{fault:?}") })?;
        let Some((bytes, first, last)) = encoded? else { return Ok(()) };
        self.cache.put(bytes, first, last).await?;
        self.done.written += 1;
        self.done.entries += count as u64;
        Ok(())
    }
}

/// Reads a segment from its first entry to its last.
struct Cursor {
    name: SegmentName,
    segment: Segment,
    next_block: usize,
    entries: VecDeque<Entry>,
}

impl Cursor {
    fn new(name: SegmentName, segment: Segment) -> Self {
        Self { name, segment, next_block: 0, entries: VecDeque::new() }
    }

    /// Decodes the next row group if all entries were taken; returns how many were damaged.
    async fn fill(&mut self, cache: &Cache, meter: &Meter) -> Result<usize, CacheError> {
        let mut damaged = 0;
        while self.entries.is_empty() && self.next_block < self.segment.blocks.len() {
            let block = self.segment.read(cache, self.next_block).await?;
            self.next_block += 1;
            let spec = cache.id.clone();
            let decode =
                move || block.decode().map(|all| (0..all.len()).map(|row| all.entry(row, &spec)).collect::<Vec<_>>());
            let decoded = spawn_blocking(meter, decode).await;
            match decoded.map_err(|fault| CacheError::Encode { problem: format!("{fault:?}") })? {
                Ok(entries) => {
                    damaged += usize::from(entries.iter().any(Option::is_none));
                    self.entries = entries.into_iter().flatten().collect();
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a damaged part of the cache is removed");
                    damaged += 1;
                }
            }
        }
        Ok(damaged)
    }

    /// The locus of the last entry that is decoded.
    fn last(&self) -> Option<u64> {
        self.entries.back().map(|entry| entry.key.locus)
    }

    fn is_at_end(&self) -> bool {
        self.entries.is_empty() && self.next_block == self.segment.blocks.len()
    }

    fn take_until(&mut self, bound: u64) -> Vec<Entry> {
        let count = self.entries.partition_point(|entry| entry.key.locus <= bound);
        self.entries.drain(..count).collect()
    }
}
