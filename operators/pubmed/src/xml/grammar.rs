//! The structural elements of a file, from the DTDs of NLM
//! (<https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd>, and `nlmmedlinecitationset` before 2017).

use super::markup::{Markup, markup};

/// An element that contains records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// `PubmedArticleSet`
    Articles,
    /// `PubmedBookArticleSet`
    Books,
    /// `MedlineCitationSet`, used before 2017.
    Medline,
}

/// An element that is a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// `PubmedArticle`
    Article,
    /// `PubmedBookArticle`
    Book,
    /// `MedlineCitation` outside of `PubmedArticle`.
    Medline,
    /// `PMID` in `DeleteCitation` or `DeleteDocument`.
    Deletion,
}

/// The position of the reader in the structure of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Outside of root elements.
    Outside,
    /// In a set.
    Set(Set),
    /// In the list of deletions at the end of a set.
    Deletions(Set),
}

impl Set {
    const ALL: [Self; 3] = [Self::Articles, Self::Books, Self::Medline];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Articles => "PubmedArticleSet",
            Self::Books => "PubmedBookArticleSet",
            Self::Medline => "MedlineCitationSet",
        }
    }

    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name().as_bytes() == name)
    }
}

impl RecordKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Article => "PubmedArticle",
            Self::Book => "PubmedBookArticle",
            Self::Medline => "MedlineCitation",
            Self::Deletion => "PMID",
        }
    }
}

/// Whether an element lists deletions.
pub(crate) fn is_deletions(name: &[u8]) -> bool {
    matches!(name, b"DeleteCitation" | b"DeleteDocument")
}

impl Level {
    /// The record that a start tag opens at this level.
    pub(crate) fn record(self, name: &[u8]) -> Option<RecordKind> {
        match (name, self) {
            (b"PubmedArticle", Self::Outside | Self::Set(_)) => Some(RecordKind::Article),
            (b"PubmedBookArticle", Self::Outside | Self::Set(_)) => Some(RecordKind::Book),
            (b"MedlineCitation", Self::Outside | Self::Set(Set::Medline)) => Some(RecordKind::Medline),
            (b"PMID", Self::Deletions(_)) => Some(RecordKind::Deletion),
            _ => None,
        }
    }

    /// Whether a tag cannot occur in a record at this level, so that an unclosed record ends before it.
    pub(crate) fn is_boundary(self, tag: &Markup<'_>) -> bool {
        match *tag {
            Markup::Start { name, .. } => {
                let in_set = match self {
                    Self::Deletions(set) => Self::Set(set),
                    other => other,
                };
                self.record(name).is_some() || in_set.record(name).is_some() || is_deletions(name)
            }
            Markup::End { name } => match self {
                Self::Outside => false,
                Self::Set(set) => name == set.name().as_bytes(),
                Self::Deletions(set) => name == set.name().as_bytes() || is_deletions(name),
            },
            _ => false,
        }
    }
}

/// Whether a root element is known.
pub(crate) fn is_known_root(name: &[u8]) -> bool {
    Set::named(name).is_some() || Level::Outside.record(name).is_some()
}

/// The name of the root element, if the first bytes of a file contain it.
pub(crate) fn root_name(head: &[u8]) -> Option<Vec<u8>> {
    let mut rest = head;
    loop {
        rest = &rest[memchr::memchr(b'<', rest)?..];
        match markup(rest) {
            (Markup::Start { name, .. }, _) => return Some(name.to_vec()),
            (Markup::Unclosed, _) => return None,
            (_, len) => rest = &rest[len..],
        }
    }
}
