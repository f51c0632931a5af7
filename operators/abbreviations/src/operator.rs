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

/// Makes the annotations of a citation's abbreviations agree with their definitions in its text; see [`complete`].
///
/// ```
/// use futures::StreamExt;
/// use pubtag_abbreviations::{Abbreviations, Changes};
/// use pubtag_schemas::{Annotation, AnnotationSource, Packet, Record, TaggedDocument, testing};
/// use pubtag_stream::{Meter, Operator};
///
/// # #[tokio::main]
/// # async fn main() {
/// let citation = testing::citation("Huntington disease (HD). HD is rare.");
/// let (label, source) = ("Disease".to_owned(), AnnotationSource::Model);
/// let annotations = vec![Annotation { bytes: 0..18, label, score: 0.9, source, concept_ids: vec![] }];
/// let document = TaggedDocument { citation, annotations, token_count: 8, window_count: 1, model_tokens: 10 };
/// let input = Box::pin(futures::stream::iter([Ok(Packet::Items(vec![Record::Document(document)]))]));
///
/// let operator = Abbreviations::default();
/// let stats = operator.stats();
/// let output: Vec<_> = operator.apply(input, Meter::new("abbreviations")).collect().await;
/// assert_eq!(output.len(), 1);
/// assert_eq!(stats.changes(), Changes { added: 2, removed: 0 });
/// # }
/// ```
///
/// - *Ordering*: records and the frames of their units keep their order.
/// - *Memory*: one packet, on a blocking thread.
/// - *Cancellation*: dropping the output drops the input; the packet in progress is completed and dropped.
/// - *Rejects*: rejects, deletions and cached documents, which are complete, pass through; none are added.
#[derive(Clone, Debug, Default)]
pub struct Abbreviations {
    stats: AbbreviationStats,
}

impl Abbreviations {
    /// Counters of what the operator changes from now on.
    pub fn stats(&self) -> AbbreviationStats {
        self.stats.clone()
    }
}

/// Counters of an operator's changes; clones share them.
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
