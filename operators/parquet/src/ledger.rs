//! What is committed, and what that means for an input.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use pubtag_schemas::InputUnit;

use crate::output::parse_commit;
use crate::{Commit, Ending, Error, Recipe, UnitReport, layout};

/// The commits of an output as they stood when it was opened, and the inputs that this run has taken up since.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By the SHA-256 of the input: an output holds one result of a content.
    commits: HashMap<String, Arc<Commit>>,
    /// URIs by the SHA-256 of their content, of units that this run works on.
    claimed: HashMap<String, String>,
}

/// What an input is to an output.
#[derive(Clone, Debug)]
pub enum Standing {
    /// Committed with the same recipe: skip it.
    Committed(Arc<Commit>),
    /// Of the same content as an earlier input of this run: skip it.
    Duplicate {
        /// The earlier input.
        of: String,
    },
    /// Cannot be told without the input's SHA-256: hash it and ask again.
    Unhashed,
    /// Not committed yet.
    New,
    /// Committed already, and differently: refuse it, or replace what is there.
    Conflict(Conflict),
}

/// Why an input cannot simply be added to an output.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Conflict {
    /// The same content is committed with another model or other settings.
    #[error(
        "{uri} is committed already with another recipe ({difference}): use the same, choose another output folder, or \
         replace the earlier result with --overwrite"
    )]
    OtherRecipe {
        /// The input.
        uri: String,
        /// What differs, old and new.
        difference: String,
    },
    /// The same URI is committed with another content.
    #[error(
        "{uri} has changed since it was committed (SHA-256 {committed}, now {found}): give the new file another name, \
         choose another output folder, or replace the earlier result with --overwrite"
    )]
    OtherContent {
        /// The input.
        uri: String,
        /// First digits of the SHA-256 of the committed content.
        committed: String,
        /// First digits of the SHA-256 of the content now.
        found: String,
    },
}

impl Ledger {
    pub(crate) fn new(commits: Vec<Commit>) -> Self {
        let commits = commits.into_iter().map(|commit| (commit.input.sha256.clone(), Arc::new(commit))).collect();
        Self { commits, claimed: HashMap::new() }
    }

    /// Reads what is committed in a folder on local disk, and leaves everything as it is: runs may be at work there.
    ///
    /// # Errors
    /// If the folder is no output or cannot be read, or a marker is damaged or of a newer program.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let commits = folder.join(layout::COMMITS);
        let fail = |path: &Path, source| Error::Folder { path: path.display().to_string(), source };
        let entries = std::fs::read_dir(&commits).map_err(|source| fail(&commits, source))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| fail(&commits, source))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let bytes = std::fs::read(&path).map_err(|source| fail(&path, source))?;
                found.push(parse_commit(&bytes, || path.display().to_string())?);
            }
        }
        Ok(Self::new(found))
    }

    /// All commits, in no order.
    pub fn commits(&self) -> impl Iterator<Item = &Arc<Commit>> {
        self.commits.values()
    }

    /// Says what an input is to the output.
    ///
    /// Ask first without the unit's SHA-256: a file whose URI, size and modification time are those of a commit with the
    /// same recipe is not read again. A unit that turns out to be new or in conflict is claimed: a later one of the same
    /// content is a duplicate of it.
    pub fn plan(&mut self, unit: &InputUnit, recipe: &Recipe) -> Standing {
        match &unit.sha256 {
            None if unit.read_once => Standing::New,
            None => self.untouched(unit, recipe).map_or(Standing::Unhashed, Standing::Committed),
            Some(sha256) => self.plan_hashed(unit, sha256, recipe),
        }
    }

    /// Enters what became of a unit that was planned.
    pub fn settle(&mut self, report: &UnitReport) {
        if let Some(sha256) = &report.unit.sha256 {
            self.claimed.remove(sha256);
        }
        if let Ending::Committed(commit) | Ending::Identical(commit) = &report.ending {
            self.commits.retain(|_, old| !commit.supersedes.contains(&old.attempt_id));
            self.commits.insert(commit.input.sha256.clone(), commit.clone());
        }
    }

    /// Commits of the same URI with another content. Standard input and pipes have none: their names name no file.
    pub(crate) fn earlier_contents(&self, unit: &InputUnit, sha256: &str) -> Vec<Arc<Commit>> {
        let earlier = self.commits().filter(|commit| commit.input.uri == unit.uri && commit.input.sha256 != sha256);
        earlier.filter(|_| !unit.read_once).cloned().collect()
    }

    fn plan_hashed(&mut self, unit: &InputUnit, sha256: &str, recipe: &Recipe) -> Standing {
        let committed = self.commits.get(sha256).cloned();
        if let Some(commit) = committed.iter().find(|commit| commit.fingerprint == recipe.fingerprint(sha256)) {
            return Standing::Committed(commit.clone());
        }
        if let Some(first) = self.claimed.get(sha256) {
            return Standing::Duplicate { of: first.clone() };
        }
        self.claimed.insert(sha256.to_owned(), unit.uri.clone());
        if let Some(commit) = committed {
            return Standing::Conflict(Conflict::other_recipe(&unit.uri, &commit, recipe));
        }
        match self.earlier_contents(unit, sha256).first() {
            Some(commit) => Standing::Conflict(Conflict::other_content(commit, sha256)),
            None => Standing::New,
        }
    }

    fn untouched(&self, unit: &InputUnit, recipe: &Recipe) -> Option<Arc<Commit>> {
        let same = |known: Option<u64>, now: Option<u64>| known.is_some() && known == now;
        let found = self.commits().find(|commit| {
            let input = &commit.input;
            let when = |at: Option<i64>| at.map(i64::cast_unsigned);
            input.uri == unit.uri
                && same(input.size, unit.size)
                && same(when(input.modified_us), when(unit.modified_us))
                && commit.fingerprint == recipe.fingerprint(&input.sha256)
        });
        found.cloned()
    }
}

impl Conflict {
    pub(crate) fn other_recipe(uri: &str, commit: &Commit, recipe: &Recipe) -> Self {
        Self::OtherRecipe { uri: uri.to_owned(), difference: difference(commit, recipe) }
    }

    pub(crate) fn other_content(commit: &Commit, sha256: &str) -> Self {
        let short = |hash: &str| hash.chars().take(12).collect();
        let Commit { input, .. } = commit;
        Self::OtherContent { uri: input.uri.clone(), committed: short(&input.sha256), found: short(sha256) }
    }
}

/// What differs between a commit's recipe and another, for a person.
fn difference(commit: &Commit, recipe: &Recipe) -> String {
    let model = (commit.model_sha256 != recipe.model_sha256)
        .then(|| format!("model was {}, now {}", commit.model_id, recipe.model_id));
    let names =
        commit.settings.keys().chain(recipe.settings.keys().filter(|name| !commit.settings.contains_key(*name)));
    let settings = names.filter(|name| commit.settings.get(*name) != recipe.settings.get(*name)).map(|name| {
        let value = |value: Option<&String>| value.map_or("not set".to_owned(), String::clone);
        format!("{name} was {}, now {}", value(commit.settings.get(name)), value(recipe.settings.get(name)))
    });
    let all: Vec<String> = model.into_iter().chain(settings).collect();
    if all.is_empty() { "another version of the output".to_owned() } else { all.join("; ") }
}
