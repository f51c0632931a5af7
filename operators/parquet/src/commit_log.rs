//! What is committed, and what that means for an input.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use pubtag_schemas::{Claim, Commit, InputUnit, identity};

use crate::survey::{Broken, Survey};
use crate::{Conflict, RunSpec};

/// The commits of an output at the time it was opened, and the inputs of this run.
#[derive(Clone, Debug, Default)]
pub struct CommitLog {
    /// Whole commits by [key](RunSpec::key): an output holds one result per key.
    commits: HashMap<String, Arc<Commit>>,
    /// Commits whose parts are missing or changed, by key.
    broken: HashMap<String, Broken>,
    /// All of the above by the [identity] of their input.
    by_identity: HashMap<String, Vec<Arc<Commit>>>,
    /// The highest claim of each identity, former ones included.
    claims: HashMap<String, Claim>,
    /// Superseded attempts whose markers still existed.
    superseded: HashSet<String>,
    /// Keys of the inputs of this run.
    held: HashSet<String>,
}

/// The state of an input in an output.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Committed with the same run spec: skip it.
    Committed(Arc<Commit>),
    /// Same content as an earlier input of this run: skip it.
    Duplicate {
        /// The earlier input.
        of: String,
    },
    /// Not committed yet.
    New,
    /// Committed with the same run spec, but parts are missing or changed: tag it again.
    Broken(Broken),
    /// Already committed, but differently: refuse it, or replace the commit.
    Conflict(Conflict),
}

impl CommitLog {
    pub(crate) fn new(survey: Survey) -> Self {
        let Survey { whole, broken, superseded } = survey;
        let mut commit_log = Self { superseded, ..Self::default() };
        for commit in whole {
            let commit = Arc::new(commit);
            commit_log.index(&commit);
            commit_log.commits.insert(commit.input.key().to_owned(), commit);
        }
        for broken in broken {
            commit_log.index(&broken.commit);
            commit_log.broken.insert(broken.commit.input.key().to_owned(), broken);
        }
        commit_log
    }

    fn index(&mut self, commit: &Arc<Commit>) {
        self.by_identity.entry(identity(commit.uri()).into_owned()).or_default().push(commit.clone());
        for claim in commit.claims() {
            let highest = self.claims.entry(claim.uri.clone()).or_insert_with(|| claim.clone());
            if highest.number < claim.number {
                highest.clone_from(claim);
            }
        }
    }

    /// All whole commits, in no particular order.
    pub fn commits(&self) -> impl Iterator<Item = &Arc<Commit>> {
        self.commits.values()
    }

    /// The commits whose parts are missing or changed, in no particular order.
    pub fn broken(&self) -> impl Iterator<Item = &Broken> {
        self.broken.values()
    }

    /// The SHA-256 of an input that was committed with the same run spec and not modified since: its URI, size and
    /// modification time, or ETag in a store, match the commit. Any other input has to be read to be hashed.
    pub fn recall(&self, unit: &InputUnit, spec: &RunSpec) -> Option<String> {
        let mut commits = self.by_identity.get(&*identity(unit.uri()))?.iter();
        commits.find(|commit| spec.covers(commit, unit)).map(|commit| commit.input.sha256.clone())
    }

    /// Whether something is committed under the identity of an input.
    pub fn knows(&self, unit: &InputUnit) -> bool {
        self.by_identity.contains_key(&*identity(unit.uri()))
    }

    /// Decides the state of each input of a run.
    ///
    /// Pass all inputs of the run at once, with their SHA-256 unless they can be read only once. No input replaces the
    /// content of another: a renamed file keeps its rows if a new file has taken its name.
    pub fn plan(&mut self, units: &[Arc<InputUnit>], spec: &RunSpec) -> Vec<Standing> {
        let keys: Vec<_> = units.iter().map(|unit| Some(spec.key(unit, unit.sha256.as_ref()?))).collect();
        self.held.extend(keys.iter().flatten().map(|key| key.to_string()));
        let mut first = HashMap::new();
        let standing = |(unit, key): (&Arc<InputUnit>, &Option<Cow<'_, str>>)| match key {
            Some(key) => self.standing(unit, key, spec, &mut first),
            None => Standing::New,
        };
        units.iter().zip(&keys).map(standing).collect()
    }

    fn standing(&self, unit: &InputUnit, key: &str, spec: &RunSpec, first: &mut HashMap<String, String>) -> Standing {
        let fingerprint = spec.fingerprint(key);
        let (whole, broken) = (self.commits.get(key), self.broken.get(key));
        if let Some(commit) = whole.filter(|commit| commit.fingerprint == fingerprint) {
            return Standing::Committed(commit.clone());
        }
        if let Some(of) = first.get(key) {
            return Standing::Duplicate { of: of.clone() };
        }
        first.insert(key.to_owned(), unit.uri().to_owned());
        if let Some(earlier) = self.earlier_contents(unit, key).first() {
            return Standing::Conflict(self.conflict(unit, earlier, spec));
        }
        match (whole.or(broken.map(|broken| &broken.commit)), broken) {
            (None, _) => Standing::New,
            (Some(commit), Some(broken)) if commit.fingerprint == fingerprint => Standing::Broken(broken.clone()),
            (Some(commit), _) => Standing::Conflict(Conflict::other_spec(unit.uri(), commit, spec)),
        }
    }

    /// Commits of other contents of an input, which no input of this run has. Inputs that can be read only once have no
    /// identity of their own.
    ///
    /// Of several claims in force, only the highest is the input's content; the others are of files that were renamed, and
    /// were not replaced when a new file took their name.
    pub fn earlier_contents(&self, unit: &InputUnit, key: &str) -> Vec<Arc<Commit>> {
        if unit.read_once {
            return Vec::new();
        }
        let identity = pubtag_schemas::identity(unit.uri());
        let current = self.by_identity.get(&*identity).into_iter().flatten().filter(|commit| self.is_current(commit));
        let earlier = current.filter(|commit| commit.input.key() != key && !self.held.contains(commit.input.key()));
        earlier.cloned().collect()
    }

    /// The conflict of an input with the commit of an earlier content.
    pub fn conflict(&self, unit: &InputUnit, earlier: &Commit, spec: &RunSpec) -> Conflict {
        Conflict::other_content(unit.uri(), unit.sha256.as_deref().unwrap_or_default(), earlier, spec)
    }

    /// Whether a commit is what its identity stands for.
    ///
    /// Commits of PubMed's files from before these had an identity have claims of their paths. They count unless there is a
    /// claim of the identity.
    fn is_current(&self, commit: &Commit) -> bool {
        let highest = self.highest_claim(&identity(commit.uri()));
        match (&commit.claim, highest) {
            (Some(claim), None) => self.highest_claim(&claim.uri) == Some(claim),
            (claim, highest) => claim.as_ref() == highest,
        }
    }

    /// Whether an input of this run has a key.
    pub(crate) fn is_held(&self, key: &str) -> bool {
        self.held.contains(key)
    }

    /// The highest claim of an identity that the commits in force have or had.
    pub(crate) fn highest_claim(&self, identity: &str) -> Option<&Claim> {
        self.claims.get(identity)
    }

    /// Whether a commit was superseded when the output was opened.
    pub(crate) fn is_superseded(&self, commit: &Commit) -> bool {
        self.superseded.contains(&commit.attempt_id)
    }

    /// Whether a commit lacked some of its parts when the output was opened.
    pub(crate) fn is_broken(&self, commit: &Commit) -> bool {
        self.broken.get(commit.input.key()).is_some_and(|broken| broken.commit.attempt_id == commit.attempt_id)
    }

    /// What a commit has to supersede to replace another: the other, and what the other has superseded itself, where
    /// those markers may still exist. Otherwise they would count again once the other is removed.
    pub(crate) fn superseded_with(&self, replaced: &Commit) -> Vec<String> {
        let mut of_identity = self.by_identity.get(&*identity(replaced.uri())).into_iter().flatten();
        let known = of_identity.any(|commit| commit.attempt_id == replaced.attempt_id);
        let inherited = replaced.supersedes.iter().filter(|attempt| !known || self.superseded.contains(*attempt));
        std::iter::once(&replaced.attempt_id).chain(inherited).cloned().collect()
    }
}
