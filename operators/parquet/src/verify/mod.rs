//! Reads a whole output back and reports what is wrong with it. Nothing is written.
//!
//! ```text
//! files, markers ─► survey ─► commits in force ─► part (length, SHA-256, footer) ─► unit (every row of three tables)
//! ```
//!
//! The rows of a commit are read only if its files match its marker, so that one defect does not cause a thousand lines.

mod annotation;
mod columns;
mod commit;
mod config;
mod defect;
mod document;
mod object;
mod part;
mod survey;
mod unit;

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

use object_store::path::Path;
use pubtag_schemas::SCHEMA_VERSION;
use pubtag_store::Store;
use pubtag_stream::without_panic;
use serde::Serialize;
use tokio::runtime::Handle;

use self::commit::Verifier;
pub use self::config::{Depth, VerifyConfig};
pub use self::defect::Defect;
use self::survey::survey;
use crate::objects::Objects;
use crate::{Error, FileLocks, Liveness, layout};

/// What happens while an output is verified.
#[derive(Clone, Debug)]
pub enum Event {
    /// The number of bytes to read; always the first event.
    Total(u64),
    /// The number of further bytes read.
    Read(u64),
    /// A defect.
    Found(Defect),
}

/// The contents of an output according to its markers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Inputs with a commit in force.
    pub inputs: u64,
    /// Their part files.
    pub parts: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Their rows, by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Documents whose text was not kept, so that offsets could not be checked.
    pub documents_without_text: u64,
    /// Uncommitted files of live runs; in an object store, of any run.
    pub live_files: u64,
    /// Number of defects.
    pub defects: u64,
}

/// Verifies an output: every file, every row. `on` is called with events as they happen.
///
/// Runs may be working on the output: their uncommitted files are counted, not reported as defects. Must not be called
/// on a thread of the runtime.
///
/// # Memory
/// Per thread, one encoded row group and one batch of rows of each table.
///
/// # Errors
/// If it is not an output, was written by a newer version, or cannot be listed.
pub fn verify(
    store: Store,
    config: VerifyConfig,
    runtime: &Handle,
    mut on: impl FnMut(Event),
) -> Result<Verified, Error> {
    let locks = store.folder().map(FileLocks::new);
    let liveness = locks.as_ref().map(|locks| locks as &dyn Liveness);
    let objects = Objects::new(store);
    let (mark, survey) = runtime.block_on(async {
        let mark = check_mark(&objects).await?;
        survey(&objects, liveness).await.map(|survey| (mark, survey))
    })?;
    let mut verified = Verified { live_files: survey.live_files, ..Verified::default() };
    for commit in survey.standing.iter().map(|marked| &marked.commit) {
        verified.inputs += 1;
        verified.parts += commit.parts.len() as u64;
        verified.bytes += commit.bytes();
        for table in layout::TABLES {
            *verified.rows.entry(table).or_default() += commit.rows(table);
        }
    }
    on(Event::Total(verified.bytes));
    for defect in mark.into_iter().chain(survey.defects) {
        verified.defects += 1;
        on(Event::Found(defect));
    }

    let commits = Mutex::new(survey.standing.iter());
    let next = || commits.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (sender, events) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..config.threads.get().min(survey.standing.len()) {
            let sender = sender.clone();
            let verifier = Verifier { objects: &objects, runtime, depth: config.depth, files: &survey.files };
            scope.spawn(move || {
                while let Some(marked) = next() {
                    // The receiver is gone only if the caller's thread has panicked.
                    let read = |bytes| drop(sender.send(Found::Read(bytes)));
                    let checked = without_panic(|| verifier.check(marked, &read));
                    let checked = checked.unwrap_or_else(|panic| {
                        vec![Defect::new(marked.path.as_ref(), "reading its rows caused a panic").found(panic)].into()
                    });
                    let _ = sender.send(Found::Commit(checked));
                }
            });
        }
        drop(sender);
        for found in events {
            match found {
                Found::Read(bytes) => on(Event::Read(bytes)),
                Found::Commit(checked) => {
                    verified.documents_without_text += checked.without_text;
                    verified.defects += checked.defects.len() as u64;
                    checked.defects.into_iter().for_each(|defect| on(Event::Found(defect)));
                }
            }
        }
    });
    Ok(verified)
}

/// A message from a thread.
enum Found {
    Read(u64),
    Commit(commit::Checked),
}

/// Checks that a directory is marked as an output.
async fn check_mark(objects: &Objects) -> Result<Option<Defect>, Error> {
    let path = Path::from(layout::OUTPUT);
    let Some((bytes, _)) = objects.read(&path).await? else {
        return Err(Error::NotAnOutput { path: objects.name().to_owned() });
    };
    let mark: serde_json::Result<serde_json::Value> = serde_json::from_slice(&bytes);
    let version = mark.as_ref().ok().and_then(|mark| mark.get("schema_version")?.as_u64());
    match (version, mark) {
        (Some(found), _) if found > u64::from(SCHEMA_VERSION) => {
            Err(Error::Newer { path: objects.full_name(&path), found, known: SCHEMA_VERSION })
        }
        (Some(_), _) => Ok(None),
        (None, Ok(_)) => Ok(Some(Defect::new(path.as_ref(), "has no schema_version"))),
        (None, Err(error)) => Ok(Some(Defect::new(path.as_ref(), "not JSON").found(error))),
    }
}
