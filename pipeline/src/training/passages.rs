//! What a model reads at a time: some consecutive sentences, or a whole document.

use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, Annotation, Layout, Mention};

/// A text for the model and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passage {
    /// The text of its parts, joined by one space.
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

/// Joins consecutive sentences of a document while they have no more than so many tokens together; a longer sentence
/// stands alone. Sentences without a document's mark go on from one to the next.
pub(crate) fn by_sentences(documents: &[AnnotatedDocument], words: usize) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    let (mut room, mut goes_on) = (0, false);
    for (number, document) in documents.iter().enumerate() {
        goes_on &= document.id.is_none();
        for sentence in &document.sentences {
            let first = document.tokens.partition_point(|token| token.bytes.start < sentence.start);
            let tokens = document.tokens[first..].iter().take_while(|token| token.bytes.end <= sentence.end).count();
            let text = &document.text[sentence.clone()];
            match passages.last_mut().filter(|_| goes_on && tokens <= room) {
                Some(passage) => {
                    passage.text.push(' ');
                    let start = passage.text.len();
                    passage.text.push_str(text);
                    passage.parts.push(Part { document: number, bytes: sentence.clone(), start });
                    room -= tokens;
                }
                None => {
                    let part = Part { document: number, bytes: sentence.clone(), start: 0 };
                    passages.push(Passage { text: text.to_owned(), parts: vec![part] });
                    room = words.saturating_sub(tokens);
                }
            }
            goes_on = true;
        }
        goes_on = document.id.is_none();
    }
    passages
}

/// One passage for each document that has its own text; where the corpus has only tokens, those of
/// [`by_sentences`].
pub(crate) fn as_tagged(documents: &[AnnotatedDocument], words: usize) -> Vec<Passage> {
    if documents.iter().any(|document| document.layout == Layout::Joined) {
        return by_sentences(documents, words);
    }
    let whole = |(number, document): (usize, &AnnotatedDocument)| Passage {
        text: document.text.clone(),
        parts: vec![Part { document: number, bytes: 0..document.text.len(), start: 0 }],
    };
    documents.iter().enumerate().map(whole).collect()
}

impl Passage {
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
    use pubtag_schemas::{DocId, Token};

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
        let texts: Vec<String> = by_sentences(&documents, 5).into_iter().map(|passage| passage.text).collect();
        assert_eq!(texts, ["a B c d e", "f", "g H"]);
        let unmarked = [document(None, &["a B c"]), document(None, &["d e"]), document(None, &["f g h i j k l"])];
        let texts: Vec<String> = by_sentences(&unmarked, 5).into_iter().map(|passage| passage.text).collect();
        assert_eq!(texts, ["a B c d e", "f g h i j k l"]);
    }

    #[test]
    fn what_is_found_in_a_passage_returns_to_its_documents_as_the_same_tags() {
        let documents = [document(None, &["a B c"]), document(None, &["D e F"])];
        let passages = by_sentences(&documents, 100);
        let [passage] = &passages[..] else { panic!("one passage") };
        let mentions = passage.mentions(&documents);
        assert_eq!(mentions.iter().map(|(bytes, _)| &passage.text[bytes.clone()]).collect::<Vec<_>>(), ["B", "D", "F"]);
        let annotations = mentions.into_iter().map(|(bytes, label)| Annotation { bytes, label, score: 1.0 }).collect();
        let mut found = documents.clone();
        found.iter_mut().for_each(|document| document.mentions.clear());
        passage.give_back(annotations, &mut found);
        for (expected, found) in documents.iter().zip(&found) {
            assert_eq!(tags(expected, &found.mentions), tags(expected, &expected.mentions));
        }
        assert_eq!(tags(&documents[1], &found[1].mentions), [["B-Disease", "O", "B-Disease"]]);
    }
}
