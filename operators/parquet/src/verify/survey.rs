//! The files of an output against its markers.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use pubtag_schemas::{Commit, distribution, identity};
use uuid::Uuid;

use super::defect::Defect;
use crate::objects::{CONCURRENT_REQUESTS, Marker, Objects};
use crate::replaced::Replacers;
use crate::{Error, Liveness, layout};

/// A commit and the path of its marker.
#[derive(Clone, Debug)]
pub(super) struct Marked {
    pub(super) path: Path,
    pub(super) commit: Commit,
    /// Whether it is valid. An invalid marker still names its parts.
    sound: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Commits in force, with the paths of their markers.
    pub(super) standing: Vec<Marked>,
    /// Lengths of the files of the tables.
    pub(super) files: HashMap<String, u64>,
    /// Uncommitted files of live runs; in an object store, of any run.
    pub(super) live_files: u64,
    pub(super) defects: Vec<Defect>,
}

/// Surveys an output without changing it.
///
/// As in a sweep, the order makes it safe beside live runs: files are listed first, then their runs are checked, and
/// markers are read last, so that the marker of a run that committed and ended meanwhile is seen.
///
/// # Errors
/// If the store fails, or a marker was written by a newer version.
pub(super) async fn survey(objects: &Objects, liveness: Option<&dyn Liveness>) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    for table in layout::TABLES {
        let listed = list(objects, &Path::from(table), &mut survey.defects).await?;
        survey.files.extend(listed);
    }
    let alive = alive(liveness, survey.files.keys().filter_map(|path| run_of(path))).await?;
    let markers = read_markers(objects, &mut survey.defects).await?;
    let replacers = markers.iter().map(|marked| marked.commit.run_id);
    let alive: HashSet<Uuid> = alive.into_iter().chain(self::alive(liveness, replacers).await?).collect();
    for suspect in survey.sort(markers, &alive) {
        // A run may have removed it meanwhile.
        if exists(objects, &Path::from(suspect.path.as_str())).await? {
            survey.defects.push(suspect);
        }
    }
    Ok(survey)
}

impl Survey {
    /// Separates commits in force from superseded ones, and their files from others. Returns what should not exist.
    fn sort(&mut self, markers: Vec<Marked>, alive: &HashSet<Uuid>) -> Vec<Defect> {
        let mut suspects = Vec::new();
        let replacers = Replacers::of(markers.iter().map(|marked| &marked.commit));
        let mut unclaimed: BTreeMap<&str, u64> = self.files.iter().map(|(path, size)| (&**path, *size)).collect();
        let mut claimed = HashSet::new();
        for marked in markers {
            let Marked { path, commit, sound } = &marked;
            for part in &commit.parts {
                unclaimed.remove(&*part.path);
            }
            let defect = |what| Defect::new(path.as_ref(), what);
            match replacers.of_commit(commit) {
                _ if !sound => {}
                // The run that replaced it will remove it.
                Some((_, run)) if alive.contains(run) => {}
                Some((attempt, _)) => {
                    let rows = layout::TABLES.iter().map(|table| commit.rows(table)).sum::<u64>();
                    let found = format!("{rows} rows count twice, replaced by {attempt}");
                    suspects.push(defect("superseded but not removed").found(found));
                }
                None => match commit.parts.iter().find(|part| !claimed.insert(part.path.clone())) {
                    Some(part) => suspects.push(defect("names a part of another marker").found(&part.path)),
                    None => self.standing.push(marked),
                },
            }
        }
        self.defects.extend(twice(&self.standing));
        for (path, size) in unclaimed {
            let what = match run_of(path) {
                Some(run) if alive.contains(&run) => {
                    self.live_files += 1;
                    continue;
                }
                Some(_) => "no marker names this part",
                None => "not written by pubtag",
            };
            suspects.push(Defect::new(path, what).found(format_args!("{size} bytes")));
        }
        suspects
    }
}

/// Commits of a PubMed file of which another commit is in force.
fn twice(standing: &[Marked]) -> Vec<Defect> {
    let mut first = HashMap::new();
    let again = standing.iter().filter_map(|Marked { path, commit, .. }| {
        let file = distribution(commit.input.uri.rsplit('/').next()?).map(|_| identity(commit.uri()))?;
        let other = *first.entry(file.clone()).or_insert(path);
        (other != path).then(|| {
            let defect = Defect::new(path.as_ref(), "another commit of the same PubMed file counts, too");
            defect.found(format_args!("{file} in {other}; a run over the current file replaces the other"))
        })
    });
    again.collect()
}

async fn exists(objects: &Objects, path: &Path) -> Result<bool, Error> {
    match objects.store().head(path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(objects.failed("inspect", path)(error)),
    }
}

/// The run in a part's name; `None` for what is not directly in a table's directory.
fn run_of(path: &str) -> Option<Uuid> {
    let (_, name) = path.split_once('/')?;
    layout::run_of_part(name).filter(|_| !name.contains('/'))
}

/// The runs that may be alive; all of them where there are no locks.
async fn alive(liveness: Option<&dyn Liveness>, runs: impl Iterator<Item = Uuid>) -> Result<HashSet<Uuid>, Error> {
    let Some(liveness) = liveness else { return Ok(runs.collect()) };
    let mut alive = HashSet::new();
    for run in runs.collect::<HashSet<_>>() {
        if liveness.is_alive(run).await? {
            alive.insert(run);
        }
    }
    Ok(alive)
}

/// Lists a directory: paths and lengths. An invalid name is a defect; in an object store, it ends the listing.
async fn list(objects: &Objects, folder: &Path, defects: &mut Vec<Defect>) -> Result<Vec<(String, u64)>, Error> {
    let (mut listed, mut found) = (Vec::new(), objects.store().list(Some(folder)));
    while let Some(object) = found.next().await {
        match object {
            Ok(object) => listed.push((object.location.to_string(), object.size)),
            Err(error @ object_store::Error::InvalidPath { .. }) => {
                defects.push(Defect::new(folder.as_ref(), "not all files can be listed").found(error));
            }
            Err(error) => return Err(objects.failed("list", folder)(error)),
        }
    }
    Ok(listed)
}

async fn read_markers(objects: &Objects, defects: &mut Vec<Defect>) -> Result<Vec<Marked>, Error> {
    let listed = list(objects, &Path::from(layout::COMMITS), defects).await?;
    let mut paths: Vec<_> = listed.into_iter().map(|(path, _)| path).collect();
    paths.sort();
    let read = futures::stream::iter(paths).map(|path| async move {
        let path = Path::from(path);
        let marker = objects.read_marker(&path).await;
        (path, marker)
    });
    let mut read = read.buffered(CONCURRENT_REQUESTS);
    let mut markers = Vec::new();
    while let Some((path, marker)) = read.next().await {
        match marker {
            // A run that replaced it has removed it meanwhile.
            Ok(None) => {}
            Ok(Some(Marker { commit, .. })) => {
                let defect = check_marker(&path, &commit).err();
                markers.push(Marked { path, commit, sound: defect.is_none() });
                defects.extend(defect);
            }
            Err(Error::Damaged { source, .. }) => {
                defects.push(Defect::new(path.as_ref(), "not a marker").found(source));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(markers)
}

/// Checks a marker by itself.
fn check_marker(path: &Path, commit: &Commit) -> Result<(), Defect> {
    let defect = |what| Defect::new(path.as_ref(), what);
    let expected = layout::marker(commit.input.key());
    if *path != expected {
        return Err(defect("name does not match the marker's input")
            .expected(expected.filename().unwrap_or_default(), path.filename().unwrap_or_default()));
    }
    let mut tables: HashSet<&str> = layout::TABLES.into();
    for part in &commit.parts {
        let in_table = layout::TABLES.contains(&&*part.table)
            && part.path.strip_prefix(&part.table).is_some_and(|rest| rest.starts_with('/'))
            && run_of(&part.path) == Some(commit.run_id);
        if !in_table {
            return Err(defect("names a file that is not one of its parts").found(&part.path));
        }
        tables.remove(&*part.table);
    }
    match tables.into_iter().min() {
        Some(table) => Err(defect("has no part for a table").found(table)),
        None => Ok(()),
    }
}
