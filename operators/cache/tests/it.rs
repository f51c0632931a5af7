//! What the cache promises, through its operators.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;
use pubtag_cache::{Cache, CacheSpec, CacheStats, Recall, Remember, survey};
use pubtag_schemas::testing::{citation, close, deletion, reject, unit};
use pubtag_schemas::{
    AbstractSegment, Annotation, AnnotationSource, Citation, CitationText, Packet, Pmid, Record, TaggedDocument,
};
use pubtag_stream::{Flow, Meter, Operator};

fn cache(store: &Arc<dyn ObjectStore>) -> Cache {
    let settings = BTreeMap::from([("decode".to_owned(), "viterbi".to_owned())]);
    let spec = CacheSpec::new("tiny@0".to_owned(), "ab".repeat(32), settings);
    Cache::new("memory", store.clone(), &Path::from("cache"), spec)
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A document whose annotations are determined by its text.
fn document(pmid: Option<u32>, words: u32) -> TaggedDocument {
    let text = AbstractSegment { text: format!("Ataxia {words} of the liver"), ..AbstractSegment::default() };
    let text = CitationText::new(&format!("Case {words}"), vec![text]);
    let pmid = pmid.map(|pmid| Pmid::try_from(pmid).unwrap());
    let annotation = |at: usize| Annotation {
        bytes: at..at + 3,
        label: format!("L{}", words % 3),
        score: f32::from_bits(0x3f00_0000 + words * 7 + at as u32),
        source: if at.is_multiple_of(2) { AnnotationSource::Model } else { AnnotationSource::Abbreviation },
        concept_ids: (0..words % 3).map(|id| format!("D{id}")).collect(),
    };
    let annotations = (0..words as usize % 5).map(|number| annotation(number * 3)).collect();
    let citation = Box::new(Citation { text, pmid, ..*citation("x") });
    TaggedDocument { citation, annotations, token_count: words, window_count: 1 + words % 2, model_tokens: words + 2 }
}

async fn run<I: Send + 'static, O: Operator<I>>(operator: O, packets: Vec<I>) -> Vec<O::Output> {
    let input: Flow<I> = Box::pin(futures::stream::iter(packets).map(Ok));
    operator.apply(input, Meter::new("test")).try_collect().await.unwrap()
}

async fn remember(cache: &Cache, documents: &[TaggedDocument]) -> CacheStats {
    let stats = CacheStats::default();
    let records: Vec<_> = documents.iter().cloned().map(Record::Document).collect();
    let packets = records.chunks(30).map(|some| Packet::Items(some.to_vec()));
    let packets = std::iter::once(Packet::Open(unit(0))).chain(packets).chain([close(0)]).collect();
    run(Remember::new(cache.clone(), stats.clone()), packets).await;
    stats
}

async fn recall(cache: &Cache, documents: &[TaggedDocument]) -> Vec<Record> {
    let records: Vec<Record> = documents.iter().map(|document| Record::Document(document.citation.clone())).collect();
    let packets = records.chunks(30).map(|some| Packet::Items(some.to_vec())).collect();
    let packets = run(Recall::new(cache.clone(), CacheStats::default()), packets).await;
    let items = packets.into_iter().map(|packet| match packet {
        Packet::Items(records) => records,
        frame => panic!("no frame was sent: {frame:?}"),
    });
    items.flatten().collect()
}

fn cached(documents: &[TaggedDocument]) -> Vec<Record> {
    documents.iter().cloned().map(Record::Cached).collect()
}

async fn segments(store: &Arc<dyn ObjectStore>) -> Vec<(String, String)> {
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    let names = listed.iter().filter_map(|object| object.location.filename()?.strip_suffix(".parquet"));
    let mut ranges: Vec<_> = names.map(|name| (name[..16].to_owned(), name[17..33].to_owned())).collect();
    ranges.sort();
    ranges
}

fn documents() -> impl Strategy<Value = Vec<TaggedDocument>> {
    let one = (prop::option::weighted(0.8, 1..40_000_u32), 0..2000_u32);
    prop::collection::vec(one.prop_map(|(pmid, words)| document(pmid, words)), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_was_remembered_is_recalled_before_and_after_compaction(
        known in prop::collection::vec(documents(), 1..5), new in documents(),
    ) {
        runtime().block_on(async {
            let store = memory();
            let cache = cache(&store);
            for documents in &known {
                remember(&cache, documents).await;
            }
            let all: Vec<TaggedDocument> = known.into_iter().flatten().collect();
            assert_eq!(recall(&cache, &all).await, cached(&all));
            for record in recall(&cache, &new).await {
                match record {
                    Record::Cached(found) => assert!(all.contains(&found)),
                    Record::Document(citation) => assert!(all.iter().all(|known| known.citation != citation)),
                    other => panic!("{other:?}"),
                }
            }
            let done = cache.compact().await.unwrap();
            assert_eq!(done.damaged, 0);
            assert_eq!(recall(&cache, &all).await, cached(&all));
            assert!(segments(&store).await.windows(2).all(|pair| pair[0].1 < pair[1].0), "segments overlap");
        });
    }
}

proptest! {
    #[test]
    fn whatever_becomes_of_the_bytes_of_a_segment_no_entry_is_wrong(
        documents in prop::collection::vec((1..5000_u32, 0..300_u32), 1..60),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        end in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        runtime().block_on(async {
            let store = memory();
            let cache = cache(&store);
            let all: Vec<_> = documents.into_iter().map(|(pmid, words)| document(Some(pmid), words)).collect();
            remember(&cache, &all).await;
            let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
            let path = listed.iter().map(|object| &object.location).find(|path| path.as_ref().ends_with(".parquet"));
            let path = path.unwrap();
            let mut bytes = store.get(path).await.unwrap().bytes().await.unwrap().to_vec();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(end.map_or(bytes.len(), |end| end.index(bytes.len())));
            store.put(path, bytes.into()).await.unwrap();
            for _ in 0..2 {
                for (record, known) in recall(&cache, &all).await.into_iter().zip(&all) {
                    match record {
                        Record::Cached(found) => assert_eq!(found, *known),
                        Record::Document(citation) => assert_eq!(citation, known.citation),
                        other => panic!("{other:?}"),
                    }
                }
                // What is damaged goes, and the rest stays.
                cache.compact().await.unwrap();
            }
        });
    }
}

#[tokio::test]
async fn the_same_text_under_another_pmid_or_with_other_sections_is_not_found() {
    let cache = cache(&memory());
    let known = document(Some(7), 3);
    remember(&cache, std::slice::from_ref(&known)).await;
    let moved = TaggedDocument { citation: document(Some(8), 3).citation, ..known.clone() };
    let mut split = known.clone();
    let segment = |text: &str| AbstractSegment { text: text.to_owned(), ..AbstractSegment::default() };
    split.citation.text = CitationText::new("Case 3", vec![segment("Ataxia 3"), segment("of the liver")]);
    assert_eq!(split.citation.text.as_str(), known.citation.text.as_str());
    let found = recall(&cache, &[moved, split, known.clone()]).await;
    assert!(matches!(&found[..], [Record::Document(_), Record::Document(_), Record::Cached(hit)] if *hit == known));
}

#[tokio::test]
async fn deletions_rejects_and_frames_pass_through() {
    let cache = cache(&memory());
    let packets = || vec![Packet::Open(unit(0)), Packet::Items(vec![deletion(), reject()]), close(0)];
    let stats = CacheStats::default();
    let recalled = run(Recall::new(cache.clone(), stats.clone()), packets()).await;
    let remembered = run(
        Remember::new(cache.clone(), stats.clone()),
        vec![
            Packet::Open(unit(0)),
            Packet::Items(vec![deletion(), reject(), Record::Cached(document(Some(1), 1))]),
            close(0),
        ],
    )
    .await;
    assert_eq!((recalled.len(), remembered.len()), (3, 3));
    assert_eq!((stats.counts().looked_up, stats.counts().added), (0, 0));
}

#[tokio::test]
async fn a_compaction_that_is_dropped_at_any_step_loses_nothing() {
    let store = memory();
    let cache = cache(&store);
    let all: Vec<TaggedDocument> = (0..4000).map(|number| document(Some(1 + number * 7 % 4001), number)).collect();
    for some in all.chunks(500) {
        remember(&cache, some).await;
    }
    let mut steps = 0;
    loop {
        let mut left = steps;
        let mut compaction = pin!(cache.compact());
        let ended = std::future::poll_fn(|context| match compaction.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                left -= 1;
                Poll::Pending
            }
        });
        let ended = ended.await;
        assert_eq!(recall(&cache, &all).await, cached(&all), "after {steps} steps");
        match ended {
            Some(done) => {
                assert_eq!(done.unwrap().damaged, 0);
                break;
            }
            None => steps += 1,
        }
    }
    assert!(steps > 3, "the compaction ended after {steps} steps");
}

#[tokio::test]
async fn a_large_bucket_to_which_nothing_is_added_stays_as_it_is() {
    let store = memory();
    let cache = cache(&store);
    let all: Vec<TaggedDocument> = (0..70_000).map(|number| document(Some(1 + number), number)).collect();
    for some in all.chunks(35_000) {
        remember(&cache, some).await;
    }
    cache.compact().await.unwrap();
    let before = segments(&store).await;
    assert!(before.len() > 1, "{before:?}");
    let again = cache.compact().await.unwrap();
    assert_eq!((again.written, again.deleted), (0, 0));

    remember(&cache, &[document(Some(69_999), 1)]).await;
    let merged = cache.compact().await.unwrap();
    assert!(merged.kept > 0 && merged.written <= 2, "{merged:?}");
    assert_eq!(recall(&cache, &all[..300]).await, cached(&all[..300]));
    let summary = survey("memory", &store, &Path::from("cache")).await.unwrap();
    assert_eq!((summary.len(), summary[0].entries), (1, 70_001));
}

#[tokio::test]
async fn a_store_that_fails_is_a_cache_without_entries() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> =
        Arc::new(object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let cache = cache(&store);
    // A file where a directory has to be.
    std::fs::write(folder.path().join("cache"), "").unwrap();
    let known = [document(Some(1), 1)];
    assert_eq!(remember(&cache, &known).await.counts().added, 0);
    assert_eq!(recall(&cache, &known).await, [Record::Document(known[0].citation.clone())]);
}

#[tokio::test]
async fn a_segment_that_another_run_has_merged_is_looked_for_in_its_successor() {
    let store = memory();
    let cache = cache(&store);
    let (first, second) = (document(Some(1), 1), document(Some(90_000), 2));
    for known in [&first, &second] {
        remember(&cache, std::slice::from_ref(known)).await;
    }
    // The first packet lists the segments; they are merged before the second arrives.
    let (send, receive) = futures::channel::mpsc::unbounded();
    let input: Flow<Packet<Record>> = Box::pin(receive.map(Ok));
    let mut recalled = Recall::new(cache.clone(), CacheStats::default()).apply(input, Meter::new("recall"));
    let packet = |known: &TaggedDocument| Packet::Items(vec![Record::Document(known.citation.clone())]);
    send.unbounded_send(packet(&first)).unwrap();
    recalled.next().await.unwrap().unwrap();
    cache.compact().await.unwrap();
    for _ in 0..2 {
        send.unbounded_send(packet(&second)).unwrap();
    }
    drop(send);
    let rest: Vec<_> = recalled.try_collect().await.unwrap();
    let Packet::Items(last) = &rest[1] else { panic!("{rest:?}") };
    assert_eq!(*last, cached(&[second]));
    assert!(store.head(&Path::from("cache")).await.is_err());
}
