//! The operator that adds what the model found to the cache.

use async_stream::try_stream;
use futures::StreamExt;
use pubtag_schemas::{Packet, TaggedRecord};
use pubtag_stream::{Fault, Flow, Meter, Operator, spawn_blocking};

use crate::entry::Entry;
use crate::error::CacheError;
use crate::stats::CacheStats;
use crate::store::{Cache, encode_all};

/// The stage's name in reports and errors.
const NAME: &str = "remember";

/// Entries per segment, about as many as a PubMed file has citations.
const SEGMENT_ENTRIES: usize = 32 * 1024;
/// Size in memory, in bytes, of the entries of a segment.
const SEGMENT_BYTES: usize = 32 * 1024 * 1024;
/// A segment is written at the end of a unit if it has this many entries. Those of smaller units are collected.
const UNIT_ENTRIES: usize = 4096;

/// Passes tagged records on, and writes what the model found in them as segments of the cache.
///
/// - *Ordering*: records and the frames of their units keep their order.
/// - *Memory*: one packet, and the entries of a segment: 32,768 entries or 32 MiB.
/// - *Cancellation*: dropping the output drops the input and the collected entries; their texts are tagged again.
/// - *Rejects*: rejects, deletions and cached documents pass through. If the cache cannot be written, a warning is logged
///   and nothing more is collected.
#[derive(Debug)]
pub struct Remember {
    cache: Cache,
    stats: CacheStats,
}

impl Remember {
    /// An operator that adds to a cache and counts what it adds.
    pub fn new(cache: Cache, stats: CacheStats) -> Self {
        Self { cache, stats }
    }
}

impl Operator<Packet<TaggedRecord>> for Remember {
    type Output = Packet<TaggedRecord>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn apply(self, mut input: Flow<Packet<TaggedRecord>>, meter: Meter) -> Flow<Self::Output> {
        let Self { cache, stats } = self;
        let mut draft = Draft { cache, stats, meter, entries: Vec::new(), bytes: 0, given_up: false };
        Box::pin(try_stream! {
            while let Some(packet) = input.next().await {
                match packet {
                    Ok(Packet::Items(records)) => yield Packet::Items(draft.collect(records).await?),
                    Ok(frame) => {
                        let is_end = matches!(frame, Packet::Close(_));
                        yield frame;
                        if is_end && draft.entries.len() >= UNIT_ENTRIES {
                            draft.write().await?;
                        }
                    }
                    Err(fault) => {
                        draft.write().await?;
                        Err(fault)?;
                    }
                }
            }
            draft.write().await?;
        })
    }
}

/// The next segment.
struct Draft {
    cache: Cache,
    stats: CacheStats,
    meter: Meter,
    entries: Vec<Entry>,
    bytes: usize,
    /// Whether a write has failed.
    given_up: bool,
}

impl Draft {
    async fn collect(&mut self, records: Vec<TaggedRecord>) -> Result<Vec<TaggedRecord>, Fault> {
        self.meter.add_items(records.len());
        if self.given_up {
            return Ok(records);
        }
        let copy = move || {
            let entries = records.iter().filter_map(|record| match record {
                TaggedRecord::Document(document) => Entry::of(document),
                _ => None,
            });
            (entries.collect::<Vec<_>>(), records)
        };
        let (entries, records) = spawn_blocking(&self.meter, copy).await?;
        self.bytes += entries.iter().map(Entry::bytes).sum::<usize>();
        self.entries.extend(entries);
        if self.entries.len() >= SEGMENT_ENTRIES || self.bytes >= SEGMENT_BYTES {
            self.write().await?;
        }
        Ok(records)
    }

    /// Writes what was collected.
    async fn write(&mut self) -> Result<(), Fault> {
        let (entries, spec) = (std::mem::take(&mut self.entries), self.cache.id.clone());
        self.bytes = 0;
        let count = entries.len();
        if count == 0 {
            return Ok(());
        }
        let encoded = spawn_blocking(&self.meter, move || encode_all(entries, &spec)).await?;
        match self.put(encoded).await {
            Ok(()) => self.stats.add(count),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "nothing more is added to the cache; the output is not affected");
                self.given_up = true;
            }
        }
        Ok(())
    }

    async fn put(&self, encoded: Result<Option<(Vec<u8>, u64, u64)>, CacheError>) -> Result<(), CacheError> {
        let Some((bytes, first, last)) = encoded? else { return Ok(()) };
        self.cache.describe().await?;
        self.cache.put(bytes, first, last).await.map(drop)
    }
}
