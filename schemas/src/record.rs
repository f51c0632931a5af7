//! What travels from source to sink: documents, deletions, and records that could not be read.

use crate::{Citation, Deletion, Reject, TaggedDocument, Tokenized};

/// One record of an input; `D` is its document at the current stage. Each record becomes exactly one row of `documents`
/// or `rejects`.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<D = Box<Citation>> {
    /// A citation, or what a stage has made of it.
    Document(D),
    /// A citation whose annotations are known from an earlier run; passed through by every stage.
    Cached(TaggedDocument),
    /// A deletion; passed through by every stage.
    Deletion(Deletion),
    /// A record that could not be read; passed through by every stage.
    Reject(Reject),
}

/// A [`Record`] after tokenization.
pub type TokenizedRecord = Record<Tokenized>;

/// A [`Record`] after tagging.
pub type TaggedRecord = Record<TaggedDocument>;

impl<D> Record<D> {
    /// Maps the document; all other records are unchanged.
    ///
    /// ```
    /// use pubtag_schemas::Record;
    ///
    /// assert_eq!(Record::Document(3).map(|count| count + 1), Record::Document(4));
    /// ```
    pub fn map<E>(self, change: impl FnOnce(D) -> E) -> Record<E> {
        match self {
            Self::Document(document) => Record::Document(change(document)),
            Self::Cached(document) => Record::Cached(document),
            Self::Deletion(deletion) => Record::Deletion(deletion),
            Self::Reject(reject) => Record::Reject(reject),
        }
    }
}
