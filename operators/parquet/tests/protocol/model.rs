//! The expected state: the protocol's guarantees as a map in memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::inputs::{BAD, Content, Settings};
use crate::job::{Exit, Job};
use crate::rows::{Observed, Seen};

/// The commits in force, by content.
pub(crate) type Commits = BTreeMap<Content, Kept>;

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) settings: Settings,
    /// Name of the file it was made from.
    pub(crate) name: String,
    /// Whether parts are missing or changed.
    pub(crate) is_broken: bool,
    /// Whether it is what the name stands for; if not, the file was renamed, and another took its name.
    pub(crate) is_current: bool,
}

/// The effect of an undisturbed run: its exit, and the states it goes through, including the first.
#[derive(Debug)]
pub(crate) struct Prediction {
    pub(crate) exit: Exit,
    pub(crate) states: Vec<Commits>,
}

impl Prediction {
    pub(crate) fn last(&self) -> &Commits {
        self.states.last().expect("there is a state before the run")
    }
}

/// The commits in an output.
pub(crate) fn commits(observed: &Observed) -> Commits {
    let kept = |seen: &Seen| Kept {
        settings: seen.settings,
        name: seen.name.clone(),
        is_broken: seen.is_broken,
        is_current: observed.highest.get(&seen.name) == Some(&seen.number),
    };
    observed.commits.iter().map(|(content, seen)| (*content, kept(seen))).collect()
}

impl Job {
    fn contents(&self) -> BTreeSet<Content> {
        self.files.values().map(|file| file.content).collect()
    }

    /// Commits under a file's name whose content no file of the job has.
    fn earlier(&self, commits: &Commits, name: &str) -> Vec<Content> {
        let held = self.contents();
        let of_name =
            commits.iter().filter(|(content, kept)| kept.name == name && kept.is_current && !held.contains(*content));
        of_name.map(|(content, _)| *content).collect()
    }
}

/// The effect of an undisturbed run.
pub(crate) fn predict(before: &Commits, job: &Job) -> Prediction {
    let mut planned = Vec::new();
    let mut first = BTreeSet::new();
    for (name, file) in &job.files {
        let committed = before.get(&file.content);
        let is_done = committed.is_some_and(|kept| kept.settings == job.settings && !kept.is_broken);
        if is_done || !first.insert(file.content) {
            continue;
        }
        let earlier = job.earlier(before, name);
        let conflicts = !earlier.is_empty() || committed.is_some_and(|kept| kept.settings != job.settings);
        if conflicts && !job.overwrite {
            return Prediction { exit: Exit::Conflict, states: vec![before.clone()] };
        }
        planned.push((*name, file.content, earlier));
    }
    let is_damaged = planned.iter().any(|(_, content, _)| *content == BAD);
    let mut states = vec![before.clone()];
    for (name, content, earlier) in planned.into_iter().filter(|(_, content, _)| *content != BAD) {
        let mut next = states.last().expect("there is a state before the run").clone();
        next.retain(|content, _| !earlier.contains(content));
        next.values_mut().filter(|kept| kept.name == name).for_each(|kept| kept.is_current = false);
        let name = name.to_owned();
        next.insert(content, Kept { settings: job.settings, name, is_broken: false, is_current: true });
        states.push(next);
    }
    let is_broken = states.last().is_some_and(|last| last.values().any(|kept| kept.is_broken));
    let exit = if is_damaged || is_broken { Exit::Data } else { Exit::Done };
    Prediction { exit, states }
}

/// Concurrent runs, or one whose last call takes effect during another.
#[derive(Debug)]
pub(crate) struct Together<'a> {
    pub(crate) before: &'a Commits,
    pub(crate) jobs: &'a [(Job, Exit)],
    /// Whether a marker may have come into force after its run was dead and swept.
    pub(crate) may_break: bool,
}

impl Together<'_> {
    /// Why concurrent runs cannot leave a state, if they cannot.
    pub(crate) fn fault(&self, after: &Commits) -> Option<String> {
        let contents: BTreeSet<Content> = self.before.keys().chain(after.keys()).copied().collect();
        // Whether a name still stands for a content may change without the content.
        let made = |kept: Option<&Kept>| kept.map(|kept| (kept.settings, kept.name.clone(), kept.is_broken));
        let changes = contents.iter().filter(|content| made(self.before.get(content)) != made(after.get(content)));
        let mut faults = changes.filter_map(|&content| self.unexplained(content, after.get(&content)));
        faults.next().or_else(|| self.jobs.iter().find_map(|(job, exit)| self.unkept(job, *exit, after)))
    }

    /// A change that no job can have made.
    fn unexplained(&self, content: Content, after: Option<&Kept>) -> Option<String> {
        let before = self.before.get(&content);
        let Some(after) = after else {
            let vanishes = self.jobs.iter().any(|(job, _)| self.may_remove(job, content));
            return (!vanishes).then(|| format!("content {content} is gone"));
        };
        let made = self.jobs.iter().any(|(job, _)| {
            let is_held = job.files.get(after.name.as_str()).is_some_and(|file| file.content == content);
            let may_replace = before.is_none_or(|kept| {
                kept.is_broken || job.overwrite || self.jobs.iter().any(|(other, _)| self.may_remove(other, content))
            });
            is_held && job.settings == after.settings && may_replace
        });
        let breaks = after.is_broken && before.is_none_or(|kept| !kept.is_broken);
        match (made, breaks && !self.may_break) {
            (false, _) => Some(format!("nobody made {after:?} of content {content}")),
            (true, true) => Some(format!("{after:?} of content {content} has lost parts")),
            (true, false) => None,
        }
    }

    /// Whether a job replaces a content's commit by its name.
    fn may_remove(&self, job: &Job, content: Content) -> bool {
        let named = |name: &str| job.files.get(name).is_some_and(|file| file.content != content);
        let others = self.jobs.iter().flat_map(|(other, _)| &other.files);
        let made_as = others.filter(|(_, file)| file.content == content).map(|(name, _)| *name);
        let names = made_as.chain(self.before.get(&content).map(|kept| kept.name.as_str()));
        job.overwrite && !job.contents().contains(&content) && names.into_iter().any(named)
    }

    /// What a job's exit code promised but does not hold.
    fn unkept(&self, job: &Job, exit: Exit, after: &Commits) -> Option<String> {
        let others = || self.jobs.iter().map(|(other, _)| other).filter(|other| !std::ptr::eq(*other, job));
        match exit {
            Exit::Conflict => {
                // Without the commit that another removes, the content is to be tagged, under a name that may be taken.
                let removes = |other: &Job| job.contents().iter().any(|&content| self.may_remove(other, content));
                let differs = |other: &Job| {
                    let shares = !job.contents().is_disjoint(&other.contents());
                    removes(other)
                        || (shares && other.settings != job.settings)
                        || other.files.iter().any(|(name, file)| job.files.get(name).is_some_and(|own| own != file))
                };
                let by_itself = predict(self.before, job).exit == Exit::Conflict;
                (job.overwrite || !by_itself && !others().any(differs)).then(|| "a conflict without a cause".to_owned())
            }
            Exit::Done | Exit::Data => {
                job.contents().into_iter().filter(|content| *content != BAD).find_map(|content| {
                    let is_there =
                        after.get(&content).is_some_and(|kept| kept.settings == job.settings && !kept.is_broken);
                    let replaced = others().any(|other| {
                        other.overwrite && other.settings != job.settings && other.contents().contains(&content)
                            || self.may_remove(other, content)
                    });
                    (!is_there && !replaced && !self.may_break)
                        .then(|| format!("content {content} is said to be committed with {:?}", job.settings))
                })
            }
            _ => None,
        }
    }
}
