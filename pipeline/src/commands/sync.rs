//! `pubtag sync`: mirrors PubMed.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use pubtag_snapshot::{Baseline, Baselines};
use pubtag_sync::{DeletedPmids, Event, NLM, Planned, PubmedFile, Reason, Retries, Scope, Summary, SyncConfig, sync};

use crate::cli::{SyncArgs, SyncFormat};
use crate::exit::{Exit, Failure};
use crate::figures::{counted, grouped};
use crate::progress::Progress;
use crate::terminal::print;

/// Ranges of files that a log line names; JSON has all files.
const MOST_RANGES: usize = 10;

/// Brings a mirror up to date and prints what was done.
///
/// # Errors
/// The target, the server or the listing cannot be used. Single files that fail are part of the exit code only.
pub fn execute(args: &SyncArgs, quiet: bool) -> Result<u8, Failure> {
    let summary = mirror(args, quiet)?;
    let text = match args.format {
        SyncFormat::Text => page(&summary),
        SyncFormat::Json => {
            serde_json::to_string_pretty(&summary).map_err(|error| Failure::new(Exit::Internal, error))? + "\n"
        }
    };
    match print(&text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Transient, error)),
        _ => Ok(exit(&summary).code()),
    }
}

/// How a sync ends.
pub(crate) fn exit(summary: &Summary) -> Exit {
    summary.fault().map_or(Exit::Done, Exit::from)
}

/// What a sync knows of the baselines that the mirror holds.
pub(crate) fn baselines(summary: &Summary) -> Baselines {
    let complete = summary.generations.iter().filter(|state| state.is_baseline_complete);
    let baseline = complete.filter_map(|state| {
        let gaps = summary.known_gaps.iter().filter(|file| file.generation() == state.generation);
        let gaps = gaps.map(|file| file.number().into()).collect();
        Some((state.generation.into(), Baseline { last: state.last_of_baseline?.into(), gaps }))
    });
    baseline.collect()
}

/// Brings a mirror up to date, showing progress and logging what a person has to know.
///
/// # Errors
/// As [`execute`].
pub(crate) fn mirror(args: &SyncArgs, quiet: bool) -> Result<Summary, Failure> {
    let config = config(args)?;
    let mut progress = Progress::start(0, quiet);
    let (mut fetched, mut of) = (0, 0);
    let summary = sync(&config, |event| match event {
        Event::Compared { done, of } => progress.show_bytes(0, || format!("compared {done} of {of} files")),
        Event::Planned(files) => {
            of = files.len();
            if !config.dry_run && of > 0 {
                progress
                    .pause(|| tracing::info!("{} to fetch, about {}", files_of(of), megabytes(listed_bytes(files))));
                std::mem::replace(&mut progress, Progress::start(listed_bytes(files), quiet)).finish();
            }
        }
        Event::Received(bytes) => progress.show_bytes(bytes, || format!("{fetched} of {} files", grouped(of as u64))),
        Event::Fetched(planned) => {
            fetched += 1;
            progress.pause(|| log_fetched(planned));
        }
        _ => {}
    });
    progress.finish();
    let summary = summary.map_err(|error| Failure::new(error.kind(), error))?;
    log(&summary);
    Ok(summary)
}

fn config(args: &SyncArgs) -> Result<SyncConfig, Failure> {
    let SyncArgs { into, from, since, verify, prune, dry_run, .. } = args;
    if args.contact.is_none() && from == NLM {
        tracing::warn!("NLM asks for a contact in the User-Agent; set --contact or PUBTAG_CONTACT");
    }
    let contact = args.contact.as_ref().map_or_else(String::new, |contact| format!(" ({contact})"));
    Ok(SyncConfig {
        into: into.clone(),
        store_options: args.store.options(),
        scratch: args.scratch.clone().unwrap_or_else(std::env::temp_dir),
        from: from.clone(),
        scope: match (args.baseline, args.updates) {
            (true, _) => Scope::Baseline,
            (_, true) => Scope::Updates,
            _ => Scope::All,
        },
        since: *since,
        known_gaps: args.known_gap.iter().copied().collect(),
        verify: *verify,
        prune: *prune,
        dry_run: *dry_run,
        connections: args.connections.into(),
        timeout: Duration::from_secs(args.timeout.get().into()),
        retries: Retries::default(),
        user_agent: format!("pubtag/{}{contact}", env!("CARGO_PKG_VERSION")),
    })
}

fn log_fetched(planned: &Planned) {
    let Planned { file, folder, .. } = planned;
    match planned.reason {
        Reason::New => tracing::debug!("{folder}/{file}: fetched"),
        Reason::Reissued => tracing::warn!("{folder}/{file}: re-issued by NLM; replaced"),
        Reason::Damaged => tracing::warn!("{folder}/{file}: did not match its checksum; replaced"),
    }
}

/// Says what a person has to know of the mirror, most serious last.
fn log(summary: &Summary) {
    let warn = |files: &[PubmedFile], what: &str| {
        if !files.is_empty() {
            tracing::warn!("{} {what}: {}", files_of(files.len()), ranges(files));
        }
    };
    warn(&summary.without_checksum, "without a checksum on the server, checked as gzip");
    warn(&summary.without_stats, "without statistics on the server");
    warn(&summary.not_listed, "no longer listed by the server, kept");
    if summary.deleted_pmids == DeletedPmids::NotFound {
        tracing::warn!("deleted.pmids.gz: not found on the server");
    }
    warn(&summary.known_gaps, "absent, as known (--known-gap)");
    warn(&summary.held_back, "held back until their baseline is complete");
    for fault in faults(summary) {
        tracing::error!("{fault}");
    }
}

/// What keeps a mirror from being whole, in lines.
pub(crate) fn faults(summary: &Summary) -> Vec<String> {
    let failed = summary.failed.iter();
    let mut faults: Vec<String> =
        failed.map(|failed| format!("{}/{}: not fetched: {}", failed.folder, failed.file, failed.error)).collect();
    if !summary.missing.is_empty() {
        let (files, missing) = (files_of(summary.missing.len()), ranges(&summary.missing));
        faults.push(format!(
            "{files} missing from the server's listing: {missing}; rerun later, or set --known-gap (`known-gap` in a settings \
             file) for what NLM never issued"
        ));
    }
    faults
}

/// The summary for a person.
pub(crate) fn page(summary: &Summary) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{args}");
    };
    if summary.dry_run {
        for Planned { file, folder, reason, listed_bytes, .. } in &summary.fetched {
            let reason = match reason {
                Reason::New => "new",
                Reason::Reissued => "re-issued",
                Reason::Damaged => "damaged",
            };
            let size = listed_bytes.map_or_else(String::new, megabytes);
            line(format_args!("fetch   {:<40} {reason:<10} {size}", format!("{folder}/{file}")));
        }
        for file in &summary.pruned {
            line(format_args!("remove  {file}"));
        }
    }
    for state in &summary.generations {
        let baseline = match (state.is_baseline_complete, state.last_of_baseline) {
            (true, _) => "complete".to_owned(),
            (false, Some(last)) => format!("incomplete, {last} expected"),
            (false, None) => "incomplete or not confirmed".to_owned(),
        };
        let [of_baseline, updates] = [(state.baseline_files, "baseline file"), (state.update_files, "update file")]
            .map(|(count, what)| counted(count as u64, what));
        line(format_args!("{}: {of_baseline} ({baseline}), {updates}", state.generation));
    }
    let reissued = match summary.count(Reason::Reissued) {
        0 => String::new(),
        count => format!(", {count} re-issued"),
    };
    let fetched = files_of(summary.fetched.len());
    let up_to_date = grouped(summary.up_to_date as u64);
    if summary.dry_run {
        let bytes = megabytes(listed_bytes(&summary.fetched));
        line(format_args!("would fetch {fetched}, about {bytes}{reissued}; {up_to_date} up to date"));
    } else {
        line(format_args!(
            "fetched {fetched}, {}{reissued}; {up_to_date} up to date",
            megabytes(summary.received_bytes)
        ));
        if !summary.pruned.is_empty() {
            line(format_args!("removed {} of older generations", files_of(summary.pruned.len())));
        }
    }
    text
}

fn files_of(count: usize) -> String {
    counted(count as u64, "file")
}

fn listed_bytes(files: &[Planned]) -> u64 {
    files.iter().filter_map(|planned| planned.listed_bytes).fold(0, u64::saturating_add)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Files with consecutive ones as ranges: `pubmed26n0002, pubmed26n0005–0009`.
fn ranges(files: &[PubmedFile]) -> String {
    let mut runs: Vec<(PubmedFile, PubmedFile)> = Vec::new();
    for file in files {
        match runs.last_mut() {
            Some((first, last)) if first.generation() == file.generation() && last.number() + 1 == file.number() => {
                *last = *file;
            }
            _ => runs.push((*file, *file)),
        }
    }
    let stem = |file: &PubmedFile| file.to_string().trim_end_matches(".xml.gz").to_owned();
    let shown = runs.iter().take(MOST_RANGES).map(|(first, last)| match first == last {
        true => stem(first),
        false => format!("{}–{:04}", stem(first), last.number()),
    });
    let more = if runs.len() > MOST_RANGES { ", …" } else { "" };
    shown.collect::<Vec<_>>().join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_files_are_shown_as_a_range() {
        let files: Vec<PubmedFile> = ["25n0009", "26n0002", "26n0005", "26n0006", "26n0007"]
            .map(|n| format!("pubmed{n}").parse().unwrap())
            .into();
        assert_eq!(ranges(&files), "pubmed25n0009, pubmed26n0002, pubmed26n0005–0007");
        let odd: Vec<PubmedFile> = (1..40).step_by(2).filter_map(|number| PubmedFile::new(2026, number)).collect();
        assert!(ranges(&odd).ends_with("pubmed26n0019, …"));
    }
}
