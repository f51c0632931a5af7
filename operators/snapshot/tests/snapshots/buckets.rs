//! Which buckets a snapshot writes.

use pubtag_snapshot::Manifest;

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
