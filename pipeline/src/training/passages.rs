//! What a model reads at a time in training, and of corpora that have only tokens: some consecutive sentences.

use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, Annotation, Layout, Mention, Packing};

/// A text for the model and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    /// Its document's own text, or that of its parts, joined by one space.
    pub(crate) text: String,
    /// In text order.
    parts: Vec<Part>,
}

/// A stretch of a document within a passage.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    /// Which document.
    document: usize,
    /// Where it stands there.
    bytes: Range<usize>,
    /// Where it begins in the passage.
    start: usize,
}

impl Part {
    fn in_passage(&self) -> Range<usize> {
        self.start..self.start + self.bytes.len()
    }
}

/// Packs consecutive sentences of a document into passages of at most as many words as `words` says of each, as a run
/// does. Sentences without a document's mark go on from one to the next.
pub(crate) fn by_sentences(documents: &[AnnotatedDocument], mut words: impl FnMut() -> usize) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    let mut packing = Packing::default();
    for (number, document) in documents.iter().enumerate() {
        if document.id.is_some() {
            packing.end();
        }
        for sentence in &document.sentences {
            let begins = packing.begins(&document.text[sentence.clone()], &mut words);
            match passages.last_mut().filter(|_| !begins) {
                Some(passage) => passage.go_on(number, document, sentence),
                None => passages.push(Passage::of(number, document, sentence.clone())),
            }
        }
        if document.id.is_some() {
            packing.end();
        }
    }
    passages
}

impl Passage {
    /// A stretch of a document.
    fn of(number: usize, document: &AnnotatedDocument, bytes: Range<usize>) -> Self {
        let text = document.text[bytes.clone()].to_owned();
        Self { text, parts: vec![Part { document: number, bytes, start: 0 }] }
    }

    /// Adds the next sentence: with the text before it where that is the document's own, otherwise after a space.
    fn go_on(&mut self, number: usize, document: &AnnotatedDocument, sentence: &Range<usize>) {
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

    /// The mentions inside it, as places in its text with their categories, in order; of those that overlap, the first.
    pub(crate) fn mentions(&self, documents: &[AnnotatedDocument]) -> Vec<(Range<usize>, String)> {
        let mut found: Vec<(Range<usize>, String)> = Vec::new();
        for part in &self.parts {
            for Mention { bytes, category, .. } in &documents[part.document].mentions {
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

    /// Gives what a model found in the passage to the documents that its parts come from.
    pub(crate) fn give_back(&self, annotations: Vec<Annotation>, documents: &mut [AnnotatedDocument]) {
        for Annotation { bytes, label, .. } in annotations {
            for part in &self.parts {
                let place = part.in_passage();
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

/// The IOB2 tags of all sentences of all documents.
pub(crate) fn all_tags(documents: &[AnnotatedDocument]) -> Vec<Vec<String>> {
    documents.iter().flat_map(|document| tags(document, &document.mentions)).collect()
}

/// The IOB2 tags of a document's tokens, sentence by sentence: a token belongs to the first mention that it overlaps.
pub(crate) fn tags(document: &AnnotatedDocument, mentions: &[Mention]) -> Vec<Vec<String>> {
    let mut mentions: Vec<&Mention> = mentions.iter().collect();
    mentions.sort_by_key(|mention| (mention.bytes.start, mention.bytes.end));
    let sentence = |sentence: &Range<usize>| {
        let mut before = None;
        let inside = document.tokens.iter().map(|token| &token.bytes);
        let inside = inside.filter(|token| sentence.start <= token.start && token.end <= sentence.end);
        let tag = |token: &Range<usize>| {
            let over = |mention: &&Mention| mention.bytes.start < token.end && token.start < mention.bytes.end;
            let of = mentions.iter().position(over);
            let letter = if of == before { "I" } else { "B" };
            before = of;
            of.map_or_else(|| "O".to_owned(), |of| format!("{letter}-{}", mentions[of].category))
        };
        inside.map(tag).collect()
    };
    document.sentences.iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let texts: Vec<String> = by_sentences(&documents, || 5).into_iter().map(|passage| passage.text).collect();
        assert_eq!(texts, ["a B c d e", "f", "g H"]);
        let unmarked = [document(None, &["a B c"]), document(None, &["d e"]), document(None, &["f g h i j k l"])];
        let texts: Vec<String> = by_sentences(&unmarked, || 5).into_iter().map(|passage| passage.text).collect();
        assert_eq!(texts, ["a B c d e", "f g h i j k l"]);
    }

    #[test]
    fn a_passage_of_a_document_with_a_text_of_its_own_is_what_a_run_reads() {
        let text = "One two.  Three four.\nFive six. Seven.";
        let sentences: Vec<_> = pubtag_schemas::Sentences::new(text, &[]).collect();
        let document =
            AnnotatedDocument { id: Some(DocId::new("1")), text: text.into(), sentences, ..Default::default() };
        let passages = by_sentences(std::slice::from_ref(&document), || 4);
        let texts: Vec<&str> = passages.iter().map(|passage| passage.text.as_str()).collect();
        let next = |before: &Range<usize>| pubtag_schemas::context_after(text, &[], before.end, 4.try_into().unwrap());
        let read: Vec<&str> = std::iter::successors(next(&(0..0)), next).map(|bytes| &text[bytes]).collect();
        assert_eq!(texts, ["One two.  Three four.", "Five six. Seven."]);
        assert_eq!(texts, read);
    }

    #[test]
    fn what_is_found_in_a_passage_returns_to_its_documents_as_the_same_tags() {
        let documents = [document(None, &["a B c"]), document(None, &["D e F"])];
        let passages = by_sentences(&documents, || 100);
        let [passage] = &passages[..] else { panic!("one passage") };
        let mentions = passage.mentions(&documents);
        assert_eq!(mentions.iter().map(|(bytes, _)| &passage.text[bytes.clone()]).collect::<Vec<_>>(), ["B", "D", "F"]);
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
        passage.give_back(annotations, &mut found);
        for (expected, found) in documents.iter().zip(&found) {
            assert_eq!(tags(expected, &found.mentions), tags(expected, &expected.mentions));
        }
        assert_eq!(tags(&documents[1], &found[1].mentions), [["B-Disease", "O", "B-Disease"]]);
    }
}
