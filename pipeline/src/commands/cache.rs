//! `pubtag cache`: what the cache of results contains, and how it is kept small.

use std::fmt::Write as _;
use std::io;
use std::num::NonZeroUsize;

use pubtag_cache::{SpecSummary, remove, survey};
use pubtag_store::{Address, StoreOptions};
use serde_json::json;

use crate::cached::Place;
use crate::cli::{CacheCommand, CachePruneArgs, CacheStatsArgs};
use crate::exit::Failure;
use crate::figures::{counted, grouped};
use crate::runtime::runtime;
use crate::terminal::print;

/// Runs a subcommand.
///
/// # Errors
/// The cache does not exist, or the store fails.
pub fn execute(command: &CacheCommand) -> Result<io::Result<()>, Failure> {
    let runtime = runtime(NonZeroUsize::MIN)?;
    runtime.block_on(async {
        match command {
            CacheCommand::Stats(args) => stats(args).await,
            CacheCommand::Prune(args) => prune(args).await,
        }
    })
}

async fn stats(CacheStatsArgs { place, store, json }: &CacheStatsArgs) -> Result<io::Result<()>, Failure> {
    let place = existing(place, &store.options()).await?;
    let specs = survey(place.store.name(), place.store.objects(), &place.prefix).await?;
    let text = match json {
        true => serde_json::to_string_pretty(&specs.iter().map(to_json).collect::<Vec<_>>())? + "\n",
        false if specs.is_empty() => format!("{}: the cache is empty\n", place.store),
        false => specs.iter().map(page).collect(),
    };
    Ok(print(&text))
}

async fn prune(CachePruneArgs { place, store, keep }: &CachePruneArgs) -> Result<io::Result<()>, Failure> {
    let place = existing(place, &store.options()).await?;
    let specs = survey(place.store.name(), place.store.objects(), &place.prefix).await?;
    let (kept, outdated) = specs.split_at(keep.unwrap_or(usize::MAX).min(specs.len()));
    let mut text = String::new();
    for SpecSummary { directory, spec, entries, .. } in outdated {
        remove(place.store.name(), place.store.objects(), &place.prefix, directory).await?;
        let model = spec.as_ref().map_or(directory, |spec| &spec.model_id);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{model}: removed {}", plural_entries(*entries));
    }
    for summary in kept {
        let Some(spec) = &summary.spec else { continue };
        let cache = place.cache(spec.clone());
        place.remove_abandoned(&cache)?;
        let done = cache.compact().await?;
        let _ = writeln!(
            text,
            "{}: {} merged into {}, {} kept{}",
            spec.model_id,
            counted(done.deleted as u64, "file"),
            grouped(done.written as u64),
            grouped(done.kept as u64),
            if done.damaged > 0 { format!(", {} damaged", grouped(done.damaged as u64)) } else { String::new() },
        );
    }
    Ok(print(&text))
}

/// A cache that exists.
async fn existing(address: &Address, options: &StoreOptions) -> Result<Place, Failure> {
    match address.local() {
        Some(directory) if !directory.is_dir() => Err(Failure::configuration(format!("{address}: no such directory"))),
        _ => Place::existing(address, options).await,
    }
}

fn page(summary: &SpecSummary) -> String {
    let SpecSummary { directory, spec, segments, bytes, entries, damaged, last_written } = summary;
    let (model, settings) = match spec {
        Some(spec) => (&*spec.model_id, spec.settings.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        None => ("unknown model", Vec::new()),
    };
    let mut text = format!("{model}: {} in {}, ", plural_entries(*entries), counted(*segments as u64, "file"));
    let _ = writeln!(text, "{:.1} MB", *bytes as f64 / 1e6);
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    line("directory", directory);
    line("settings", &settings.join(", "));
    line("last written", last_written.as_deref().unwrap_or("never"));
    if *damaged > 0 {
        line("damaged", &counted(*damaged as u64, "file"));
    }
    text
}

fn plural_entries(entries: u64) -> String {
    crate::figures::plural(entries, "entry", "entries")
}

fn to_json(summary: &SpecSummary) -> serde_json::Value {
    let SpecSummary { directory, spec, segments, bytes, entries, damaged, last_written } = summary;
    json!({
        "directory": directory,
        "spec": spec,
        "entries": entries,
        "files": segments,
        "bytes": bytes,
        "damaged_files": damaged,
        "last_written": last_written,
    })
}
