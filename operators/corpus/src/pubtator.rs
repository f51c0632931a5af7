//! PubTator: `PMID|t|title`, `PMID|a|abstract`, one row per mention, a blank line.
//!
//! ```text
//! 123|t|Gait in ataxia.
//! 123|a|We walked with …
//! 123⇥8⇥14⇥ataxia⇥Disease⇥D001259
//! ```
//!
//! Offsets are half-open and count code points in title, one character, abstract. The sixth column holds the concepts. A
//! seventh, as in BC5CDR, holds the wordings of the parts of a composite mention and is kept as the infon [`COMPOSITE`]. Rows
//! without offsets are relations. A document without an `|a|` line has no abstract.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use pubtag_schemas::{AnnotatedDocument, ConceptIds, Mention};

use crate::CorpusError;
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::document::{CharIndex, Fit, fit};
use crate::lines::Lines;
use crate::reader::{Documents, Item, Parse};
use crate::two_parts::{self, TwoParts};

/// Key of the infon that holds the seventh column.
pub const COMPOSITE: &str = "composite";

/// Reads a PubTator file; `file` is its name in diagnostics.
///
/// *Ordering:* that of the file. *Memory:* one document. *Cancellation:* drop it. *Rejects:* an invalid row, a mention that
/// does not match the text at its offsets, and anything outside a document is skipped with a diagnostic.
pub fn reader<'a>(input: impl BufRead + Send + 'a, file: &Arc<str>) -> Documents<'a> {
    Documents::new(file, PubTator { lines: Lines::new(input, file), title: None })
}

struct PubTator<R> {
    lines: Lines<R>,
    /// The title that ended the previous document in place of a blank line.
    title: Option<Title>,
}

struct Title {
    line: u64,
    id: String,
    text: String,
}

/// The lines of one document.
struct Block {
    title: Title,
    abstract_text: Option<String>,
    rows: Vec<(u64, String)>,
}

impl<R: BufRead> Parse for PubTator<R> {
    fn step(&mut self, out: &mut VecDeque<Item>) -> Result<bool, CorpusError> {
        let Some(title) = self.next_title(out)? else { return Ok(false) };
        let mut block = Block { title, abstract_text: None, rows: Vec::new() };
        while let Some(line) = self.lines.next_line()? {
            if line.trim().is_empty() {
                break;
            }
            match section(line) {
                Some((id, 't', text)) => {
                    let (id, text) = (id.to_owned(), text.to_owned());
                    self.title = Some(Title { line: self.lines.number(), id, text });
                    break;
                }
                Some((id, 'a', text)) if id == block.title.id && block.abstract_text.is_none() => {
                    block.abstract_text = Some(text.to_owned());
                }
                _ => {
                    let row = line.to_owned();
                    block.rows.push((self.lines.number(), row));
                }
            }
        }
        assemble(block, self.lines.file(), out);
        Ok(true)
    }
}

impl<R: BufRead> PubTator<R> {
    fn next_title(&mut self, out: &mut VecDeque<Item>) -> Result<Option<Title>, CorpusError> {
        if let Some(title) = self.title.take() {
            return Ok(Some(title));
        }
        while let Some(line) = self.lines.next_line()? {
            if let Some((id, 't', text)) = section(line) {
                let (id, text) = (id.to_owned(), text.to_owned());
                return Ok(Some(Title { line: self.lines.number(), id, text }));
            }
            if !line.trim().is_empty() {
                let what = format!("{:?} is outside any document: no `id|t|title` line before it", start_of(line));
                let mut diagnostics = Vec::new();
                let spot = Spot::new(self.lines.file(), self.lines.number());
                Notes::new(&spot, None, &mut diagnostics).add(DiagnosticKind::BadRecord, 1, what);
                out.extend(diagnostics.into_iter().map(Item::Diagnostic));
            }
        }
        Ok(None)
    }
}

/// `id|t|text` or `id|a|text`.
pub(crate) fn section(line: &str) -> Option<(&str, char, &str)> {
    let mut parts = line.splitn(3, '|');
    let (id, kind, text) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = match kind {
        "t" => 't',
        "a" => 'a',
        _ => return None,
    };
    (!id.is_empty() && !id.contains('\t')).then_some((id, kind, text))
}

fn start_of(line: &str) -> String {
    line.chars().take(60).collect()
}

fn assemble(block: Block, file: &Arc<str>, out: &mut VecDeque<Item>) {
    let id = block.title.id.as_str();
    let mut document = two_parts::join(id, &block.title.text, block.abstract_text.as_deref());
    let spot = Spot::new(file, block.title.line);
    let mut diagnostics = Vec::new();
    let mut notes = Notes::new(&spot, Some(id), &mut diagnostics);
    let index = CharIndex::new(&document.text);
    let mut relations = 0;
    for (line, row) in &block.rows {
        let mut say = |kind, what| notes.add_at(Spot::new(file, *line), kind, 1, what);
        match parse_row(row, id, &document.text, &index) {
            Ok(Row::Mention(mention, None)) => document.mentions.push(mention),
            Ok(Row::Mention(mention, Some(what))) => {
                say(DiagnosticKind::MentionSpace, what);
                document.mentions.push(mention);
            }
            Ok(Row::Relation) => relations += 1,
            Err((kind, what)) => say(kind, what),
        }
    }
    notes.add(DiagnosticKind::Relations, relations, format!("{relations} relations left out"));
    out.push_back(Item::Document(spot, Box::new(document)));
    out.extend(diagnostics.into_iter().map(Item::Diagnostic));
}

enum Row {
    /// A mention, and how its white space differs from the text.
    Mention(Mention, Option<String>),
    Relation,
}

fn parse_row(row: &str, id: &str, text: &str, index: &CharIndex) -> Result<Row, (DiagnosticKind, String)> {
    let bad = |what: String| (DiagnosticKind::BadRecord, what);
    let fields: Vec<&str> = row.split('\t').collect();
    if fields.len() < 4 || fields.iter().take(4).any(|field| field.is_empty()) {
        return Err(bad(format!("{:?} is not a mention, a relation or a new document", start_of(row))));
    }
    if fields[0] != id {
        return Err(bad(format!("row of document {} inside document {id}", fields[0])));
    }
    let (Ok(start), Ok(end)) = (fields[1].parse::<usize>(), fields[2].parse::<usize>()) else {
        let number =
            |field: &str| field.starts_with(|c: char| c.is_ascii_digit() || c == '-') && field.parse::<i64>().is_ok();
        let broken = number(fields[1]) || (number(fields[2]) && fields.len() > 4);
        return if broken {
            Err(bad(format!("offsets {:?} and {:?} are not whole numbers", fields[1], fields[2])))
        } else {
            Ok(Row::Relation)
        };
    };
    let (wording, category) = (fields[3], fields.get(4).copied().unwrap_or_default());
    if category.is_empty() {
        return Err(bad(format!("mention {wording:?} has no category")));
    }
    let Some(bytes) = index.bytes(start..end).filter(|bytes| !bytes.is_empty()) else {
        let length = index.char(text.len());
        let what = format!("mention {wording:?} at {start}-{end} is empty or outside the text of {length} characters");
        return Err((DiagnosticKind::OffsetMismatch, what));
    };
    let oddity = match fit(text, index, &bytes, wording) {
        Fit::Exact => None,
        Fit::Space => Some(format!("mention {wording:?} at {start}-{end} differs from the text in white space; kept")),
        Fit::None(what) => return Err((DiagnosticKind::OffsetMismatch, what)),
    };
    let mut mention = Mention::new(text, bytes, category);
    mention.text = wording.to_owned();
    mention.concepts = ConceptIds::new(fields.get(5).copied().unwrap_or_default());
    if let Some(parts) = fields.get(6..).filter(|parts| !parts.is_empty()) {
        mention.infons.push((COMPOSITE.to_owned(), parts.join("\t")));
    }
    Ok(Row::Mention(mention, oddity))
}

/// Writes a document and the blank line after it.
///
/// Discontinuous mentions, infons other than [`COMPOSITE`], sentences and tokens are left out and reported.
pub(crate) fn write(document: &AnnotatedDocument, out: &mut impl Write, notes: &mut Notes<'_>) -> io::Result<()> {
    let Some(id) = document
        .id
        .as_ref()
        .map(|id| id.as_str())
        .filter(|id| !id.contains(['|', '\t', '\n', '\r']) && !id.trim().is_empty())
    else {
        notes.add(
            DiagnosticKind::UnwritableDocument,
            1,
            "document skipped: this format needs an identifier without `|`, tabs and line breaks",
        );
        return Ok(());
    };
    let parts = TwoParts::of(document, true, notes);
    let index = CharIndex::new(parts.text());
    let mentions = two_parts::in_one_piece(document, notes);
    let other = mentions.iter().flat_map(|mention| &mention.infons).filter(|(key, _)| key != COMPOSITE).count();
    two_parts::note_extras(document, document.infons.len() + other, notes);

    writeln!(out, "{id}|t|{}", parts.title())?;
    if let Some(abstract_text) = parts.abstract_text() {
        writeln!(out, "{id}|a|{abstract_text}")?;
    }
    let mut empty = 0;
    for mention in mentions {
        let bytes = parts.map(&mention.bytes);
        if bytes.is_empty() || mention.category.trim().is_empty() {
            empty += 1;
            continue;
        }
        let there = &parts.text()[bytes.clone()];
        let wording =
            if fit(parts.text(), &index, &bytes, &mention.text) == Fit::Space { &mention.text } else { there };
        write!(out, "{id}\t{}\t{}\t", index.char(bytes.start), index.char(bytes.end))?;
        write!(
            out,
            "{}\t{}\t{}",
            one_field(wording),
            one_field(&mention.category),
            one_field(mention.concepts.as_str())
        )?;
        for (_, parts) in mention.infons.iter().filter(|(key, _)| key == COMPOSITE) {
            write!(out, "\t{}", parts.replace(['\n', '\r'], " "))?;
        }
        writeln!(out)?;
    }
    notes.add(DiagnosticKind::Unwritable, empty, format!("{empty} mentions without text or category left out"));
    writeln!(out)
}

fn one_field(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<AnnotatedDocument>, Vec<(DiagnosticKind, u64)>) {
        let (mut documents, mut diagnostics) = (Vec::new(), Vec::new());
        for item in reader(text.as_bytes(), &Arc::from("f")) {
            match item.unwrap() {
                Item::Document(_, document) => documents.push(*document),
                Item::Diagnostic(diagnostic) => diagnostics.push((diagnostic.kind, diagnostic.spot.line)),
            }
        }
        (documents, diagnostics)
    }

    #[test]
    fn offsets_count_code_points_in_title_space_abstract() {
        let text = "\n7|t|𝛽-ataxia.\n7|a|An é|a|b.\n7\t2\t8\tataxia\tDisease\tD1|D2+OMIM:3\tx|y\n7\t13\t14\té\tSign\n7\tCID\tD1\tD2\n\n";
        let (documents, diagnostics) = read(text);
        assert_eq!(documents[0].text, "𝛽-ataxia. An é|a|b.");
        let mentions: Vec<_> =
            documents[0].mentions.iter().map(|m| (m.text.as_str(), m.bytes.clone(), m.concepts.as_str())).collect();
        assert_eq!(mentions, [("ataxia", 5..11, "D1|D2+OMIM:3"), ("é", 16..18, "")]);
        assert_eq!(documents[0].mentions[0].infons, [(COMPOSITE.to_owned(), "x|y".to_owned())]);
        assert_eq!(diagnostics, [(DiagnosticKind::Relations, 2)]);
    }

    #[test]
    fn a_bad_row_is_skipped_and_reported_and_its_document_kept() {
        let text = "1|t|An ataxia\n1\t0\t2\tataxia\tD\tx\n1\t3\t99\tataxia\tD\tx\n1\t3\tz\tataxia\tD\tx\n2\t3\t9\tataxia\tD\tx\n1\t3\t9\tataxia \tD\tx\nrubbish\n2|t|Next\n";
        let (documents, diagnostics) = read(text);
        assert_eq!(documents.iter().map(|d| d.mentions.len()).collect::<Vec<_>>(), [1, 0]);
        use DiagnosticKind::{BadRecord, MentionSpace, OffsetMismatch};
        let expected = [
            (OffsetMismatch, 2),
            (OffsetMismatch, 3),
            (BadRecord, 4),
            (BadRecord, 5),
            (MentionSpace, 6),
            (BadRecord, 7),
        ];
        assert_eq!(diagnostics, expected);
    }

    #[test]
    fn a_file_without_a_document_is_an_error() {
        let error =
            |text: &'static str| reader(text.as_bytes(), &Arc::from("f")).find_map(Result::err).map(|e| e.to_string());
        assert!(error("\n\n").is_some_and(|e| e.contains("no documents")));
        assert!(error("just words\n").is_some_and(|e| e.contains("none of its 1 records") && e.contains("f:1")));
    }
}
