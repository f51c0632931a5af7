//! The NCBI Disease corpus as published: one document per line, mentions as `<category="…">mention</category>`.
//!
//! ```text
//! 123⇥Gait in <category="SpecificDisease">ataxia</category> .⇥We walked with …
//! ```
//!
//! A line is PMID, title and abstract, separated by tabs. It is not XML: the tag has no element name, and `<` and `&` are
//! ordinary characters. Further tabs belong to the abstract (two lines of the corpus have one).

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use pubtag_schemas::{AnnotatedDocument, Mention};

use crate::CorpusError;
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::lines::Lines;
use crate::reader::{Documents, Item, Parse};
use crate::two_parts::{self, TwoParts};

const OPEN: &str = "<category=\"";
const OPEN_END: &str = "\">";
const CLOSE: &str = "</category>";

/// Reads a file of the inline format; `file` is its name in diagnostics.
///
/// *Ordering:* that of the file. *Memory:* one line. *Cancellation:* drop it. *Rejects:* a line without a title or with
/// unbalanced tags is skipped with a diagnostic.
pub fn reader<'a>(input: impl BufRead + Send + 'a, file: &Arc<str>) -> Documents<'a> {
    Documents::new(file, Inline { lines: Lines::new(input, file) })
}

struct Inline<R> {
    lines: Lines<R>,
}

impl<R: BufRead> Parse for Inline<R> {
    fn step(&mut self, out: &mut VecDeque<Item>) -> Result<bool, CorpusError> {
        let Some(line) = self.lines.next_line()? else { return Ok(false) };
        if line.trim().is_empty() {
            return Ok(true);
        }
        let parsed = parse(line);
        let spot = Spot::new(self.lines.file(), self.lines.number());
        let mut diagnostics = Vec::new();
        match parsed {
            Ok(document) => {
                let id = document.id.as_ref().map(|id| id.as_str().to_owned());
                let tabs = document.text.matches('\t').count();
                Notes::new(&spot, id.as_deref(), &mut diagnostics).add(
                    DiagnosticKind::StrayTab,
                    tabs,
                    format!("{tabs} tabs in the abstract kept as text"),
                );
                out.push_back(Item::Document(spot, Box::new(document)));
            }
            Err(what) => Notes::new(&spot, None, &mut diagnostics).add(DiagnosticKind::BadRecord, 1, what),
        }
        out.extend(diagnostics.into_iter().map(Item::Diagnostic));
        Ok(true)
    }
}

fn parse(line: &str) -> Result<AnnotatedDocument, String> {
    let mut parts = line.splitn(3, '\t');
    let (id, title) = match (parts.next(), parts.next()) {
        (Some(id), Some(title)) if !id.trim().is_empty() => (id.trim(), title),
        _ => return Err("expected an id, a title and an abstract, separated by tabs".to_owned()),
    };
    let mut mentions = Vec::new();
    let title = untag(title, 0, &mut mentions)?;
    let abstract_text = match parts.next() {
        Some(tagged) => Some(untag(tagged, title.len() + 1, &mut mentions)?),
        None => None,
    };
    let mut document = two_parts::join(id, &title, abstract_text.as_deref());
    document.mentions = mentions;
    Ok(document)
}

/// Removes the tags from a part that begins at byte `base` of the document.
fn untag(tagged: &str, base: usize, mentions: &mut Vec<Mention>) -> Result<String, String> {
    let mut text = String::with_capacity(tagged.len());
    let mut rest = tagged;
    while let Some(at) = rest.find(OPEN) {
        text.push_str(closed(&rest[..at])?);
        let (category, inside) = rest[at + OPEN.len()..].split_once(OPEN_END).ok_or("unclosed tag")?;
        let (mention, after) = inside.split_once(CLOSE).ok_or("mention without a closing tag")?;
        if mention.contains(OPEN) {
            return Err(format!("tag inside the mention {mention:?}"));
        }
        let start = text.len();
        text.push_str(mention);
        let mut found = Mention::new(&text, start..text.len(), category);
        found.bytes = base + start..base + text.len();
        mentions.push(found);
        rest = after;
    }
    text.push_str(closed(rest)?);
    Ok(text)
}

fn closed(text: &str) -> Result<&str, String> {
    if text.contains(CLOSE) { Err("closing tag without a mention".to_owned()) } else { Ok(text) }
}

/// Writes a document as one line.
///
/// Overlapping and discontinuous mentions, concepts and everything but title and abstract are left out and reported.
pub(crate) fn write(document: &AnnotatedDocument, out: &mut impl Write, notes: &mut Notes<'_>) -> io::Result<()> {
    let parts = TwoParts::of(document, true, notes);
    let Some(id) = document
        .id
        .as_ref()
        .map(|id| id.as_str())
        .filter(|id| !id.contains(['\t', '\n', '\r']) && !id.trim().is_empty())
    else {
        notes.add(
            DiagnosticKind::UnwritableDocument,
            1,
            "document skipped: this format needs an identifier without tabs and line breaks",
        );
        return Ok(());
    };
    if [OPEN, CLOSE].iter().any(|tag| parts.text().contains(tag)) {
        notes.add(DiagnosticKind::UnwritableDocument, 1, "document skipped: its text contains a category tag");
        return Ok(());
    }
    let mentions = writable(document, &parts, notes);
    let concepts = mentions.iter().filter(|mention| !mention.concepts.as_str().is_empty()).count();
    notes.add(DiagnosticKind::Concepts, concepts, format!("the concepts of {concepts} mentions left out"));
    let infons = document.infons.len() + mentions.iter().map(|mention| mention.infons.len()).sum::<usize>();
    two_parts::note_extras(document, infons, notes);
    two_parts::note_wording(document, notes);

    let mut line = format!("{id}\t");
    let mut done = 0;
    for mention in mentions {
        let bytes = parts.map(&mention.bytes);
        push_text(&mut line, &parts, done, bytes.start);
        line.push_str(OPEN);
        line.push_str(&mention.category);
        line.push_str(OPEN_END);
        line.push_str(&parts.text()[bytes.clone()]);
        line.push_str(CLOSE);
        done = bytes.end;
    }
    push_text(&mut line, &parts, done, parts.text().len());
    writeln!(out, "{line}")
}

/// Appends a range of the text, with a tab in place of the space between title and abstract.
fn push_text(line: &mut String, parts: &TwoParts, start: usize, end: usize) {
    let text = parts.text();
    let border = parts.abstract_start() - 1;
    if parts.abstract_text().is_some() && start <= border && border < end {
        line.push_str(&text[start..border]);
        line.push('\t');
        line.push_str(&text[border + 1..end]);
    } else {
        line.push_str(&text[start..end]);
    }
}

/// The mentions that a line can express, in text order.
fn writable<'a>(document: &'a AnnotatedDocument, parts: &TwoParts, notes: &mut Notes<'_>) -> Vec<&'a Mention> {
    let border = parts.abstract_start() - 1;
    let across = |mention: &Mention| {
        let bytes = parts.map(&mention.bytes);
        parts.abstract_text().is_some() && bytes.start <= border && border < bytes.end
    };
    let bad = |mention: &Mention| mention.category.contains(['"', '\t', '\n', '\r']) || across(mention);
    let one_piece = two_parts::in_one_piece(document, notes);
    let (unwritable, mentions): (Vec<_>, Vec<_>) = one_piece.into_iter().partition(|mention| bad(mention));
    let detail = format!(
        "{} mentions left out whose category contains a quote or that span title and abstract",
        unwritable.len()
    );
    notes.add(DiagnosticKind::Unwritable, unwritable.len(), detail);
    crate::overlap::flat(mentions, notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Item> {
        reader(text.as_bytes(), &Arc::from("f")).map(Result::unwrap).collect()
    }

    #[test]
    fn tags_become_mentions_with_offsets() {
        let items = read("7\tA <category=\"X\">b </category>c.\t<category=\"Y\">é</category> P < 0 .\t1\n");
        let Item::Document(spot, document) = &items[0] else { panic!("{items:?}") };
        assert_eq!((spot.line, document.text.as_str()), (1, "A b c. é P < 0 .\t1"));
        let found: Vec<_> =
            document.mentions.iter().map(|m| (m.bytes.clone(), m.text.as_str(), m.category.as_str())).collect();
        assert_eq!(found, [(2..4, "b ", "X"), (7..9, "é", "Y")]);
        assert!(matches!(&items[1], Item::Diagnostic(diagnostic) if diagnostic.kind == DiagnosticKind::StrayTab));
    }

    #[test]
    fn a_line_with_unbalanced_tags_is_skipped_and_reported() {
        let items = read("1\tT\tA\n2\tT\tan <category=\"X\">open\n3\tT\tan end</category>\n4 no tabs\n");
        let lines: Vec<_> = items
            .iter()
            .filter_map(|item| {
                if let Item::Diagnostic(diagnostic) = item {
                    Some((diagnostic.kind, diagnostic.spot.line))
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(
            lines,
            [(DiagnosticKind::BadRecord, 2), (DiagnosticKind::BadRecord, 3), (DiagnosticKind::BadRecord, 4)]
        );
        assert_eq!(items.len(), 4);
    }
}
