//! Glob patterns: `*`, `?`, `[…]` and `**`, as in a shell.

use std::io;
use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use crate::PubmedError;

/// The rule of the glob crate for hidden files panics at names that are not UTF-8, so it is replaced below.
const OPTIONS: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: false, require_literal_leading_dot: false };

/// A path that matches, or a directory that cannot be read.
pub(crate) type Found = Result<PathBuf, (PathBuf, io::Error)>;

/// Whether an argument that does not exist is a pattern.
pub(crate) fn is_pattern(argument: &str) -> bool {
    argument.contains(['*', '?', '['])
}

/// The paths that match a pattern, sorted.
///
/// # Errors
/// The pattern is invalid or matches nothing.
pub(crate) fn matches(pattern: &str) -> Result<Vec<Found>, PubmedError> {
    let found = glob::glob_with(pattern, OPTIONS).map_err(|error| bad_pattern(pattern, &error))?;
    let mut found: Vec<Found> =
        found.map(|path| path.map_err(|error| (error.path().to_owned(), error.into()))).collect();
    found.extend(not_utf8(pattern)?.into_iter().map(Ok));
    let literal = depth(&literal_directory(pattern));
    if !is_hidden(Path::new(pattern), literal) {
        found.retain(|found| !is_hidden(path_of(found), literal));
    }
    found.sort_by(|a, b| path_of(a).cmp(path_of(b)));
    if found.is_empty() {
        return Err(PubmedError::NoMatch { pattern: pattern.to_owned() });
    }
    Ok(found)
}

/// The paths that match a pattern and are not UTF-8: the glob crate passes over them.
fn not_utf8(pattern: &str) -> Result<Vec<PathBuf>, PubmedError> {
    let literal = literal_directory(pattern);
    let names: PathBuf = Path::new(pattern).components().collect();
    let whole = glob::Pattern::new(&names.to_string_lossy()).map_err(|error| bad_pattern(pattern, &error))?;
    let deepest = if pattern.contains("**") { usize::MAX } else { depth(&names).saturating_sub(depth(&literal)) };
    let options = glob::MatchOptions { require_literal_separator: true, ..OPTIONS };
    let below = WalkDir::new(&literal).min_depth(1).max_depth(deepest).follow_links(true);
    let paths = below.into_iter().flatten().map(walkdir::DirEntry::into_path);
    let paths = paths.map(|path| path.strip_prefix(".").map_or(path.clone(), Path::to_owned));
    let matches = |path: &PathBuf| path.to_str().is_none() && whole.matches_with(&path.to_string_lossy(), options);
    Ok(paths.filter(matches).collect())
}

/// The error of an invalid pattern.
pub(crate) fn bad_pattern(pattern: &str, error: &glob::PatternError) -> PubmedError {
    PubmedError::Pattern { pattern: pattern.to_owned(), reason: format!("{} at character {}", error.msg, error.pos) }
}

fn path_of(found: &Found) -> &Path {
    match found {
        Ok(path) | Err((path, _)) => path,
    }
}

fn depth(path: &Path) -> usize {
    path.components().filter(|part| *part != Component::CurDir).count()
}

/// Whether a component after the first `literal` ones begins with a dot. Wildcards match such names only if the pattern has a
/// leading dot itself.
fn is_hidden(path: &Path, literal: usize) -> bool {
    let mut names = path.components().filter(|part| *part != Component::CurDir).skip(literal);
    names.any(|part| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b".")))
}

/// The directory before the first wildcard of a pattern.
pub(crate) fn literal_directory(pattern: &str) -> PathBuf {
    let wild = |part: &Component<'_>| is_pattern(&part.as_os_str().to_string_lossy());
    let directory: PathBuf = Path::new(pattern).components().take_while(|part| !wild(part)).collect();
    if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory }
}

/// The part of a match that wildcards matched: its parent directories, outermost first, and itself.
pub(crate) fn matched_directories<'a>(pattern: &str, path: &'a Path) -> Vec<&'a Path> {
    let literal = depth(&literal_directory(pattern));
    let mut directories: Vec<_> = path.ancestors().take_while(|directory| depth(directory) > literal).collect();
    directories.reverse();
    directories
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_hidden_names_only_after_an_explicit_dot() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".a"), "").unwrap();
        std::fs::write(directory.path().join("b"), "").unwrap();
        let names = |pattern: &str| {
            let found = matches(&format!("{}/{pattern}", directory.path().display())).unwrap();
            found.iter().map(|found| path_of(found).file_name().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("*"), ["b"]);
        assert_eq!(names(".a*"), [".a"]);
    }

    #[test]
    fn only_the_part_matched_by_wildcards_is_returned() {
        let directories = |pattern, path| {
            matched_directories(pattern, Path::new(path))
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(directories("/data/in/*", "/data/in/a"), ["/data/in/a"]);
        assert_eq!(directories("./data/*/x/*.xml", "data/a/x/b.xml"), ["data/a", "data/a/x", "data/a/x/b.xml"]);
        assert_eq!(directories("*.xml", "a.xml"), ["a.xml"]);
        assert_eq!(literal_directory("*.xml"), Path::new("."));
    }
}
