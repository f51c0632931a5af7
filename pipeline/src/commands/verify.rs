//! `pubtag verify`.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use pubtag_parquet::{Depth, Event, Tables, Verified, VerifyConfig, verify};
use pubtag_snapshot as snapshots;
use pubtag_store::Store;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use crate::cli::VerifyArgs;
use crate::committed::place;
use crate::exit::{Exit, Failure};
use crate::figures::counted;
use crate::outputs;
use crate::processors::physical_cores;
use crate::progress::Progress;
use crate::telemetry::summarize;
use crate::terminal::{line, print, printed};

/// More threads would only wait for the disk.
const MOST_THREADS: NonZeroUsize = NonZeroUsize::new(8).expect("8 is not 0");

/// The output of `--json`.
#[derive(Debug, Serialize)]
struct Findings<'a, V, D> {
    output: String,
    quick: bool,
    #[serde(flatten)]
    verified: &'a V,
    found: &'a [D],
}

/// Verifies an output or the snapshots in a place. Prints one line per defect, or all of them as JSON; the summary goes to
/// stderr.
///
/// # Errors
/// It is neither, or cannot be read at all.
pub fn execute(args: &VerifyArgs, quiet: bool) -> Result<u8, Failure> {
    let runtime = runtime()?;
    let (summary, defects) = match check_snapshots(args, &runtime, quiet)? {
        Some(verified) => (summary_of_snapshots(args, &verified), verified.defects),
        None => {
            let verified = check_in(&runtime, args, quiet)?;
            (summary(args, &verified), verified.defects)
        }
    };
    if !quiet {
        summarize(&summary);
    }
    Ok(exit(defects).code())
}

/// How a verification ends.
pub(crate) fn exit(defects: u64) -> Exit {
    if defects == 0 { Exit::Done } else { Exit::Data }
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Internal, error))
}

/// Prints one line per defect of an output, or all of them as JSON.
///
/// # Errors
/// It is not an output, or cannot be read at all.
pub(crate) fn check(args: &VerifyArgs, quiet: bool) -> Result<Verified, Failure> {
    check_in(&runtime()?, args, quiet)
}

fn check_in(runtime: &Runtime, args: &VerifyArgs, quiet: bool) -> Result<Verified, Failure> {
    let config = VerifyConfig {
        depth: if args.quick { Depth::Quick } else { Depth::Full },
        threads: args.threads.unwrap_or_else(|| physical_cores().min(MOST_THREADS)),
    };
    let store = open(args)?;
    let (mut found, mut read) = (Vec::new(), 0);
    let mut progress = Progress::start(0, true);
    let verified = verify(store, config, runtime.handle(), |event| match event {
        Event::Total(bytes) => progress = Progress::start(bytes, quiet),
        Event::Read(bytes) => {
            read += bytes;
            progress.show_bytes(read, String::new);
        }
        Event::Found(defect) if args.json => found.push(defect),
        Event::Found(defect) => print_defect(&mut progress, &defect),
    });
    progress.finish();
    let verified = verified?;
    if args.json {
        print_json(args, &verified, &found)?;
    }
    Ok(verified)
}

/// As [`check_in`], for the snapshots in a place; `None` if it is an output or has none.
fn check_snapshots(args: &VerifyArgs, runtime: &Runtime, quiet: bool) -> Result<Option<snapshots::Verified>, Failure> {
    let store = open(args)?;
    if runtime.block_on(Tables::exist_at(&store))? {
        return Ok(None);
    }
    let place = place(&store);
    let (mut found, mut read) = (Vec::new(), 0);
    let mut progress = Progress::start(0, true);
    let verified = runtime.block_on(snapshots::verify(&place, args.quick, |event| match event {
        snapshots::Event::Total(bytes) => progress = Progress::start(bytes, quiet),
        snapshots::Event::Read(bytes) => {
            read += bytes;
            progress.show_bytes(read, String::new);
        }
        snapshots::Event::Found(defect) if args.json => found.push(defect),
        snapshots::Event::Found(defect) => print_defect(&mut progress, &defect),
    }));
    progress.finish();
    let verified = verified?;
    if let (true, Some(verified)) = (args.json, &verified) {
        print_json(args, verified, &found)?;
    }
    Ok(verified)
}

/// A closed pipe (`| head`) does not change what is found.
fn print_defect(progress: &mut Progress, defect: &impl ToString) {
    progress.pause(|| drop(print(&format!("{}\n", line(&defect.to_string())))));
}

fn print_json<V: Serialize, D: Serialize>(args: &VerifyArgs, verified: &V, found: &[D]) -> Result<(), Failure> {
    let findings = Findings { output: args.output.to_string(), quick: args.quick, verified, found };
    let json = serde_json::to_string_pretty(&findings)?;
    printed(print(&format!("{json}\n")))
}

fn open(args: &VerifyArgs) -> Result<Store, Failure> {
    let found = outputs::open(&args.output, &args.store.options())?;
    found.ok_or_else(|| pubtag_parquet::Error::NotAnOutput { path: args.output.to_string() }.into())
}

/// What was read, what was not checked, and how many defects were found.
pub(crate) fn summary(args: &VerifyArgs, verified: &Verified) -> String {
    let Verified { inputs, parts, bytes, rows, documents_without_text, live_files, defects } = verified;
    let rows: Vec<String> = rows.iter().map(|(table, rows)| counted(*rows, table.trim_end_matches('s'))).collect();
    let mut text = format!(
        "{}: {}, {}, {:.1} MB{}{}\n",
        line(&args.output.to_string()),
        counted(*inputs, "input"),
        counted(*parts, "part"),
        *bytes as f64 / 1e6,
        if rows.is_empty() { "" } else { ": " },
        rows.join(", "),
    );
    if args.quick {
        text.push_str("quick: lengths and footers only; rows and checksums were not read\n");
    }
    if *documents_without_text > 0 {
        let documents = counted(*documents_without_text, "document");
        let _ = writeln!(text, "not checked: offsets in {documents} written with --text hash");
    }
    if *live_files > 0 {
        let _ = writeln!(text, "not checked: {} of runs still in progress", counted(*live_files, "file"));
    }
    text + &number_of_defects(*defects)
}

fn summary_of_snapshots(args: &VerifyArgs, verified: &snapshots::Verified) -> String {
    let snapshots::Verified { snapshots, files, bytes, documents, annotations, defects } = verified;
    let mut text = format!(
        "{}: {}, {}, {:.1} MB; the newest: {}, {}\n",
        line(&args.output.to_string()),
        counted(*snapshots, "snapshot"),
        counted(*files, "file"),
        *bytes as f64 / 1e6,
        counted(*documents, "citation"),
        counted(*annotations, "annotation"),
    );
    if args.quick {
        text.push_str("quick: lengths only; rows and checksums were not read\n");
    }
    text + &number_of_defects(*defects)
}

fn number_of_defects(defects: u64) -> String {
    match defects {
        0 => "no defects\n".to_owned(),
        found => format!("{}\n", counted(found, "defect")),
    }
}
