//! The mentions of a document as `pubtag corpus list` prints them.

use pubtag_schemas::AnnotatedDocument;
use serde::Serialize;

use crate::document::CharIndex;

/// A document's mentions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The document identifier, if there is one.
    pub id: Option<String>,
    /// Its mentions, in source order.
    pub mentions: Vec<ListedMention>,
}

/// One mention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedMention {
    /// First character, in code points of the document text.
    pub start_char: usize,
    /// One past the last character.
    pub end_char: usize,
    /// The category.
    pub category: String,
    /// The wording in the source.
    pub mention: String,
    /// Its concepts.
    pub concepts: Vec<String>,
}

impl Listing {
    /// Lists a document's mentions.
    pub fn of(document: &AnnotatedDocument) -> Self {
        let index = CharIndex::new(&document.text);
        let mentions = document.mentions.iter().map(|mention| ListedMention {
            start_char: index.char(mention.bytes.start),
            end_char: index.char(mention.bytes.end),
            category: mention.category.clone(),
            mention: mention.text.clone(),
            concepts: mention.concepts.iter().map(str::to_owned).collect(),
        });
        Self { id: document.id.as_ref().map(|id| id.as_str().to_owned()), mentions: mentions.collect() }
    }
}
