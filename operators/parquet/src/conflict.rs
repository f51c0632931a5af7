//! Why an input cannot simply be added to an output.

use pubtag_schemas::{Commit, InputUnit};

use crate::RunSpec;

/// Why an input cannot simply be added to an output.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Conflict {
    /// The same content is committed with another model or other settings.
    #[error(
        "{uri} is committed already with another run spec ({difference}): use the same, choose another output folder, or \
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

impl Conflict {
    pub(crate) fn other_spec(uri: &str, commit: &Commit, spec: &RunSpec) -> Self {
        Self::OtherRecipe { uri: uri.to_owned(), difference: difference(commit, spec) }
    }

    /// The conflict with an earlier commit of the same URI under another key: its content was another, or only what
    /// names its documents was.
    pub(crate) fn other_content(unit: &InputUnit, earlier: &Commit, spec: &RunSpec) -> Self {
        let found = unit.sha256.as_deref().unwrap_or_default();
        if earlier.input.sha256 == found {
            return Self::other_spec(unit.uri(), earlier, spec);
        }
        let short = |hash: &str| hash.chars().take(12).collect();
        Self::OtherContent { uri: unit.uri().to_owned(), committed: short(&earlier.input.sha256), found: short(found) }
    }
}

/// What differs between a commit's run spec and another, for a person.
fn difference(commit: &Commit, spec: &RunSpec) -> String {
    let model = (commit.model_sha256 != spec.model_sha256)
        .then(|| format!("model was {}, now {}", commit.model_id, spec.model_id));
    let names = commit.settings.keys().chain(spec.settings.keys().filter(|name| !commit.settings.contains_key(*name)));
    let settings = names.filter(|name| commit.settings.get(*name) != spec.settings.get(*name)).map(|name| {
        let value = |value: Option<&String>| value.map_or("not set".to_owned(), String::clone);
        format!("{name} was {}, now {}", value(commit.settings.get(name)), value(spec.settings.get(name)))
    });
    let all: Vec<String> = model.into_iter().chain(settings).collect();
    if all.is_empty() { "another version of the output".to_owned() } else { all.join("; ") }
}
