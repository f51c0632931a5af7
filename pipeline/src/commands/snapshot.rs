//! `pubtag snapshot`: publishes the current state of an output.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use pubtag_parquet::Tables;
use pubtag_schemas::OUTPUT_MARK;
use pubtag_schemas::table::Table;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow};
use pubtag_snapshot::{Baselines, Generations, Manifest, Place, SnapshotConfig, Summary, claim, is_own_name, snapshot};
use pubtag_store::{Address, StoreOptions, remove_staged};

use crate::cli::SnapshotArgs;
use crate::committed::{OutputParts, committed, place, snapshot_in};
use crate::exit::{Exit, Failure};
use crate::figures::{counted, grouped};
use crate::lock::DirectoryLock;
use crate::outputs::open_output;
use crate::provenance::PROGRAM;
use crate::runtime::runtime;
use crate::telemetry::summarize;
use crate::terminal::{line, print, printed};

/// Missing numbers that a message lists.
const SHOWN: usize = 5;

/// Publishes a snapshot and says what it did: JSON to stdout, or a summary to stderr.
///
/// # Errors
/// The output cannot be read, the snapshot cannot be written, or another process is writing it.
pub fn execute(args: &SnapshotArgs, quiet: bool) -> Result<u8, Failure> {
    let summary = publish(args, Baselines::new())?;
    warn(&summary.generations);
    if args.json {
        let json = serde_json::to_string_pretty(&summary)?;
        printed(print(&format!("{json}\n")))?;
    } else if !quiet {
        summarize(&page(&place_of(args), &summary));
    }
    Ok(Exit::Done.code())
}

/// Publishes a snapshot; `baselines` are those that a mirror is known to hold.
///
/// # Errors
/// As [`execute`].
pub fn publish(args: &SnapshotArgs, baselines: Baselines) -> Result<Summary, Failure> {
    let options = args.store.options();
    let runtime = runtime(NonZeroUsize::MIN)?;
    runtime.block_on(async {
        let output = open_output(&args.output, &options).await?;
        let address = place_of(args);
        check_apart(&args.output, &address)?;
        let place = place(&address.create(&options)?);
        claim(&place, &Tables::created_at(&output).await?).await?;
        let lock = address.local().map(lock).transpose()?;
        // Before the commits are read.
        let former = Manifest::latest(&place).await?;
        let output = OutputParts(Tables::open(output).await?);
        let config = SnapshotConfig { baselines, ..config(args, lock.is_some()) };
        Ok(snapshot(&place, former, &output, &committed(&output.0), &config).await?)
    })
}

/// The place of a snapshot.
pub(crate) fn place_of(args: &SnapshotArgs) -> Address {
    args.into.clone().unwrap_or_else(|| snapshot_in(&args.output))
}

/// Opens the place of a snapshot; a directory must exist.
///
/// # Errors
/// It cannot be opened.
pub(crate) fn open(address: &Address, options: &StoreOptions) -> Result<Place, Failure> {
    Ok(place(&address.open(options)?))
}

/// Refuses a place among the tables of an output: readers would take the snapshot's files for theirs.
fn check_apart(output: &Address, place: &Address) -> Result<(), Failure> {
    let is_own = |name: &str| [AnnotationRow::NAME, DocumentRow::NAME, RejectRow::NAME, "_pubtag"].contains(&name);
    let is_among = match (output, place) {
        (_, Address::Local(place)) => {
            let place = std::path::absolute(place).unwrap_or_else(|_| place.clone());
            let below = |output: &Path| place.strip_prefix(output).ok()?.components().next()?.as_os_str().to_str();
            let outputs = place.ancestors().skip(1).filter(|folder| folder.join(OUTPUT_MARK).is_file());
            outputs.filter_map(below).any(is_own)
        }
        (Address::Bucket(output), Address::Bucket(place)) => {
            let below = place.key.prefix_match(&output.key).and_then(|mut parts| parts.next());
            output.name == place.name && below.is_some_and(|part| is_own(part.as_ref()))
        }
        (Address::Local(_), Address::Bucket(_)) => false,
    };
    match is_among {
        true => {
            Err(Failure::configuration(format!("{place} is among the tables of an output; choose another directory")))
        }
        false => Ok(()),
    }
}

/// Keeps other attempts away from the directory of a snapshot, and removes half-written files of dead ones, which the store
/// does not list.
fn lock(directory: &Path) -> Result<DirectoryLock, Failure> {
    let lock = DirectoryLock::hold(directory, ".lock", "snapshot")?;
    for folder in ["", "documents", "history", "changes", "manifests"] {
        let folder = directory.join(folder);
        remove_staged(&folder, Duration::ZERO, is_own_name).map_err(|error| Failure::write(&folder, error))?;
    }
    Ok(lock)
}

fn config(args: &SnapshotArgs, is_alone: bool) -> SnapshotConfig {
    SnapshotConfig {
        program: PROGRAM.to_owned(),
        generation: args.generation,
        baselines: Baselines::new(),
        bucket_bytes: args.bucket_size.0,
        sort_bytes: usize::try_from(args.sort_memory.0).unwrap_or(usize::MAX),
        scratch: args.scratch.clone().unwrap_or_else(std::env::temp_dir),
        keep: args.keep,
        is_alone,
    }
}

/// Says what keeps a newer generation from coming into force, and what is missing in this one.
pub(crate) fn warn(generations: &Generations) {
    let Generations { in_force, missing, waiting, .. } = generations;
    if let (Some(year), false) = (in_force, missing.is_empty()) {
        let shown: Vec<_> = missing.iter().take(SHOWN).map(i32::to_string).collect();
        let more = if missing.len() > SHOWN { ", …" } else { "" };
        let files = counted(missing.len() as u64, "file");
        let number = if missing.len() == 1 { "number" } else { "numbers" };
        tracing::warn!("generation {year}: {files} not committed ({number} {}{more})", shown.join(", "));
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

pub(crate) fn page(place: &Address, summary: &Summary) -> String {
    let Summary { snapshot, documents, annotations, inserted, updated, deleted, .. } = summary;
    let place = line(&place.to_string()).into_owned();
    let state = format!("{}, {}", counted(*documents, "citation"), counted(*annotations, "annotation"));
    if !summary.is_new {
        return format!("{place}: snapshot {snapshot} is up to date: {state}\n");
    }
    let mut text = format!("{place}: published snapshot {snapshot}: {state}\n");
    let changes = [(inserted, "inserted"), (updated, "updated"), (deleted, "deleted")];
    let changes = changes.map(|(count, what)| format!("{} {what}", grouped(*count)));
    let _ = writeln!(text, "{}", changes.join(", "));
    let Summary { inputs_added, inputs_removed, buckets, buckets_written, bytes_written, .. } = summary;
    let removed = match inputs_removed {
        0 => String::new(),
        count => format!(", {} dropped", grouped(*count as u64)),
    };
    let added = counted(*inputs_added as u64, "new input");
    let megabytes = *bytes_written as f64 / 1e6;
    let _ = writeln!(
        text,
        "{added}{removed}; {buckets_written} of {} written, {megabytes:.1} MB",
        counted(*buckets as u64, "bucket")
    );
    text
}
