//! IOB files: one token and its tag per line, a blank line between sentences.
//!
//! ```text
//! ataxia⇥B-Disease
//! -⇥I-Disease
//! ```
//!
//! Columns are separated by tabs or spaces: the first is the token, the last its tag, and those in between are kept. The
//! tagging [`Scheme`](crate::Scheme) is detected. Lines `# doc_id = X` and `-DOCSTART-` begin documents; in a file without
//! such lines, every sentence is a document. If the second and third columns of a document are the offsets of its tokens,
//! they are used as such.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use pubtag_schemas::{AnnotatedDocument, Layout};

use crate::CorpusError;
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::document::CharIndex;
use crate::lines::Lines;
use crate::reader::Documents;
use crate::tagged::{self, Raw, RawSentence, RawSource, RawToken, TagOptions, Tagged};
use crate::tagging::{self, Tag};
use crate::two_parts;

/// Reads an IOB file; `file` is its name in diagnostics.
///
/// *Ordering:* that of the file. *Memory:* one document, and a thousand sentences to detect the scheme. *Cancellation:*
/// drop it. *Rejects:* a sentence with an invalid line or an invalid tag sequence is skipped with a diagnostic.
pub fn reader<'a>(input: impl BufRead + Send + 'a, file: &Arc<str>, options: TagOptions) -> Documents<'a> {
    let source = Iob { lines: Lines::new(input, file), next: None };
    Documents::new(file, Tagged::new(source, options))
}

struct Iob<R> {
    lines: Lines<R>,
    /// What ended the previous sentence in place of a blank line.
    next: Option<Raw>,
}

/// A parsed line.
enum Line {
    Blank,
    Document(Option<String>),
    Comment,
    Token(RawToken, Tag),
    Bad(String),
}

impl<R: BufRead> RawSource for Iob<R> {
    fn next_raw(&mut self) -> Result<Option<Raw>, CorpusError> {
        if let Some(next) = self.next.take() {
            return Ok(Some(next));
        }
        let (mut tokens, mut tags, mut bad) = (Vec::new(), Vec::new(), None);
        loop {
            let line = self.lines.next_line()?.map(parse);
            let number = self.lines.number();
            match line {
                Some(Line::Token(token, tag)) => {
                    tokens.push(RawToken { line: number, ..token });
                    tags.push(tag);
                }
                Some(Line::Bad(what)) => {
                    bad.get_or_insert((number, what));
                }
                Some(Line::Comment) => {}
                Some(Line::Blank) if tokens.is_empty() && bad.is_none() => {}
                Some(Line::Document(id)) => {
                    let document = Raw::Document(Spot::new(self.lines.file(), number), id);
                    if tokens.is_empty() && bad.is_none() {
                        return Ok(Some(document));
                    }
                    self.next = Some(document);
                    break;
                }
                None if tokens.is_empty() && bad.is_none() => return Ok(None),
                None => {
                    let what = "no blank line after the last sentence; sentence kept".to_owned();
                    self.next = Some(tagged::diagnostic(self.lines.file(), number, DiagnosticKind::Unterminated, what));
                    break;
                }
                Some(Line::Blank) => break,
            }
        }
        let file = self.lines.file();
        if let Some((line, what)) = bad {
            return Ok(Some(tagged::diagnostic(file, line, DiagnosticKind::BadRecord, what)));
        }
        let spot = Spot::new(file, tokens[0].line);
        Ok(Some(Raw::Sentence(RawSentence { spot, tokens, tags })))
    }
}

fn parse(line: &str) -> Line {
    let comment = comment(line);
    if let Some(document @ Line::Document(_)) = comment {
        return document;
    }
    let fields: Vec<&str> = line.split(['\t', ' ']).filter(|field| !field.is_empty()).collect();
    match fields.as_slice() {
        [] => Line::Blank,
        ["-DOCSTART-", ..] => Line::Document(None),
        [token, columns @ .., tag] => match Tag::parse(tag) {
            Some(tag) => {
                let columns = columns.iter().map(|&column| column.to_owned()).collect();
                Line::Token(RawToken { line: 0, text: (*token).to_owned(), columns }, tag)
            }
            None => comment
                .unwrap_or_else(|| Line::Bad(format!("{tag:?} is not a tag (`O`, `B-…`, `I-…`); sentence skipped"))),
        },
        [only] => Line::Bad(format!("{only:?} has no tag; sentence skipped")),
    }
}

fn comment(line: &str) -> Option<Line> {
    let (key, value) = line.strip_prefix('#')?.split_once('=')?;
    Some(match key.trim() {
        "doc_id" | "newdoc id" => Line::Document(Some(value.trim().to_owned())),
        _ => Line::Comment,
    })
}

/// Whether `line` could be part of an IOB file, for format detection; `None` for lines that any file may have.
pub(crate) fn looks_like(line: &str) -> Option<bool> {
    match parse(line) {
        Line::Blank | Line::Comment | Line::Document(_) => None,
        Line::Token(..) => Some(true),
        Line::Bad(_) => Some(false),
    }
}

/// The columns of an IOB file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IobColumns {
    /// Token, the columns of the source, tag: what taggers are trained on.
    #[default]
    TokenTag,
    /// `# doc_id = X` before each document, then token, start, end, columns, tag: keeps documents and offsets.
    WithOffsets,
}

/// Writes a tokenised document, with a blank line after each sentence.
pub(crate) fn write(
    document: &AnnotatedDocument,
    columns: IobColumns,
    out: &mut impl Write,
    notes: &mut Notes<'_>,
) -> io::Result<()> {
    note_lost(document, columns == IobColumns::WithOffsets, notes);
    let tags = tagging::encode(document, notes);
    let index = CharIndex::new(&document.text);
    if columns == IobColumns::WithOffsets {
        let id = document.id.as_ref().map_or("-", |id| id.as_str());
        writeln!(out, "# doc_id = {}", id.replace(['\n', '\r'], " "))?;
    }
    for range in sentence_tokens(document) {
        for (token, tag) in document.tokens[range.clone()].iter().zip(&tags[range]) {
            write!(out, "{}", &document.text[token.bytes.clone()])?;
            if columns == IobColumns::WithOffsets {
                write!(out, "\t{}\t{}", index.char(token.bytes.start), index.char(token.bytes.end))?;
            }
            for column in &token.columns {
                write!(out, "\t{column}")?;
            }
            writeln!(out, "\t{tag}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// The tokens of each sentence that has one.
pub(crate) fn sentence_tokens(document: &AnnotatedDocument) -> impl Iterator<Item = std::ops::Range<usize>> {
    document.sentences.iter().map(|bytes| tagging::tokens_of(document, bytes)).filter(|range| !range.is_empty())
}

/// Reports what tokens and tags cannot express.
pub(crate) fn note_lost(document: &AnnotatedDocument, with_offsets: bool, notes: &mut Notes<'_>) {
    if !with_offsets {
        notes.add(DiagnosticKind::Ids, usize::from(document.id.is_some()), "document identifier left out");
        let offsets = usize::from(document.layout == Layout::Source);
        notes.add(DiagnosticKind::Offsets, offsets, "text between tokens left out, and with it the offsets");
    }
    notes.add(
        DiagnosticKind::Passages,
        document.passages.len(),
        format!("the boundaries of {} passages left out", document.passages.len()),
    );
    let concepts = document.mentions.iter().filter(|mention| !mention.concepts.as_str().is_empty()).count();
    notes.add(DiagnosticKind::Concepts, concepts, format!("the concepts of {concepts} mentions left out"));
    let infons = document.infons.len() + document.mentions.iter().map(|mention| mention.infons.len()).sum::<usize>();
    notes.add(DiagnosticKind::Infons, infons, format!("{infons} other keys and values left out"));
    two_parts::note_wording(document, notes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Item;

    fn read(text: &str) -> (Vec<AnnotatedDocument>, Vec<(DiagnosticKind, u64)>) {
        let (mut documents, mut diagnostics) = (Vec::new(), Vec::new());
        for item in reader(text.as_bytes(), &Arc::from("f"), TagOptions::default()) {
            match item.unwrap() {
                Item::Document(_, document) => documents.push(*document),
                Item::Diagnostic(diagnostic) => diagnostics.push((diagnostic.kind, diagnostic.spot.line)),
            }
        }
        (documents, diagnostics)
    }

    fn mentions(document: &AnnotatedDocument) -> Vec<(&str, &str)> {
        document.mentions.iter().map(|mention| (mention.text.as_str(), mention.category.as_str())).collect()
    }

    #[test]
    fn a_sentence_without_document_lines_is_a_document() {
        let (documents, diagnostics) = read("An\tO\nataxia\tB-Disease\n\n\nNext NN B-NP O\n");
        assert_eq!(documents.len(), 2);
        assert_eq!((documents[0].text.as_str(), mentions(&documents[0])), ("An ataxia", vec![("ataxia", "Disease")]));
        assert_eq!(documents[1].tokens[0].columns, ["NN", "B-NP"]);
        assert_eq!(diagnostics, [(DiagnosticKind::Unterminated, 5)]);
    }

    #[test]
    fn document_lines_group_sentences_and_offsets_restore_the_text() {
        let text = "# doc_id = 7\nIll\t0\t3\tS-D\n.\t3\t4\tO\n\nSo\t6\t8\tO\n\n-DOCSTART- -X- O\n\nEnd NN O\n\n";
        let (documents, diagnostics) = read(text);
        assert_eq!(documents[0].id.as_ref().map(|id| id.as_str()), Some("7"));
        assert_eq!((documents[0].text.as_str(), documents[0].layout), ("Ill.  So", Layout::Source));
        assert_eq!(documents[0].sentences, [0..4, 6..8]);
        assert_eq!((documents[1].text.as_str(), documents[1].layout), ("End", Layout::Joined));
        assert_eq!(diagnostics, [(DiagnosticKind::SchemeConverted, 2)]);
    }

    #[test]
    fn iob1_and_bare_tags_are_converted_and_reported() {
        let (documents, diagnostics) = read("a\tI\nb\tI\nc\tB\n\nd\tO\n\n");
        assert_eq!(mentions(&documents[0]), [("a b", "Entity"), ("c", "Entity")]);
        assert_eq!(diagnostics, [(DiagnosticKind::SchemeConverted, 1), (DiagnosticKind::SchemeConverted, 1)]);
    }

    #[test]
    fn an_invalid_sentence_is_skipped_and_reported() {
        let (documents, diagnostics) = read("a\tB-D\n\nb\tO\nc\tI-D\n\nd\tX-D\ne\tO\n\nf\n\ng\tO\n\n");
        assert_eq!(documents.iter().map(|d| d.text.as_str()).collect::<Vec<_>>(), ["a", "g"]);
        use DiagnosticKind::{BadRecord, TagSequence};
        assert_eq!(diagnostics, [(TagSequence, 4), (BadRecord, 6), (BadRecord, 9)]);
    }

    #[test]
    fn a_stray_inside_tag_begins_a_mention_with_repair() {
        let options = TagOptions { repair: true, ..Default::default() };
        let items = reader("a\tB-D\nb\tO\nc\tI-D\n".as_bytes(), &Arc::from("f"), options);
        let documents: Vec<_> =
            items.filter_map(|item| if let Ok(Item::Document(_, d)) = item { Some(d) } else { None }).collect();
        assert_eq!(mentions(&documents[0]), [("a", "D"), ("c", "D")]);
    }
}
