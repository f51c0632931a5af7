//! `pubtag snapshot`: publishes the current state of an output.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use pubtag_parquet::Tables;
use pubtag_snapshot::{Generations, Place, SnapshotConfig, Summary, snapshot};
use pubtag_store::{Store, staged_name};

use crate::cli::SnapshotArgs;
use crate::committed::{OutputParts, committed};
use crate::exit::{Exit, Failure};
use crate::figures::{counted, grouped};
use crate::lock::DirectoryLock;
use crate::provenance::PROGRAM;
use crate::runtime::runtime;
use crate::terminal::{eprint, line, print};

/// Missing numbers that a message lists.
const SHOWN: usize = 5;

/// Publishes a snapshot and says what it did: JSON to stdout, or a summary to stderr.
///
/// # Errors
/// The output cannot be read, the snapshot cannot be written, or another process is writing it.
pub fn execute(args: &SnapshotArgs, quiet: bool) -> Result<u8, Failure> {
    let summary = publish(args)?;
    warn(&summary.generations);
    if args.json {
        let json = serde_json::to_string_pretty(&summary)?;
        let _ = print(&format!("{json}\n"));
    } else if !quiet {
        eprint(&page(&directory(args), &summary));
    }
    Ok(Exit::Done.code())
}

/// Publishes a snapshot.
///
/// # Errors
/// As [`execute`].
pub fn publish(args: &SnapshotArgs) -> Result<Summary, Failure> {
    if !Tables::exist_in(&args.output) {
        let output = args.output.display();
        return Err(Failure::configuration(format!("{output}: not an output of pubtag (no _pubtag/output.json)")));
    }
    let directory = directory(args);
    let _lock = DirectoryLock::hold(&directory, ".lock", "snapshot")?;
    remove_staged(&directory)?;
    let store = Store::directory(&directory)?;
    let place = Place { name: store.name().to_owned(), store: store.objects().clone() };
    let config = config(args);
    let runtime = runtime(NonZeroUsize::MIN)?;
    runtime.block_on(async {
        let output = OutputParts(Tables::open(Store::directory(&args.output)?).await?);
        Ok(snapshot(&place, &output, &committed(&output.0), &config).await?)
    })
}

/// The directory of a snapshot.
pub(crate) fn directory(args: &SnapshotArgs) -> PathBuf {
    args.into.clone().unwrap_or_else(|| args.output.join("snapshot"))
}

fn config(args: &SnapshotArgs) -> SnapshotConfig {
    SnapshotConfig {
        program: PROGRAM.to_owned(),
        generation: args.generation,
        bucket_bytes: args.bucket_size.0,
        sort_bytes: usize::try_from(args.sort_memory.0).unwrap_or(usize::MAX),
        scratch: args.scratch.clone().unwrap_or_else(std::env::temp_dir),
        keep: args.keep,
        is_alone: true,
    }
}

/// Removes half-written files of dead attempts, which the store does not list.
fn remove_staged(directory: &Path) -> Result<(), Failure> {
    for folder in ["", "documents", "history", "changes", "manifests"] {
        let entries = match fs::read_dir(directory.join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(|error| Failure::write(directory, error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| Failure::write(directory, error))?.path();
            if staged_name(&path).is_some() {
                fs::remove_file(&path).map_err(|error| Failure::write(&path, error))?;
            }
        }
    }
    Ok(())
}

/// Says what keeps a newer generation from coming into force, and what is missing in this one.
pub(crate) fn warn(generations: &Generations) {
    let Generations { in_force, missing, waiting, .. } = generations;
    if let (Some(year), false) = (in_force, missing.is_empty()) {
        let shown: Vec<_> = missing.iter().take(SHOWN).map(i32::to_string).collect();
        let more = if missing.len() > SHOWN { ", …" } else { "" };
        let files = counted(missing.len() as u64, "file");
        tracing::warn!("generation {year}: {files} not committed (numbers {}{more})", shown.join(", "));
    }
    let Some(in_force) = in_force else { return };
    for newer in waiting {
        let why = match newer.last_of_baseline {
            Some(last) => format!("{} of {last} baseline files not committed", grouped(newer.missing as u64)),
            None => "the last baseline file is not known until an update file is committed".to_owned(),
        };
        let year = newer.generation;
        tracing::warn!(
            "generation {year} is not complete ({why}); the snapshot remains at {in_force}, unless --generation {year} is set"
        );
    }
}

pub(crate) fn page(directory: &Path, summary: &Summary) -> String {
    let Summary { snapshot, documents, annotations, inserted, updated, deleted, .. } = summary;
    let directory = line(&directory.display().to_string()).into_owned();
    let state = format!("{}, {}", counted(*documents, "citation"), counted(*annotations, "annotation"));
    if !summary.is_new {
        return format!("{directory}: snapshot {snapshot} is up to date: {state}\n");
    }
    let mut text = format!("{directory}: published snapshot {snapshot}: {state}\n");
    let changes = [(inserted, "inserted"), (updated, "updated"), (deleted, "deleted")];
    let changes = changes.map(|(count, what)| format!("{} {what}", grouped(*count)));
    let _ = writeln!(text, "{}", changes.join(", "));
    let Summary { inputs_added, inputs_removed, buckets, buckets_written, bytes_written, .. } = summary;
    let removed = match inputs_removed {
        0 => String::new(),
        count => format!(", {} dropped", grouped(*count as u64)),
    };
    let added = grouped(*inputs_added as u64);
    let megabytes = *bytes_written as f64 / 1e6;
    let _ = writeln!(
        text,
        "{added} new inputs{removed}; {buckets_written} of {} written, {megabytes:.1} MB",
        counted(*buckets as u64, "bucket")
    );
    text
}
