//! `pubtag convert`.

use std::io;

use pubtag_corpus::{ConversionReport, ConvertOptions, convert};

use crate::cli::{ConvertArgs, CorpusFormat};
use crate::diagnostics::log_diagnostics;
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Converts a corpus and prints the files written; logs what the target format cannot express.
///
/// # Errors
/// The input cannot be read, or the output cannot be written.
pub fn execute(args: &ConvertArgs) -> Result<io::Result<()>, Failure> {
    if args.max_length.is_some() && args.to != CorpusFormat::Nemo {
        return Err(Failure::message(Exit::Usage, "--max-length is for --to nemo: other formats have whole sentences"));
    }
    if [&args.input, &args.output].into_iter().any(|path| path.as_os_str() == "-") {
        let why = "convert does not read standard input or write standard output; name files (./- for one called -)";
        return Err(Failure::message(Exit::Usage, why));
    }
    let mut options = ConvertOptions { from: args.from.map(Into::into), ..ConvertOptions::to(args.to.into()) };
    options.write.max_length = args.max_length;
    options.write.overwrite = args.overwrite;
    let report = convert(&args.input, &args.output, &options)?;
    let ConversionReport { from, to, documents_read, documents_written, mentions_read, mentions_written, .. } = report;
    tracing::info!(
        "{from} to {to}: {documents_written} of {documents_read} documents, {mentions_written} of {mentions_read} mentions"
    );
    log_diagnostics(&report.diagnostics);
    let files: String = report.files.iter().map(|file| format!("{}\n", file.display())).collect();
    Ok(terminal::print(&files))
}
