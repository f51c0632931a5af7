//! Where a training run writes its model, and what it may replace.
//!
//! Only models trained by pubtag and their drafts are ever replaced, and only if they contain no other files.

use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::card::RECORD;
use super::metrics::METRICS;
use super::page::REPORT;
use crate::exit::Failure;

/// The weights, in the Hugging Face layout.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// The state from which an interrupted run resumes.
pub(super) const STATE: &str = "state.safetensors";
/// The state while it is being written.
const STATE_DRAFT: &str = "state.draft";
/// The model's configuration.
pub(super) const CONFIG: &str = "config.json";
/// The files of a model, except its weights.
pub(super) const FILES: [&str; 5] =
    [CONFIG, "tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"];
/// The model card.
pub(super) const CARD: &str = "README.md";
/// Marks a directory as a draft, and is locked while a training writes it.
pub(super) const MARK: &str = ".pubtag-train";

/// Everything that a training run writes. The record is last, since a model without it is not ours.
fn written() -> impl Iterator<Item = &'static str> {
    FILES.into_iter().chain([WEIGHTS, STATE, STATE_DRAFT, CARD, REPORT, METRICS, RECORD, MARK])
}

/// Checks that a directory can be the output of a run, and returns its path and that of its draft. `sources` are the
/// inputs of the run, which must be in neither.
///
/// # Errors
/// The output exists and must not be replaced, or something else is in the way.
pub(super) fn check(target: &Path, overwrite: bool, sources: &[&Path]) -> Result<(PathBuf, PathBuf), Failure> {
    // Removes a trailing slash or dot.
    let target: PathBuf = target.components().collect();
    let Some(name) = target.file_name() else {
        return Err(refusal(&target, "has no name; choose a new directory as --output"));
    };
    let mut draft = name.to_owned();
    draft.push(".partial");
    let draft = target.with_file_name(draft);
    may_replace(&target, overwrite)?;
    if is_there(&draft) && !has_mark(&draft) && belongs_to_us(&draft).is_err() {
        return Err(refusal(&draft, "already exists and is not an unfinished training of pubtag; move it away"));
    }
    if let Some(stranger) = stranger(&draft) {
        return Err(refusal(&draft, &format!("contains {stranger}, which pubtag did not write; move it away")));
    }
    for place in [&target, &draft] {
        if let Some(source) = sources.iter().find(|source| lies_in(source, place)) {
            let source = source.display();
            return Err(refusal(
                place,
                &format!("would be replaced, but contains the input {source}; choose another --output"),
            ));
        }
    }
    Ok((target, draft))
}

/// Checks that a path does not exist, or may be replaced.
pub(super) fn may_replace(target: &Path, overwrite: bool) -> Result<(), Failure> {
    if !is_there(target) {
        return Ok(());
    }
    if !overwrite {
        return Err(refusal(target, "already exists; choose another --output, or use --overwrite"));
    }
    belongs_to_us(target)
        .map_err(|reason| refusal(target, &format!("{reason}; --overwrite only replaces models trained by pubtag")))
}

/// Creates the draft directory and marks it as one.
pub(super) fn begin(draft: &Path) -> Result<(), Failure> {
    let mark = draft.join(MARK);
    let text = "unfinished training of pubtag; run the same command again to resume it\n";
    fs::create_dir_all(draft).and_then(|()| fs::write(&mark, text)).map_err(|error| Failure::write(&mark, error))
}

/// Removes what an earlier run left in a draft, except what is needed to resume it.
pub(super) fn clear(draft: &Path) -> Result<(), Failure> {
    remove(draft, written().filter(|name| ![STATE, METRICS, MARK].contains(name)))
}

/// Moves a finished draft to the target, and only then removes what it replaces.
pub(super) fn finish(draft: &Path, target: &Path, overwrite: bool) -> Result<(), Failure> {
    remove(draft, [STATE, STATE_DRAFT].into_iter())?;
    may_replace(target, overwrite)?;
    if is_there(target) {
        exchange(draft, target).map_err(|error| Failure::write(target, error))?;
        // The previous model now has the draft's name.
        begin(draft)?;
        remove(draft, written())?;
        fs::remove_dir(draft).map_err(|error| Failure::write(draft, error))?;
    } else {
        fs::rename(draft, target).map_err(|error| Failure::write(target, error))?;
    }
    // Last, since it is the lock: until here, no other training may take the draft for an abandoned one.
    remove(target, [MARK].into_iter())
}

fn remove(directory: &Path, names: impl Iterator<Item = &'static str>) -> Result<(), Failure> {
    for path in names.map(|name| directory.join(name)) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != NotFound => return Err(Failure::write(&path, error)),
            _ => {}
        }
    }
    Ok(())
}

/// Swaps two directories: atomically if the file system can, otherwise through a third name.
fn exchange(draft: &Path, target: &Path) -> std::io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, draft, CWD, target, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::XDEV) => {}
            ended => return Ok(ended?),
        }
    }
    exchange_by_a_third_name(draft, target)
}

fn exchange_by_a_third_name(draft: &Path, target: &Path) -> std::io::Result<()> {
    let aside = draft.with_extension("former");
    fs::rename(target, &aside)?;
    if let Err(error) = fs::rename(draft, target) {
        fs::rename(&aside, target)?;
        return Err(error);
    }
    fs::rename(aside, draft)
}

/// Checks that a directory is empty or a model trained by pubtag; otherwise returns the reason.
fn belongs_to_us(directory: &Path) -> Result<(), String> {
    let metadata = fs::symlink_metadata(directory).map_err(|error| error.to_string())?;
    if metadata.is_symlink() {
        return Err("is a symbolic link".to_owned());
    }
    if !metadata.is_dir() {
        return Err("is not a directory".to_owned());
    }
    if is_mount_point(directory, &metadata) {
        return Err("is a mount point".to_owned());
    }
    if std::env::current_dir().is_ok_and(|current| lies_in(&current, directory)) {
        return Err("is the working directory or contains it".to_owned());
    }
    if let Some(name) = stranger(directory) {
        return Err(format!("contains {name}"));
    }
    let is_empty = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none());
    let is_model = [CONFIG, WEIGHTS].iter().all(|name| directory.join(name).is_file()) && has_record(directory);
    if is_empty || is_model { Ok(()) } else { Err(format!("has no {RECORD} written by pubtag")) }
}

/// The first entry of a directory that no training run wrote.
fn stranger(directory: &Path) -> Option<String> {
    let entries = fs::read_dir(directory).ok()?;
    let mut strangers: Vec<String> = entries
        .filter_map(|entry| match entry {
            Ok(entry) => {
                let name = entry.file_name();
                let ours = written().any(|file| *name == *file) && entry.file_type().is_ok_and(|kind| kind.is_file());
                (!ours).then(|| name.to_string_lossy().into_owned())
            }
            Err(error) => Some(error.to_string()),
        })
        .collect();
    strangers.sort();
    strangers.into_iter().next()
}

/// Whether a directory has the record of a training run.
fn has_record(directory: &Path) -> bool {
    #[derive(Deserialize)]
    struct Made {
        program: String,
    }
    let record = fs::read(directory.join(RECORD)).ok().and_then(|bytes| serde_json::from_slice::<Made>(&bytes).ok());
    record.is_some_and(|made| made.program.starts_with("pubtag "))
}

fn has_mark(draft: &Path) -> bool {
    fs::symlink_metadata(draft).is_ok_and(|metadata| metadata.is_dir()) && draft.join(MARK).is_file()
}

/// Whether a path exists, even as a dangling link.
fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether a path is a directory or resolves to something in it.
fn lies_in(path: &Path, directory: &Path) -> bool {
    match (path.canonicalize(), directory.canonicalize()) {
        (Ok(path), Ok(directory)) => path.starts_with(directory),
        _ => false,
    }
}

#[cfg(unix)]
fn is_mount_point(directory: &Path, metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(directory.join("..")).is_ok_and(|parent| parent.dev() != metadata.dev())
}

#[cfg(not(unix))]
fn is_mount_point(_: &Path, _: &fs::Metadata) -> bool {
    false
}

fn refusal(path: &Path, reason: &str) -> Failure {
    Failure::configuration(format!("{}: {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(result: Result<(PathBuf, PathBuf), Failure>) -> String {
        result.expect_err("refused").error.to_string()
    }

    /// A directory that looks like a model trained by pubtag.
    fn model(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        fs::create_dir(&path).expect("a temporary directory");
        for (file, text) in [(CONFIG, "{}"), (WEIGHTS, name), (RECORD, "{\"program\": \"pubtag 0.1.0\"}")] {
            fs::write(path.join(file), text).expect("a temporary directory");
        }
        path
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        for path in ["/", ".", "..", "x/..", ""] {
            assert!(reason(check(Path::new(path), true, &[])).contains("has no name"), "{path:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_mount_point_is_refused() {
        assert!(reason(check(Path::new("/proc"), true, &[])).contains("is a mount point"));
    }

    #[test]
    fn an_empty_directory_may_be_replaced() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let target = folder.path().join("new");
        fs::create_dir(&target).expect("a temporary directory");
        assert!(check(&target, true, &[]).is_ok() && check(&target, false, &[]).is_err());
    }

    #[test]
    fn a_finished_draft_replaces_the_previous_model() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (target, draft) = (model(folder.path(), "model"), model(folder.path(), "model.partial"));
        begin(&draft).expect("a temporary directory");
        finish(&draft, &target, true).expect("both are ours");
        assert_eq!(fs::read_to_string(target.join(WEIGHTS)).expect("it is there"), "model.partial");
        assert!(!target.join(MARK).exists() && !draft.exists());
    }

    #[test]
    fn a_target_that_has_changed_is_not_replaced_and_the_draft_is_kept() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (target, draft) = (model(folder.path(), "model"), model(folder.path(), "model.partial"));
        fs::write(target.join("notes.txt"), "mine").expect("a temporary directory");
        assert!(finish(&draft, &target, true).is_err());
        assert!(target.join("notes.txt").exists() && draft.join(WEIGHTS).exists());
    }

    #[test]
    fn a_previous_model_left_under_the_drafts_name_is_removed() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let draft = model(folder.path(), "model.partial");
        let (_, named) = check(&folder.path().join("model"), false, &[]).expect("it is ours");
        assert_eq!(named, draft);
        begin(&draft).and_then(|()| clear(&draft)).expect("it is ours");
        assert_eq!(fs::read_dir(&draft).expect("it is there").count(), 1, "only the mark is left");
    }

    #[test]
    fn directories_can_be_swapped_through_a_third_name() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (one, other) = (model(folder.path(), "one"), model(folder.path(), "other"));
        exchange_by_a_third_name(&one, &other).expect("a temporary directory");
        assert_eq!(fs::read_to_string(one.join(WEIGHTS)).expect("it is there"), "other");
        assert_eq!(fs::read_to_string(other.join(WEIGHTS)).expect("it is there"), "one");
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 2);
    }
}
