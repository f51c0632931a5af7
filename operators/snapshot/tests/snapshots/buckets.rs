//! Which buckets a snapshot writes.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use pubtag_snapshot::{Error, Manifest};

use crate::made::{Made, Output, record, small};
use crate::published::{in_memory, place, published, snapshot};

fn file(seq: i32, pmids: impl Iterator<Item = i64>, text: u8) -> Made {
    let records = pmids.map(|pmid| record(pmid, 1, Some(text))).collect();
    Made { generation: Some(2026), file_seq: Some(seq), is_update: seq > 1, records }
}

#[tokio::test]
async fn only_buckets_with_new_rows_are_written() {
    let (mut output, place) = (Output::default(), place(in_memory()));
    output.add(file(1, 0..20_000, 1));
    let config = small(500_000);
    snapshot(&place, &output, &output.committed(), &config).await.unwrap();
    let former = Manifest::latest(&place).await.unwrap().unwrap();
    assert!(former.buckets.len() > 8, "{} buckets", former.buckets.len());

    output.add(file(2, [10_000, 30_000].into_iter(), 2));
    let summary = snapshot(&place, &output, &output.committed(), &config).await.unwrap();
    let now = Manifest::latest(&place).await.unwrap().unwrap();
    assert_eq!(summary.buckets_written, 2, "the bucket of PMID 10000 and the last");
    let kept = now.buckets.iter().filter(|bucket| former.buckets.contains(bucket)).count();
    assert_eq!(kept, former.buckets.len() - 2);
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (1, 1, 0));
    assert_eq!(published(&place).await, output.expected(Some(2026)));

    let summary = snapshot(&place, &output, &output.committed(), &config).await.unwrap();
    assert!(!summary.is_new && summary.buckets_written == 0, "nothing has changed");
}

#[tokio::test]
async fn damage_is_noticed_in_buckets_that_no_new_row_touches() {
    let (mut output, place) = (Output::default(), place(in_memory()));
    output.add(file(1, 0..4_000, 1));
    let config = small(60_000);
    snapshot(&place, &output, &output.committed(), &config).await.unwrap();
    let former = Manifest::latest(&place).await.unwrap().unwrap();
    assert!(former.buckets.len() > 3, "{} buckets", former.buckets.len());

    let mut with_update = output.clone();
    with_update.add(file(2, [1_999].into_iter(), 2));
    for file in [&former.buckets[0].documents, &former.buckets[1].history] {
        let path = Path::from(&*file.path);
        let whole = place.store.get(&path).await.unwrap().bytes().await.unwrap();
        for (left, why) in [(None, "is missing"), (Some(whole.slice(1..)), "has changed")] {
            match left {
                None => place.store.delete(&path).await.unwrap(),
                Some(left) => drop(place.store.put(&path, left.into()).await.unwrap()),
            }
            for output in [&output, &with_update] {
                let error = snapshot(&place, output, &output.committed(), &config).await.unwrap_err();
                assert!(matches!(error, Error::Damaged { .. }), "{error}");
                let text = error.to_string();
                assert!(text.contains(&file.path) && text.contains(why) && text.contains("delete snapshot"), "{text}");
            }
        }
        place.store.put(&path, whole.into()).await.unwrap();
    }
    let summary = snapshot(&place, &with_update, &with_update.committed(), &config).await.unwrap();
    assert_eq!(summary.buckets_written, 1);
    assert_eq!(published(&place).await, with_update.expected(Some(2026)));
}

#[tokio::test]
async fn a_bucket_that_grows_row_by_row_is_split_into_useful_sizes() {
    let (mut output, place) = (Output::default(), place(in_memory()));
    let config = small(60_000);
    for step in 0..40_i64 {
        output.add(file(i32::try_from(step).unwrap() + 1, (0..40).map(|row| row * 40 + step), 1));
        snapshot(&place, &output, &output.committed(), &config).await.unwrap();
    }
    let manifest = Manifest::latest(&place).await.unwrap().unwrap();
    let rows: Vec<u64> = manifest.buckets.iter().map(|bucket| bucket.documents.rows).collect();
    let usual = 1600 / rows.len() as u64;
    let small = rows.iter().filter(|count| **count < usual / 8).count();
    assert!(rows.len() > 3 && small <= rows.len() / 4, "{rows:?}");
    assert_eq!(published(&place).await, output.expected(Some(2026)));
}

#[tokio::test]
async fn a_new_generation_changes_only_what_differs_for_consumers() {
    let (mut output, place) = (Output::default(), place(in_memory()));
    let config = small(20_000);
    output.add(file(1, 0..500, 1));
    snapshot(&place, &output, &output.committed(), &config).await.unwrap();
    // The next baseline leaves out 10 citations, changes 5 and adds 3.
    let mut next = file(1, 10..503, 1);
    next.generation = Some(2027);
    next.records.iter_mut().take(5).for_each(|record| record.text = Some(9));
    output.add(next);
    let summary = snapshot(&place, &output, &output.committed(), &config).await.unwrap();
    assert!(!summary.is_new, "it is not known to be complete");
    let mut first_update = file(2, 600..601, 1);
    first_update.generation = Some(2027);
    output.add(first_update);
    let summary = snapshot(&place, &output, &output.committed(), &config).await.unwrap();
    assert_eq!(summary.generations.in_force, Some(2027));
    assert_eq!((summary.inserted, summary.updated, summary.deleted), (4, 5, 10));
    assert_eq!(published(&place).await, output.expected(Some(2027)));
}

#[tokio::test]
async fn an_output_without_documents_has_a_snapshot_without_rows() {
    let (output, place) = (Output::default(), place(in_memory()));
    let summary = snapshot(&place, &output, &output.committed(), &small(20_000)).await.unwrap();
    assert_eq!((summary.snapshot, summary.documents, summary.buckets), (1, 0, 1));
    assert!(published(&place).await.is_empty());
}
