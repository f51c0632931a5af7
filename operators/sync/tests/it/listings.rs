//! A server that lists wrongly or in part.

use pubtag_pubmed_server::{Fault, PubmedServer};
use pubtag_stream::FaultKind;
use pubtag_sync::SyncError;
use tempfile::tempdir;

use crate::{BYTES, assert_part_of, mirror, names, run};

#[test]
fn a_listing_that_breaks_off_is_asked_for_again() {
    let server = PubmedServer::with_files(4, 2, BYTES);
    server.fault("baseline/", 1, Fault::Truncate { after: 500 });
    server.fault("updatefiles/", 2, Fault::Shorten { to: 500 });
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
}

#[test]
fn a_listing_that_always_breaks_off_ends_the_sync() {
    let server = PubmedServer::with_files(4, 2, BYTES);
    server.fault("baseline/", usize::MAX, Fault::Shorten { to: 500 });
    let dir = tempdir().unwrap();
    let error = run(&server, dir.path()).unwrap_err();
    assert!(matches!(error, SyncError::TruncatedListing { .. }) && error.kind() == FaultKind::Transient, "{error}");
    server.heal();
    mirror(&server, dir.path());
}

#[test]
fn files_that_a_listing_leaves_out_are_missed_by_their_numbers() {
    for (unlisted, held_back) in [("n0002", 2), ("n0004", 2), ("n0005", 0)] {
        let server = PubmedServer::with_files(4, 2, BYTES);
        server.unlist(unlisted);
        let dir = tempdir().unwrap();
        let summary = run(&server, dir.path()).unwrap();
        assert_eq!(summary.fault(), Some(FaultKind::Data));
        assert_eq!(names(&summary.missing), [format!("pubmed26{unlisted}.xml.gz")]);
        assert_eq!(summary.held_back.len(), held_back, "{unlisted}");
        assert_part_of(&server, dir.path());
        server.list_all();
        mirror(&server, dir.path());
    }
}

#[test]
fn a_file_of_which_only_the_checksum_is_listed_is_missed() {
    let server = PubmedServer::with_files(4, 2, BYTES);
    for path in ["baseline/pubmed26n0004.xml.gz", "updatefiles/pubmed26n0006.xml.gz"] {
        server.unlist(path);
        server.list(&format!("{path}.md5"));
    }
    let dir = tempdir().unwrap();
    let summary = run(&server, dir.path()).unwrap();
    assert_eq!(names(&summary.missing), ["pubmed26n0004.xml.gz", "pubmed26n0006.xml.gz"]);
    server.list_all();
    mirror(&server, dir.path());
}

#[test]
fn files_that_are_no_longer_listed_are_kept_and_reported() {
    let server = PubmedServer::with_files(4, 2, BYTES);
    let dir = tempdir().unwrap();
    mirror(&server, dir.path());
    server.unlist("n0002");
    server.unlist("n0006");
    let summary = mirror(&server, dir.path());
    assert_eq!(names(&summary.not_listed), ["pubmed26n0002.xml.gz", "pubmed26n0006.xml.gz"]);
}

#[test]
fn only_pubmed_files_are_mirrored() {
    let server = PubmedServer::with_files(2, 1, BYTES);
    let truth = server.truth();
    for name in ["evil.sh", "pubmed26n0001.xml.gz.exe", "..pubmed26n0001.xml.gz", "pubmed26n00001.xml.gz", "%2e%2e"] {
        server.put(&format!("baseline/{name}"), b"#!/bin/sh".to_vec());
    }
    let dir = tempdir().unwrap();
    run(&server, dir.path()).unwrap();
    assert_eq!(pubtag_pubmed_server::files_in(dir.path()), truth);
}

#[test]
fn an_address_without_pubmed_files_is_an_error() {
    let server = PubmedServer::start();
    server.put("baseline/README.txt", b"nothing here".to_vec());
    let dir = tempdir().unwrap();
    let error = run(&server, dir.path()).unwrap_err();
    assert!(matches!(error, SyncError::NothingListed { .. }) && error.kind() == FaultKind::Configuration, "{error}");
    assert!(error.to_string().contains(server.url()), "{error}");
    server.publish("baseline", "pubmed26n0001", BYTES);
    server.put("deleted.pmids.gz", pubtag_pubmed_server::gzip(b"1\n"));
    mirror(&server, dir.path());
}
