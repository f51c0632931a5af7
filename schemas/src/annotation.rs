//! What the model says of a citation.

use std::ops::Range;

use crate::Citation;

/// One mention of an entity in a document's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// Where the mention stands, in bytes (UTF-8) of the text; always on character boundaries.
    pub bytes: Range<usize>,
    /// The entity type without its `B-`/`I-` prefix (`Disease`).
    pub label: String,
    /// Confidence from 0 to 1: the mean, over the mention's words, of the probability of the chosen tag. Of an
    /// annotation that the model did not make, that of the annotation it follows from.
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
    /// An abbreviation that the text defines: the other form has an annotation of the model's.
    Abbreviation,
}

impl AnnotationSource {
    /// The name that the table carries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Abbreviation => "abbreviation",
        }
    }
}

/// A citation with its annotations in text order.
#[derive(Clone, Debug, PartialEq)]
pub struct TaggedDocument {
    /// The citation.
    pub citation: Box<Citation>,
    /// Its annotations, sorted by start, then end.
    pub annotations: Vec<Annotation>,
    /// Tokens of the whole text, special tokens not counted.
    pub token_count: u32,
    /// Windows that the model read.
    pub window_count: u32,
}
