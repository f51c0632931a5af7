//! What travels from the source to the sink: documents, deletions and the records that could not be read.

use crate::{Citation, Deletion, Reject, TaggedDocument, Tokenized};

/// One record of an input, with its document as far as the stages have brought it. Each becomes exactly one row of
/// `documents` or of `rejects`.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<D = Box<Citation>> {
    /// A readable citation, or what a stage has made of it.
    Document(D),
    /// A deletion, passed on by every stage.
    Deletion(Deletion),
    /// A record that could not be read, passed on by every stage.
    Reject(Reject),
}

/// A [`Record`] after tokenization.
pub type TokenizedRecord = Record<Tokenized>;

/// A [`Record`] after tagging.
pub type TaggedRecord = Record<TaggedDocument>;

impl<D> Record<D> {
    /// The same record with its document turned into another; deletions and rejects pass unchanged.
    ///
    /// ```
    /// use pubtag_schemas::Record;
    ///
    /// assert_eq!(Record::Document(3).map(|count| count + 1), Record::Document(4));
    /// ```
    pub fn map<E>(self, change: impl FnOnce(D) -> E) -> Record<E> {
        match self {
            Self::Document(document) => Record::Document(change(document)),
            Self::Deletion(deletion) => Record::Deletion(deletion),
            Self::Reject(reject) => Record::Reject(reject),
        }
    }
}
