//! Splits documents into sentences and tokens where their format does not.

use std::borrow::Cow;
use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, Sentences, Token, trimmed};

use crate::diagnostic::{DiagnosticKind, Notes};
use crate::words::words;

/// The document with sentences and tokens: its own if it has them, else those of [`Sentences`] and
/// [`words`](crate::words::words).
///
/// No mention is lost at a boundary: tokens begin and end where mentions do, and no sentence ends inside a mention. Every
/// character that is not white space belongs to a token.
pub fn segment(document: &AnnotatedDocument) -> Cow<'_, AnnotatedDocument> {
    if document.tokens.is_empty() { Cow::Owned(cut(document).0) } else { Cow::Borrowed(document) }
}

/// The same, reporting changes to the sentences of the source.
pub(crate) fn segment_noting<'a>(document: &'a AnnotatedDocument, notes: &mut Notes<'_>) -> Cow<'a, AnnotatedDocument> {
    if !document.tokens.is_empty() {
        return Cow::Borrowed(document);
    }
    let (document, joined) = cut(document);
    notes.add(DiagnosticKind::SentencesJoined, joined, format!("{joined} sentence boundaries inside mentions removed"));
    Cow::Owned(document)
}

fn cut(document: &AnnotatedDocument) -> (AnnotatedDocument, usize) {
    let mut document = document.clone();
    let whole: Vec<Range<usize>> = document.mentions.iter().map(|mention| mention.bytes.clone()).collect();
    let mut joined = 0;
    document.sentences = if document.sentences.is_empty() {
        Sentences::new(&document.text, &document.borders()).keeping(whole).collect()
    } else {
        let covering = cover(&document.text, &document.sentences);
        let all = covering.len();
        let merged = join_across(covering, &whole);
        joined = all - merged.len();
        merged
    };
    let mut cuts: Vec<usize> = document
        .mentions
        .iter()
        .flat_map(|mention| mention.pieces())
        .flat_map(|piece| [piece.start, piece.end])
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    document.tokens = document
        .sentences
        .iter()
        .flat_map(|sentence| {
            let first = cuts.partition_point(|&cut| cut < sentence.start);
            words(&document.text, sentence.clone(), &cuts[first..])
        })
        .map(Token::from)
        .collect();
    (document, joined)
}

/// The sentences, plus a sentence for each stretch of text that they do not cover.
fn cover(text: &str, sentences: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut all = Vec::with_capacity(sentences.len());
    let mut end = 0;
    for sentence in sentences.iter().cloned().chain(std::iter::once(text.len()..text.len())) {
        let between = trimmed(text, end..sentence.start.max(end));
        all.extend((!between.is_empty()).then_some(between));
        end = sentence.end.max(end);
        all.extend((!sentence.is_empty()).then_some(sentence));
    }
    all
}

/// Joins sentences that a mention spans.
fn join_across(sentences: Vec<Range<usize>>, mentions: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(sentences.len());
    for sentence in sentences {
        let held = |before: &Range<usize>| mentions.iter().any(|m| m.start < before.end && sentence.start < m.end);
        match joined.last_mut().filter(|before| held(before)) {
            Some(before) => before.end = sentence.end,
            None => joined.push(sentence),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use pubtag_schemas::{Mention, Passage};

    fn tokens(document: &AnnotatedDocument) -> Vec<&str> {
        document.tokens.iter().map(|token| &document.text[token.bytes.clone()]).collect()
    }

    #[test]
    fn mentions_split_tokens_and_join_sentences() {
        let text = "Title one St. Louis fever. Microcephalydisease is. It";
        let mentions = vec![Mention::new(text, 10..25, "D"), Mention::new(text, 27..39, "D")];
        let passages = vec![Passage::new("title", 0..13), Passage::new("abstract", 13..text.len())];
        let document = AnnotatedDocument { text: text.into(), mentions, passages, ..Default::default() };
        let cut = segment(&document);
        assert_eq!(cut.sentences, [0..26, 27..50, 51..53]);
        assert_eq!(tokens(&cut)[7..9], ["Microcephaly", "disease"]);
    }

    #[test]
    fn sentences_of_the_source_are_kept_and_completed() {
        let text = "One. Two. Three. Four.";
        let mentions = vec![Mention::new(text, 5..13, "D")];
        let document =
            AnnotatedDocument { text: text.into(), mentions, sentences: vec![5..9, 10..16], ..Default::default() };
        assert_eq!(segment(&document).sentences, [0..4, 5..16, 17..22]);
    }
}
