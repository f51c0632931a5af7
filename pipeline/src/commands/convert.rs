//! `pubtag convert`.

use std::io;

use pubtag_corpus::{ConversionReport, ConvertOptions, CorpusError, convert};

use crate::cli::ConvertArgs;
use crate::exit::{Exit, Failure};
use crate::terminal;
use crate::training::corpora::log_diagnostics;

/// Converts a corpus and prints the files written; what the target cannot express goes to the log.
///
/// # Errors
/// The input cannot be read as a whole, or the output cannot be written.
pub fn execute(args: &ConvertArgs) -> Result<io::Result<()>, Failure> {
    let mut options = ConvertOptions { from: args.from, ..ConvertOptions::to(args.to) };
    options.write.max_length = args.max_length;
    options.write.overwrite = args.overwrite;
    let report = convert(&args.input, &args.output, &options).map_err(|error| Failure::new(exit(&error), error))?;
    let ConversionReport { from, to, documents_read, documents_written, mentions_read, mentions_written, .. } = report;
    tracing::info!(
        "{from} to {to}: {documents_written} of {documents_read} documents, {mentions_written} of {mentions_read} mentions"
    );
    log_diagnostics(&report.diagnostics);
    let files: String = report.files.iter().map(|file| format!("{}\n", file.display())).collect();
    Ok(terminal::print(&files))
}

fn exit(error: &CorpusError) -> Exit {
    match error {
        CorpusError::Exists { .. } | CorpusError::InPlace { .. } => Exit::Configuration,
        _ => Exit::Data,
    }
}
