//! Converts between formats, and reports what the target could not express.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::diagnostic::{Diagnostic, DiagnosticKind, Diagnostics};
use crate::files::{Corpus, name_of, open};
use crate::reader::Item;
use crate::tagged::TagOptions;
use crate::writer::{CorpusWriter, WriteOptions};
use crate::{CorpusError, Format};

/// The target format, and how to read and write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertOptions {
    /// The format of the input [default: detected].
    pub from: Option<Format>,
    /// The format of the output.
    pub to: Format,
    /// How tags are read.
    pub read: TagOptions,
    /// How the output is written. `stem` is ignored: NeMo files are named after the input.
    pub write: WriteOptions,
}

impl ConvertOptions {
    /// Converts to a format with default options.
    pub fn to(format: Format) -> Self {
        Self { from: None, to: format, read: TagOptions::default(), write: WriteOptions::default() }
    }
}

/// The result of a conversion: every document and mention read is either written or in the diagnostics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConversionReport {
    /// The format of the input, given or detected.
    pub from: Format,
    /// The format of the output.
    pub to: Format,
    /// The files written.
    pub files: Vec<PathBuf>,
    /// Documents read.
    pub documents_read: u64,
    /// Documents written.
    pub documents_written: u64,
    /// Mentions read.
    pub mentions_read: u64,
    /// Mentions written.
    pub mentions_written: u64,
    /// What was skipped, changed or left out.
    pub diagnostics: Diagnostics,
}

/// Converts a corpus. The output appears under its name only when it is complete.
///
/// *Ordering:* that of the input. *Memory:* one document, and a bounded number of diagnostics. *Cancellation:* none; it is
/// a blocking call. *Rejects:* diagnostics in the report.
///
/// # Errors
/// The input cannot be read to its end, or the output cannot be written or exists and must not be overwritten.
pub fn convert(input: &Path, output: &Path, options: &ConvertOptions) -> Result<ConversionReport, CorpusError> {
    if options.write.overwrite {
        refuse_in_place(input, output)?;
    }
    let Corpus { format: from, documents } = open(input, options.from, &options.read)?;
    let mut write = options.write.clone();
    write.stem = stem(input);
    let mut writer = CorpusWriter::create(output, options.to, write)?;
    let mut report = ConversionReport {
        from,
        to: options.to,
        files: Vec::new(),
        documents_read: 0,
        documents_written: 0,
        mentions_read: 0,
        mentions_written: 0,
        diagnostics: Diagnostics::default(),
    };
    for item in documents {
        match item? {
            Item::Diagnostic(diagnostic) => report.diagnostics.add(diagnostic),
            Item::Document(spot, document) => {
                let mut diagnostics = Vec::new();
                writer.write(&spot, &document, &mut diagnostics)?;
                report.count(document.mentions.len() as u64, diagnostics);
            }
        }
    }
    report.files = writer.finish()?;
    Ok(report)
}

impl ConversionReport {
    fn count(&mut self, mentions: u64, diagnostics: Vec<Diagnostic>) {
        let unwritable = diagnostics.iter().any(|diagnostic| diagnostic.kind == DiagnosticKind::UnwritableDocument);
        let lost = diagnostics.iter().filter(|diagnostic| {
            matches!(
                diagnostic.kind,
                DiagnosticKind::Discontinuous | DiagnosticKind::Overlap | DiagnosticKind::Unwritable
            )
        });
        let lost = if unwritable { mentions } else { lost.map(|diagnostic| diagnostic.count).sum() };
        self.documents_read += 1;
        self.documents_written += u64::from(!unwritable);
        self.mentions_read += mentions;
        self.mentions_written += mentions - lost;
        diagnostics.into_iter().for_each(|diagnostic| self.diagnostics.add(diagnostic));
    }
}

/// An output that may replace files must not contain the input, or the other way round.
fn refuse_in_place(input: &Path, output: &Path) -> Result<(), CorpusError> {
    let (Ok(from), Ok(to)) = (input.canonicalize(), output.canonicalize()) else { return Ok(()) };
    if from.starts_with(&to) || to.starts_with(&from) {
        return Err(CorpusError::InPlace { output: name_of(output), input: name_of(input) });
    }
    Ok(())
}

/// The input's name without its extension (and `.gz`), and without NeMo's prefix.
fn stem(input: &Path) -> String {
    let name = if input.extension().is_some_and(|gz| gz == "gz") { input.with_extension("") } else { input.to_owned() };
    let stem = name.file_stem().unwrap_or_default().to_string_lossy();
    let stem = stem.strip_prefix("text_").or_else(|| stem.strip_prefix("labels_")).unwrap_or(&stem);
    if stem.is_empty() { WriteOptions::default().stem } else { stem.to_owned() }
}
