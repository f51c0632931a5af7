//! Discovers the units that INPUT arguments name.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use pubtag_schemas::{InputUnit, Location, MARKS, distribution};
use pubtag_store::{Address, Bucket};
use pubtag_stream::FaultKind;
use walkdir::WalkDir;

use crate::disk::modified_us;
use crate::error::is_permanent;
use crate::listed::{self, Found, find, outputs};
use crate::order::in_pubmed_order;
use crate::pattern::{is_pattern, literal_directory, matched_directories, matches};
use crate::sniff::{HEAD_BYTES, recognise};
use crate::{PubmedError, ReadOptions};

/// The inputs of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The units in the order of the arguments, sorted by path within a directory or pattern, each file once; files of the
    /// PubMed distribution are in its order.
    pub units: Vec<Arc<InputUnit>>,
    /// Files and directories that were found and are not read.
    pub skipped: Vec<Skipped>,
    /// What cannot be read although it is an input by its name, or a directory that may contain some. Whoever reads the
    /// others must not report success.
    pub unreadable: Vec<Unreadable>,
}

/// An input, or a directory, that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its path.
    pub path: String,
    /// Why it cannot be read.
    pub reason: String,
    /// How to react.
    pub kind: FaultKind,
}

/// A file or directory that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its path.
    pub path: String,
    /// Why it is not read.
    pub reason: String,
}

/// The argument that names standard input.
const STDIN: &str = "-";

/// Finds the units that arguments name: files, directories (recursively), glob patterns, and `-` for standard input.
///
/// A file that is named directly is a unit whatever its content; if it turns out to be unreadable, it is quarantined. Pipes
/// and devices are not opened before they are read. From directories and patterns, only regular files with a recognised
/// format or a file name of the PubMed distribution are units. Other files are listed as skipped, and so are directories
/// written by pubtag. Directories and files with the name of an input that lack read permission, broken links, and inputs
/// whose path is not UTF-8 are listed as unreadable. Checksum files (`.md5`) are never units. Only the start of each file is
/// read; nothing is hashed.
///
/// # Errors
/// An argument does not exist, leads to no readable file, or is inside the output; or an I/O error that may be temporary.
pub fn discover(arguments: &[String], options: &ReadOptions) -> Result<Inputs, PubmedError> {
    if arguments.is_empty() {
        return Err(PubmedError::NoInputs);
    }
    let output = options.output.as_ref().and_then(Address::local).map(resolved).transpose()?;
    let mut finder = Finder { options, output, inputs: Inputs::default(), met: HashSet::new() };
    for argument in arguments {
        finder.argument(argument)?;
    }
    if finder.inputs.units.is_empty() {
        return Err(finder.nothing_readable(&arguments.join(" "), 0));
    }
    in_pubmed_order(&mut finder.inputs.units);
    Ok(finder.inputs)
}

struct Finder<'a> {
    options: &'a ReadOptions,
    /// The output directory of the run, with links resolved.
    output: Option<PathBuf>,
    inputs: Inputs,
    met: HashSet<PathBuf>,
}

impl Finder<'_> {
    fn argument(&mut self, argument: &str) -> Result<(), PubmedError> {
        if argument.is_empty() {
            return Err(PubmedError::EmptyInput);
        }
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
            Err(_) if Address::is_url(argument) => self.url(argument),
            Err(_) if is_pattern(argument) => self.all_of(argument, |finder| finder.matching(argument)),
            Err(error) => Err(missing(argument, error)),
        }
    }

    fn url(&mut self, argument: &str) -> Result<(), PubmedError> {
        match argument.parse() {
            Ok(Address::Local(path)) => match path.to_str() {
                Some(path) => self.argument(path),
                None => Err(PubmedError::NotUtf8 { path: path.display().to_string() }),
            },
            Ok(Address::Bucket(bucket)) => {
                if self.is_in_output(&bucket.to_string()) {
                    let output = self.options.output.as_ref().map(ToString::to_string).unwrap_or_default();
                    return Err(PubmedError::InOutput { argument: argument.to_owned(), output });
                }
                let found = find(argument, &bucket, self.options)?;
                self.all_of(argument, |finder| finder.objects(&bucket, found))
            }
            Err(source) => Err(PubmedError::Store { argument: argument.to_owned(), source }),
        }
    }

    /// Adds the recognised objects among those that a URL leads to.
    fn objects(&mut self, bucket: &Bucket, found: Vec<Found>) -> Result<(), PubmedError> {
        let root = format!("{bucket}/");
        let outputs = outputs(&found);
        let in_other = |url: &str| outputs.iter().any(|output| *output != root && url.starts_with(output));
        for found in found {
            let name = found.meta.location.filename().unwrap_or_default();
            let reason = match () {
                () if is_checksum(Path::new(name)) => Some("checksum file".to_owned()),
                () if found.named => None,
                () if self.is_in_output(&found.url) => Some("in the output of this run".to_owned()),
                () if in_other(&found.url) => Some("written by pubtag; name its prefix directly to read it".to_owned()),
                () => match unwanted(Path::new(name)) {
                    Some(reason) => Some(reason.to_owned()),
                    None if distribution(name).is_some() => None,
                    None => listed::recognised(&found, self.options)?.err(),
                },
            };
            match reason {
                Some(reason) => self.inputs.skipped.push(Skipped { path: found.url, reason }),
                None => self.add_object(found),
            }
        }
        Ok(())
    }

    fn add_object(&mut self, found: Found) {
        if !self.met.insert(PathBuf::from(&found.url)) {
            self.inputs.skipped.push(Skipped { path: found.url, reason: TWICE.to_owned() });
            return;
        }
        let index = self.inputs.units.len();
        self.inputs.units.push(Arc::new(InputUnit {
            size: Some(found.meta.size),
            modified_us: Some(found.meta.last_modified.timestamp_micros()),
            e_tag: found.meta.e_tag,
            ..unit(index, Location::Object(found.url))
        }));
    }

    /// Whether a URL is that of the run's output or below it.
    fn is_in_output(&self, url: &str) -> bool {
        let Some(output @ Address::Bucket(_)) = &self.options.output else { return false };
        url.strip_prefix(&output.to_string()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn stdin(&mut self) {
        if self.met.insert(PathBuf::from(STDIN)) {
            let index = self.inputs.units.len();
            self.inputs.units.push(Arc::new(InputUnit { read_once: true, ..unit(index, Location::Stdin) }));
        }
    }

    /// Rejects paths inside the output: a run must not read what it writes.
    fn check_apart(&self, argument: &str, path: &Path) -> Result<(), PubmedError> {
        // A pipe (`/dev/fd/63`) has no real path.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match &self.output {
            Some(output) if real.starts_with(output) => {
                Err(PubmedError::InOutput { argument: argument.to_owned(), output: output.display().to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Adds a file that an argument names directly.
    fn named(&mut self, path: &Path) -> Result<(), PubmedError> {
        if is_checksum(path) {
            self.skip(path, "checksum file");
            return Ok(());
        }
        self.add(path)
    }

    /// Adds the recognised files that a directory or pattern leads to.
    fn all_of(
        &mut self,
        argument: &str,
        find: impl FnOnce(&mut Self) -> Result<(), PubmedError>,
    ) -> Result<(), PubmedError> {
        let (units, skipped) = (self.inputs.units.len(), self.inputs.skipped.len());
        let unreadable = self.inputs.unreadable.len();
        find(self)?;
        if self.inputs.units.len() == units
            && let Some(Unreadable { path, reason, kind }) = self.inputs.unreadable.get(unreadable)
        {
            let (path, reason, kind) = (path.clone(), reason.clone(), *kind);
            return Err(PubmedError::Unreadable { path, reason, kind });
        }
        let duplicates_only = self.inputs.skipped[skipped..].iter().any(|skipped| skipped.reason == TWICE);
        if self.inputs.units.len() == units && !duplicates_only {
            return Err(self.nothing_readable(argument, skipped));
        }
        Ok(())
    }

    /// Adds the files that match a pattern, and those below matching directories.
    fn matching(&mut self, pattern: &str) -> Result<(), PubmedError> {
        self.check_apart(pattern, &literal_directory(pattern))?;
        let mut not_entered = HashSet::new();
        for found in matches(pattern)? {
            let path = match found {
                Ok(path) => path,
                Err((path, error)) => {
                    self.unreadable(&path, error)?;
                    continue;
                }
            };
            let directories = matched_directories(pattern, &path);
            match directories.into_iter().find_map(|directory| Some((directory, self.unwanted_directory(directory)?))) {
                None => self.walk(&path, false)?,
                Some((directory, reason)) if not_entered.insert(directory.to_owned()) => self.skip(directory, reason),
                Some(_) => (),
            }
        }
        Ok(())
    }

    /// Adds the files below a path. A path that is `named` by an argument must be readable.
    fn walk(&mut self, path: &Path, named: bool) -> Result<(), PubmedError> {
        let mut entries = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) if entry.file_type().is_file() => self.found(entry.path())?,
                Ok(entry) if !entry.file_type().is_dir() => {
                    self.skip(entry.path(), "not a regular file; name it directly to read it");
                }
                Ok(entry) if entry.depth() > 0 => {
                    if let Some(reason) = self.unwanted_directory(entry.path()) {
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

    /// Skips what cannot be entered, unless it is named by an argument.
    fn not_walked(&mut self, error: walkdir::Error, named: Option<&Path>) -> Result<(), PubmedError> {
        let path = error.path().map(Path::to_owned).unwrap_or_default();
        if error.loop_ancestor().is_some() {
            self.skip(&path, LOOP);
            return Ok(());
        }
        let at_root = error.depth() == 0;
        let error = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
        match named {
            Some(named) if at_root => Err(PubmedError::io(named.display(), "read")(error)),
            _ => self.unreadable(&path, error),
        }
    }

    /// Why a directory is not entered.
    fn unwanted_directory(&self, path: &Path) -> Option<&'static str> {
        let is = |output: &PathBuf| path.canonicalize().is_ok_and(|real| real == *output);
        match () {
            () if self.output.as_ref().is_some_and(is) => Some("output directory of this run"),
            () if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) => {
                Some("hidden directory")
            }
            () if MARKS.iter().any(|mark| path.join(mark).is_file()) => {
                Some("written by pubtag; name it directly to read it")
            }
            () => None,
        }
    }

    /// Adds a file found through a directory or pattern, if it is recognised.
    fn found(&mut self, path: &Path) -> Result<(), PubmedError> {
        let wanted = match unwanted(path) {
            Some(reason) => Ok(Err(reason.to_owned())),
            None => recognised(path, self.options),
        };
        match wanted {
            Ok(Ok(())) if path.to_str().is_none() => {
                self.lacks(path, "path is not UTF-8; rename the file", FaultKind::Data);
            }
            Ok(Ok(())) => return self.add(path),
            Ok(Err(reason)) => self.skip(path, reason),
            Err(error) => return self.unreadable(path, error),
        }
        Ok(())
    }

    /// Notes what cannot be read, unless the error may be temporary.
    fn unreadable(&mut self, path: &Path, error: io::Error) -> Result<(), PubmedError> {
        let broken_link = path.is_symlink() && !path.exists();
        if broken_link && leads_on(path) {
            self.skip(path, LOOP);
            return Ok(());
        }
        let has_vanished = error.kind() == io::ErrorKind::NotFound && !broken_link;
        if !broken_link && !has_vanished && !is_permanent(&error) {
            return Err(PubmedError::io(path.display(), "read")(error));
        }
        let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
        let kind = if is_denied { FaultKind::Configuration } else { FaultKind::Data };
        let reason = if broken_link { format!("broken symbolic link ({error})") } else { error.to_string() };
        match has_vanished || !may_be_input(path, self.options) {
            true => self.skip(path, reason),
            false => self.lacks(path, reason, kind),
        }
        Ok(())
    }

    /// Notes an input that cannot be read.
    fn lacks(&mut self, path: &Path, reason: impl Into<String>, kind: FaultKind) {
        let (path, reason) = (path.display().to_string(), reason.into());
        self.inputs.unreadable.push(Unreadable { path, reason, kind });
    }

    fn add(&mut self, path: &Path) -> Result<(), PubmedError> {
        // A pipe (`/dev/fd/63`) has no real path.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if !self.met.insert(real) {
            self.skip(path, TWICE);
            return Ok(());
        }
        let path = absolute(path).map_err(PubmedError::io(path.display(), "resolve"))?;
        let uri = path.to_str().ok_or_else(|| PubmedError::NotUtf8 { path: path.display().to_string() })?;
        let metadata = fs::metadata(&path).map_err(PubmedError::io(uri, "get metadata of"))?;
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
        let describe =
            |first: &Skipped| format!("{} skipped; first is {}: {}", skipped.len(), first.path, first.reason);
        let first = skipped.first().map_or("no files".to_owned(), describe);
        PubmedError::NothingReadable { argument: argument.to_owned(), skipped: skipped.len(), first }
    }
}

const TWICE: &str = "given more than once";
const LOOP: &str = "symbolic link to one of its parent directories";

/// Whether a link leads somewhere on the shortest way to it: `**` follows a link to a parent directory until there are too many.
fn leads_on(link: &Path) -> bool {
    let directory = link.parent().and_then(|directory| directory.canonicalize().ok());
    directory.zip(link.file_name()).is_some_and(|(directory, name)| directory.join(name).exists())
}

/// The error of an argument whose path has no metadata.
fn missing(argument: &str, error: io::Error) -> PubmedError {
    let argument = argument.to_owned();
    match fs::read_link(&argument) {
        Ok(target) => PubmedError::BrokenLink { argument, target: target.display().to_string() },
        Err(_) if error.kind() == io::ErrorKind::NotFound => PubmedError::Missing { argument },
        Err(_) => PubmedError::io(argument, "get metadata of")(error),
    }
}

/// The absolute path of a file. It has no `..`, so that a file has one URI however its directory is named; links keep their names.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match (path.parent(), path.file_name()) {
        (Some(directory), Some(name)) if directory.components().any(|part| part == Component::ParentDir) => {
            Ok(directory.canonicalize()?.join(name))
        }
        _ => Ok(path),
    }
}

/// A path with links resolved; it may not exist yet.
fn resolved(path: &Path) -> Result<PathBuf, PubmedError> {
    let path = std::path::absolute(path).map_err(PubmedError::io(path.display(), "resolve"))?;
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

/// Why a file is skipped for its name alone.
fn unwanted(path: &Path) -> Option<&'static str> {
    const UNFINISHED: [&str; 6] = ["part", "partial", "tmp", "crdownload", "filepart", "aria2"];
    let name = path.file_name()?.to_string_lossy();
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match () {
        () if is_checksum(path) => Some("checksum file"),
        () if name.starts_with('.') => Some("hidden file"),
        () if UNFINISHED.contains(&extension) => Some("partial download"),
        () => None,
    }
}

/// Whether what cannot be read may be an input, or a directory with inputs, by its name. In doubt it is: nobody would notice
/// otherwise that it is missing.
fn may_be_input(path: &Path, options: &ReadOptions) -> bool {
    const EXTENSIONS: [&str; 9] = ["csv", "gz", "json", "jsonl", "nbib", "ndjson", "parquet", "tsv", "xml"];
    let name = path.file_name().unwrap_or_default();
    match (unwanted(path), path.extension()) {
        // Every file system has one at its root, for root alone.
        _ if name == "lost+found" => false,
        (Some(_), _) => false,
        _ if path.is_dir() || options.format.is_some() => true,
        (None, Some(extension)) => EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)),
        // A link to a directory that is gone, or below a directory that cannot be searched.
        (None, None) => !path.is_file(),
    }
}

/// Whether a file is an input, by its name in the PubMed distribution or its content; if not, why.
fn recognised(path: &Path, options: &ReadOptions) -> io::Result<Result<(), String>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    Ok(if distribution(&name).is_some() { Ok(()) } else { recognise(&head, options) })
}
