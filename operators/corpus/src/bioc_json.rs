//! BioC JSON: a collection, a single document, a list of documents, or concatenated documents as exported by PubTator 3.
//!
//! The documents of a collection are read one at a time; the keys around them may come in any order.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use pubtag_schemas::AnnotatedDocument;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::CorpusError;
use crate::bioc::{self, BiocDocument};
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::lines::{Counted, MAX_RECORD_BYTES};
use crate::reader::{Documents, Item, Parse};

/// Keys of lists of documents; PubTator 3 has its own.
const DOCUMENTS: &[&str] = &["documents", "PubTator3"];

/// Reads BioC JSON; `file` is its name in diagnostics.
///
/// *Ordering:* that of the file. *Memory:* one document. *Cancellation:* drop it. *Rejects:* an element that is not a
/// document or has inconsistent offsets is skipped with a diagnostic, and so is an annotation that does not match the text at
/// its offsets. Invalid JSON ends the file with an error.
pub fn reader<'a>(input: impl BufRead + Send + 'a, file: &Arc<str>) -> Documents<'a> {
    let input = Counted::new(input);
    Documents::new(file, BiocJson { input, file: Arc::clone(file), state: State::Top, spare: Map::new(), documents: 0 })
}

struct BiocJson<R> {
    input: Counted<R>,
    file: Arc<str>,
    state: State,
    /// The keys of the current object, without its documents.
    spare: Map<String, Value>,
    /// Number of documents in the current object.
    documents: u64,
}

/// The position in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between top-level values.
    Top,
    /// In an object, before a key or the end.
    Object,
    /// In a list of documents, which may belong to an object.
    List { in_object: bool },
}

impl<R: BufRead> Parse for BiocJson<R> {
    fn step(&mut self, out: &mut VecDeque<Item>) -> Result<bool, CorpusError> {
        let next = self.peek()?;
        match (self.state, next) {
            (State::Top, None) => return Ok(false),
            (State::Top, Some(b'{')) => self.enter(State::Object),
            (State::Top, Some(b'[')) => self.enter(State::List { in_object: false }),
            (State::Object, Some(b',')) | (State::List { .. }, Some(b',')) => self.skip(),
            (State::Object, Some(b'"')) => self.key()?,
            (State::Object, Some(b'}')) => {
                self.enter(State::Top);
                self.end_object(out);
            }
            (State::List { in_object }, Some(b']')) => self.enter(if in_object { State::Object } else { State::Top }),
            (State::List { .. }, Some(b'{')) => {
                let line = self.input.line();
                let value = self.value()?;
                self.documents += 1;
                self.document(value, line, out);
            }
            (_, None) => return Err(self.malformed("unexpected end of file")),
            (_, Some(byte)) => {
                return Err(self.malformed(&format!("unexpected {:?}; expected a document or a key", byte as char)));
            }
        }
        Ok(true)
    }
}

impl<R: BufRead> BiocJson<R> {
    /// Peeks at the next byte that is not white space.
    fn peek(&mut self) -> Result<Option<u8>, CorpusError> {
        loop {
            let buffer =
                self.input.fill_buf().map_err(|source| CorpusError::Read { file: Arc::clone(&self.file), source })?;
            match buffer.first().copied() {
                // The bytes of a byte order mark (U+FEFF) count as white space.
                Some(b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf) => self.skip(),
                byte => return Ok(byte),
            }
        }
    }

    fn skip(&mut self) {
        self.input.consume(1);
    }

    fn enter(&mut self, state: State) {
        self.skip();
        self.state = state;
    }

    fn malformed(&self, what: &str) -> CorpusError {
        CorpusError::Malformed {
            file: Arc::clone(&self.file),
            line: self.input.line(),
            what: format!("not BioC JSON: {what}"),
        }
    }

    /// Reads one value, of at most the size of a record.
    fn value(&mut self) -> Result<Value, CorpusError> {
        let line = self.input.line();
        let mut limited = Bytewise(&mut self.input).take(MAX_RECORD_BYTES as u64);
        let value = Value::deserialize(&mut serde_json::Deserializer::from_reader(&mut limited));
        let full = limited.limit() == 0;
        value.map_err(|error| match full {
            true => CorpusError::TooLarge { file: Arc::clone(&self.file), line, limit: MAX_RECORD_BYTES },
            // The parser counts lines from the start of the value.
            false => self.malformed(error.to_string().split(" at line ").next().unwrap_or_default()),
        })
    }

    fn key(&mut self) -> Result<(), CorpusError> {
        let Value::String(key) = self.value()? else { return Err(self.malformed("a key must be a string")) };
        if self.peek()? != Some(b':') {
            return Err(self.malformed(&format!("missing colon after key {key:?}")));
        }
        self.skip();
        let start = self.peek()?;
        if DOCUMENTS.contains(&key.as_str()) && start == Some(b'[') {
            self.enter(State::List { in_object: true });
        } else if start.is_some_and(|byte| byte.is_ascii_digit() || byte == b'-') {
            // The parser would have to read one byte too many to see the end of a number.
            let number = self.number()?;
            self.spare.insert(key, number);
        } else {
            let value = self.value()?;
            self.spare.insert(key, value);
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, CorpusError> {
        let mut digits = String::new();
        while let Some(byte) = self.peek()?.filter(|byte| b"0123456789+-.eE".contains(byte)) {
            digits.push(byte as char);
            self.skip();
        }
        serde_json::from_str(&digits).map_err(|_| self.malformed(&format!("{digits:?} is not a number")))
    }

    /// Ends an object: a single document, or a collection whose other keys are left out.
    fn end_object(&mut self, out: &mut VecDeque<Item>) {
        let spare = std::mem::take(&mut self.spare);
        let documents = std::mem::take(&mut self.documents);
        if documents == 0 && spare.contains_key("passages") {
            let line = self.input.line();
            return self.document(Value::Object(spare), line, out);
        }
        let empty = |value: &Value| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Object(infons) => infons.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        let kept: Vec<&str> = spare.iter().filter(|(_, value)| !empty(value)).map(|(key, _)| key.as_str()).collect();
        let spot = Spot::new(&self.file, self.input.line());
        let mut diagnostics = Vec::new();
        let what = format!("{} of the collection left out", kept.join(", "));
        Notes::new(&spot, None, &mut diagnostics).add(DiagnosticKind::CollectionMetadata, kept.len(), what);
        out.extend(diagnostics.into_iter().map(Item::Diagnostic));
    }

    fn document(&self, value: Value, line: u64, out: &mut VecDeque<Item>) {
        let spot = Spot::new(&self.file, line);
        match serde_json::from_value::<BiocDocument>(value) {
            Ok(document) => bioc::assemble(&document, spot, out),
            Err(error) => {
                let mut diagnostics = Vec::new();
                Notes::new(&spot, None, &mut diagnostics).add(
                    DiagnosticKind::BadRecord,
                    1,
                    format!("not a BioC document: {error}"),
                );
                out.extend(diagnostics.into_iter().map(Item::Diagnostic));
            }
        }
    }
}

/// Reads one byte at a time, so that the parser never consumes more than its value.
struct Bytewise<'a, R>(&'a mut Counted<R>);

impl<R: BufRead> Read for Bytewise<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (Some(slot), Some(&byte)) = (buffer.first_mut(), self.0.fill_buf()?.first()) else { return Ok(0) };
        *slot = byte;
        self.0.consume(1);
        Ok(1)
    }
}

/// Writes what comes before the first document.
pub(crate) fn write_start(out: &mut impl Write) -> io::Result<()> {
    write!(out, "{{\"source\":\"\",\"date\":\"\",\"key\":\"\",\"infons\":{{}},\"documents\":[")
}

/// Writes a document; `first` if it is the first one.
pub(crate) fn write(
    document: &AnnotatedDocument,
    first: bool,
    out: &mut impl Write,
    notes: &mut Notes<'_>,
) -> io::Result<()> {
    out.write_all(if first { b"\n" } else { b",\n" })?;
    let mut bioc = bioc::disassemble(document, notes);
    for passage in &mut bioc.passages {
        // A passage of sentences has an empty text, as in the JSON of the specification.
        passage.text.get_or_insert_default();
    }
    serde_json::to_writer(out, &bioc).map_err(io::Error::from)
}

/// Writes what comes after the last document.
pub(crate) fn write_end(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\n]}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"id": 7, "infons": {}, "passages": [
        {"infons": {"type": "title"}, "offset": 0, "text": "Né ill.", "annotations": [
            {"id": "1", "infons": {"type": "D", "identifier": "MESH:D1", "note": null}, "text": "ill", "locations": [{"offset": 3, "length": 3}]}]},
        {"infons": {}, "offset": 8, "text": "A b c.", "annotations": [
            {"id": "2", "infons": {"type": "D"}, "text": "A ... c", "locations": [{"offset": 8, "length": 1}, {"offset": 12, "length": 1}]},
            {"id": "3", "infons": {"type": "D"}, "text": "x", "locations": [{"offset": 8, "length": 1}]}]}], "relations": [{}]}"#;

    fn read(text: &str) -> (Vec<AnnotatedDocument>, Vec<(DiagnosticKind, u64)>, Option<CorpusError>) {
        let (mut documents, mut diagnostics, mut error) = (Vec::new(), Vec::new(), None);
        for item in reader(text.as_bytes(), &Arc::from("f")) {
            match item {
                Ok(Item::Document(_, document)) => documents.push(*document),
                Ok(Item::Diagnostic(diagnostic)) => diagnostics.push((diagnostic.kind, diagnostic.spot.line)),
                Err(end) => error = Some(end),
            }
        }
        (documents, diagnostics, error)
    }

    #[test]
    fn every_file_layout_gives_the_same_documents() {
        let shapes = [
            format!("{{\"source\": \"\", \"documents\": [{DOCUMENT}, {DOCUMENT}], \"key\": \"\"}}"),
            format!("{DOCUMENT}\n{DOCUMENT}\n"),
            format!("[{DOCUMENT},{DOCUMENT}]"),
            format!("\u{feff}{{\"PubTator3\": [{DOCUMENT},{DOCUMENT}]}}"),
        ];
        for shape in shapes {
            let (documents, diagnostics, error) = read(&shape);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(documents.len(), 2, "{shape}");
            assert_eq!(documents[0].text, "Né ill. A b c.");
            let mentions = &documents[1].mentions;
            assert_eq!((mentions[0].bytes.clone(), mentions[0].concepts.as_str()), (4..7, "MESH:D1"));
            assert_eq!((mentions[1].bytes.clone(), mentions[1].gaps[0].clone()), (9..14, 10..13));
            assert_eq!(
                diagnostics.iter().map(|r| r.0).collect::<Vec<_>>(),
                [DiagnosticKind::OffsetMismatch, DiagnosticKind::Relations].repeat(2)
            );
        }
    }

    #[test]
    fn byte_offsets_are_converted() {
        let in_bytes = DOCUMENT
            .replace("\"offset\": 3,", "\"offset\": 4,")
            .replace("\"offset\": 8", "\"offset\": 9")
            .replace("12,", "13,")
            .replace("\"x\"", "\"A\"");
        let (documents, diagnostics, _) = read(&in_bytes);
        assert_eq!(documents[0].mentions.len(), 3);
        assert_eq!(diagnostics[0].0, DiagnosticKind::OffsetUnit);
    }

    #[test]
    fn truncated_json_is_an_error_with_its_line() {
        let (documents, _, error) = read(&format!("{{\"documents\": [\n{DOCUMENT},\n{{\"id\": "));
        assert_eq!(documents.len(), 1);
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("f:8: not BioC JSON"), "{error}");
    }

    #[test]
    fn an_element_that_is_not_a_document_is_skipped_and_collection_metadata_is_reported() {
        let (documents, diagnostics, _) =
            read(&format!("{{\"source\": \"PMC\", \"version\": 2, \"documents\": [{{\"passages\": 3}}, {DOCUMENT}]}}"));
        assert_eq!(documents.len(), 1);
        let kinds: Vec<_> = diagnostics.iter().map(|r| r.0).collect();
        use DiagnosticKind::{BadRecord, CollectionMetadata, OffsetMismatch, Relations};
        assert_eq!(kinds, [BadRecord, OffsetMismatch, Relations, CollectionMetadata]);
    }
}
