//! Directories that cannot be written to, or not by two at once.

use std::fs;
use std::path::Path;
use std::process::Command;

use pubtag_pubmed_server::{Fault, PubmedServer, gzip, noise};
use pubtag_stream::FaultKind;
use pubtag_sync::SyncError;
use tempfile::tempdir;

use crate::{BYTES, assert_part_of, mirror, run};

#[test]
fn a_file_is_not_a_mirror() {
    let server = PubmedServer::with_files(1, 0, BYTES);
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "mine").unwrap();
    for into in [file.clone(), file.join("below")] {
        let error = run(&server, &into).unwrap_err();
        assert!(matches!(error, SyncError::NotADirectory { .. }), "{error}");
        assert_eq!(error.kind(), FaultKind::Configuration);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert!(server.requests().is_empty());
    mirror(&server, &dir.path().join("mirror"));
}

#[test]
fn a_directory_in_the_place_of_a_file_is_named_and_left_alone() {
    for name in ["baseline/pubmed26n0001.xml.gz", "baseline/.pubmed26n0001.xml.gz.partial"] {
        let server = PubmedServer::with_files(1, 0, BYTES);
        let dir = tempdir().unwrap();
        let path = dir.path().join(name);
        fs::create_dir_all(&path).unwrap();
        let error = run(&server, dir.path()).unwrap_err();
        assert!(matches!(&error, SyncError::NotAFile { path: named } if *named == path), "{error}");
        fs::remove_dir(&path).unwrap();
        mirror(&server, dir.path());
    }
}

#[test]
fn two_syncs_of_one_directory_do_not_run_at_once() {
    let server = PubmedServer::with_files(2, 0, BYTES);
    server.fault("baseline/pubmed26n0002.xml.gz", 1, Fault::Trickle { rate: 300_000 });
    let dir = tempdir().unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| run(&server, dir.path()));
        while server.downloads().is_empty() {
            std::thread::yield_now();
        }
        let error = run(&server, dir.path()).unwrap_err();
        assert!(matches!(error, SyncError::Busy { .. }) && error.kind() == FaultKind::Transient, "{error}");
        first.join().unwrap().unwrap();
    });
    mirror(&server, dir.path());
}

#[test]
fn leftovers_of_files_that_are_not_wanted_any_more_are_removed() {
    let server = PubmedServer::with_files(2, 1, BYTES);
    let dir = tempdir().unwrap();
    fs::create_dir_all(dir.path().join("baseline")).unwrap();
    for name in
        [".pubmed25n0001.xml.gz.partial", ".pubmed25n0001.xml.gz.partial.etag", ".pubmed26n0001.xml.gz.md5.partial"]
    {
        fs::write(dir.path().join("baseline").join(name), "half").unwrap();
    }
    mirror(&server, dir.path());
}

/// A small disk, unmounted on drop; `None`, with a message, if it cannot be mounted.
struct Disk(tempfile::TempDir);

impl Disk {
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn mount(options: &str) -> Option<Self> {
        let folder = tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: a tmpfs cannot be mounted here (this needs root), so a {options} disk is not tested");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_disk_that_is_too_small_is_found_out_before_the_first_byte() {
    let Some(disk) = Disk::mount("size=500k") else { return };
    let server = PubmedServer::with_files(4, 0, BYTES);
    let error = run(&server, disk.path()).unwrap_err();
    assert!(matches!(error, SyncError::Space { .. }) && error.kind() == FaultKind::Transient, "{error}");
    assert_eq!(server.downloads(), []);
    disk.remount("size=4m");
    mirror(&server, disk.path());
}

#[test]
fn a_disk_that_fills_up_ends_the_sync_and_room_lets_it_go_on() {
    let Some(disk) = Disk::mount("size=1m") else { return };
    let server = PubmedServer::with_files(3, 2, BYTES / 10);
    // Larger than it is listed.
    let content = gzip(&noise("large", 2_000_000));
    server.fault("baseline/pubmed26n0002.xml.gz", 1, Fault::Reissue { after: None, content });
    let error = run(&server, disk.path()).unwrap_err();
    assert!(matches!(error, SyncError::Full { .. }) && error.kind() == FaultKind::Transient, "{error}");
    disk.remount("size=8m");
    mirror(&server, disk.path());
}

#[test]
fn a_read_only_disk_is_named_and_left_as_it_is() {
    let Some(disk) = Disk::mount("size=4m") else { return };
    let server = PubmedServer::with_files(2, 1, BYTES);
    disk.remount("ro");
    let error = run(&server, disk.path()).unwrap_err();
    assert!(matches!(error, SyncError::Denied { .. }) && error.kind() == FaultKind::Configuration, "{error}");
    disk.remount("rw");
    mirror(&server, disk.path());
    server.publish("updatefiles", "pubmed26n0004", BYTES);
    disk.remount("ro");
    run(&server, disk.path()).unwrap_err();
    assert_part_of(&server, disk.path());
    disk.remount("rw");
    mirror(&server, disk.path());
}
