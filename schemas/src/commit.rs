//! What an output records for one input: its parts, and what they were made from.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{InputUnit, Outcome, Tally};

/// Version of the marker's layout; fields are added within a version, never renamed or retyped.
pub const COMMIT_VERSION: u32 = 1;

/// The result of one input: the content of its marker, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Version of this layout.
    pub version: u32,
    /// Fingerprint of the input, the model and the settings.
    pub fingerprint: String,
    /// The input.
    pub input: Input,
    /// The attempt that wrote the parts: the run and a number within it.
    pub attempt_id: String,
    /// The run.
    pub run_id: Uuid,
    /// The model, as named in the tables.
    pub model_id: String,
    /// SHA-256 of the model, lower-case hex.
    pub model_sha256: String,
    /// The settings that the fingerprint covers.
    pub settings: BTreeMap<String, String>,
    /// Name and version of the program; informational, not part of the fingerprint.
    pub program: String,
    /// The part files, at least one for each table.
    pub parts: Vec<Part>,
    /// Records found in the input.
    pub tally: Tally,
    /// Rows of `documents` by status.
    pub statuses: BTreeMap<String, u64>,
    /// How the input was read.
    pub outcome: CommitOutcome,
    /// Attempts whose commits this one replaces.
    pub supersedes: Vec<String>,
    /// The claim of the input's identity that it was committed under; absent for what can be read only once, and in markers
    /// from before there were claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Claims of other identities that the replaced commits had, of each identity the highest: its lower claims do not become
    /// current again because this content has moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_claims: Vec<Claim>,
    /// When the marker was written, in RFC 3339.
    pub committed_at: String,
}

/// A numbered claim of an input: of two runs that read different contents of one input, each has a number of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The identity of the input: its URI, or for a file of the PubMed distribution `pubmedYYnNNNN`. Claims of such a file
    /// from before it had an identity are of its URI.
    pub uri: String,
    /// The number, from 1.
    pub number: u32,
    /// Earlier numbers whose commits this one replaces, even if their markers come into force later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<u32>,
}

/// The input of a [`Commit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it was read from.
    pub uri: String,
    /// SHA-256 of its bytes on disk, lower-case hex.
    pub sha256: String,
    /// What identifies the input, where that is not the SHA-256 alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Length in bytes on disk, where known beforehand.
    pub size: Option<u64>,
    /// Last modification in microseconds since 1970 UTC, where the file system provides it.
    pub modified_us: Option<i64>,
    /// What its store said that its content is, for an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e_tag: Option<String>,
}

/// One part file of a [`Commit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The table it belongs to.
    pub table: String,
    /// Its path below the output directory.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
}

/// How the input of a [`Commit`] was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CommitOutcome {
    /// To its end.
    Complete,
    /// Up to a defect that ended it early, accepted with `--accept-partial`.
    Partial {
        /// The defect.
        reason: String,
    },
    /// Up to the requested `--limit`.
    Limited,
}

impl CommitOutcome {
    /// How a unit is committed.
    ///
    /// # Errors
    /// The reason why it must not be committed.
    pub fn of(outcome: Outcome) -> Result<Self, String> {
        match outcome {
            Outcome::Complete => Ok(Self::Complete),
            Outcome::Partial(reason) => Ok(Self::Partial { reason }),
            Outcome::Limited => Ok(Self::Limited),
            Outcome::Quarantined(reason) => Err(reason),
        }
    }
}

impl Input {
    /// The input that a unit was read from; `key` identifies it within the output.
    pub fn new(unit: &InputUnit, sha256: String, key: String) -> Self {
        let key = (key != sha256).then_some(key);
        Self {
            uri: unit.uri().to_owned(),
            sha256,
            key,
            size: unit.size,
            modified_us: unit.modified_us,
            e_tag: unit.e_tag.clone(),
        }
    }

    /// What identifies the input within the output.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.sha256)
    }
}

impl Commit {
    /// Rows of one table, over all its parts.
    pub fn rows(&self, table: &str) -> u64 {
        self.parts.iter().filter(|part| part.table == table).map(|part| part.rows).sum()
    }

    /// The URI or identity under which it is committed.
    pub fn uri(&self) -> &str {
        self.claim.as_ref().map_or(&self.input.uri, |claim| &claim.uri)
    }

    /// Its claim and the former ones.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.claim.iter().chain(&self.former_claims)
    }

    /// Keeps the claims of other identities that these commits have, besides those that it keeps already.
    pub fn keep_claims_of<'a>(&mut self, replaced: impl IntoIterator<Item = &'a Self>) {
        let mut highest: BTreeMap<String, Claim> = BTreeMap::new();
        let known = std::mem::take(&mut self.former_claims);
        let claims = known.into_iter().chain(replaced.into_iter().flat_map(Self::claims).cloned());
        for claim in claims.filter(|claim| self.claim.as_ref().is_none_or(|own| own.uri != claim.uri)) {
            match highest.get_mut(&claim.uri) {
                Some(known) if known.number >= claim.number => {}
                Some(known) => *known = claim,
                None => drop(highest.insert(claim.uri.clone(), claim)),
            }
        }
        self.former_claims = highest.into_values().collect();
    }

    /// Bytes of all parts.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// Splits commits into those in force and those that another one has superseded.
///
/// Superseding names attempts, not markers: an input that returns to an earlier content has the same marker again. It also
/// names claims, so that what a rival commits later under one of them never counts.
pub fn split_superseded(commits: Vec<Commit>) -> (Vec<Commit>, Vec<Commit>) {
    let superseded: HashSet<String> = commits.iter().flat_map(|commit| commit.supersedes.iter().cloned()).collect();
    let claims = commits.iter().flat_map(Commit::claims);
    let replaced: HashSet<(String, u32)> =
        claims.flat_map(|claim| claim.replaces.iter().map(|number| (claim.uri.clone(), *number))).collect();
    let is_void = |commit: &Commit| {
        let claim = commit.claim.as_ref().map(|claim| (claim.uri.clone(), claim.number));
        superseded.contains(&commit.attempt_id) || claim.is_some_and(|claim| replaced.contains(&claim))
    };
    commits.into_iter().partition(|commit| !is_void(commit))
}
