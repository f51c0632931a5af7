//! Mirrors of a local server, with and without faults. Every test ends by comparing the whole mirror with the server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, in its helpers too")]

mod faults;
mod generations;
mod listings;
mod targets;

use std::path::Path;
use std::time::Duration;

use pubtag_pubmed_server::{PubmedServer, files_in};
use pubtag_store::StoreOptions;
use pubtag_sync::{MOST_CONNECTIONS, Retries, Scope, Summary, SyncConfig, SyncError, sync};

/// Bytes of a file: enough for several packets, and for progress to count.
const BYTES: usize = 200_000;

/// A sync that gives up fast.
fn config(server: &PubmedServer, into: &Path) -> SyncConfig {
    SyncConfig {
        into: into.into(),
        store_options: StoreOptions::default(),
        scratch: std::env::temp_dir(),
        from: server.url().to_owned(),
        scope: Scope::All,
        since: None,
        known_gaps: [].into(),
        verify: false,
        prune: false,
        dry_run: false,
        connections: MOST_CONNECTIONS,
        timeout: Duration::from_millis(400),
        retries: Retries {
            attempts: 4,
            first_pause: Duration::from_millis(5),
            longest_pause: Duration::from_millis(1500),
        },
        user_agent: "pubtag-test (mailto:test@example.org)".to_owned(),
    }
}

fn run(server: &PubmedServer, into: &Path) -> Result<Summary, SyncError> {
    sync(&config(server, into), |_| {})
}

/// A sync that leaves nothing to be desired.
fn mirror(server: &PubmedServer, into: &Path) -> Summary {
    let summary = run(server, into).unwrap();
    assert_eq!(summary.fault(), None, "{summary:?}");
    assert_mirrored(server, into);
    summary
}

/// The mirror has the server's files, byte for byte, and nothing else.
fn assert_mirrored(server: &PubmedServer, into: &Path) {
    let (mirror, truth) = (files_in(into), server.truth());
    let names = |files: &std::collections::BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&mirror), names(&truth));
    let different: Vec<_> =
        truth.iter().filter(|(path, content)| mirror[*path] != **content).map(|(path, _)| path).collect();
    assert!(different.is_empty(), "{different:?} differ");
}

/// Every file of the mirror is one of the server's, whole; none is unfinished.
fn assert_part_of(server: &PubmedServer, into: &Path) {
    let truth = server.truth();
    for (path, content) in files_in(into) {
        assert!(truth.get(&path) == Some(&content), "{path} is not the server's");
    }
}

fn names(files: &[pubtag_sync::PubmedFile]) -> Vec<String> {
    files.iter().map(ToString::to_string).collect()
}

fn fetched(summary: &Summary) -> Vec<String> {
    summary.fetched.iter().map(|planned| planned.file.to_string()).collect()
}
