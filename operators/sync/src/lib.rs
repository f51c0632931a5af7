//! Mirrors PubMed: the yearly baseline, the daily update files, their checksums and statistics, and the deleted PMIDs.
//!
//! ```text
//! listing ─► compare with the mirror ─► baseline files ─► is it complete? ─► update files ─► deleted.pmids.gz
//!            (by MD5)                   └─ resumed, verified, flushed, renamed ─┘
//! ```
//!
//! A mirror has the server's own layout:
//!
//! ```text
//! DIR/baseline/pubmed26n0001.xml.gz      with .md5
//! DIR/updatefiles/pubmed26n1335.xml.gz   with .md5 and _stats.html
//! DIR/deleted.pmids.gz
//! ```
//!
//! A file has its name only when it is whole, has the MD5 that the server gives, and is on disk; until then it is hidden
//! (`.NAME.partial`). There is no other state: the `.md5` files show what is up to date, so a sync can be
//! killed at any moment, and a mirror can be copied.
//!
//! A mirror may also be in an object store. Then a file is downloaded to a local scratch directory, resumed and verified
//! there, and put under its name in one request. Nothing can lock a bucket: two syncs into one fetch files twice, and since a
//! checksum counts only if it is not older than its file, neither believes what the other has overwritten.
//!
//! A generation is a baseline and the update files that go on from it. The next baseline does not touch the files of the
//! last: both are kept, until a sync with [`SyncConfig::prune`] finds the new one complete. Update files are fetched only
//! once their baseline is complete, since NLM requires them to be applied after it.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use pubtag_store::StoreOptions;
//! use pubtag_sync::{MOST_CONNECTIONS, NLM, Retries, Scope, SyncConfig, sync};
//!
//! let config = SyncConfig {
//!     into: "pubmed".parse()?,
//!     store_options: StoreOptions::default(),
//!     scratch: std::env::temp_dir(),
//!     from: NLM.to_owned(),
//!     scope: Scope::All,
//!     since: None,
//!     known_gaps: [].into(),
//!     verify: false,
//!     prune: false,
//!     dry_run: true,
//!     connections: MOST_CONNECTIONS,
//!     timeout: Duration::from_secs(30),
//!     retries: Retries::default(),
//!     user_agent: "my-lab (mailto:me@example.org)".to_owned(),
//! };
//! let summary = sync(&config, |_| {})?;
//! println!("{} files to fetch", summary.fetched.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod name;

mod deleted;
mod listing;
mod stats;

mod config;
mod error;
mod retries;
mod server;

mod disk;
mod lock;

mod place;

mod bucket;
mod directory;
mod held;

mod generation;
mod jobs;
mod plan;
mod summary;
mod transfer;

mod mirror;

pub use config::{MOST_CONNECTIONS, NLM, Scope, SyncConfig};
pub use deleted::deleted_pmids;
pub use error::SyncError;
pub use listing::{Listed, Listing, TruncatedListing, last_of_baseline, parse_listing};
pub use mirror::{DELETED_PMIDS, Event, sync};
pub use name::{Folder, NameError, PubmedFile};
pub use plan::{Planned, Reason};
pub use retries::Retries;
pub use server::without_credentials;
pub use stats::{NlmCounts, counts_in};
pub use summary::{DeletedPmids, Failed, GenerationState, Summary};
