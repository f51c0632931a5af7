//! The mentions of each document, as `pubtag corpus list` shows them.

use pubtag_schemas::AnnotatedDocument;
use serde::Serialize;

use crate::document::CharIndex;

/// A document's mentions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// The document's identifier, where it has one.
    pub id: Option<String>,
    /// Its mentions, in the order of the source.
    pub mentions: Vec<ListedMention>,
}

/// One mention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedMention {
    /// First character, in code points of the document's text.
    pub start_char: usize,
    /// One past the last character.
    pub end_char: usize,
    /// The category.
    pub category: String,
    /// The mention as the source writes it.
    pub mention: String,
    /// Its concepts, one by one.
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
