//! An entry: the annotations of one text.

use pubtag_schemas::{Annotation, Citation, TaggedDocument};
use sha2::{Digest, Sha256};

use crate::key::Key;
use crate::spec::SpecId;

/// Texts with larger results are not cached: a block of entries has to fit in memory.
const MAX_BYTES: usize = 256 * 1024;

/// What the model found in a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) token_count: u32,
    pub(crate) window_count: u32,
    pub(crate) model_tokens: u32,
    pub(crate) annotations: Vec<Annotation>,
}

impl Entry {
    /// The entry of a document that was tagged; `None` if it is too large to be kept.
    pub(crate) fn of(document: &TaggedDocument) -> Option<Self> {
        let TaggedDocument { citation, annotations, token_count, window_count, model_tokens } = document;
        let (token_count, window_count, model_tokens) = (*token_count, *window_count, *model_tokens);
        let size = annotations.len() * size_of::<Annotation>();
        (size <= MAX_BYTES).then(|| Self {
            key: Key::of(citation),
            token_count,
            window_count,
            model_tokens,
            annotations: annotations.clone(),
        })
    }

    /// The document that the model would make of the citation.
    pub(crate) fn into_document(self, citation: Box<Citation>) -> TaggedDocument {
        let Self { token_count, window_count, model_tokens, annotations, key: _ } = self;
        TaggedDocument { citation, annotations, token_count, window_count, model_tokens }
    }

    /// Whether each annotation is a part of the text, in text order.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let spans = || self.annotations.iter().map(|annotation| (annotation.bytes.start, annotation.bytes.end));
        spans().is_sorted() && spans().all(|(start, end)| start < end && text.get(start..end).is_some())
    }

    /// Size in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let texts = |annotation: &Annotation| {
            annotation.label.len()
                + annotation.concept_ids.iter().map(|id| size_of::<String>() + id.len()).sum::<usize>()
        };
        let annotations = self.annotations.iter().map(|annotation| size_of::<Annotation>() + texts(annotation));
        size_of::<Self>() + annotations.sum::<usize>()
    }

    /// The first 8 bytes of a SHA-256 over all of the entry and its spec: what was damaged, or moved to another spec, does
    /// not have it.
    pub(crate) fn checksum(&self, spec: &SpecId) -> u64 {
        let mut hasher = Sha256::new_with_prefix(spec.as_bytes());
        let number = |hasher: &mut Sha256, number: usize| hasher.update((number as u64).to_le_bytes());
        let text = |hasher: &mut Sha256, text: &str| {
            number(hasher, text.len());
            hasher.update(text);
        };
        hasher.update(self.key.locus.to_le_bytes());
        hasher.update(self.key.sha256);
        for count in [self.token_count, self.window_count, self.model_tokens] {
            hasher.update(count.to_le_bytes());
        }
        number(&mut hasher, self.annotations.len());
        for Annotation { bytes, label, score, source, concept_ids } in &self.annotations {
            number(&mut hasher, bytes.start);
            number(&mut hasher, bytes.end);
            text(&mut hasher, label);
            hasher.update(score.to_bits().to_le_bytes());
            text(&mut hasher, source.as_str());
            number(&mut hasher, concept_ids.len());
            concept_ids.iter().for_each(|id| text(&mut hasher, id));
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}
