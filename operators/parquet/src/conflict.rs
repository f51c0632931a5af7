//! Conflicts between an input and what is already committed.

use pubtag_schemas::Commit;

use crate::RunSpec;

/// An input is already committed differently.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Conflict {
    /// The same content is committed with another model or other settings.
    #[error(
        "{uri} is already committed with another model or settings ({difference}); use the same, choose another output \
         directory, or pass --overwrite to replace the earlier result"
    )]
    OtherSpec {
        /// The input.
        uri: String,
        /// The differences, old and new.
        difference: String,
    },
    /// The same URI is committed with different content.
    #[error(
        "{uri} has changed since it was committed (SHA-256 was {committed}, now {found}); rename the new file, choose \
         another output directory, or pass --overwrite to replace the earlier result"
    )]
    OtherContent {
        /// The input.
        uri: String,
        /// First digits of the committed content's SHA-256.
        committed: String,
        /// First digits of the current content's SHA-256.
        found: String,
    },
    /// Another run commits different content of the same input at the same time.
    #[error(
        "{uri}: another run is committing different content under this name, and replaces that of this run; let only one \
         run write a file at a time, and run again"
    )]
    Outbid {
        /// The input.
        uri: String,
    },
}

impl Conflict {
    /// The conflict with the commit of another content under the same URI.
    pub(crate) fn claimed(uri: &str, earlier: &Commit, ours: &Commit) -> Self {
        Self::OtherContent {
            uri: uri.to_owned(),
            committed: short(&earlier.input.sha256),
            found: short(&ours.input.sha256),
        }
    }

    pub(crate) fn other_spec(uri: &str, commit: &Commit, spec: &RunSpec) -> Self {
        Self::OtherSpec { uri: uri.to_owned(), difference: difference(commit, spec) }
    }

    /// The conflict with an earlier commit of the same URI under another key: its content differed, or only what names
    /// its documents.
    pub(crate) fn other_content(uri: &str, found: &str, earlier: &Commit, spec: &RunSpec) -> Self {
        if earlier.input.sha256 == found {
            return Self::other_spec(uri, earlier, spec);
        }
        Self::OtherContent { uri: uri.to_owned(), committed: short(&earlier.input.sha256), found: short(found) }
    }
}

fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// Describes how a commit's run spec differs from another.
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
