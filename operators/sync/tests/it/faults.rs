//! A server that misbehaves while files are on their way.

use pubtag_pubmed_server::{Fault, PubmedServer, files_in, gzip, noise};
use pubtag_stream::FaultKind;
use pubtag_sync::SyncError;
use tempfile::tempdir;

use crate::{BYTES, assert_mirrored, assert_part_of, config, mirror, run};

const FILE: &str = "baseline/pubmed26n0002.xml.gz";

#[test]
fn a_mirror_is_the_servers_files_and_a_second_sync_fetches_none() {
    let server = PubmedServer::with_files(6, 3, BYTES);
    let dir = tempdir().unwrap();
    let summary = mirror(&server, dir.path());
    assert_eq!((summary.fetched.len(), summary.up_to_date), (9, 0));
    assert!(server.most_connections() <= 4, "{} connections at once", server.most_connections());
    let agent = |request: &pubtag_pubmed_server::Request| request.headers.get("user-agent").cloned();
    assert!(server.requests().iter().all(|request| agent(request).is_some_and(|a| a.contains("mailto:test@"))));

    server.forget_requests();
    let summary = mirror(&server, dir.path());
    assert_eq!((summary.fetched.len(), summary.up_to_date), (0, 9));
    assert_eq!(server.downloads(), []);
}

#[test]
fn baseline_files_are_whole_before_the_first_update_file_is_asked_for() {
    let server = PubmedServer::with_files(6, 3, BYTES);
    server.fault(FILE, 1, Fault::Stall { after: 70_000 });
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    let downloads = server.downloads();
    let first_update = downloads.iter().position(|(path, _)| path.starts_with("updatefiles/")).unwrap();
    assert!(downloads[first_update..].iter().all(|(path, _)| path.starts_with("updatefiles/")), "{downloads:?}");
}

/// With a fault in the way, the mirror becomes whole; the first bytes that the file's requests asked for.
fn starts_despite(times: usize, fault: Fault) -> Vec<u64> {
    let server = PubmedServer::with_files(3, 2, BYTES);
    server.fault(FILE, times, fault);
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    server.downloads().into_iter().filter(|(path, _)| path == FILE).map(|(_, start)| start).collect()
}

#[test]
fn a_transfer_that_falls_silent_is_resumed_where_it_stopped() {
    assert_eq!(starts_despite(1, Fault::Stall { after: 70_000 }), [0, 70_000]);
}

#[test]
fn a_transfer_that_breaks_off_is_resumed_as_often_as_it_gets_further() {
    // More often than a file is tried without progress.
    let starts = starts_despite(usize::MAX, Fault::Truncate { after: 70_000 });
    assert!(starts.is_sorted() && starts[..3] == [0, 70_000, 140_000], "{starts:?}");
}

#[test]
fn a_transfer_that_is_too_slow_is_given_up_and_resumed() {
    let starts = starts_despite(1, Fault::Trickle { rate: 20_000 });
    assert!(starts.len() == 2 && starts[1] > 0, "{starts:?}");
}

#[test]
fn a_corrupt_download_is_thrown_away_and_fetched_again() {
    assert_eq!(starts_despite(1, Fault::Corrupt), [0, 0]);
}

#[test]
fn a_file_that_is_announced_too_short_is_not_taken_for_whole() {
    assert_eq!(starts_despite(1, Fault::Shorten { to: 70_000 }), [0, 0]);
}

#[test]
fn a_server_without_ranges_sends_the_whole_file_again() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    server.fault(FILE, 1, Fault::Truncate { after: 70_000 });
    server.fault(FILE, 1, Fault::IgnoreRange);
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    assert!(server.downloads().contains(&(FILE.to_owned(), 70_000)));
}

#[test]
fn a_range_that_was_not_asked_for_is_not_added() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    server.fault(FILE, 1, Fault::Truncate { after: 70_000 });
    server.fault(FILE, 1, Fault::WrongRange);
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
}

#[test]
fn a_throttling_server_is_given_the_time_it_asks_for() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    for status in [503, 429] {
        server.fault(FILE, 1, Fault::Status { status, retry_after: Some(1) });
    }
    server.fault("baseline/", 1, Fault::Status { status: 503, retry_after: None });
    server.fault("baseline/pubmed26n0001.xml.gz.md5", 2, Fault::Status { status: 500, retry_after: None });
    let dir = tempdir().unwrap();
    let started = std::time::Instant::now();
    mirror(&server, dir.path());
    assert!(started.elapsed().as_secs_f64() >= 2.0, "{:?}", started.elapsed());
}

#[test]
fn a_server_that_stays_down_is_given_up_and_gone_on_from_later() {
    let server = PubmedServer::with_files(20, 2, BYTES);
    let dir = tempdir().unwrap();
    for number in 3..=20 {
        let path = format!("baseline/pubmed26n{number:04}.xml.gz");
        server.fault(&path, usize::MAX, Fault::Status { status: 503, retry_after: None });
    }
    let error = run(&server, dir.path()).unwrap_err();
    assert!(matches!(error, SyncError::Unreachable { failures: 8, .. }), "{error}");
    assert_eq!(error.kind(), FaultKind::Transient);
    assert!(server.downloads().iter().all(|(path, _)| path.starts_with("baseline/")));
    server.heal();
    mirror(&server, dir.path());
}

#[test]
fn redirections_are_followed() {
    let elsewhere = PubmedServer::with_files(3, 2, BYTES);
    let server = PubmedServer::with_files(3, 2, BYTES);
    server.fault(FILE, 1, Fault::Redirect { to: elsewhere.url().to_owned() });
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    assert_eq!(elsewhere.downloads().len(), 1);
}

#[test]
fn endless_redirections_are_an_error_of_their_file() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    server.fault(FILE, usize::MAX, Fault::Redirect { to: server.url().to_owned() });
    let dir = tempdir().unwrap();
    let summary = run(&server, dir.path()).unwrap();
    assert_eq!((summary.failed.len(), summary.held_back.len()), (1, 2));
    server.heal();
    mirror(&server, dir.path());
}

#[test]
fn a_file_that_changes_between_listing_and_download_is_taken_as_it_is_now() {
    let content = gzip(&noise("as it is now", BYTES));
    for after in [None, Some(70_000)] {
        let starts = starts_despite(1, Fault::Reissue { after, content: content.clone() });
        assert!(starts.len() <= 2, "{starts:?}");
    }
}

#[test]
fn a_partial_download_is_not_joined_to_another_version() {
    let server = PubmedServer::with_files(3, 0, BYTES);
    server.fault(FILE, usize::MAX, Fault::Truncate { after: 10_000 });
    let dir = tempdir().unwrap();
    run(&server, dir.path()).unwrap();
    assert!(files_in(dir.path()).contains_key("baseline/.pubmed26n0002.xml.gz.partial"));
    server.heal();
    server.publish_as("baseline", "pubmed26n0002", gzip(&noise("another version", BYTES)));
    server.forget_requests();
    mirror(&server, dir.path());
    let downloads = server.downloads();
    assert!(downloads.len() == 1 && downloads[0].1 > 0, "it was asked for as a continuation: {downloads:?}");
}

#[test]
fn a_file_that_never_has_its_checksum_fails_alone_and_holds_the_updates_back() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    server.fault(FILE, usize::MAX, Fault::Corrupt);
    let dir = tempdir().unwrap();
    let summary = run(&server, dir.path()).unwrap();
    assert_eq!(summary.fault(), Some(FaultKind::Data));
    assert_eq!((summary.failed.len(), summary.fetched.len(), summary.held_back.len()), (1, 2, 2));
    assert!(summary.failed[0].error.contains("MD5 is"), "{:?}", summary.failed);
    assert_part_of(&server, dir.path());
    server.heal();
    mirror(&server, dir.path());
}

#[test]
fn a_file_that_is_gone_when_it_is_fetched_is_an_error_of_its_own() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    server.fault("updatefiles/pubmed26n0004.xml.gz", usize::MAX, Fault::Status { status: 404, retry_after: None });
    let dir = tempdir().unwrap();
    let summary = run(&server, dir.path()).unwrap();
    assert_eq!((summary.fault(), summary.failed.len(), summary.fetched.len()), (Some(FaultKind::Data), 1, 4));
    server.heal();
    mirror(&server, dir.path());
}

#[test]
fn a_file_without_a_checksum_is_checked_as_gzip() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    server.remove("pubmed26n0002.xml.gz.md5");
    server.fault(FILE, 1, Fault::Corrupt);
    server.fault(FILE, 1, Fault::Shorten { to: 70_000 });
    let dir = tempdir().unwrap();
    let summary = mirror(&server, dir.path());
    assert_eq!(crate::names(&summary.without_checksum), ["pubmed26n0002.xml.gz"]);

    // It is the server's as long as it has the same length.
    assert_eq!(mirror(&server, dir.path()).up_to_date, 5);
    server.put(FILE, gzip(&noise("longer", BYTES + 1)));
    assert_eq!(crate::fetched(&mirror(&server, dir.path())), ["pubmed26n0002.xml.gz"]);

    // Once it has a checksum, that is recorded without fetching the file again.
    let content = server.truth()[FILE].clone();
    server.publish_as("baseline", "pubmed26n0002", content);
    server.forget_requests();
    mirror(&server, dir.path());
    assert_eq!(server.downloads(), []);
}

#[test]
fn a_checksum_file_without_a_checksum_is_an_error_of_its_file() {
    let server = PubmedServer::with_files(3, 2, BYTES);
    let right = server.truth()[&format!("{FILE}.md5")].clone();
    server.put(&format!("{FILE}.md5"), b"<html>please log in</html>".to_vec());
    let dir = tempdir().unwrap();
    let summary = run(&server, dir.path()).unwrap();
    assert!(summary.failed[0].error.contains("no MD5 in it"), "{:?}", summary.failed);
    assert_eq!(summary.fault(), Some(FaultKind::Data));
    server.put(&format!("{FILE}.md5"), right);
    mirror(&server, dir.path());
}

#[test]
fn missing_statistics_and_deleted_pmids_are_no_error() {
    let server = PubmedServer::with_files(2, 2, BYTES);
    server.remove("pubmed26n0003_stats.html");
    server.remove("deleted.pmids.gz");
    let dir = tempdir().unwrap();
    let summary = mirror(&server, dir.path());
    assert_eq!(crate::names(&summary.without_stats), ["pubmed26n0003.xml.gz"]);
    assert_eq!(summary.deleted_pmids, pubtag_sync::DeletedPmids::NotFound);
    server.put("updatefiles/pubmed26n0003_stats.html", b"<html>late</html>".to_vec());
    server.put("deleted.pmids.gz", gzip(b"5\n"));
    mirror(&server, dir.path());
    server.put("deleted.pmids.gz", gzip(b"5\n6\n"));
    assert_eq!(mirror(&server, dir.path()).deleted_pmids, pubtag_sync::DeletedPmids::Fetched);
    assert_eq!(mirror(&server, dir.path()).deleted_pmids, pubtag_sync::DeletedPmids::UpToDate);
}

#[test]
fn statistics_of_a_former_issue_do_not_stay() {
    const STATS: &str = "updatefiles/pubmed26n0003_stats.html";
    let server = PubmedServer::with_files(2, 2, BYTES);
    server.put(STATS, b"<html>first</html>".to_vec());
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    let held = || std::fs::read_to_string(dir.path().join(STATS)).ok();
    assert_eq!(held().as_deref(), Some("<html>first</html>"));

    server.publish("updatefiles", "pubmed26n0003", BYTES + 1);
    server.put(STATS, b"<html>second</html>".to_vec());
    server.fault(STATS, 1, Fault::Status { status: 404, retry_after: None });
    run(&server, dir.path()).unwrap();
    assert_eq!(held(), None, "not those of the former issue");
    server.heal();
    mirror(&server, dir.path());
    assert_eq!(held().as_deref(), Some("<html>second</html>"));
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let server = PubmedServer::with_files(2, 0, BYTES);
    server.fault(FILE, usize::MAX, Fault::Corrupt);
    let dir = tempdir().unwrap();
    let from = server.url().replace("http://", "http://ann:hush@");
    let summary = pubtag_sync::sync(&pubtag_sync::SyncConfig { from, ..config(&server, dir.path()) }, |_| {}).unwrap();
    let shown = serde_json::to_string(&summary).unwrap();
    assert!(!shown.contains("hush") && shown.contains("MD5 is"), "{shown}");
    assert!(server.requests().iter().all(|request| request.headers.contains_key("authorization")));
    server.heal();
    mirror(&server, dir.path());
    assert_mirrored(&server, dir.path());
}
