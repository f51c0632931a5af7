//! Writes corpora in any format; files appear under their names only when complete.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use pubtag_schemas::{AnnotatedDocument, DocId};

use crate::diagnostic::{Diagnostic, DiagnosticKind, Notes, Spot};
use crate::files::{escape, name_of};
use crate::iob::IobColumns;
use crate::segment::segment_noting;
use crate::whole::WholeFile;
use crate::{CorpusError, Format, bioc_json, bioc_xml, brat, inline, iob, jsonl, nemo, pubtator};

/// How a corpus is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// The maximum length of a sentence in a NeMo corpus, in words.
    pub max_length: Option<NonZeroUsize>,
    /// The columns of an IOB file.
    pub columns: IobColumns,
    /// The `X` of NeMo's `text_X.txt`.
    pub stem: String,
    /// Whether existing files are replaced.
    pub overwrite: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { max_length: None, columns: IobColumns::default(), stem: "corpus".to_owned(), overwrite: false }
    }
}

/// Writes a corpus one document at a time.
///
/// *Ordering:* as given. *Memory:* one document; for brat also the file names used. *Cancellation:* drop it; unfinished files
/// leave nothing behind. *Rejects:* what the format cannot express is left out or changed, always with a diagnostic.
#[derive(Debug)]
pub struct CorpusWriter {
    sink: Sink,
    options: WriteOptions,
    documents: u64,
}

#[derive(Debug)]
enum Sink {
    One { format: Format, out: Output },
    Nemo { directory: PathBuf, text: Output, labels: Output, seen: BTreeSet<String> },
    Brat { directory: PathBuf, names: HashSet<String>, files: Vec<PathBuf> },
}

impl CorpusWriter {
    /// Begins a corpus at `path`: a file, or for NeMo and brat a directory, which is created if needed.
    ///
    /// # Errors
    /// The path cannot be written, or a file exists and must not be overwritten.
    pub fn create(path: &Path, format: Format, options: WriteOptions) -> Result<Self, CorpusError> {
        let make = |path: &Path| fs::create_dir_all(path).map_err(|source| write_error(path, source));
        let sink = match format {
            Format::Nemo => {
                make(path)?;
                let file =
                    |kind: &str| Output::create(path.join(format!("{kind}_{}.txt", options.stem)), options.overwrite);
                Sink::Nemo {
                    directory: path.to_owned(),
                    text: file("text")?,
                    labels: file("labels")?,
                    seen: BTreeSet::new(),
                }
            }
            Format::Brat => {
                make(path)?;
                Sink::Brat { directory: path.to_owned(), names: HashSet::new(), files: Vec::new() }
            }
            _ => {
                let mut out = Output::create(path.to_owned(), options.overwrite)?;
                match format {
                    Format::BiocXml => out.write(bioc_xml::write_start)?,
                    Format::BiocJson => out.write(bioc_json::write_start)?,
                    _ => {}
                }
                Sink::One { format, out }
            }
        };
        Ok(Self { sink, options, documents: 0 })
    }

    /// Writes a document that was read at `spot`, and appends its diagnostics.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(
        &mut self,
        spot: &Spot,
        document: &AnnotatedDocument,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Result<(), CorpusError> {
        let number = self.documents;
        self.documents += 1;
        let named = self.named(document, number);
        let document = named.as_ref();
        let mut notes = Notes::new(spot, document.id.as_ref().map(|id| id.as_str()), diagnostics);
        if matches!(named, Cow::Owned(_)) {
            notes.add(
                DiagnosticKind::NameChanged,
                1,
                "document without an identifier given this one, because the format needs one",
            );
        }
        match &mut self.sink {
            Sink::One { format: Format::Inline, out } => out.write(|out| inline::write(document, out, &mut notes)),
            Sink::One { format: Format::PubTator, out } => out.write(|out| pubtator::write(document, out, &mut notes)),
            Sink::One { format: Format::BiocXml, out } => out.write(|out| bioc_xml::write(document, out, &mut notes)),
            Sink::One { format: Format::BiocJson, out } => {
                out.write(|out| bioc_json::write(document, number == 0, out, &mut notes))
            }
            Sink::One { format: Format::Jsonl, out } => out.write(|out| jsonl::write(document, out, &mut notes)),
            Sink::One { out, .. } => {
                let document = segment_noting(document, &mut notes);
                out.write(|out| iob::write(&document, self.options.columns, out, &mut notes))
            }
            Sink::Nemo { text, labels, seen, .. } => {
                let document = segment_noting(document, &mut notes);
                let labels = &mut labels.out;
                text.write(|text| nemo::write(&document, self.options.max_length, (text, labels), seen, &mut notes))
            }
            Sink::Brat { directory, names, files } => {
                write_brat(directory, document, self.options.overwrite, names, files, &mut notes)
            }
        }
    }

    /// The document, with a new identifier if it has none and the format needs one.
    fn named<'a>(&self, document: &'a AnnotatedDocument, number: u64) -> Cow<'a, AnnotatedDocument> {
        let needed =
            matches!(&self.sink, Sink::Brat { .. } | Sink::One { format: Format::Inline | Format::PubTator, .. });
        let has = document.id.as_ref().is_some_and(|id| !id.as_str().is_empty());
        if has || !needed {
            return Cow::Borrowed(document);
        }
        // Padded, so that directories list documents in source order.
        let id = Some(DocId::new(format!("document-{:06}", number + 1)));
        Cow::Owned(AnnotatedDocument { id, ..document.clone() })
    }

    /// Ends the corpus and returns its files.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(self) -> Result<Vec<PathBuf>, CorpusError> {
        match self.sink {
            Sink::One { format, mut out } => {
                match format {
                    Format::BiocXml => out.write(bioc_xml::write_end)?,
                    Format::BiocJson => out.write(bioc_json::write_end)?,
                    _ => {}
                }
                Ok(vec![out.finish()?])
            }
            Sink::Nemo { directory, text, labels, seen } => {
                let mut ids = Output::create(directory.join("label_ids.csv"), self.options.overwrite)?;
                ids.write(|out| nemo::write_label_ids(&seen, out))?;
                Ok(vec![text.finish()?, labels.finish()?, ids.finish()?])
            }
            Sink::Brat { files, .. } => Ok(files),
        }
    }
}

fn write_brat(
    directory: &Path,
    document: &AnnotatedDocument,
    overwrite: bool,
    names: &mut HashSet<String>,
    files: &mut Vec<PathBuf>,
    notes: &mut Notes<'_>,
) -> Result<(), CorpusError> {
    let wanted = escape(document.id.as_ref().map_or("", |id| id.as_str()));
    let mut name = wanted.clone();
    let mut copy = 2;
    // File systems may ignore case.
    while !names.insert(name.to_lowercase()) {
        name = format!("{wanted}.{copy}");
        copy += 1;
    }
    let taken = usize::from(name != wanted);
    notes.add(DiagnosticKind::NameChanged, taken, format!("file name {wanted} is taken; written as {name}"));
    let mut text = Output::create(directory.join(format!("{name}.txt")), overwrite)?;
    text.write(|out| out.write_all(document.text.as_bytes()))?;
    let mut annotations = Output::create(directory.join(format!("{name}.ann")), overwrite)?;
    annotations.write(|out| brat::write(document, out, notes))?;
    files.extend([text.finish()?, annotations.finish()?]);
    Ok(())
}

/// A file of the corpus.
#[derive(Debug)]
struct Output {
    path: PathBuf,
    out: BufWriter<WholeFile>,
}

impl Output {
    fn create(path: PathBuf, overwrite: bool) -> Result<Self, CorpusError> {
        let file = if overwrite { WholeFile::replacing(&path) } else { WholeFile::new(&path) };
        let file = file.map_err(|source| write_error(&path, source))?;
        Ok(Self { path, out: BufWriter::new(file) })
    }

    fn write(&mut self, write: impl FnOnce(&mut BufWriter<WholeFile>) -> io::Result<()>) -> Result<(), CorpusError> {
        write(&mut self.out).map_err(|source| write_error(&self.path, source))
    }

    fn finish(self) -> Result<PathBuf, CorpusError> {
        let Self { path, out } = self;
        let whole = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(WholeFile::finish);
        whole.map(|()| path.clone()).map_err(|source| write_error(&path, source))
    }
}

fn write_error(path: &Path, source: io::Error) -> CorpusError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => CorpusError::Exists { file: name_of(path) },
        _ => CorpusError::Write { file: name_of(path), source },
    }
}
