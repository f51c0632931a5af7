//! Title and abstract: the two lines that PubTator and the NCBI inline format make of a document.
//!
//! Offsets there count in title, one character, abstract. A document of another make is brought into that form without
//! moving its mentions where that can be done: the character between the two is taken from the text.

use std::ops::Range;

use pubtag_schemas::{AnnotatedDocument, DocId, Mention, Passage};

use crate::diagnostic::{DiagnosticKind, Notes};

/// The name of the first passage in formats that have exactly two.
pub(crate) const TITLE: &str = "title";
/// The name of the second.
pub(crate) const ABSTRACT: &str = "abstract";

/// Puts a document together from its title and, where there is one, its abstract.
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
    /// Title, one space, abstract: no line breaks, no tabs but those allowed.
    text: String,
    title_end: usize,
    has_abstract: bool,
    /// Byte of the document from which on everything stands one byte later here.
    shift_from: Option<usize>,
}

impl TwoParts {
    /// Brings a document into two parts and says what that changes. `tabs` allows tabs in the abstract.
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
            // The character between the two, which is a space whatever it was.
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
                "no space between title and abstract: one put in, offsets after it are one higher",
            );
        }
        note_passages(document, notes);
        Self { text: joined, title_end, has_abstract: abstract_start.is_some(), shift_from }
    }

    /// The whole text, as offsets count in it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The title.
    pub(crate) fn title(&self) -> &str {
        &self.text[..self.title_end]
    }

    /// The abstract, where there is one.
    pub(crate) fn abstract_text(&self) -> Option<&str> {
        self.has_abstract.then(|| &self.text[self.abstract_start()..])
    }

    /// First byte of the abstract.
    pub(crate) fn abstract_start(&self) -> usize {
        self.title_end + 1
    }

    /// Where a range of the document stands here.
    pub(crate) fn map(&self, bytes: &Range<usize>) -> Range<usize> {
        let start = bytes.start + usize::from(self.shift_from.is_some_and(|from| from <= bytes.start));
        let end = bytes.end + usize::from(self.shift_from.is_some_and(|from| from < bytes.end));
        start..end
    }
}

/// Where the title ends and the abstract begins: between the first two passages, else at the first line break.
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

/// Says which borders and names of passages two parts cannot express.
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
    notes.add(DiagnosticKind::Passages, count, format!("{count} passages are more than a title and an abstract"));
}

/// The mentions that a format of one piece each can write; says which it cannot.
pub(crate) fn in_one_piece<'a>(document: &'a AnnotatedDocument, notes: &mut Notes<'_>) -> Vec<&'a Mention> {
    let broken = document.mentions.iter().filter(|mention| !mention.gaps.is_empty()).count();
    notes.add(DiagnosticKind::Discontinuous, broken, format!("{broken} discontinuous mentions left out"));
    document.mentions.iter().filter(|mention| mention.gaps.is_empty()).collect()
}

/// Says which further keys and values, sentences and tokens of a document a format without them leaves out.
pub(crate) fn note_extras(document: &AnnotatedDocument, infons: usize, notes: &mut Notes<'_>) {
    notes.add(DiagnosticKind::Infons, infons, format!("{infons} further keys and values left out"));
    note_segments(document, notes);
}

/// Says how many borders of sentences and tokens are left out.
pub(crate) fn note_segments(document: &AnnotatedDocument, notes: &mut Notes<'_>) {
    let sentences = document.sentences.len();
    notes.add(DiagnosticKind::Sentences, sentences, format!("the borders of {sentences} sentences left out"));
    let tokens = document.tokens.len();
    notes.add(DiagnosticKind::Tokens, tokens, format!("the borders of {tokens} tokens left out"));
    let columns: usize = document.tokens.iter().map(|token| token.columns.len()).sum();
    notes.add(DiagnosticKind::Columns, columns, format!("{columns} columns between token and tag left out"));
}

/// Says how many mentions have a wording of their own that the text does not show.
pub(crate) fn note_wording(document: &AnnotatedDocument, notes: &mut Notes<'_>) {
    let own = |mention: &&Mention| mention.gaps.is_empty() && mention.text != document.text[mention.bytes.clone()];
    let count = document.mentions.iter().filter(own).count();
    notes.add(
        DiagnosticKind::MentionText,
        count,
        format!("the wording of {count} mentions differs from the text and is left out"),
    );
}
