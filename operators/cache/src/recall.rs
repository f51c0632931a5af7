//! The operator that looks texts up.

use async_stream::try_stream;
use futures::StreamExt;
use pubtag_schemas::{Packet, Record};
use pubtag_stream::{Fault, Flow, Meter, Operator, spawn_blocking};

use crate::key::Key;
use crate::lookup::Lookup;
use crate::stats::CacheStats;
use crate::store::Cache;

/// The stage's name in reports and errors.
const NAME: &str = "recall";

/// Turns citations whose text is in the cache into [`Record::Cached`].
///
/// - *Ordering*: records and the frames of their units keep their order.
/// - *Memory*: one packet; 64 MiB of row groups, 128 footers, and the row groups near 16 texts.
/// - *Cancellation*: dropping the output drops the input and the request in progress.
/// - *Rejects*: rejects and deletions pass through. What cannot be read from the cache is tagged again, with a warning.
#[derive(Debug)]
pub struct Recall {
    cache: Cache,
    stats: CacheStats,
}

impl Recall {
    /// An operator that looks texts up in a cache and counts what it finds.
    pub fn new(cache: Cache, stats: CacheStats) -> Self {
        Self { cache, stats }
    }
}

impl Operator<Packet<Record>> for Recall {
    type Output = Packet<Record>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn apply(self, mut input: Flow<Packet<Record>>, meter: Meter) -> Flow<Self::Output> {
        let Self { cache, stats } = self;
        let mut lookup = Lookup::new(cache);
        Box::pin(try_stream! {
            while let Some(packet) = input.next().await {
                yield match packet? {
                    Packet::Items(records) => {
                        meter.add_items(records.len());
                        Packet::Items(recall(records, &mut lookup, &stats, &meter).await?)
                    }
                    frame => frame,
                };
            }
        })
    }
}

async fn recall(
    records: Vec<Record>,
    lookup: &mut Lookup,
    stats: &CacheStats,
    meter: &Meter,
) -> Result<Vec<Record>, Fault> {
    let hash = move || {
        let keys = records.iter().filter_map(|record| match record {
            Record::Document(citation) => Some(Key::of(citation)),
            _ => None,
        });
        (keys.collect::<Vec<_>>(), records)
    };
    let (keys, records) = spawn_blocking(meter, hash).await?;
    stats.look_up(keys.len());
    let mut found = lookup.find(&keys, meter).await?.into_iter();
    let records = records.into_iter().map(|record| match record {
        Record::Document(citation) => match found.next().flatten().filter(|entry| entry.fits(citation.text.as_str())) {
            Some(entry) => {
                stats.hit(entry.model_tokens);
                Record::Cached(entry.into_document(citation))
            }
            None => Record::Document(citation),
        },
        other => other,
    });
    Ok(records.collect())
}
