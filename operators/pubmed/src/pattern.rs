//! Patterns of paths: `*`, `?`, `[…]` and `**`, as a shell reads them.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::PubmedError;

/// The library's own rule for hidden files panics at a name that is not UTF-8.
const OPTIONS: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: false, require_literal_leading_dot: false };

/// A path that matches, or a folder that cannot be looked into.
pub(crate) type Found = Result<PathBuf, (PathBuf, io::Error)>;

/// Whether an argument that names no file is a pattern.
pub(crate) fn is_pattern(argument: &str) -> bool {
    argument.contains(['*', '?', '['])
}

/// What matches a pattern, sorted.
///
/// # Errors
/// If it is not a valid pattern or matches nothing.
pub(crate) fn matches(pattern: &str) -> Result<Vec<Found>, PubmedError> {
    let bad = |error: glob::PatternError| PubmedError::Pattern {
        pattern: pattern.to_owned(),
        reason: format!("{} at character {}", error.msg, error.pos),
    };
    let found = glob::glob_with(pattern, OPTIONS).map_err(bad)?;
    let mut found: Vec<Found> =
        found.map(|path| path.map_err(|error| (error.path().to_owned(), error.into()))).collect();
    let literal = depth(&literal_folder(pattern));
    if !is_hidden(Path::new(pattern), literal) {
        found.retain(|found| !is_hidden(path_of(found), literal));
    }
    found.sort_by(|a, b| path_of(a).cmp(path_of(b)));
    if found.is_empty() {
        return Err(PubmedError::NoMatch { pattern: pattern.to_owned() });
    }
    Ok(found)
}

fn path_of(found: &Found) -> &Path {
    match found {
        Ok(path) | Err((path, _)) => path,
    }
}

fn depth(path: &Path) -> usize {
    path.components().filter(|part| *part != Component::CurDir).count()
}

/// Whether a name begins with a dot, behind the first so many. A wildcard matches such names only where the pattern has one.
fn is_hidden(path: &Path, literal: usize) -> bool {
    let mut names = path.components().filter(|part| *part != Component::CurDir).skip(literal);
    names.any(|part| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b".")))
}

/// The folder that a pattern names literally, before its first wildcard.
pub(crate) fn literal_folder(pattern: &str) -> PathBuf {
    let wild = |part: &Component<'_>| is_pattern(&part.as_os_str().to_string_lossy());
    let folder: PathBuf = Path::new(pattern).components().take_while(|part| !wild(part)).collect();
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
}

/// The part of a match that is not named literally: the folders on the way to it, outermost first, and itself.
pub(crate) fn matched_folders<'a>(pattern: &str, path: &'a Path) -> Vec<&'a Path> {
    let literal = depth(&literal_folder(pattern));
    let mut folders: Vec<_> = path.ancestors().take_while(|folder| depth(folder) > literal).collect();
    folders.reverse();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_hidden_names_only_where_they_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".a"), "").unwrap();
        std::fs::write(folder.path().join("b"), "").unwrap();
        let names = |pattern: &str| {
            let found = matches(&format!("{}/{pattern}", folder.path().display())).unwrap();
            found.iter().map(|found| path_of(found).file_name().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("*"), ["b"]);
        assert_eq!(names(".a*"), [".a"]);
    }

    #[test]
    fn only_what_a_wildcard_has_matched_is_guessed() {
        let folders = |pattern, path| {
            matched_folders(pattern, Path::new(path)).iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(folders("/data/in/*", "/data/in/a"), ["/data/in/a"]);
        assert_eq!(folders("./data/*/x/*.xml", "data/a/x/b.xml"), ["data/a", "data/a/x", "data/a/x/b.xml"]);
        assert_eq!(folders("*.xml", "a.xml"), ["a.xml"]);
        assert_eq!(literal_folder("*.xml"), Path::new("."));
    }
}
