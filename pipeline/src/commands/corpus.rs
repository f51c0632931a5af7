//! `pubtag corpus`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use pubtag_corpus::{
    Corpus, CorpusStats, Diagnostics, FileStats, Item, Listing, StatsBuilder, TagOptions, open, summarize,
};

use crate::cli::{CorpusCommand, DownloadArgs, ListArgs, StatsArgs};
use crate::diagnostics::log_diagnostics;
use crate::download;
use crate::exit::Failure;
use crate::terminal;

/// Diagnostics to print; `--json` has all of them.
const SHOWN: usize = 20;

/// Counts, lists or downloads.
///
/// # Errors
/// A corpus cannot be read or downloaded.
pub fn execute(command: &CorpusCommand) -> Result<io::Result<()>, Failure> {
    match command {
        CorpusCommand::Stats(args) => stats(args),
        CorpusCommand::List(args) => list(args),
        CorpusCommand::Download(args) => download(args),
    }
}

/// Downloads a corpus and prints its files.
fn download(args: &DownloadArgs) -> Result<io::Result<()>, Failure> {
    let name = args.release.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let folder = args.output.clone().unwrap_or_else(|| name.into());
    let base_url = args.base_url.as_deref().unwrap_or_else(|| args.release.base_url());
    let timeout = Duration::from_secs(args.timeout.get().into());
    let files = download::download(args.release, base_url, &folder, timeout)?;
    let mut out = terminal::stdout();
    Ok(files.iter().try_for_each(|file| writeln!(out, "{}", file.display())))
}

fn stats(args: &StatsArgs) -> Result<io::Result<()>, Failure> {
    let mut files = Vec::new();
    for path in &args.files {
        let mut builder = StatsBuilder::new(path.display().to_string());
        for_each(path, args.from.map(Into::into), |item| builder.add(item))?;
        files.push(builder);
    }
    let stats = summarize(files);
    let text = if args.json { serde_json::to_string_pretty(&stats)? + "\n" } else { page(&stats) };
    Ok(terminal::print(&text))
}

/// Prints one line per mention: document, start and end character, category, mention, concepts.
fn list(args: &ListArgs) -> Result<io::Result<()>, Failure> {
    let mut out = io::BufWriter::new(terminal::stdout());
    let mut written = Ok(());
    let mut diagnostics = Diagnostics::default();
    for_each(&args.file, args.from.map(Into::into), |item| match item {
        Item::Diagnostic(diagnostic) => diagnostics.add(diagnostic.clone()),
        Item::Document(_, document) if written.is_ok() => written = write_listing(&mut out, &Listing::of(document)),
        Item::Document(..) => {}
    })?;
    log_diagnostics(&diagnostics);
    Ok(written.and_then(|()| out.flush()))
}

fn write_listing(out: &mut impl io::Write, listing: &Listing) -> io::Result<()> {
    let id = listing.id.as_deref().unwrap_or("");
    for mention in &listing.mentions {
        let (start, end, concepts) = (mention.start_char, mention.end_char, mention.concepts.join(" "));
        writeln!(out, "{id}\t{start}\t{end}\t{}\t{}\t{concepts}", mention.category, mention.mention)?;
    }
    Ok(())
}

fn for_each(path: &Path, format: Option<pubtag_corpus::Format>, mut f: impl FnMut(&Item)) -> Result<(), Failure> {
    let Corpus { documents, .. } = open(path, format, &TagOptions::default())?;
    for item in documents {
        f(&item?);
    }
    Ok(())
}

/// The statistics as text.
fn page(stats: &CorpusStats) -> String {
    let mut text = String::new();
    for file in &stats.files {
        text.push_str(&file_page(file));
    }
    for leak in &stats.leakage {
        let _ =
            writeln!(text, "shared by {} and {}: {} ids, {} texts", leak.one, leak.other, leak.ids.len(), leak.texts);
    }
    text
}

fn file_page(file: &FileStats) -> String {
    let mut text = format!("{}\n", file.name);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<20} {value}");
    };
    line("documents", file.documents.to_string());
    line("sentences", file.sentences.to_string());
    line("tokens", file.tokens.to_string());
    line("mentions", format!("{} ({} distinct)", file.mentions, file.distinct_mentions));
    for (category, count) in &file.categories {
        line(&format!("  {category}"), count.to_string());
    }
    line("overlapping pairs", file.overlaps.to_string());
    line("duplicate mentions", file.duplicate_mentions.to_string());
    line("repeated ids", file.duplicate_ids.len().to_string());
    line("repeated texts", file.duplicate_texts.to_string());
    let frequent: Vec<String> =
        file.frequent.iter().take(10).map(|(mention, count)| format!("{mention} {count}")).collect();
    line("most frequent", frequent.join(" · "));
    for (kind, count) in &file.diagnostics.counts {
        line(kind.as_str(), count.things.to_string());
    }
    for diagnostic in file.diagnostics.kept.iter().take(SHOWN) {
        line("", diagnostic.to_string());
    }
    text
}
