//! NeMo token classification files: `text_X.txt` has one sentence per line, `labels_X.txt` the labels of its words.
//!
//! The output is byte for byte that of NVIDIA's `import_from_iob_format.py` for the same IOB file:
//!
//! - by default, every word is followed by a space, so every line ends in a space;
//! - with a maximum sentence length of N words, words are joined by single spaces. A longer sentence is split after the last
//!   `O` among its first N words, or after one word if there is no `O`, and so on.
//!
//! For files that do not end in a blank line, the script omits the final line break and, with a maximum length, drops the
//! last sentence; we do neither. `label_ids.csv` has one label per line in the order of their ids: `O`, then the others
//! sorted, without a final line break, as NeMo writes it.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;

use pubtag_schemas::AnnotatedDocument;

use crate::CorpusError;
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::iob::{note_lost, sentence_tokens};
use crate::lines::Lines;
use crate::reader::Documents;
use crate::tagged::{self, Raw, RawSentence, RawSource, RawToken, TagOptions, Tagged};
use crate::tagging::{self, Position, Tag};

/// Reads a pair of files; `files` are the names of text and labels in diagnostics.
///
/// *Ordering:* that of the files. *Memory:* one line, and a thousand sentences to detect the scheme. *Cancellation:* drop it.
/// *Rejects:* a line whose numbers of words and labels differ, or with invalid labels, is skipped with a diagnostic. Files of
/// different lengths are an error.
pub fn reader<'a>(
    text: impl BufRead + Send + 'a,
    labels: impl BufRead + Send + 'a,
    files: (&Arc<str>, &Arc<str>),
    options: TagOptions,
) -> Documents<'a> {
    let source = Nemo { text: Lines::new(text, files.0), labels: Lines::new(labels, files.1) };
    Documents::new(files.0, Tagged::new(source, options))
}

struct Nemo<T, L> {
    text: Lines<T>,
    labels: Lines<L>,
}

impl<T: BufRead, L: BufRead> RawSource for Nemo<T, L> {
    fn next_raw(&mut self) -> Result<Option<Raw>, CorpusError> {
        loop {
            let words = self.text.next_line()?.map(split);
            let labels = self.labels.next_line()?.map(split);
            let (words, labels) = match (words, labels) {
                (Some(words), Some(labels)) => (words, labels),
                (None, None) => return Ok(None),
                (None, Some(_)) => return Err(shorter(self.text.file(), self.text.number(), self.labels.file())),
                (Some(_), None) => return Err(shorter(self.labels.file(), self.labels.number(), self.text.file())),
            };
            if words.is_empty() && labels.is_empty() {
                continue;
            }
            let line = self.text.number();
            return Ok(Some(match sentence(words, &labels, line) {
                Ok((tokens, tags)) => {
                    Raw::Sentence(RawSentence { spot: Spot::new(self.text.file(), line), tokens, tags })
                }
                Err((kind, what)) => tagged::diagnostic(self.labels.file(), line, kind, what),
            }));
        }
    }
}

fn split(line: &str) -> Vec<String> {
    line.split([' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn shorter(shorter: &Arc<str>, line: u64, longer: &Arc<str>) -> CorpusError {
    CorpusError::Lengths { shorter: Arc::clone(shorter), line, longer: Arc::clone(longer) }
}

type Sentence = (Vec<RawToken>, Vec<Tag>);

fn sentence(words: Vec<String>, labels: &[String], line: u64) -> Result<Sentence, (DiagnosticKind, String)> {
    if words.len() != labels.len() {
        let what = format!("{} labels for {} words; sentence skipped", labels.len(), words.len());
        return Err((DiagnosticKind::WordCount, what));
    }
    let tags = labels.iter().map(|label| {
        Tag::parse(label).ok_or_else(|| {
            (DiagnosticKind::BadRecord, format!("{label:?} is not a label (`O`, `B-…`, `I-…`); sentence skipped"))
        })
    });
    let tags = tags.collect::<Result<_, _>>()?;
    let tokens = words.into_iter().map(|text| RawToken { line, text, columns: Vec::new() }).collect();
    Ok((tokens, tags))
}

/// Writes a tokenised document, one sentence per line in both files.
pub(crate) fn write(
    document: &AnnotatedDocument,
    max_length: Option<NonZeroUsize>,
    (text, labels): (&mut impl Write, &mut impl Write),
    seen: &mut BTreeSet<String>,
    notes: &mut Notes<'_>,
) -> io::Result<()> {
    note_lost(document, false, notes);
    let columns: usize = document.tokens.iter().map(|token| token.columns.len()).sum();
    notes.add(DiagnosticKind::Columns, columns, format!("{columns} columns between token and tag left out"));
    let tags = tagging::encode(document, notes);
    seen.extend(tags.iter().filter(|tag| tag.position != Position::Out).map(Tag::to_string));
    for range in sentence_tokens(document) {
        let words: Vec<&str> =
            document.tokens[range.clone()].iter().map(|token| &document.text[token.bytes.clone()]).collect();
        let tags = &tags[range];
        match max_length {
            None => {
                write_each(text, words.iter())?;
                write_each(labels, tags.iter())?;
            }
            Some(max_length) => {
                for piece in pieces(tags, max_length.get(), notes) {
                    write_joined(text, words[piece.clone()].iter())?;
                    write_joined(labels, tags[piece].iter())?;
                }
            }
        }
    }
    Ok(())
}

/// Splits a sentence into pieces of at most `max_length` words, each ending with an `O` if possible.
fn pieces(tags: &[Tag], max_length: usize, notes: &mut Notes<'_>) -> Vec<std::ops::Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while tags.len() - start > max_length {
        let window = &tags[start..start + max_length];
        let last_out = window.iter().rposition(|tag| tag.position == Position::Out);
        let end = start + last_out.unwrap_or(0) + 1;
        pieces.push(start..end);
        start = end;
    }
    notes.add(
        DiagnosticKind::SentenceCut,
        pieces.len(),
        format!("sentence of {} words split into {} pieces", tags.len(), pieces.len() + 1),
    );
    let cut = pieces.iter().filter(|piece| tags[piece.end].position == Position::Inside).count();
    notes.add(
        DiagnosticKind::MentionCut,
        cut,
        format!("mentions split in {cut} places: no `O` within {max_length} words"),
    );
    pieces.push(start..tags.len());
    pieces
}

fn write_each<T: std::fmt::Display>(out: &mut impl Write, words: impl Iterator<Item = T>) -> io::Result<()> {
    for word in words {
        write!(out, "{word} ")?;
    }
    writeln!(out)
}

fn write_joined<T: std::fmt::Display>(out: &mut impl Write, words: impl Iterator<Item = T>) -> io::Result<()> {
    for (i, word) in words.enumerate() {
        write!(out, "{}{word}", if i > 0 { " " } else { "" })?;
    }
    writeln!(out)
}

/// Writes `label_ids.csv`: the labels in the order of their ids.
pub(crate) fn write_label_ids(seen: &BTreeSet<String>, out: &mut impl Write) -> io::Result<()> {
    write!(out, "O")?;
    seen.iter().try_for_each(|label| write!(out, "\n{label}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Item;

    fn read(text: &'static str, labels: &'static str) -> Vec<Result<Item, CorpusError>> {
        let files: (Arc<str>, Arc<str>) = ("text_f.txt".into(), "labels_f.txt".into());
        reader(text.as_bytes(), labels.as_bytes(), (&files.0, &files.1), TagOptions::default()).collect()
    }

    #[test]
    fn files_of_different_lengths_are_an_error_that_names_both() {
        let items = read("a b \nc \n", "O O \n");
        let error = items.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(error.starts_with("labels_f.txt:1:") && error.contains("text_f.txt"), "{error}");
    }

    #[test]
    fn a_line_with_too_few_labels_is_skipped_and_reported() {
        let items = read("a b \nc \nd \n", "O \nO \nZ \n");
        let diagnostics: Vec<_> = items
            .iter()
            .filter_map(|item| {
                if let Ok(Item::Diagnostic(diagnostic)) = item {
                    Some((diagnostic.kind, diagnostic.spot.line))
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(diagnostics, [(DiagnosticKind::WordCount, 1), (DiagnosticKind::BadRecord, 3)]);
    }

    #[test]
    fn a_long_sentence_is_split_after_the_last_outside_word() {
        let tags: Vec<Tag> = "O B-D I-D O B-D I-D I-D I-D O O".split(' ').map(|tag| Tag::parse(tag).unwrap()).collect();
        let (spot, mut diagnostics) = (Spot { file: "f".into(), line: 1 }, Vec::new());
        let cut = pieces(&tags, 3, &mut Notes::new(&spot, None, &mut diagnostics));
        assert_eq!(cut, [0..1, 1..4, 4..5, 5..6, 6..9, 9..10]);
        assert_eq!(
            diagnostics.iter().map(|r| (r.kind, r.count)).collect::<Vec<_>>(),
            [(DiagnosticKind::SentenceCut, 5), (DiagnosticKind::MentionCut, 2)]
        );
    }
}
