//! Opens corpora by path: detects the format, and finds the second file of formats that have two.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use crate::diagnostic::{Diagnostic, DiagnosticKind, Spot};
use crate::reader::{Documents, Item, Parse};
use crate::tagged::TagOptions;
use crate::{CorpusError, Format, bioc_json, bioc_xml, brat, detect, inline, iob, jsonl, nemo, pubtator};

/// The first bytes of every gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An open corpus.
#[derive(Debug)]
pub struct Corpus {
    /// Its format, given or detected.
    pub format: Format,
    /// Its documents.
    pub documents: Documents<'static>,
}

/// Opens a corpus.
///
/// The path of a NeMo corpus is its text file, its label file, or a directory with one such pair; that of a brat corpus is
/// a directory, a `.txt` or an `.ann` file. The format is detected if it is not given. Files may be gzipped.
///
/// # Errors
/// The path cannot be read, has an unknown format, or the second file is missing.
pub fn open(path: &Path, format: Option<Format>, options: &TagOptions) -> Result<Corpus, CorpusError> {
    let (format, place) = locate(path, format)?;
    let documents = match place {
        Place::One(file) => {
            let name = name_of(&file);
            let input = open_file(&file)?;
            from_reader(input, &name, format, options)?
        }
        Place::Nemo { text, labels } => {
            let names = (name_of(&text), name_of(&labels));
            nemo::reader(open_file(&text)?, open_file(&labels)?, (&names.0, &names.1), options.clone())
        }
        Place::Brat { directory, stems } => {
            let stems = stems.into_iter().collect();
            Documents::new(&name_of(path), BratFiles { directory, stems })
        }
    };
    Ok(Corpus { format, documents })
}

/// Reads a corpus from a stream; `file` is its name in diagnostics.
///
/// # Errors
/// The format has two files (NeMo, brat): use [`open`].
pub fn from_reader<'a>(
    input: impl BufRead + Send + 'a,
    file: &Arc<str>,
    format: Format,
    options: &TagOptions,
) -> Result<Documents<'a>, CorpusError> {
    Ok(match format {
        Format::Inline => inline::reader(input, file),
        Format::PubTator => pubtator::reader(input, file),
        Format::BiocXml => bioc_xml::reader(input, file),
        Format::BiocJson => bioc_json::reader(input, file),
        Format::Iob => iob::reader(input, file, options.clone()),
        Format::Jsonl => jsonl::reader(input, file),
        Format::Nemo | Format::Brat => {
            return Err(path_error(file, format!("a {format} corpus has two files; open it by path")));
        }
    })
}

/// The files of a corpus.
enum Place {
    One(PathBuf),
    Nemo { text: PathBuf, labels: PathBuf },
    Brat { directory: PathBuf, stems: Vec<String> },
}

fn locate(path: &Path, format: Option<Format>) -> Result<(Format, Place), CorpusError> {
    if path.is_dir() {
        return locate_in(path, format);
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let pair = nemo_pair(path, &file);
    let is_pair = pair.as_ref().is_some_and(|(text, labels)| text.is_file() && labels.is_file());
    let stem = file.strip_suffix(".ann").or_else(|| file.strip_suffix(".txt"));
    let annotated = stem.is_some() && path.with_extension("ann").is_file();
    let format = match format {
        Some(format) => format,
        None if is_pair => Format::Nemo,
        None if annotated => Format::Brat,
        None => detect_format(path)?,
    };
    let place = match (format, pair, stem) {
        (Format::Nemo, Some((text, labels)), _) => {
            let missing = [&text, &labels].into_iter().find(|file| !file.is_file());
            if let Some(partner) = missing {
                return Err(CorpusError::Unpaired { file: name_of(path), partner: partner.display().to_string() });
            }
            Place::Nemo { text, labels }
        }
        (Format::Nemo, None, _) => {
            return Err(path_error(
                &name_of(path),
                "not a NeMo corpus; expected `text_X.txt` with `labels_X.txt` beside it",
            ));
        }
        (Format::Brat, _, Some(stem)) => {
            let text = path.with_extension("txt");
            for partner in [&text, &path.with_extension("ann")] {
                if !partner.is_file() {
                    return Err(CorpusError::Unpaired { file: name_of(path), partner: partner.display().to_string() });
                }
            }
            let directory = path.parent().unwrap_or(Path::new("")).to_owned();
            Place::Brat { directory, stems: vec![stem.to_owned()] }
        }
        (Format::Brat, _, None) => {
            return Err(path_error(
                &name_of(path),
                "not a brat corpus; expected a directory, or `X.ann` with `X.txt` beside it",
            ));
        }
        _ => Place::One(path.to_owned()),
    };
    Ok((format, place))
}

fn locate_in(directory: &Path, format: Option<Format>) -> Result<(Format, Place), CorpusError> {
    let name = name_of(directory);
    let mut names = Vec::new();
    let read = |source| CorpusError::Read { file: Arc::clone(&name), source };
    for entry in std::fs::read_dir(directory).map_err(read)? {
        names.push(entry.map_err(read)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let with =
        |suffix: &str| names.iter().filter_map(|file| file.strip_suffix(suffix)).map(str::to_owned).collect::<Vec<_>>();
    let pairs: Vec<_> = names
        .iter()
        .filter(|file| file.starts_with("text_"))
        .filter_map(|file| nemo_pair(&directory.join(file), file))
        .collect();
    let stems = with(".ann");
    match format {
        Some(Format::Brat) | None if !stems.is_empty() => {
            let mut stems = [stems, if format.is_some() { with(".txt") } else { Vec::new() }].concat();
            stems.sort();
            stems.dedup();
            Ok((Format::Brat, Place::Brat { directory: directory.to_owned(), stems }))
        }
        Some(Format::Nemo) | None if pairs.len() == 1 => {
            let (text, labels) = pairs.into_iter().next().expect("there is exactly one");
            Ok((Format::Nemo, Place::Nemo { text, labels }))
        }
        _ if pairs.len() > 1 => {
            Err(path_error(&name, format!("contains {} NeMo corpora; give the text file of one", pairs.len())))
        }
        _ => Err(path_error(&name, "contains neither `.ann` files nor a pair of NeMo files; give a file")),
    }
}

fn nemo_pair(path: &Path, file: &str) -> Option<(PathBuf, PathBuf)> {
    let stem = file.strip_prefix("text_").or_else(|| file.strip_prefix("labels_"))?;
    Some((path.with_file_name(format!("text_{stem}")), path.with_file_name(format!("labels_{stem}"))))
}

fn detect_format(path: &Path) -> Result<Format, CorpusError> {
    let mut head = Vec::new();
    let read = open_file(path)?.take(detect::HEAD_BYTES as u64).read_to_end(&mut head);
    read.map_err(|source| CorpusError::Read { file: name_of(path), source })?;
    if head.trim_ascii().is_empty() {
        return Err(CorpusError::Empty { file: name_of(path) });
    }
    Format::detect(&head).ok_or_else(|| CorpusError::UnknownFormat { file: name_of(path), known: detect::names() })
}

/// Opens a file; gzip is detected from the content and decompressed.
pub(crate) fn open_file(path: &Path) -> Result<Box<dyn BufRead + Send>, CorpusError> {
    let error = |source| CorpusError::Read { file: name_of(path), source };
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(error)?);
    let gzipped = file.fill_buf().map_err(error)?.starts_with(&GZIP_MAGIC);
    let gunzip = |file| BufReader::with_capacity(1 << 16, Gunzip(MultiGzDecoder::new(file)));
    Ok(if gzipped { Box::new(gunzip(file)) } else { Box::new(file) })
}

/// A decoder whose errors say that the data are gzip.
struct Gunzip(MultiGzDecoder<BufReader<File>>);

impl Read for Gunzip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        self.0.read(buffer).map_err(|error| match error.kind() {
            UnexpectedEof | InvalidData | InvalidInput => {
                io::Error::new(error.kind(), format!("truncated or corrupt gzip data ({error})"))
            }
            _ => error,
        })
    }
}

pub(crate) fn name_of(path: &Path) -> Arc<str> {
    Arc::from(path.display().to_string())
}

fn path_error(file: &Arc<str>, what: impl Into<String>) -> CorpusError {
    CorpusError::Path { file: Arc::clone(file), what: what.into() }
}

/// The documents of a brat directory, in order of file name.
struct BratFiles {
    directory: PathBuf,
    stems: VecDeque<String>,
}

impl Parse for BratFiles {
    fn step(&mut self, out: &mut VecDeque<Item>) -> Result<bool, CorpusError> {
        let Some(stem) = self.stems.pop_front() else { return Ok(false) };
        let [text, annotations] = ["txt", "ann"].map(|extension| self.directory.join(format!("{stem}.{extension}")));
        if let Some(missing) = [&text, &annotations].into_iter().find(|path| !path.is_file()) {
            let detail = format!("document skipped: {} is missing", missing.display());
            let there = if *missing == text { &annotations } else { &text };
            let spot = Spot { file: name_of(there), line: 0 };
            out.push_back(Item::Diagnostic(Diagnostic {
                kind: DiagnosticKind::BadRecord,
                spot,
                document: Some(stem),
                count: 1,
                detail,
            }));
            return Ok(true);
        }
        let names = (name_of(&text), name_of(&annotations));
        out.extend(brat::read_document(
            &unescape(&stem),
            open_file(&text)?,
            open_file(&annotations)?,
            (&names.0, &names.1),
        )?);
        Ok(true)
    }
}

/// A file name for an identifier: bytes other than ASCII letters, digits, `.`, `_` and `-` are percent-encoded.
pub(crate) fn escape(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let escaped =
        id.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    let name: String = escaped.collect();
    // `.` and `..` are directories, and a leading dot hides the file.
    name.strip_prefix('.').map(|rest| format!("%2E{rest}")).unwrap_or(name)
}

fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identifier_round_trips_through_a_file_name() {
        for id in ["354896", "PMC1/2", "é 𝛽%41", "..", ".x", "a%"] {
            let name = escape(id);
            assert!(!name.contains(['/', ' ']) && !name.starts_with('.'), "{name}");
            assert_eq!(unescape(&name), id);
        }
    }
}
