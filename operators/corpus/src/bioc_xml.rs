//! BioC XML: `collection`, `document`, `passage`, `annotation`, `location` (`BioC.dtd`).

mod write;

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

use crate::CorpusError;
use crate::bioc::{self, BiocAnnotation, BiocDocument, BiocLocation, BiocPassage, BiocSentence, Infons};
use crate::diagnostic::{DiagnosticKind, Notes, Spot};
use crate::lines::{Counted, MAX_RECORD_BYTES};
use crate::reader::{Documents, Item, Parse};

pub(crate) use write::{write, write_end, write_start};

/// Reads BioC XML; `file` is its name in diagnostics.
///
/// *Ordering:* that of the file. *Memory:* one document. *Cancellation:* drop it. *Rejects:* a document with inconsistent
/// offsets is skipped with a diagnostic, and so is an annotation that does not match the text at its offsets. XML that is not
/// well-formed ends the file with an error.
pub fn reader<'a>(input: impl BufRead + Send + 'a, file: &Arc<str>) -> Documents<'a> {
    let xml = quick_xml::Reader::from_reader(Counted::new(input));
    Documents::new(file, BiocXml { xml, file: Arc::clone(file), buffer: Vec::new(), depth: 0 })
}

struct BiocXml<R> {
    xml: quick_xml::Reader<Counted<R>>,
    file: Arc<str>,
    buffer: Vec<u8>,
    /// Number of open elements around the next document.
    depth: usize,
}

/// An element with its text and children.
#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn text_of(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.as_str())
    }
}

impl<R: BufRead> Parse for BiocXml<R> {
    fn step(&mut self, out: &mut VecDeque<Item>) -> Result<bool, CorpusError> {
        self.buffer.clear();
        let line = self.line();
        let event = self.xml.read_event_into(&mut self.buffer).map_err(|error| failure(&self.file, line, error))?;
        match event {
            Event::Start(start) => {
                let element = opened(&start).map_err(|error| failure(&self.file, line, error))?;
                match element.name.as_str() {
                    "collection" => self.depth += 1,
                    "document" => {
                        let line = self.line();
                        let element = self.element(element)?;
                        let spot = Spot::new(&self.file, line);
                        match document(&element) {
                            Ok(document) => bioc::assemble(&document, spot, out),
                            Err(what) => self.diagnostic(spot, DiagnosticKind::BadRecord, what, out),
                        }
                    }
                    _ => {
                        let element = self.element(element)?;
                        if matches!(element.name.as_str(), "source" | "date" | "key" | "infon")
                            && !element.text.trim().is_empty()
                        {
                            let what = format!("{} of the collection left out", element.name);
                            self.diagnostic(Spot::new(&self.file, line), DiagnosticKind::CollectionMetadata, what, out);
                        }
                    }
                }
            }
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            Event::Eof if self.depth > 0 => return Err(self.malformed("unexpected end of file in the collection")),
            Event::Eof => return Ok(false),
            _ => {}
        }
        Ok(true)
    }
}

impl<R: BufRead> BiocXml<R> {
    fn line(&self) -> u64 {
        self.xml.get_ref().line()
    }

    fn malformed(&self, what: &str) -> CorpusError {
        CorpusError::Malformed {
            file: Arc::clone(&self.file),
            line: self.line(),
            what: format!("not BioC XML: {what}"),
        }
    }

    fn diagnostic(&self, spot: Spot, kind: DiagnosticKind, what: String, out: &mut VecDeque<Item>) {
        let mut diagnostics = Vec::new();
        Notes::new(&spot, None, &mut diagnostics).add(kind, 1, what);
        out.extend(diagnostics.into_iter().map(Item::Diagnostic));
    }

    /// Reads an element to its end.
    fn element(&mut self, root: Element) -> Result<Element, CorpusError> {
        let first = self.line();
        let begin = self.xml.buffer_position();
        let mut open = vec![root];
        loop {
            self.buffer.clear();
            let line = self.line();
            if self.xml.buffer_position() - begin > MAX_RECORD_BYTES as u64 {
                return Err(CorpusError::TooLarge {
                    file: Arc::clone(&self.file),
                    line: first,
                    limit: MAX_RECORD_BYTES,
                });
            }
            let event = self.xml.read_event_into(&mut self.buffer).map_err(|error| failure(&self.file, line, error))?;
            let bad = |error| failure(&self.file, line, error);
            let closed = match event {
                Event::Start(start) => {
                    open.push(opened(&start).map_err(bad)?);
                    None
                }
                Event::Empty(start) => Some(opened(&start).map_err(bad)?),
                Event::End(_) => open.pop(),
                Event::Eof => return Err(self.malformed("unexpected end of file in a document")),
                Event::Text(text) => {
                    add_text(&mut open, &text.xml10_content());
                    None
                }
                Event::CData(text) => {
                    add_text(&mut open, &text.xml10_content());
                    None
                }
                Event::GeneralRef(reference) => {
                    let char = reference.resolve_char_ref().map_err(bad)?.map(String::from);
                    let resolved = char.or_else(|| resolve_predefined_entity(&reference).map(str::to_owned));
                    let resolved = resolved.ok_or_else(|| unknown(&self.file, line, &reference))?;
                    add_text(&mut open, &resolved);
                    None
                }
                _ => None,
            };
            if let Some(closed) = closed {
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => return Ok(closed),
                }
            }
        }
    }
}

fn failure(file: &Arc<str>, line: u64, error: impl Into<quick_xml::Error>) -> CorpusError {
    let file = Arc::clone(file);
    match error.into() {
        quick_xml::Error::Io(error) => CorpusError::Read { file, source: io::Error::new(error.kind(), error) },
        quick_xml::Error::Encoding(_) => CorpusError::Encoding { file, line },
        error => CorpusError::Malformed { file, line, what: format!("not BioC XML: {error}") },
    }
}

fn unknown(file: &Arc<str>, line: u64, entity: &str) -> CorpusError {
    let what = format!("not BioC XML: unknown entity &{entity};");
    CorpusError::Malformed { file: Arc::clone(file), line, what }
}

fn opened(start: &BytesStart<'_>) -> Result<Element, quick_xml::Error> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned();
        attributes.push((attribute.key.as_ref().to_owned(), value));
    }
    Ok(Element { name: start.name().as_ref().to_owned(), attributes, ..Default::default() })
}

fn add_text(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn document(element: &Element) -> Result<BiocDocument, String> {
    Ok(BiocDocument {
        id: element.text_of("id").unwrap_or_default().trim().to_owned(),
        infons: infons(element),
        passages: element.all("passage").map(passage).collect::<Result<_, _>>()?,
        annotations: annotations(element)?,
        relations: relations(element),
    })
}

fn passage(element: &Element) -> Result<BiocPassage, String> {
    Ok(BiocPassage {
        infons: infons(element),
        offset: offset(element)?,
        text: element.text_of("text").map(str::to_owned),
        sentences: element.all("sentence").map(sentence).collect::<Result<_, _>>()?,
        annotations: annotations(element)?,
        relations: relations(element),
    })
}

fn sentence(element: &Element) -> Result<BiocSentence, String> {
    Ok(BiocSentence {
        infons: infons(element),
        offset: offset(element)?,
        text: element.text_of("text").map(str::to_owned),
        annotations: annotations(element)?,
        relations: relations(element),
    })
}

fn annotations(element: &Element) -> Result<Vec<BiocAnnotation>, String> {
    let annotation = |element: &Element| {
        let location = |location: &Element| {
            let number = |name| number(location.attribute(name).unwrap_or_default(), name);
            Ok(BiocLocation { offset: number("offset")?, length: number("length")? })
        };
        Ok(BiocAnnotation {
            id: element.attribute("id").unwrap_or_default().to_owned(),
            infons: infons(element),
            text: element.text_of("text").map(str::to_owned),
            locations: element.all("location").map(location).collect::<Result<_, String>>()?,
        })
    };
    element.all("annotation").map(annotation).collect()
}

fn infons(element: &Element) -> Infons {
    let pair =
        |infon: &Element| (infon.attribute("key").unwrap_or_default().to_owned(), Value::from(infon.text.as_str()));
    element.all("infon").map(pair).collect()
}

fn relations(element: &Element) -> Vec<Value> {
    element.all("relation").map(|_| Value::Null).collect()
}

fn offset(element: &Element) -> Result<usize, String> {
    number(element.text_of("offset").unwrap_or_default(), "offset")
}

fn number(text: &str, what: &str) -> Result<usize, String> {
    text.trim().parse().map_err(|_| format!("{what} {text:?} of a passage, sentence or location is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "<document><id>7</id>\n<passage><infon key=\"type\">title</infon><offset>0</offset><text>N&#233; &lt;ill.</text>
        <annotation id=\"a\"><infon key=\"type\">D</infon><infon key=\"cui\">D1</infon><location offset=\"4\" length=\"3\"/><text>ill</text></annotation></passage>
        <passage><offset>8</offset><sentence><offset>8</offset><text>So. </text></sentence><sentence><offset>12</offset><text><![CDATA[A & b.]]></text></sentence></passage>
        <relation id=\"R\"/></document>";

    fn read(text: &str) -> Vec<Result<Item, CorpusError>> {
        reader(text.as_bytes(), &Arc::from("f")).collect()
    }

    #[test]
    fn entities_sections_and_sentences_make_one_text() {
        let items = read(&format!("<?xml version='1.0'?>\n<collection><source>PMC</source>\n{DOCUMENT}</collection>"));
        let kinds: Vec<_> = items
            .iter()
            .filter_map(|item| {
                if let Ok(Item::Diagnostic(diagnostic)) = item {
                    Some((diagnostic.kind, diagnostic.spot.line))
                } else {
                    None
                }
            })
            .collect();
        assert_eq!(kinds, [(DiagnosticKind::CollectionMetadata, 2), (DiagnosticKind::Relations, 3)]);
        let document = items
            .iter()
            .find_map(|item| if let Ok(Item::Document(_, document)) = item { Some(document) } else { None });
        let document = document.unwrap();
        assert_eq!(document.text, "Né <ill.So. A & b.");
        let mention = &document.mentions[0];
        assert_eq!((&document.text[mention.bytes.clone()], mention.concepts.as_str()), ("ill", "D1"));
        assert_eq!(
            document.sentences.iter().map(|range| &document.text[range.clone()]).collect::<Vec<_>>(),
            ["So.", "A & b."]
        );
    }

    #[test]
    fn truncated_or_invalid_xml_is_an_error_with_its_line() {
        for broken in [
            &DOCUMENT[..200],
            "<collection>\n<document><id>1</document>",
            "<collection>\n<document><id>&who;</id></document>",
        ] {
            let text = if broken.starts_with("<coll") { broken.to_owned() } else { format!("<collection>\n{broken}") };
            let error = read(&text).pop().and_then(Result::err).map(|error| error.to_string()).unwrap_or_default();
            assert!(error.starts_with("f:") && error.contains("not BioC XML"), "{error}");
        }
    }
}
