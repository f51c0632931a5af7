//! The entities that were found in a citation.

use std::ops::Range;

use crate::Citation;

/// One mention of an entity in a document's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// Byte range in the text (UTF-8), on character boundaries.
    pub bytes: Range<usize>,
    /// The entity type without its `B-`/`I-` prefix (`Disease`).
    pub label: String,
    /// Confidence from 0 to 1: the probability of the chosen tag, averaged over the mention's words. An annotation that
    /// was derived from another has that one's score.
    pub score: f32,
    /// What found it.
    pub source: AnnotationSource,
    /// Identifiers of the concept that the mention refers to; empty until a linker fills it.
    pub concept_ids: Vec<String>,
}

/// What found an [`Annotation`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnnotationSource {
    /// The model.
    #[default]
    Model,
    /// An abbreviation defined in the text, whose other form the model annotated.
    Abbreviation,
}

impl AnnotationSource {
    /// The name in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Abbreviation => "abbreviation",
        }
    }

    /// The source with this name in the table.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Model, Self::Abbreviation].into_iter().find(|source| source.as_str() == name)
    }
}

/// A citation with its annotations in text order.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedDocument {
    /// The citation.
    pub citation: Box<Citation>,
    /// Its annotations, sorted by start, then end.
    pub annotations: Vec<Annotation>,
    /// Tokens of the whole text, without special tokens.
    pub token_count: u32,
    /// Windows that the model read.
    pub window_count: u32,
    /// Tokens that the model read, including special tokens and overlaps of windows.
    pub model_tokens: u32,
}
