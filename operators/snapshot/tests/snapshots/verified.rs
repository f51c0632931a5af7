//! What `verify` finds, and what it does not.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use pubtag_snapshot::{Event, Manifest, Place, Verified, verify};
use serde_json::{Value, json};

use crate::made::{Made, Output, record, small};
use crate::published::{in_memory, place, snapshot};

/// A place with several buckets, after three snapshots, of which two are kept.
async fn published() -> (Place, Manifest) {
    let (mut output, place) = (Output::default(), place(in_memory()));
    for seq in 1..=3 {
        let pmids = if seq == 1 { 0..4_000 } else { 3_990..4_000 };
        let records = pmids.map(|pmid| record(pmid, 1, Some(u8::try_from(seq).unwrap()))).collect();
        output.add(Made { generation: Some(2026), file_seq: Some(seq), is_update: seq > 1, records });
        snapshot(&place, &output, &output.committed(), &small(60_000)).await.unwrap();
    }
    let newest = Manifest::latest(&place).await.unwrap().unwrap();
    assert!(newest.snapshot == 3 && newest.buckets.len() > 3, "{} buckets", newest.buckets.len());
    (place, newest)
}

async fn found(place: &Place, quick: bool) -> (Verified, Vec<String>) {
    let (mut found, mut total, mut read) = (Vec::new(), 0, 0);
    let on = |event| match event {
        Event::Total(bytes) => total = bytes,
        Event::Read(bytes) => read += bytes,
        Event::Found(defect) => found.push(defect.to_string()),
    };
    let verified = verify(place, quick, on).await.unwrap().expect("there are snapshots");
    assert_eq!(verified.defects, found.len() as u64);
    assert!(quick || read == total || !found.is_empty(), "{read} of {total} bytes");
    (verified, found)
}

async fn bytes(store: &Arc<dyn ObjectStore>, path: &str) -> Bytes {
    store.get(&Path::from(path)).await.unwrap().bytes().await.unwrap()
}

async fn put(place: &Place, path: &str, bytes: impl Into<Bytes>) {
    place.store.put(&Path::from(path), bytes.into().into()).await.unwrap();
}

#[tokio::test]
async fn whole_snapshots_have_no_defects_and_other_places_no_snapshots() {
    let (place, newest) = published().await;
    for quick in [true, false] {
        let (verified, defects) = found(&place, quick).await;
        assert_eq!(defects, [""; 0]);
        assert_eq!((verified.snapshots, verified.documents), (2, newest.documents));
        assert!(verified.annotations == newest.annotations && verified.files > 10, "{verified:?}");
    }
    assert!(verify(&crate::published::place(in_memory()), false, |_| {}).await.unwrap().is_none());
}

#[tokio::test]
async fn a_lost_cut_or_changed_file_of_any_kept_snapshot_is_named() {
    let (place, newest) = published().await;
    let oldest = Manifest::read(&place, 2).await.unwrap().unwrap();
    let only_old = oldest.buckets.last().unwrap();
    assert!(!newest.buckets.contains(only_old));
    let change = &newest.changes.as_ref().unwrap().files[0];
    for file in [&newest.buckets[0].documents, &newest.buckets[1].history, change, &only_old.documents] {
        let path = &*file.path;
        let whole = bytes(&place.store, path).await;
        let mut changed = whole.to_vec();
        changed[whole.len() / 2] ^= 1;
        put(&place, path, changed).await;
        assert_eq!(found(&place, false).await.1, [format!("{path}: has changed since it was written")]);
        assert_eq!(found(&place, true).await.1, [""; 0], "nothing is read");

        put(&place, path, whole.slice(1..)).await;
        let expected = format!("{path}: has {} bytes, expected {}", whole.len() - 1, whole.len());
        assert_eq!(found(&place, false).await.1, [&*expected]);
        assert_eq!(found(&place, true).await.1, [&*expected]);

        place.store.delete(&Path::from(path)).await.unwrap();
        assert_eq!(found(&place, false).await.1, [format!("{path}: is missing")]);
        assert_eq!(found(&place, true).await.1, [format!("{path}: is missing")]);
        put(&place, path, whole).await;
    }
    assert_eq!(found(&place, false).await.1, [""; 0]);
}

/// Rewrites the newest manifest and its copy.
async fn edit(place: &Place, change: impl Fn(&mut Value)) {
    let mut manifest: Value = serde_json::from_slice(&bytes(&place.store, "latest.json").await).unwrap();
    change(&mut manifest);
    for path in ["latest.json", "manifests/00000003.json"] {
        put(place, path, manifest.to_string()).await;
    }
}

#[tokio::test]
async fn a_snapshot_whose_buckets_do_not_fit_together_is_noticed() {
    let (place, newest) = published().await;
    let restore = async || {
        for path in ["latest.json", "manifests/00000003.json"] {
            put(&place, path, serde_json::to_vec(&newest).unwrap()).await;
        }
    };
    let first = |number: usize| &*newest.buckets[number].documents.path;

    edit(&place, |manifest| manifest["documents"] = json!(7)).await;
    let defects = found(&place, false).await.1;
    assert!(
        defects.len() == 1 && defects[0].contains("7 documents") && defects[0].contains("have 4000"),
        "{defects:?}"
    );
    restore().await;

    edit(&place, |manifest| manifest["buckets"][1]["documents"] = manifest["buckets"][0]["documents"].clone()).await;
    let defects = found(&place, false).await.1;
    assert_eq!(defects, [format!("{}: has PMID 0, which belongs to another bucket", first(0))]);
    restore().await;

    edit(&place, |manifest| manifest["buckets"][2]["documents"]["rows"] = json!(5)).await;
    let defects = found(&place, false).await.1;
    assert!(
        defects.len() == 1 && defects[0].starts_with(first(2)) && defects[0].ends_with("expected 5"),
        "{defects:?}"
    );
    restore().await;
    assert_eq!(found(&place, false).await.1, [""; 0]);
}

#[tokio::test]
async fn a_damaged_manifest_and_an_old_copy_of_the_newest_are_named() {
    let (place, _) = published().await;
    let manifests = ["manifests/00000002.json", "manifests/00000003.json"];
    let [second, third] = [bytes(&place.store, manifests[0]).await, bytes(&place.store, manifests[1]).await];
    put(&place, "latest.json", second).await;
    let defects = found(&place, true).await.1;
    assert!(defects.len() == 1 && defects[0].starts_with("latest.json: has snapshot 2"), "{defects:?}");

    put(&place, manifests[0], "{").await;
    put(&place, "latest.json", third).await;
    let defects = found(&place, false).await.1;
    assert!(defects.len() == 1 && defects[0].starts_with("manifests/00000002.json: is not a manifest"), "{defects:?}");
}
