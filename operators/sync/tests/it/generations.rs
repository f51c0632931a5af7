//! Re-issues, new generations, and syncs of a part.

use pubtag_pubmed_server::{Fault, PubmedServer, files_in, gzip, noise};
use pubtag_sync::{PubmedFile, Reason, Scope, Summary, SyncConfig, SyncError, sync};
use tempfile::tempdir;

use crate::{BYTES, assert_mirrored, assert_part_of, config, fetched, mirror, names};

/// Whether the baseline of a generation is complete.
fn is_complete(summary: &Summary, generation: u16) -> bool {
    summary.generations.iter().any(|state| state.generation == generation && state.is_baseline_complete)
}

#[test]
fn a_reissued_file_replaces_its_predecessor_and_is_reported() {
    let server = PubmedServer::with_files(3, 3, BYTES);
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    server.publish_as("updatefiles", "pubmed26n0005", gzip(&noise("corrected", BYTES)));
    server.forget_requests();
    let summary = mirror(&server, dir.path());
    assert_eq!((fetched(&summary), summary.count(Reason::Reissued)), (vec!["pubmed26n0005.xml.gz".to_owned()], 1));
    assert_eq!(server.downloads().len(), 1);
}

#[test]
fn a_sync_that_died_between_a_file_and_its_checksum_is_completed_without_a_download() {
    let server = PubmedServer::with_files(3, 1, BYTES);
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    std::fs::remove_file(dir.path().join("baseline/pubmed26n0001.xml.gz.md5")).unwrap();
    std::fs::write(dir.path().join("baseline/pubmed26n0002.xml.gz.md5"), "an older issue's").unwrap();
    server.forget_requests();
    mirror(&server, dir.path());
    assert_eq!(server.downloads(), []);
}

#[test]
fn damage_in_the_mirror_is_found_on_request_and_mended() {
    let server = PubmedServer::with_files(3, 1, BYTES);
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    let path = dir.path().join("baseline/pubmed26n0002.xml.gz");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(crate::run(&server, dir.path()).unwrap().fetched.len(), 0);
    let summary = sync(&SyncConfig { verify: true, ..config(&server, dir.path()) }, |_| {}).unwrap();
    assert_eq!(summary.count(Reason::Damaged), 1);
    assert_mirrored(&server, dir.path());
}

#[test]
fn both_generations_are_kept_until_the_new_one_is_complete_and_the_old_one_is_pruned() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    let old = server.truth();
    let prune = || sync(&SyncConfig { prune: true, ..config(&server, dir.path()) }, |_| {}).unwrap();
    assert_eq!(prune().pruned, []);

    // December: the first files of the new baseline replace the old one; the old update files are still there.
    server.remove("baseline/");
    server.publish("baseline", "pubmed27n0001", BYTES);
    server.publish("baseline", "pubmed27n0002", BYTES);
    server.publish("updatefiles", "pubmed26n0006", BYTES);
    let summary = prune();
    assert_eq!((summary.fault(), summary.pruned.len()), (None, 0), "{summary:?}");
    assert_eq!(fetched(&summary), ["pubmed26n0006.xml.gz", "pubmed27n0001.xml.gz", "pubmed27n0002.xml.gz"]);
    assert!(is_complete(&summary, 2026) && !is_complete(&summary, 2027));
    let held = files_in(dir.path());
    assert!(old.iter().all(|(path, content)| held.get(path) == Some(content)), "the old generation is whole");

    // January: the new baseline is complete, and its first update file is there.
    server.publish_baseline(27, 4, BYTES);
    server.remove("pubmed26");
    server.publish("updatefiles", "pubmed27n0005", BYTES);
    let summary = crate::run(&server, dir.path()).unwrap();
    assert_eq!((summary.fault(), summary.pruned.len()), (None, 0));
    assert!(is_complete(&summary, 2027) && files_in(dir.path()).contains_key("baseline/pubmed26n0001.xml.gz"));

    assert_eq!(prune().pruned.len(), 6);
    assert_mirrored(&server, dir.path());
}

#[test]
fn an_incomplete_new_baseline_prunes_nothing() {
    let server = PubmedServer::with_files(3, 1, BYTES);
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    let old = server.truth();
    server.remove("pubmed26");
    server.publish_baseline(27, 4, BYTES);
    server.publish("updatefiles", "pubmed27n0005", BYTES);
    server.fault("baseline/pubmed27n0003.xml.gz", usize::MAX, Fault::Corrupt);
    let summary = sync(&SyncConfig { prune: true, ..config(&server, dir.path()) }, |_| {}).unwrap();
    assert_eq!((summary.pruned.len(), names(&summary.held_back)), (0, vec!["pubmed27n0005.xml.gz".to_owned()]));
    let held = files_in(dir.path());
    assert!(old.iter().all(|(path, content)| held.get(path) == Some(content)), "the old generation is whole");
    server.heal();
    sync(&SyncConfig { prune: true, ..config(&server, dir.path()) }, |_| {}).unwrap();
    assert_mirrored(&server, dir.path());
}

#[test]
fn update_files_of_a_generation_whose_baseline_nobody_has_are_not_fetched() {
    let server = PubmedServer::start();
    server.publish("baseline", "pubmed27n0001", BYTES);
    server.publish("updatefiles", "pubmed26n0900", BYTES);
    let dir = tempdir().unwrap();
    let summary = crate::run(&server, dir.path()).unwrap();
    assert_eq!((summary.fault(), names(&summary.held_back)), (None, vec!["pubmed26n0900.xml.gz".to_owned()]));
    assert_eq!(fetched(&summary), ["pubmed27n0001.xml.gz"]);
    assert_part_of(&server, dir.path());
}

#[test]
fn update_files_alone_need_their_baseline() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    let dir = tempdir().unwrap();
    let with = |scope| sync(&SyncConfig { scope, ..config(&server, dir.path()) }, |_| {});
    let error = with(Scope::Updates).unwrap_err();
    assert!(matches!(error, SyncError::NoBaseline { generation: 2026, .. }), "{error}");
    assert_eq!(fetched(&with(Scope::Baseline).unwrap()).len(), 3);
    assert!(!files_in(dir.path()).keys().any(|path| path.starts_with("updatefiles/")));
    assert_eq!(fetched(&with(Scope::Updates).unwrap()), ["pubmed26n0004.xml.gz", "pubmed26n0005.xml.gz"]);
    assert_mirrored(&server, dir.path());
}

#[test]
fn a_sync_since_a_file_fetches_and_misses_nothing_before_it() {
    let server = PubmedServer::with_files(3, 3, BYTES);
    let dir = tempdir().unwrap();
    let since = |name: &str| {
        let since: PubmedFile = name.parse().unwrap();
        sync(&SyncConfig { since: Some(since), ..config(&server, dir.path()) }, |_| {}).unwrap()
    };
    let summary = since("pubmed26n0005");
    assert_eq!((summary.fault(), fetched(&summary).len()), (None, 2));
    assert_part_of(&server, dir.path());
    assert_eq!(fetched(&since("pubmed26n0003")), ["pubmed26n0003.xml.gz", "pubmed26n0004.xml.gz"]);
    mirror(&server, dir.path());
}

#[test]
fn a_dry_run_plans_what_the_sync_does_and_touches_nothing() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    let dir = tempdir().unwrap();
    let into = dir.path().join("not yet");
    let dry = || sync(&SyncConfig { dry_run: true, ..config(&server, &into) }, |_| {}).unwrap();
    let planned = dry();
    assert!(!into.exists() && server.downloads().is_empty());
    assert_eq!(fetched(&planned), fetched(&mirror(&server, &into)));

    server.publish_as("updatefiles", "pubmed26n0005", gzip(&noise("corrected", BYTES)));
    server.unlist("pubmed26n0004.xml.gz");
    let before = files_in(&into);
    let planned = dry();
    assert_eq!((planned.fetched[0].reason, planned.up_to_date), (Reason::Reissued, 3));
    assert_eq!(files_in(&into), before);
    server.list_all();
    mirror(&server, &into);
}

#[test]
fn the_summary_is_json_with_names_and_reasons() {
    let server = PubmedServer::with_files(2, 1, BYTES);
    let dir = tempdir().unwrap();
    let summary = mirror(&server, dir.path());
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["fetched"][0]["file"], "pubmed26n0001.xml.gz");
    assert_eq!(json["fetched"][2]["folder"], "updatefiles");
    assert_eq!(json["fetched"][0]["reason"], "new");
    assert_eq!(json["generations"][0]["last_of_baseline"], 2);
    assert_eq!(json["deleted_pmids"], "fetched");
}
