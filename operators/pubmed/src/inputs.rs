//! INPUT arguments become units, in order.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pubtag_schemas::InputUnit;
use walkdir::WalkDir;

use crate::disk::modified_us;
use crate::name::distribution;
use crate::sniff::{HEAD_BYTES, recognise};
use crate::{PubmedError, ReadOptions};

/// What the arguments of a run come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The units, in the order of the arguments, sorted by path within a folder or a pattern; each file once.
    pub units: Vec<Arc<InputUnit>>,
    /// Files that were met and are not read.
    pub skipped: Vec<Skipped>,
}

/// A file that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its path.
    pub path: String,
    /// Why it is not read.
    pub reason: String,
}

/// What names standard input.
pub(crate) const STDIN: &str = "-";

/// Finds the units that some arguments name: files, folders (with all below them), patterns, and `-` for standard input.
///
/// A file that is named outright is a unit whatever it holds: one that cannot be read is quarantined when its turn
/// comes; so are pipes and devices, which are not opened before. Of folders and patterns, only regular files whose first bytes are recognised are units, and those that have a name of
/// the PubMed distribution; the rest is listed as skipped. Checksum files (`.md5`) are never units. Files are looked
/// into, not hashed.
///
/// # Errors
/// An argument that names nothing, or nothing that can be read, and whatever the system does not let us look at.
pub fn discover(arguments: &[String], options: &ReadOptions) -> Result<Inputs, PubmedError> {
    let mut finder = Finder { options, inputs: Inputs::default(), met: HashSet::new() };
    if arguments.is_empty() {
        return Err(PubmedError::NoInputs);
    }
    for argument in arguments {
        finder.argument(argument)?;
    }
    if finder.inputs.units.is_empty() {
        return Err(finder.nothing_readable(&arguments.join(" "), 0));
    }
    Ok(finder.inputs)
}

struct Finder<'a> {
    options: &'a ReadOptions,
    inputs: Inputs,
    met: HashSet<PathBuf>,
}

impl Finder<'_> {
    fn argument(&mut self, argument: &str) -> Result<(), PubmedError> {
        let path = Path::new(argument);
        if argument == STDIN {
            self.stdin();
            return Ok(());
        }
        if path.is_dir() {
            return self.all_of(argument, vec![path.to_owned()]);
        }
        if path.exists() {
            return self.named(path);
        }
        if argument.contains("://") {
            return Err(PubmedError::UnsupportedUri { argument: argument.to_owned() });
        }
        if argument.contains(['*', '?', '[']) {
            return self.all_of(argument, matches(argument)?);
        }
        Err(PubmedError::Missing { argument: argument.to_owned() })
    }

    fn stdin(&mut self) {
        if self.met.insert(PathBuf::from(STDIN)) {
            let index = self.inputs.units.len();
            self.inputs.units.push(Arc::new(InputUnit { read_once: true, ..unit(index, STDIN.to_owned()) }));
        }
    }

    /// A file that an argument names outright.
    fn named(&mut self, path: &Path) -> Result<(), PubmedError> {
        if is_checksum(path) {
            self.skip(path, "it is a checksum");
            return Ok(());
        }
        self.add(path)
    }

    /// The files below some paths, as far as they are recognised.
    fn all_of(&mut self, argument: &str, paths: Vec<PathBuf>) -> Result<(), PubmedError> {
        let (units, skipped) = (self.inputs.units.len(), self.inputs.skipped.len());
        for path in paths {
            for entry in WalkDir::new(path).follow_links(true).sort_by_file_name() {
                self.entry(entry)?;
            }
        }
        let duplicates_only = self.inputs.skipped[skipped..].iter().any(|skipped| skipped.reason == TWICE);
        if self.inputs.units.len() == units && !duplicates_only {
            return Err(self.nothing_readable(argument, skipped));
        }
        Ok(())
    }

    fn entry(&mut self, entry: Result<walkdir::DirEntry, walkdir::Error>) -> Result<(), PubmedError> {
        match entry {
            Ok(entry) if entry.file_type().is_file() => self.found(entry.path()),
            Ok(entry) => {
                if !entry.file_type().is_dir() {
                    self.skip(entry.path(), "not a regular file; name it directly to read it");
                }
                Ok(())
            }
            Err(error) if error.loop_ancestor().is_some() => {
                self.skip(error.path().unwrap_or(Path::new("")), "it is a link to a folder that it lies in");
                Ok(())
            }
            Err(error) => {
                let path = error.path().unwrap_or(Path::new("")).display().to_string();
                Err(PubmedError::io(path, "look into it")(error.into()))
            }
        }
    }

    /// A file that a folder or a pattern has led to.
    fn found(&mut self, path: &Path) -> Result<(), PubmedError> {
        match unwanted(path).map_or_else(|| recognised(path, self.options), |reason| Ok(Err(reason.to_owned())))? {
            Ok(()) => self.add(path),
            Err(reason) => {
                self.skip(path, reason);
                Ok(())
            }
        }
    }

    fn add(&mut self, path: &Path) -> Result<(), PubmedError> {
        // A pipe (`/dev/fd/63`) has no path behind it.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if !self.met.insert(real) {
            self.skip(path, TWICE);
            return Ok(());
        }
        let path = std::path::absolute(path).map_err(PubmedError::io(path.display(), "find it"))?;
        let uri = path.to_str().ok_or_else(|| PubmedError::NotUtf8 { path: path.display().to_string() })?;
        let metadata = fs::metadata(&path).map_err(PubmedError::io(uri, "look at it"))?;
        let index = self.inputs.units.len();
        self.inputs.units.push(Arc::new(InputUnit {
            read_once: !metadata.is_file(),
            size: metadata.is_file().then_some(metadata.len()),
            modified_us: metadata.is_file().then(|| modified_us(&metadata)).flatten(),
            ..unit(index, uri.to_owned())
        }));
        Ok(())
    }

    fn skip(&mut self, path: &Path, reason: impl Into<String>) {
        self.inputs.skipped.push(Skipped { path: path.display().to_string(), reason: reason.into() });
    }

    fn nothing_readable(&self, argument: &str, since: usize) -> PubmedError {
        let skipped = &self.inputs.skipped[since..];
        let first = skipped.first().map_or("there is no file".to_owned(), |s| format!("{}: {}", s.path, s.reason));
        PubmedError::NothingReadable { argument: argument.to_owned(), skipped: skipped.len(), first }
    }
}

const TWICE: &str = "it is given more than once";

fn unit(index: usize, uri: String) -> InputUnit {
    let mut unit = InputUnit {
        index,
        uri,
        read_once: false,
        sha256: None,
        size: None,
        modified_us: None,
        generation: None,
        file_seq: None,
    };
    (unit.generation, unit.file_seq) = distribution(unit.file_name()).unzip();
    unit
}

/// The paths that match a pattern, sorted.
fn matches(pattern: &str) -> Result<Vec<PathBuf>, PubmedError> {
    let bad = |error: glob::PatternError| PubmedError::Pattern {
        pattern: pattern.to_owned(),
        reason: format!("{} at character {}", error.msg, error.pos),
    };
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let mut paths = Vec::new();
    for path in glob::glob_with(pattern, options).map_err(bad)? {
        paths.push(path.map_err(|error| {
            let path = error.path().display().to_string();
            PubmedError::io(path, "look into it")(error.into())
        })?);
    }
    paths.sort();
    if paths.is_empty() {
        return Err(PubmedError::NoMatch { pattern: pattern.to_owned() });
    }
    Ok(paths)
}

fn is_checksum(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("md5"))
}

/// Why a file is passed over for its name alone.
fn unwanted(path: &Path) -> Option<&'static str> {
    const UNFINISHED: [&str; 6] = ["part", "partial", "tmp", "crdownload", "filepart", "aria2"];
    let name = path.file_name()?.to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match () {
        () if is_checksum(path) => Some("it is a checksum"),
        () if name.starts_with('.') => Some("it is hidden"),
        () if UNFINISHED.contains(&&*extension) => Some("its name says that it is unfinished"),
        () => None,
    }
}

/// Whether a file is an input, by its name in the PubMed distribution or by its first bytes, or why it is not.
fn recognised(path: &Path, options: &ReadOptions) -> Result<Result<(), String>, PubmedError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head))
        .map_err(PubmedError::io(path.display(), "read it"))?;
    Ok(if distribution(&name).is_some() { Ok(()) } else { recognise(&head, options) })
}
