//! Title and abstract: the two parts of a document in PubTator and the NCBI inline format.
//!
//! Their offsets count title, one character, abstract. Other documents are converted without moving their mentions where
//! possible: a white space character of the text separates the two parts.

use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, DocId, Mention, Passage};

use crate::diagnostic::{DiagnosticKind, Notes};

/// The name of the first passage in formats that have exactly two.
pub(crate) const TITLE: &str = "title";
/// The name of the second.
pub(crate) const ABSTRACT: &str = "abstract";

/// Builds a document from its title and optional abstract.
pub(crate) fn join(id: &str, title: &str, abstract_text: Option<&str>) -> AnnotatedDocument {
    let mut text = title.to_owned();
    let mut passages = vec![Passage::new(TITLE, 0..title.len())];
    if let Some(abstract_text) = abstract_text {
        text.push(' ');
        passages.push(Passage::new(ABSTRACT, text.len()..text.len() + abstract_text.len()));
        text.push_str(abstract_text);
    }
    AnnotatedDocument { id: Some(DocId::new(id)), text, passages, ..Default::default() }
}

/// A document as title and abstract.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TwoParts {
    /// Title, one space, abstract; without line breaks, and without tabs unless allowed.
    text: String,
    title_end: usize,
    has_abstract: bool,
    /// Offset in the document from which everything is one byte later here.
    shift_from: Option<usize>,
}

impl TwoParts {
    /// Splits a document into two parts and reports what that changes. `tabs` allows tabs in the abstract.
    pub(crate) fn of(document: &AnnotatedDocument, tabs: bool, notes: &mut Notes<'_>) -> Self {
        let text = document.text.as_str();
        let (title_end, abstract_start) = match border(document) {
            Some((title_end, abstract_start)) => (title_end, Some(abstract_start)),
            None => (text.len(), None),
        };
        let mut breaks = 0;
        let mut plain = |part: &str, tabs: bool| -> String {
            let broken = |c: char| c == '\n' || c == '\r' || (c == '\t' && !tabs);
            breaks += part.chars().filter(|&c| broken(c)).count();
            part.chars().map(|c| if broken(c) { ' ' } else { c }).collect()
        };
        let mut joined = plain(&text[..title_end], false);
        if let Some(start) = abstract_start {
            // The separator, always written as a space.
            joined.push_str(
                if start > title_end { plain(&text[title_end..start], false) } else { " ".to_owned() }.as_str(),
            );
            joined.push_str(&plain(&text[start..], tabs));
        }
        notes.add(DiagnosticKind::LineBreaks, breaks, format!("{breaks} line breaks or tabs written as spaces"));
        let shift_from = abstract_start.filter(|&start| start == title_end);
        if shift_from.is_some() {
            notes.add(
                DiagnosticKind::SpaceInserted,
                1,
                "space inserted between title and abstract; later offsets are one higher",
            );
        }
        note_passages(document, notes);
        Self { text: joined, title_end, has_abstract: abstract_start.is_some(), shift_from }
    }

    /// The whole text, which offsets count.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The title.
    pub(crate) fn title(&self) -> &str {
        &self.text[..self.title_end]
    }

    /// The abstract, if there is one.
    pub(crate) fn abstract_text(&self) -> Option<&str> {
        self.has_abstract.then(|| &self.text[self.abstract_start()..])
    }

    /// The first byte of the abstract.
    pub(crate) fn abstract_start(&self) -> usize {
        self.title_end + 1
    }

    /// The range here of a range of the document.
    pub(crate) fn map(&self, bytes: &Range<usize>) -> Range<usize> {
        let start = bytes.start + usize::from(self.shift_from.is_some_and(|from| from <= bytes.start));
        let end = bytes.end + usize::from(self.shift_from.is_some_and(|from| from < bytes.end));
        start..end
    }
}

/// Where the title ends and the abstract begins: at the second passage, else at the first line break.
fn border(document: &AnnotatedDocument) -> Option<(usize, usize)> {
    let text = document.text.as_str();
    match document.passages.get(1) {
        Some(second) => {
            let before = text[..second.bytes.start].chars().next_back();
            let space = before.filter(|c| [' ', '\t', '\n', '\r'].contains(c)).map_or(0, char::len_utf8);
            Some((second.bytes.start - space, second.bytes.start))
        }
        None => text.find('\n').filter(|at| !text[*at..].trim().is_empty()).map(|at| (at, at + 1)),
    }
}

/// Reports boundaries and names of passages that two parts cannot express.
fn note_passages(document: &AnnotatedDocument, notes: &mut Notes<'_>) {
    let named = |passage: &Passage, name: &str| {
        passage.kind.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case(name)) && passage.infons.is_empty()
    };
    let lost = document.passages.iter().enumerate().filter(|(i, passage)| match i {
        0 => !named(passage, TITLE),
        1 => !named(passage, ABSTRACT),
        _ => true,
    });
    let count = lost.count();
    notes.add(
        DiagnosticKind::Passages,
        count,
        format!("{count} passages other than title and abstract not kept as passages"),
    );
}

/// The continuous mentions; reports the others.
pub(crate) fn in_one_piece<'a>(document: &'a AnnotatedDocument, notes: &mut Notes<'_>) -> Vec<&'a Mention> {
    let broken = document.mentions.iter().filter(|mention| !mention.gaps.is_empty()).count();
    notes.add(DiagnosticKind::Discontinuous, broken, format!("{broken} discontinuous mentions left out"));
    document.mentions.iter().filter(|mention| mention.gaps.is_empty()).collect()
}

/// Reports other keys and values, sentences and tokens as left out.
pub(crate) fn note_extras(document: &AnnotatedDocument, infons: usize, notes: &mut Notes<'_>) {
    notes.add(DiagnosticKind::Infons, infons, format!("{infons} other keys and values left out"));
    note_segments(document, notes);
}

/// Reports sentence and token boundaries as left out.
pub(crate) fn note_segments(document: &AnnotatedDocument, notes: &mut Notes<'_>) {
    let sentences = document.sentences.len();
    notes.add(DiagnosticKind::Sentences, sentences, format!("the boundaries of {sentences} sentences left out"));
    let tokens = document.tokens.len();
    notes.add(DiagnosticKind::Tokens, tokens, format!("the boundaries of {tokens} tokens left out"));
    let columns: usize = document.tokens.iter().map(|token| token.columns.len()).sum();
    notes.add(DiagnosticKind::Columns, columns, format!("{columns} columns between token and tag left out"));
}

/// Reports mentions whose wording differs from the text.
pub(crate) fn note_wording(document: &AnnotatedDocument, notes: &mut Notes<'_>) {
    let own = |mention: &&Mention| mention.gaps.is_empty() && mention.text != document.text[mention.bytes.clone()];
    let count = document.mentions.iter().filter(own).count();
    notes.add(
        DiagnosticKind::MentionText,
        count,
        format!("the wording of {count} mentions, which differs from the text, left out"),
    );
}
