//! INPUT arguments become units, in order.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pubtag_schemas::{InputUnit, Location, OUTPUT_MARK};
use walkdir::WalkDir;

use crate::disk::modified_us;
use crate::error::lasting;
use crate::name::distribution;
use crate::pattern::{is_pattern, literal_folder, matched_folders, matches};
use crate::sniff::{HEAD_BYTES, recognise};
use crate::{PubmedError, ReadOptions};

/// What the arguments of a run come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The units, in the order of the arguments, sorted by path within a folder or a pattern; each file once.
    pub units: Vec<Arc<InputUnit>>,
    /// Files and folders that were met and are not read.
    pub skipped: Vec<Skipped>,
}

/// A file or folder that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its path.
    pub path: String,
    /// Why it is not read.
    pub reason: String,
}

/// What names standard input.
const STDIN: &str = "-";

/// Finds the units that some arguments name: files, folders (with all below them), patterns, and `-` for standard input.
///
/// A file that is named directly is a unit whatever it holds: one that cannot be read is quarantined when its turn
/// comes; so are pipes and devices, which are not opened before. Of folders and patterns, only regular files whose first
/// bytes are recognised are units, and those that have a name of the PubMed distribution. The rest is listed as skipped:
/// also what may not be read, broken links, and folders that pubtag wrote. Checksum files (`.md5`) are never units. Files
/// are looked into, not hashed.
///
/// # Errors
/// An argument that names nothing, nothing that can be read, or something in the output; and errors of the system that may
/// not happen again.
pub fn discover(arguments: &[String], options: &ReadOptions) -> Result<Inputs, PubmedError> {
    if arguments.is_empty() {
        return Err(PubmedError::NoInputs);
    }
    let output = options.output.as_deref().map(resolved).transpose()?;
    let mut finder = Finder { options, output, inputs: Inputs::default(), met: HashSet::new() };
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
    /// The output of the run, without links.
    output: Option<PathBuf>,
    inputs: Inputs,
    met: HashSet<PathBuf>,
}

impl Finder<'_> {
    fn argument(&mut self, argument: &str) -> Result<(), PubmedError> {
        if argument == STDIN {
            self.stdin();
            return Ok(());
        }
        let path = Path::new(argument);
        match fs::metadata(path) {
            Ok(metadata) => {
                self.check_apart(argument, path)?;
                if metadata.is_dir() {
                    self.all_of(argument, |finder| finder.walk(path, true))
                } else {
                    self.named(path)
                }
            }
            Err(_) if argument.contains("://") => Err(PubmedError::UnsupportedUri { argument: argument.to_owned() }),
            Err(_) if is_pattern(argument) => self.all_of(argument, |finder| finder.matching(argument)),
            Err(error) => Err(missing(argument, error)),
        }
    }

    fn stdin(&mut self) {
        if self.met.insert(PathBuf::from(STDIN)) {
            let index = self.inputs.units.len();
            self.inputs.units.push(Arc::new(InputUnit { read_once: true, ..unit(index, Location::Stdin) }));
        }
    }

    /// Refuses what lies in the output: a run must not read what it writes.
    fn check_apart(&self, argument: &str, path: &Path) -> Result<(), PubmedError> {
        // A pipe (`/dev/fd/63`) has no path behind it.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match &self.output {
            Some(output) if real.starts_with(output) => {
                Err(PubmedError::InOutput { argument: argument.to_owned(), output: output.display().to_string() })
            }
            _ => Ok(()),
        }
    }

    /// A file that an argument names directly.
    fn named(&mut self, path: &Path) -> Result<(), PubmedError> {
        if is_checksum(path) {
            self.skip(path, "it is a checksum");
            return Ok(());
        }
        self.add(path)
    }

    /// The files that a folder or a pattern leads to, as far as they are recognised.
    fn all_of(
        &mut self,
        argument: &str,
        find: impl FnOnce(&mut Self) -> Result<(), PubmedError>,
    ) -> Result<(), PubmedError> {
        let (units, skipped) = (self.inputs.units.len(), self.inputs.skipped.len());
        find(self)?;
        let duplicates_only = self.inputs.skipped[skipped..].iter().any(|skipped| skipped.reason == TWICE);
        if self.inputs.units.len() == units && !duplicates_only {
            return Err(self.nothing_readable(argument, skipped));
        }
        Ok(())
    }

    /// The files that match a pattern, and those below folders that do.
    fn matching(&mut self, pattern: &str) -> Result<(), PubmedError> {
        self.check_apart(pattern, &literal_folder(pattern))?;
        let mut not_entered = HashSet::new();
        for found in matches(pattern)? {
            let path = match found {
                Ok(path) => path,
                Err((path, error)) => {
                    self.unreadable(&path, error)?;
                    continue;
                }
            };
            let folders = matched_folders(pattern, &path);
            match folders.into_iter().find_map(|folder| Some((folder, self.unwanted_folder(folder)?))) {
                None => self.walk(&path, false)?,
                Some((folder, reason)) if not_entered.insert(folder.to_owned()) => self.skip(folder, reason),
                Some(_) => (),
            }
        }
        Ok(())
    }

    /// What lies below a path, which itself is wanted. One that is `named` must be readable.
    fn walk(&mut self, path: &Path, named: bool) -> Result<(), PubmedError> {
        let mut entries = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) if entry.file_type().is_file() => self.found(entry.path())?,
                Ok(entry) if !entry.file_type().is_dir() => {
                    self.skip(entry.path(), "not a regular file; name it directly to read it");
                }
                Ok(entry) if entry.depth() > 0 => {
                    if let Some(reason) = self.unwanted_folder(entry.path()) {
                        self.skip(entry.path(), reason);
                        entries.skip_current_dir();
                    }
                }
                Ok(_) => (),
                Err(error) => self.not_walked(error, named.then_some(path))?,
            }
        }
        Ok(())
    }

    /// Passes over what a walk cannot enter, except for what is named.
    fn not_walked(&mut self, error: walkdir::Error, named: Option<&Path>) -> Result<(), PubmedError> {
        let path = error.path().map(Path::to_owned).unwrap_or_default();
        if error.loop_ancestor().is_some() {
            self.skip(&path, "it is a link to a folder that it lies in");
            return Ok(());
        }
        let at_root = error.depth() == 0;
        let error = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
        match named {
            Some(named) if at_root => Err(PubmedError::io(named.display(), "read it")(error)),
            _ => self.unreadable(&path, error),
        }
    }

    /// Why a folder that was come upon is not entered.
    fn unwanted_folder(&self, path: &Path) -> Option<&'static str> {
        let is = |output: &PathBuf| path.canonicalize().is_ok_and(|real| real == *output);
        match () {
            () if self.output.as_ref().is_some_and(is) => Some("it is the output of this run"),
            () if path.join(OUTPUT_MARK).is_file() => Some("it was written by pubtag; name it directly to read it"),
            () => None,
        }
    }

    /// A file that a folder or a pattern has led to.
    fn found(&mut self, path: &Path) -> Result<(), PubmedError> {
        let wanted = match unwanted(path) {
            Some(reason) => Ok(Err(reason.to_owned())),
            None => recognised(path, self.options),
        };
        match wanted {
            Ok(Ok(())) if path.to_str().is_none() => self.skip(path, "its path is not UTF-8; rename it"),
            Ok(Ok(())) => return self.add(path),
            Ok(Err(reason)) => self.skip(path, reason),
            Err(error) => return self.unreadable(path, error),
        }
        Ok(())
    }

    /// Passes over what cannot be read and will not be readable next time either.
    fn unreadable(&mut self, path: &Path, error: io::Error) -> Result<(), PubmedError> {
        let broken_link = path.is_symlink() && !path.exists();
        if !broken_link && !lasting(&error) && error.kind() != io::ErrorKind::NotFound {
            return Err(PubmedError::io(path.display(), "read it")(error));
        }
        self.skip(path, if broken_link { format!("broken link ({error})") } else { error.to_string() });
        Ok(())
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
            ..unit(index, Location::File(uri.to_owned()))
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

/// What is wrong with an argument at whose path nothing can be found.
fn missing(argument: &str, error: io::Error) -> PubmedError {
    let argument = argument.to_owned();
    match fs::read_link(&argument) {
        Ok(target) => PubmedError::BrokenLink { argument, target: target.display().to_string() },
        Err(_) if error.kind() == io::ErrorKind::NotFound => PubmedError::Missing { argument },
        Err(_) => PubmedError::io(argument, "find it")(error),
    }
}

/// A path without links, though its end may not exist yet.
fn resolved(path: &Path) -> Result<PathBuf, PubmedError> {
    let path = std::path::absolute(path).map_err(PubmedError::io(path.display(), "find it"))?;
    let known = path.ancestors().find_map(|known| Some((known, known.canonicalize().ok()?)));
    Ok(match known {
        Some((known, real)) => real.join(path.strip_prefix(known).unwrap_or(Path::new(""))),
        None => path,
    })
}

fn unit(index: usize, location: Location) -> InputUnit {
    let mut unit = InputUnit::new(index, location);
    (unit.generation, unit.file_seq) = distribution(unit.file_name()).unzip();
    unit
}

fn is_checksum(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("md5"))
}

/// Why a file is passed over for its name alone.
fn unwanted(path: &Path) -> Option<&'static str> {
    const UNFINISHED: [&str; 6] = ["part", "partial", "tmp", "crdownload", "filepart", "aria2"];
    let name = path.file_name()?.to_string_lossy();
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match () {
        () if is_checksum(path) => Some("it is a checksum"),
        () if name.starts_with('.') => Some("it is hidden"),
        () if UNFINISHED.contains(&extension) => Some("its name says that it is unfinished"),
        () => None,
    }
}

/// Whether a file is an input, by its name in the PubMed distribution or by its first bytes, or why it is not.
fn recognised(path: &Path, options: &ReadOptions) -> io::Result<Result<(), String>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(if distribution(&name).is_some() { Ok(()) } else { recognise(&head, options) })
}
