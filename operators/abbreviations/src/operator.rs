//! The operator that completes annotations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_stream::try_stream;
use futures::StreamExt;
use pubtag_schemas::{Packet, TaggedRecord};
use pubtag_stream::{Flow, Meter, Operator, spawn_blocking};

use crate::{Changes, complete};

/// The stage's name in reports and errors.
const NAME: &str = "abbreviations";

/// Makes the annotations of a citation's abbreviations agree with their definitions in its text, see [`complete`].
///
/// - *Ordering*: records keep their order, and so do the frames of their units.
/// - *Memory*: one packet, on a blocking thread.
/// - *Cancellation*: dropping the output drops the input; the packet at hand is completed and dropped.
/// - *Rejects*: passed through, as deletions are; none are added.
#[derive(Clone, Debug, Default)]
pub struct Abbreviations {
    stats: AbbreviationStats,
}

impl Abbreviations {
    /// What the operator changes from now on.
    pub fn stats(&self) -> AbbreviationStats {
        self.stats.clone()
    }
}

/// Counts what an operator changes; clones share the counters.
#[derive(Clone, Debug, Default)]
pub struct AbbreviationStats(Arc<(AtomicU64, AtomicU64)>);

impl AbbreviationStats {
    /// The changes so far.
    pub fn changes(&self) -> Changes {
        let (added, removed) = &*self.0;
        Changes { added: added.load(Ordering::Relaxed), removed: removed.load(Ordering::Relaxed) }
    }

    fn add(&self, changes: Changes) {
        let (added, removed) = &*self.0;
        added.fetch_add(changes.added, Ordering::Relaxed);
        removed.fetch_add(changes.removed, Ordering::Relaxed);
    }
}

impl Operator<Packet<TaggedRecord>> for Abbreviations {
    type Output = Packet<TaggedRecord>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn apply(self, mut input: Flow<Packet<TaggedRecord>>, meter: Meter) -> Flow<Self::Output> {
        Box::pin(try_stream! {
            while let Some(packet) = input.next().await {
                yield match packet? {
                    Packet::Items(records) => {
                        meter.add_items(records.len());
                        let stats = self.stats();
                        Packet::Items(spawn_blocking(&meter, move || complete_all(records, &stats)).await?)
                    }
                    frame => frame,
                };
            }
        })
    }
}

fn complete_all(mut records: Vec<TaggedRecord>, stats: &AbbreviationStats) -> Vec<TaggedRecord> {
    for record in &mut records {
        if let TaggedRecord::Document(document) = record {
            stats.add(complete(document.citation.text.as_str(), &mut document.annotations));
        }
    }
    records
}
