//! brat standoff: text in `X.txt`, annotations in `X.ann` (<https://brat.nlplab.org/standoff.html>).
//!
//! ```text
//! T1⇥Disease 3 8;19 26⇥motor ataxias
//! N1⇥Reference T1 MESH:D001259⇥motor ataxias
//! #1⇥AnnotatorNotes T1⇥a note
//! ```
//!
//! Offsets count code points; a mention may have several pieces. `N` lines hold concepts. Notes on mentions hold the infon
//! [`NOTE`] or, in the form `key=value`, any other. Relations, events and attributes are left out and reported.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use pubtag_schemas::{AnnotatedDocument, ConceptIds, DocId, Mention};

use crate::CorpusError;
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::document::{CharIndex, Fit, fit, hull, same_pieces, wording_at};
use crate::lines::{Lines, MAX_RECORD_BYTES};
use crate::reader::Item;
use crate::two_parts;

/// Key of the infon that holds the note of an annotator.
pub const NOTE: &str = "note";

/// Reads a document from its two files; `files` are the names of text and annotations in diagnostics.
///
/// *Memory:* the document. *Rejects:* an invalid annotation, or one that does not match the text at its offsets, is skipped
/// with a diagnostic. A text that is not UTF-8 is an error.
pub fn read_document(
    id: &str,
    mut text: impl BufRead,
    annotations: impl BufRead,
    files: (&Arc<str>, &Arc<str>),
) -> Result<Vec<Item>, CorpusError> {
    let mut bytes = Vec::new();
    let read = (&mut text).take(MAX_RECORD_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|source| CorpusError::Read { file: Arc::clone(files.0), source })?;
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(CorpusError::TooLarge { file: Arc::clone(files.0), line: 1, limit: MAX_RECORD_BYTES });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        CorpusError::Encoding { file: Arc::clone(files.0), line: line as u64 + 1 }
    })?;
    let mut standoff = Standoff::new(id, text, files.1);
    let mut lines = Lines::new(annotations, files.1);
    while let Some(line) = lines.next_line()? {
        let line = line.to_owned();
        standoff.line(&line, lines.number());
    }
    Ok(standoff.finish(files.0).into())
}

/// A document whose annotations are being read.
struct Standoff {
    document: AnnotatedDocument,
    index: CharIndex,
    file: Arc<str>,
    /// Mentions by their `T` identifier.
    numbers: HashMap<String, usize>,
    /// `T` identifiers that were skipped; references to them are dropped silently.
    skipped: Vec<String>,
    /// References to mentions, which may come later in the file: line, identifier, concept or note.
    later: Vec<(u64, String, Attachment)>,
    relations: usize,
    attributes: usize,
    diagnostics: Vec<(u64, DiagnosticKind, String)>,
}

enum Attachment {
    Concept(String),
    Note(String),
}

impl Standoff {
    fn new(id: &str, text: String, file: &Arc<str>) -> Self {
        let index = CharIndex::new(&text);
        let document = AnnotatedDocument { id: Some(DocId::new(id)), text, ..Default::default() };
        let file = Arc::clone(file);
        let (numbers, skipped, later, diagnostics) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { document, index, file, numbers, skipped, later, relations: 0, attributes: 0, diagnostics }
    }

    fn line(&mut self, line: &str, number: u64) {
        let mut fields = line.splitn(3, '\t');
        let (name, middle, rest) = (fields.next().unwrap_or_default(), fields.next(), fields.next());
        match (name.chars().next(), middle) {
            (None, _) => {}
            (Some('T'), Some(middle)) => match mention(middle, rest, &self.document.text, &self.index) {
                Ok((mention, oddity)) => {
                    self.diagnostics.extend(oddity.map(|what| (number, DiagnosticKind::MentionSpace, what)));
                    self.numbers.insert(name.to_owned(), self.document.mentions.len());
                    self.document.mentions.push(mention);
                }
                Err((kind, what)) => {
                    self.diagnostics.push((number, kind, what));
                    self.skipped.push(name.to_owned());
                }
            },
            (Some('N'), Some(middle)) => match middle.splitn(3, ' ').collect::<Vec<_>>().as_slice() {
                [_, target, concept] => {
                    self.later.push((number, (*target).to_owned(), Attachment::Concept((*concept).to_owned())))
                }
                _ => self.bad(number, line),
            },
            (Some('#'), Some(middle)) => match (middle.split_once(' '), rest) {
                (Some((_, target)), Some(note)) if target.starts_with('T') => {
                    self.later.push((number, target.to_owned(), Attachment::Note(note.to_owned())));
                }
                _ => self.attributes += 1,
            },
            (Some('R' | '*'), Some(_)) => self.relations += 1,
            (Some('E' | 'A' | 'M'), Some(_)) => self.attributes += 1,
            _ if line.trim().is_empty() => {}
            _ => self.bad(number, line),
        }
    }

    fn bad(&mut self, number: u64, line: &str) {
        let start: String = line.chars().take(60).collect();
        self.diagnostics.push((
            number,
            DiagnosticKind::BadRecord,
            format!("not a line of the brat standoff format: {start:?}"),
        ));
    }

    fn attach(&mut self) {
        for (line, target, attachment) in std::mem::take(&mut self.later) {
            let mention = self.numbers.get(&target).and_then(|&number| self.document.mentions.get_mut(number));
            match (mention, attachment) {
                (Some(mention), Attachment::Concept(concept)) => {
                    let joined = match mention.concepts.as_str() {
                        "" => concept,
                        others => format!("{others}|{concept}"),
                    };
                    mention.concepts = ConceptIds::new(joined);
                }
                (Some(mention), Attachment::Note(note)) => mention.infons.push(infon(&note)),
                (None, _) if self.skipped.contains(&target) => {}
                (None, _) => self.diagnostics.push((
                    line,
                    DiagnosticKind::BadRecord,
                    format!("reference to {target}, which does not exist"),
                )),
            }
        }
    }

    fn finish(mut self, text_file: &Arc<str>) -> VecDeque<Item> {
        self.attach();
        let spot = Spot::new(text_file, 1);
        let id = self.document.id.as_ref().map(|id| id.as_str().to_owned());
        let mut diagnostics = Vec::new();
        let mut notes = Notes::new(&spot, id.as_deref(), &mut diagnostics);
        for (line, kind, what) in self.diagnostics {
            notes.add_at(Spot::new(&self.file, line), kind, 1, what);
        }
        notes.add(DiagnosticKind::Relations, self.relations, format!("{} relations left out", self.relations));
        notes.add(
            DiagnosticKind::Attributes,
            self.attributes,
            format!("{} events, attributes and notes left out", self.attributes),
        );
        let document = Item::Document(spot, Box::new(self.document));
        std::iter::once(document).chain(diagnostics.into_iter().map(Item::Diagnostic)).collect()
    }
}

type Misfit = (DiagnosticKind, String);

/// Parses `Category start end;start end` and the wording after it.
fn mention(
    middle: &str,
    wording: Option<&str>,
    text: &str,
    index: &CharIndex,
) -> Result<(Mention, Option<String>), Misfit> {
    let bad = || (DiagnosticKind::BadRecord, format!("{middle:?} is not a category followed by offsets"));
    let (category, places) = middle.split_once(' ').filter(|(category, _)| !category.is_empty()).ok_or_else(bad)?;
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for place in places.split(';') {
        let (start, end) = place.trim().split_once(' ').ok_or_else(bad)?;
        let chars = start.parse().map_err(|_| bad())?..end.trim().parse().map_err(|_| bad())?;
        let outside = || (DiagnosticKind::OffsetMismatch, format!("{category} {place} is empty or outside the text"));
        pieces.push(index.bytes(chars).filter(|bytes| !bytes.is_empty()).ok_or_else(outside)?);
    }
    let (bytes, gaps) =
        hull(text, pieces).ok_or_else(|| (DiagnosticKind::BadRecord, format!("the pieces of {middle:?} overlap")))?;
    let mut mention = Mention { bytes, gaps, ..Mention::new("", 0..0, category) };
    let there = wording_at(text, &mention);
    let wording = wording.unwrap_or(&there);
    let mut oddity = None;
    if mention.gaps.is_empty() {
        match fit(text, index, &mention.bytes, wording) {
            Fit::Exact => {}
            // brat writes a line break in a mention as a space.
            Fit::Space if there.replace('\n', " ") == wording => return Ok((Mention { text: there, ..mention }, None)),
            Fit::Space => oddity = Some(format!("mention {wording:?} differs from the text in white space; kept")),
            Fit::None(what) => return Err((DiagnosticKind::OffsetMismatch, what)),
        }
    } else if !same_pieces(wording, &there) {
        return Err((
            DiagnosticKind::OffsetMismatch,
            format!("mention {wording:?} does not match the text at its offsets, {there:?}"),
        ));
    }
    mention.text = wording.to_owned();
    Ok((mention, oddity))
}

/// The infon of a note: `key=value`, or [`NOTE`] for any other text.
fn infon(note: &str) -> (String, String) {
    let pair = note.split_once('=').filter(|(key, _)| !key.is_empty() && !key.contains(char::is_whitespace));
    let (key, value) = pair.unwrap_or((NOTE, note));
    (key.to_owned(), value.to_owned())
}

/// Writes the annotations of a document; its text is written unchanged.
pub(crate) fn write(document: &AnnotatedDocument, out: &mut impl Write, notes: &mut Notes<'_>) -> io::Result<()> {
    let passages = document.passages.len();
    notes.add(DiagnosticKind::Passages, passages, format!("the boundaries of {passages} passages left out"));
    two_parts::note_extras(document, document.infons.len(), notes);
    let index = CharIndex::new(&document.text);
    let (mut empty, mut renamed, mut trimmed, mut unwritable, mut note_number) = (0, 0, 0, 0, 0);
    let mut number = 0;
    for mention in &document.mentions {
        let blank = mention.pieces().all(|piece| document.text[piece].trim_matches('\n').is_empty());
        if blank || mention.category.is_empty() {
            empty += 1;
            continue;
        }
        number += 1;
        let category = mention.category.replace(char::is_whitespace, "_");
        renamed += usize::from(category != mention.category);
        let pieces = lines_of(document, mention);
        let place = |piece: &Range<usize>| format!("{} {}", index.char(piece.start), index.char(piece.end));
        let places: Vec<String> = pieces.iter().map(place).collect();
        trimmed += usize::from(
            hull(&document.text, pieces).is_none_or(|(bytes, gaps)| bytes != mention.bytes || gaps != mention.gaps),
        );
        let wording = mention.text.replace(['\n', '\t', '\r'], " ");
        writeln!(out, "T{number}\t{category} {}\t{wording}", places.join(";"))?;
        let concepts = mention.concepts.as_str().trim();
        if concepts.contains(['\t', '\n', '\r']) {
            unwritable += 1;
        } else if !concepts.is_empty() {
            writeln!(out, "N{number}\tReference T{number} {concepts}\t{wording}")?;
        }
        for (key, value) in &mention.infons {
            let note = if key == NOTE && infon(value).0 == NOTE { value.clone() } else { format!("{key}={value}") };
            if note.contains(['\n', '\r']) || infon(&note) != (key.clone(), value.clone()) {
                unwritable += 1;
                continue;
            }
            note_number += 1;
            writeln!(out, "#{note_number}\tAnnotatorNotes T{number}\t{note}")?;
        }
    }
    notes.add(DiagnosticKind::Unwritable, empty, format!("{empty} mentions without text or category left out"));
    notes.add(DiagnosticKind::MentionSpace, trimmed, format!("line breaks at the ends of {trimmed} mentions left out"));
    notes.add(DiagnosticKind::NameChanged, renamed, format!("white space in {renamed} categories written as `_`"));
    notes.add(
        DiagnosticKind::Infons,
        unwritable,
        format!("{unwritable} concepts, keys or values with line breaks or tabs left out"),
    );
    Ok(())
}

/// The pieces of a mention, split at line breaks, which brat mentions never span.
fn lines_of(document: &AnnotatedDocument, mention: &Mention) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    for piece in mention.pieces() {
        let mut start = piece.start;
        for line in document.text[piece].split('\n') {
            pieces.extend((!line.is_empty()).then(|| start..start + line.len()));
            start += line.len() + 1;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, annotations: &str) -> (AnnotatedDocument, Vec<(DiagnosticKind, u64)>) {
        let files: (Arc<str>, Arc<str>) = ("x.txt".into(), "x.ann".into());
        let items = read_document("x", text.as_bytes(), annotations.as_bytes(), (&files.0, &files.1)).unwrap();
        let (mut document, mut diagnostics) = (None, Vec::new());
        for item in items {
            match item {
                Item::Document(_, found) => document = Some(*found),
                Item::Diagnostic(diagnostic) => diagnostics.push((diagnostic.kind, diagnostic.spot.line)),
            }
        }
        (document.unwrap(), diagnostics)
    }

    #[test]
    fn pieces_concepts_and_notes_belong_to_their_mention() {
        let annotations = "N1\tReference T1 MESH:D1\tx\nT1\tDisease 3 9;21 27\tbreast [...] cancer\nT2\tDisease 14 27\tovarian cancer\n#1\tAnnotatorNotes T2\tsure\n#2\tAnnotatorNotes T2\tlevel=2\nR1\tIs Arg1:T1 Arg2:T2\nA1\tNegation T1\n";
        let (document, diagnostics) = read("né breast and ovarian cancer\n", annotations);
        assert_eq!(document.mentions.len(), 0);
        assert_eq!(
            diagnostics.iter().map(|r| r.0).collect::<Vec<_>>(),
            [
                DiagnosticKind::OffsetMismatch,
                DiagnosticKind::OffsetMismatch,
                DiagnosticKind::Relations,
                DiagnosticKind::Attributes
            ]
        );
        let (document, _) =
            read("né breast and ovarian cancer\n", &annotations.replace("21 27", "22 28").replace("14 27", "14 28"));
        assert_eq!(document.mentions[0].gaps.first(), Some(&(10..23)));
        assert_eq!(document.mentions[0].concepts.as_str(), "MESH:D1");
        assert_eq!(
            document.mentions[1].infons,
            [(NOTE.to_owned(), "sure".to_owned()), ("level".to_owned(), "2".to_owned())]
        );
    }

    #[test]
    fn a_mention_that_spans_lines_round_trips() {
        let text = "breast\ncancer";
        let document = AnnotatedDocument {
            id: Some(DocId::new("x")),
            text: text.into(),
            mentions: vec![Mention::new(text, 0..13, "D")],
            ..Default::default()
        };
        let (spot, mut diagnostics, mut out) = (Spot { file: "f".into(), line: 1 }, Vec::new(), Vec::new());
        write(&document, &mut out, &mut Notes::new(&spot, None, &mut diagnostics)).unwrap();
        let annotations = String::from_utf8(out).unwrap();
        assert_eq!(annotations, "T1\tD 0 6;7 13\tbreast cancer\n");
        assert_eq!(read(text, &annotations), (document, vec![]));
    }

    #[test]
    fn bad_lines_are_skipped_and_reported() {
        let (document, diagnostics) = read(
            "ill",
            "T1\tD 0 9\till\nT2\tD 0 x\till\nwhat\nN1\tReference T9 X\tx\nT3\tD 0 3\tbad\n\nT4\tD 0 3\till\n",
        );
        assert_eq!(document.mentions.len(), 1);
        use DiagnosticKind::{BadRecord, OffsetMismatch};
        assert_eq!(
            diagnostics,
            [(OffsetMismatch, 1), (BadRecord, 2), (BadRecord, 3), (OffsetMismatch, 5), (BadRecord, 4)]
        );
    }
}
