//! The inputs of a snapshot, and what is read of an output.

use arrow::array::RecordBatch;
use futures::stream::BoxStream;
use pubtag_schemas::{Commit, CommitOutcome, Part};
use pubtag_stream::Fault;
use serde::{Deserialize, Serialize};

/// A commit in force, and what the name of its input says.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The commit.
    pub commit: Commit,
    /// Year of the PubMed baseline that the input belongs to.
    pub generation: Option<i32>,
    /// Number of the input within that generation.
    pub file_seq: Option<i32>,
}

/// Reads the parts of an output.
pub trait Parts: Send + Sync {
    /// The rows of a part, in order; only these columns, if any are named. The stream ends with the first error.
    fn rows<'a>(&'a self, part: &'a Part, columns: Option<&'a [&'a str]>) -> BoxStream<'a, Result<RecordBatch, Fault>>;
}

/// An input of a snapshot, as its manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// A number that no other input of any earlier or later snapshot has.
    pub number: i32,
    /// The attempt that committed it.
    pub attempt_id: String,
    /// Where it was read from.
    pub uri: String,
    /// Year of its PubMed baseline.
    pub generation: Option<i32>,
    /// Its number within that generation.
    pub file_seq: Option<i32>,
    /// Its rows of `documents`.
    pub documents: u64,
}

/// Later inputs are greater: generation, number in it, run, file name. None counts as older than any number.
pub(crate) type Recency<'a> = (Option<i32>, Option<i32>, &'a str, &'a str, &'a str);

impl Input {
    pub(crate) fn recency(&self) -> Recency<'_> {
        let name = self.uri.rsplit('/').next().unwrap_or(&self.uri);
        // An attempt is a run and a number in it, which is not its place among the inputs.
        let run = self.attempt_id.rsplit_once('-').map_or(&*self.attempt_id, |(run, _)| run);
        (self.generation, self.file_seq, run, name, &self.attempt_id)
    }
}

impl Committed {
    /// As an input of a snapshot.
    pub(crate) fn input(&self, number: i32) -> Input {
        Input {
            number,
            attempt_id: self.commit.attempt_id.clone(),
            uri: self.commit.input.uri.clone(),
            generation: self.generation,
            file_seq: self.file_seq,
            documents: self.commit.rows("documents"),
        }
    }

    /// Whether it is an update file: it is in a directory `updatefiles`, as on NLM's server and in a mirror.
    pub(crate) fn is_update(&self) -> bool {
        self.commit.input.uri.rsplit('/').nth(1) == Some("updatefiles")
    }

    /// Whether its input was read to the end.
    pub(crate) fn is_whole(&self) -> bool {
        self.commit.outcome == CommitOutcome::Complete
    }

    /// Its parts of a table, in order.
    pub(crate) fn parts(&self, table: &str) -> Vec<&Part> {
        let mut parts: Vec<_> = self.commit.parts.iter().filter(|part| part.table == table).collect();
        parts.sort_by(|one, other| one.path.cmp(&other.path));
        parts
    }
}
