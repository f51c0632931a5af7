//! `pubtag verify`.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use pubtag_parquet::{Defect, Depth, Event, Verified, VerifyConfig, verify};
use pubtag_store::Address;
use serde::Serialize;
use tokio::runtime::Builder;

use crate::cli::VerifyArgs;
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
struct Findings<'a> {
    output: String,
    quick: bool,
    #[serde(flatten)]
    verified: &'a Verified,
    found: &'a [Defect],
}

/// Prints one line per defect, or all of them as JSON; the summary goes to stderr.
///
/// # Errors
/// It is not an output, or cannot be read at all.
pub fn execute(args: &VerifyArgs, quiet: bool) -> Result<u8, Failure> {
    let verified = check(args, quiet)?;
    if !quiet {
        summarize(&summary(args, &verified));
    }
    Ok(exit(&verified).code())
}

/// How a verification ends.
pub(crate) fn exit(verified: &Verified) -> Exit {
    if verified.defects == 0 { Exit::Done } else { Exit::Data }
}

/// Prints one line per defect, or all of them as JSON.
///
/// # Errors
/// As [`execute`].
pub(crate) fn check(args: &VerifyArgs, quiet: bool) -> Result<Verified, Failure> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Internal, error))?;
    let config = VerifyConfig {
        depth: if args.quick { Depth::Quick } else { Depth::Full },
        threads: args.threads.unwrap_or_else(|| physical_cores().min(MOST_THREADS)),
    };
    let options = args.store.options();
    let store = outputs::open(&args.output, &options)?.ok_or_else(|| not_an_output(&args.output))?;
    let (mut found, mut read) = (Vec::new(), 0);
    let mut progress = Progress::start(0, true);
    let verified = verify(store, config, runtime.handle(), |event| match event {
        Event::Total(bytes) => progress = Progress::start(bytes, quiet),
        Event::Read(bytes) => {
            read += bytes;
            progress.show_bytes(read, String::new);
        }
        Event::Found(defect) if args.json => found.push(defect),
        // A closed pipe (`| head`) does not change what is found.
        Event::Found(defect) => progress.pause(|| drop(print(&format!("{}\n", line(&defect.to_string()))))),
    });
    progress.finish();
    let verified = verified?;
    if args.json {
        let findings =
            Findings { output: args.output.to_string(), quick: args.quick, verified: &verified, found: &found };
        let json = serde_json::to_string_pretty(&findings)?;
        printed(print(&format!("{json}\n")))?;
    }
    Ok(verified)
}

fn not_an_output(address: &Address) -> Failure {
    pubtag_parquet::Error::NotAnOutput { path: address.to_string() }.into()
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
    text.push_str(&match defects {
        0 => "no defects\n".to_owned(),
        found => format!("{}\n", counted(*found, "defect")),
    });
    text
}
