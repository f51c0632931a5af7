//! JSONL spans: one document per line, `{"id", "text", "entities": [{"start", "end", "label"}]}`.
//!
//! Offsets are half-open and count code points. Entities have two optional keys: `concepts` (as written by [`ConceptIds`])
//! and `mention`, the wording of the mention where it differs from the text.

use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use pubtag_schemas::{AnnotatedDocument, ConceptIds, DocId, Mention};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::CorpusError;
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::document::{CharIndex, Fit, fit};
use crate::lines::Lines;
use crate::reader::{Documents, Item, Parse};
use crate::two_parts;

/// Reads JSONL spans; `file` is its name in diagnostics.
///
/// *Ordering:* that of the file. *Memory:* one line. *Cancellation:* drop it. *Rejects:* a line that is not such an object,
/// and an entity that is outside the text or does not match it, is skipped with a diagnostic.
pub fn reader<'a>(input: impl BufRead + Send + 'a, file: &Arc<str>) -> Documents<'a> {
    Documents::new(file, Jsonl { lines: Lines::new(input, file) })
}

struct Jsonl<R> {
    lines: Lines<R>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(default, skip_serializing_if = "Value::is_null")]
    id: Value,
    text: String,
    #[serde(default, deserialize_with = "list")]
    entities: Option<Vec<Entity>>,
    #[serde(flatten, skip_serializing)]
    others: Map<String, Value>,
}

/// A list; `null` is not one.
fn list<'de, D: Deserializer<'de>>(entities: D) -> Result<Option<Vec<Entity>>, D::Error> {
    Vec::deserialize(entities).map(Some)
}

#[derive(Serialize, Deserialize)]
struct Entity {
    start: usize,
    end: usize,
    label: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    concepts: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mention: Option<String>,
}

impl<R: BufRead> Parse for Jsonl<R> {
    fn step(&mut self, out: &mut VecDeque<Item>) -> Result<bool, CorpusError> {
        let Some(line) = self.lines.next_line()? else { return Ok(false) };
        if line.trim().is_empty() {
            return Ok(true);
        }
        let record = parse(line);
        let spot = Spot::new(self.lines.file(), self.lines.number());
        let mut diagnostics = Vec::new();
        match record {
            Ok(record) => {
                let document = assemble(record, &spot, &mut diagnostics);
                out.push_back(Item::Document(spot, Box::new(document)));
            }
            Err(what) => Notes::new(&spot, None, &mut diagnostics).add(DiagnosticKind::BadRecord, 1, what),
        }
        out.extend(diagnostics.into_iter().map(Item::Diagnostic));
        Ok(true)
    }
}

fn parse(line: &str) -> Result<Record, String> {
    let record: Record =
        serde_json::from_str(line).map_err(|error| format!("not an object with text and entities: {error}"))?;
    match record.id {
        Value::String(_) | Value::Number(_) | Value::Null => {}
        _ => return Err("an id must be a string or a number".to_owned()),
    }
    match record.others.iter().find(|(_, value)| value.is_array()) {
        Some((name, _)) if record.entities.is_none() => {
            Err(format!("no \"entities\", but {name:?}; rename it, with a start, an end and a label for each mention"))
        }
        _ => Ok(record),
    }
}

fn assemble(record: Record, spot: &Spot, diagnostics: &mut Vec<crate::Diagnostic>) -> AnnotatedDocument {
    let id = match &record.id {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    };
    let mut notes = Notes::new(spot, id.as_deref(), diagnostics);
    let index = CharIndex::new(&record.text);
    let names: Vec<&str> = record.others.keys().map(String::as_str).collect();
    notes.add(DiagnosticKind::Infons, names.len(), format!("other keys left out: {}", names.join(", ")));
    let entities = record.entities.unwrap_or_default();
    let mut mentions = Vec::with_capacity(entities.len());
    for entity in entities {
        match mention(entity, &record.text, &index) {
            Ok((mention, oddity)) => {
                mentions.push(mention);
                notes.add(DiagnosticKind::MentionSpace, usize::from(oddity.is_some()), oddity.unwrap_or_default());
            }
            Err((kind, what)) => notes.add(kind, 1, what),
        }
    }
    AnnotatedDocument { id: id.as_deref().map(DocId::new), text: record.text, mentions, ..Default::default() }
}

fn mention(
    entity: Entity,
    text: &str,
    index: &CharIndex,
) -> Result<(Mention, Option<String>), (DiagnosticKind, String)> {
    let Entity { start, end, label, concepts, mention: wording } = entity;
    if label.is_empty() {
        return Err((DiagnosticKind::BadRecord, format!("entity at {start}-{end} has no label")));
    }
    let outside = || {
        (
            DiagnosticKind::OffsetMismatch,
            format!(
                "entity {label} at {start}-{end} is empty or outside the text of {} characters",
                index.char(text.len())
            ),
        )
    };
    let bytes = index.bytes(start..end).filter(|bytes| !bytes.is_empty()).ok_or_else(outside)?;
    let mut mention = Mention::new(text, bytes, &label);
    mention.concepts = ConceptIds::new(concepts);
    let mut oddity = None;
    if let Some(wording) = wording {
        match fit(text, index, &mention.bytes, &wording) {
            Fit::Exact => {}
            Fit::Space => {
                oddity =
                    Some(format!("mention {wording:?} at {start}-{end} differs from the text in white space; kept"))
            }
            Fit::None(what) => return Err((DiagnosticKind::OffsetMismatch, what)),
        }
        mention.text = wording;
    }
    Ok((mention, oddity))
}

/// Writes a document as one line. Passages, sentences, tokens, infons and discontinuous mentions are left out and reported.
pub(crate) fn write(document: &AnnotatedDocument, out: &mut impl Write, notes: &mut Notes<'_>) -> io::Result<()> {
    let passages = document.passages.len();
    notes.add(DiagnosticKind::Passages, passages, format!("the boundaries of {passages} passages left out"));
    let one_piece = two_parts::in_one_piece(document, notes);
    let (mentions, empty): (Vec<&Mention>, Vec<_>) =
        one_piece.into_iter().partition(|m| !m.bytes.is_empty() && !m.category.is_empty());
    notes.add(
        DiagnosticKind::Unwritable,
        empty.len(),
        format!("{} mentions without text or category left out", empty.len()),
    );
    let infons = document.infons.len() + mentions.iter().map(|mention| mention.infons.len()).sum::<usize>();
    two_parts::note_extras(document, infons, notes);
    let index = CharIndex::new(&document.text);
    let entity = |mention: &Mention| Entity {
        start: index.char(mention.bytes.start),
        end: index.char(mention.bytes.end),
        label: mention.category.clone(),
        concepts: mention.concepts.as_str().to_owned(),
        mention: (mention.text != document.text[mention.bytes.clone()]).then(|| mention.text.clone()),
    };
    let record = Record {
        id: document.id.as_ref().map_or(Value::Null, |id| Value::from(id.as_str())),
        text: document.text.clone(),
        entities: Some(mentions.into_iter().map(entity).collect()),
        others: Map::new(),
    };
    serde_json::to_writer(&mut *out, &record)?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_keys_are_reported_and_mentions_under_another_name_are_refused() {
        let read = |line: &str| {
            let items: Vec<Item> = reader(line.as_bytes(), &"f".into()).map(Result::unwrap).collect();
            let note = items.iter().find_map(|item| match item {
                Item::Diagnostic(diagnostic) => Some((diagnostic.kind, diagnostic.detail.clone())),
                Item::Document(..) => None,
            });
            (items.len(), note)
        };
        assert_eq!(read(r#"{"id": "1", "text": "flu"}"#), (1, None));
        let (items, note) = read(r#"{"id": "1", "text": "flu", "entities": [], "meta": [1], "year": 2}"#);
        assert_eq!((items, note), (2, Some((DiagnosticKind::Infons, "other keys left out: meta, year".to_owned()))));
        for (line, problem) in [
            (r#"{"id": "1", "text": "flu", "label": [[0, 3, "Disease"]]}"#, "no \"entities\", but \"label\""),
            (r#"{"id": "1", "text": "flu", "spans": []}"#, "no \"entities\", but \"spans\""),
            (r#"{"id": "1", "text": "flu", "entities": null}"#, "expected a sequence"),
        ] {
            let error = parse(line).err().unwrap();
            assert!(error.contains(problem), "{line}: {error}");
        }
    }

    #[test]
    fn bad_lines_and_bad_entities_are_skipped_and_reported() {
        let text = concat!(
            "{\"id\": 7, \"text\": \"né ill\", \"entities\": [{\"start\": 3, \"end\": 6, \"label\": \"D\"}, {\"start\": 3, \"end\": 7, \"label\": \"D\"},",
            " {\"start\": 0, \"end\": 2, \"label\": \"D\", \"mention\": \"ill\"}]}\n",
            "{\"text\": \"x\"}\n\n{\"id\": 1}\n{\"id\": [1], \"text\": \"\"}\nnothing\n",
        );
        let items: Vec<_> = reader(text.as_bytes(), &Arc::from("f")).map(Result::unwrap).collect();
        let diagnostics: Vec<_> = items
            .iter()
            .filter_map(|item| {
                if let Item::Diagnostic(diagnostic) = item {
                    Some((diagnostic.kind, diagnostic.spot.line))
                } else {
                    None
                }
            })
            .collect();
        use DiagnosticKind::{BadRecord, OffsetMismatch};
        assert_eq!(
            diagnostics,
            [(OffsetMismatch, 1), (OffsetMismatch, 1), (BadRecord, 4), (BadRecord, 5), (BadRecord, 6)]
        );
        let Item::Document(_, document) = &items[0] else { panic!("{items:?}") };
        assert_eq!((document.mentions.len(), document.mentions[0].text.as_str()), (1, "ill"));
        assert_eq!(document.id, Some(DocId::new("7")));
    }
}
