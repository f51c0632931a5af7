//! Consecutive sentences of a corpus packed into contexts, as a model reads them in training.

use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, Annotation, Layout, Mention, Packing};

/// Sentences that a model reads together, and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedContext {
    /// A stretch of the document's own text, or its parts joined by one space.
    pub text: String,
    /// Where the text comes from, in text order.
    parts: Vec<Part>,
}

/// A stretch of a document within a context.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    /// Index of the document.
    document: usize,
    /// Its bytes in the document.
    bytes: Range<usize>,
    /// Its first byte in the context.
    start: usize,
}

impl Part {
    fn in_context(&self) -> Range<usize> {
        self.start..self.start + self.bytes.len()
    }
}

/// Packs consecutive sentences into contexts, as a run does; `words` gives the limit of each context.
///
/// Contexts never span two documents that have identifiers. Where the format marks no documents, each sentence is a
/// document of its own, and contexts span them.
pub fn pack(documents: &[AnnotatedDocument], mut words: impl FnMut() -> usize) -> Vec<PackedContext> {
    let mut contexts: Vec<PackedContext> = Vec::new();
    let mut packing = Packing::default();
    for (number, document) in documents.iter().enumerate() {
        if document.id.is_some() {
            packing.end();
        }
        for sentence in &document.sentences {
            let begins = packing.begins(&document.text[sentence.clone()], &mut words);
            match contexts.last_mut().filter(|_| !begins) {
                Some(context) => context.extend(number, document, sentence),
                None => contexts.push(PackedContext::of(number, document, sentence.clone())),
            }
        }
        if document.id.is_some() {
            packing.end();
        }
    }
    contexts
}

impl PackedContext {
    fn of(number: usize, document: &AnnotatedDocument, bytes: Range<usize>) -> Self {
        let text = document.text[bytes.clone()].to_owned();
        Self { text, parts: vec![Part { document: number, bytes, start: 0 }] }
    }

    /// Appends the next sentence: with the document's own text in between if it has one, else after a space.
    fn extend(&mut self, number: usize, document: &AnnotatedDocument, sentence: &Range<usize>) {
        match self.parts.last_mut().filter(|part| part.document == number && document.layout == Layout::Source) {
            Some(part) => {
                self.text.push_str(&document.text[part.bytes.end..sentence.end]);
                part.bytes.end = sentence.end;
            }
            None => {
                self.text.push(' ');
                self.parts.push(Part { document: number, bytes: sentence.clone(), start: self.text.len() });
                self.text.push_str(&document.text[sentence.clone()]);
            }
        }
    }

    /// The mentions inside the context: byte ranges of its text and categories, in order. Of overlapping mentions, the
    /// first is kept, of those that begin together the longest. Discontinuous ones are left out.
    pub fn mentions(&self, documents: &[AnnotatedDocument]) -> Vec<(Range<usize>, String)> {
        let mut found: Vec<(Range<usize>, String)> = Vec::new();
        for part in &self.parts {
            let whole = documents[part.document].mentions.iter().filter(|mention| mention.gaps.is_empty());
            for Mention { bytes, category, .. } in whole {
                if part.bytes.start <= bytes.start && bytes.end <= part.bytes.end {
                    let shifted =
                        bytes.start - part.bytes.start + part.start..bytes.end - part.bytes.start + part.start;
                    found.push((shifted, category.clone()));
                }
            }
        }
        found.sort_by_key(|(bytes, _)| (bytes.start, std::cmp::Reverse(bytes.end)));
        let mut end = 0;
        found.retain(|(bytes, _)| {
            let free = bytes.start >= end;
            end = if free { bytes.end } else { end };
            free
        });
        found
    }

    /// Where a byte of the context comes from: the index of its document, and the byte there. `None` for what joins parts.
    pub fn origin(&self, byte: usize) -> Option<(usize, usize)> {
        let part = self.parts.iter().find(|part| part.in_context().contains(&byte))?;
        Some((part.document, byte - part.start + part.bytes.start))
    }

    /// Copies what a model found in the context to the documents that its parts come from.
    pub fn copy_back(&self, annotations: Vec<Annotation>, documents: &mut [AnnotatedDocument]) {
        for Annotation { bytes, label, .. } in annotations {
            for part in &self.parts {
                let place = part.in_context();
                let (start, end) = (bytes.start.max(place.start), bytes.end.min(place.end));
                if start < end {
                    let document = &mut documents[part.document];
                    let at = start - part.start + part.bytes.start..end - part.start + part.bytes.start;
                    document.mentions.push(Mention::new(&document.text, at, &label));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tagging::{iob2, sentence_tags};
    use pubtag_schemas::{AnnotationSource, DocId, Token};

    /// A document of sentences of words, with a mention over each word that begins with a capital.
    fn document(id: Option<&str>, sentences: &[&str]) -> AnnotatedDocument {
        let text = sentences.join("\n");
        let mut document = AnnotatedDocument { id: id.map(DocId::new), layout: Layout::Joined, ..Default::default() };
        let mut start = 0;
        for sentence in sentences {
            document.sentences.push(start..start + sentence.len());
            for word in sentence.split(' ') {
                document.tokens.push(Token::from(start..start + word.len()));
                if word.starts_with(char::is_uppercase) {
                    document.mentions.push(Mention::new(&text, start..start + word.len(), "Disease"));
                }
                start += word.len() + 1;
            }
        }
        document.text = text;
        document
    }

    #[test]
    fn sentences_are_joined_within_documents_up_to_the_limit() {
        let documents = [document(Some("1"), &["a B c", "d e", "f"]), document(Some("2"), &["g H"])];
        let texts: Vec<String> = pack(&documents, || 5).into_iter().map(|context| context.text).collect();
        assert_eq!(texts, ["a B c d e", "f", "g H"]);
        let unmarked = [document(None, &["a B c"]), document(None, &["d e"]), document(None, &["f g h i j k l"])];
        let texts: Vec<String> = pack(&unmarked, || 5).into_iter().map(|context| context.text).collect();
        assert_eq!(texts, ["a B c d e", "f g h i j k l"]);
    }

    #[test]
    fn contexts_of_a_document_with_its_own_text_are_those_of_a_run() {
        let text = "One two.  Three four.\nFive six. Seven.";
        let sentences: Vec<_> = pubtag_schemas::Sentences::new(text, &[]).collect();
        let document =
            AnnotatedDocument { id: Some(DocId::new("1")), text: text.into(), sentences, ..Default::default() };
        let contexts = pack(std::slice::from_ref(&document), || 4);
        let texts: Vec<&str> = contexts.iter().map(|context| context.text.as_str()).collect();
        let next = |before: &Range<usize>| pubtag_schemas::context_after(text, &[], before.end, 4.try_into().unwrap());
        let read: Vec<&str> = std::iter::successors(next(&(0..0)), next).map(|bytes| &text[bytes]).collect();
        assert_eq!(texts, ["One two.  Three four.", "Five six. Seven."]);
        assert_eq!(texts, read);
    }

    #[test]
    fn every_byte_of_a_context_but_the_joints_has_an_origin() {
        let documents = [document(None, &["a B c"]), document(None, &["D e F"])];
        let contexts = pack(&documents, || 100);
        let [context] = &contexts[..] else { panic!("one context") };
        let letters: String = (0..context.text.len())
            .map(|byte| context.origin(byte).map_or("|", |(document, at)| &documents[document].text[at..=at]))
            .collect();
        assert_eq!(letters, "a B c|D e F");
        assert_eq!(context.origin(context.text.len()), None);
    }

    #[test]
    fn mentions_found_in_a_context_give_its_documents_the_same_tags() {
        let documents = [document(None, &["a B c"]), document(None, &["D e F"])];
        let contexts = pack(&documents, || 100);
        let [context] = &contexts[..] else { panic!("one context") };
        let mentions = context.mentions(&documents);
        assert_eq!(mentions.iter().map(|(bytes, _)| &context.text[bytes.clone()]).collect::<Vec<_>>(), ["B", "D", "F"]);
        let annotations = mentions
            .into_iter()
            .map(|(bytes, label)| Annotation {
                bytes,
                label,
                score: 1.0,
                source: AnnotationSource::Model,
                concept_ids: Vec::new(),
            })
            .collect();
        let mut found = documents.clone();
        found.iter_mut().for_each(|document| document.mentions.clear());
        context.copy_back(annotations, &mut found);
        assert_eq!(iob2(&found), iob2(&documents));
        assert_eq!(sentence_tags(&found[1]), [["B-Disease", "O", "B-Disease"]]);
    }
}
