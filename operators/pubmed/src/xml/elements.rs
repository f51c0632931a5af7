//! The elements of a record: quick-xml plus the well-formedness checks that it leaves out.

use pubtag_schemas::RejectReason;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::collector::RecordError;

/// Maximum number of attributes of a tag; PubMed has a handful. quick-xml compares each with all before it.
const MOST_ATTRIBUTES: usize = 100;

/// A cursor over the elements of one record.
pub(crate) struct Elements<'a> {
    reader: Reader<&'a [u8]>,
}

type Start<'a> = BytesStart<'a>;

impl<'a> Elements<'a> {
    /// Opens a record, and returns its start tag.
    pub(crate) fn open(record: &'a [u8]) -> Result<(Self, Start<'a>), RecordError> {
        let mut reader = Reader::from_reader(record);
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().check_comments = true;
        let mut elements = Self { reader };
        match elements.event()? {
            Event::Start(start) => Ok((elements, start)),
            _ => Err(elements.error("record does not begin with a start tag")),
        }
    }

    /// The start tag of the next child of the open element; `None` at its end.
    pub(crate) fn child(&mut self) -> Result<Option<Start<'a>>, RecordError> {
        loop {
            match self.event()? {
                Event::Start(start) => return Ok(Some(start)),
                Event::End(_) => return Ok(None),
                _ => (),
            }
        }
    }

    /// Skips to the end of the open element.
    pub(crate) fn skip(&mut self) -> Result<(), RecordError> {
        let mut depth = 0_usize;
        loop {
            match self.event()? {
                Event::Start(_) => depth += 1,
                Event::End(_) if depth == 0 => return Ok(()),
                Event::End(_) => depth -= 1,
                _ => (),
            }
        }
    }

    /// Reads to the end of the open element and returns its text without markup.
    pub(crate) fn text(&mut self) -> Result<String, RecordError> {
        let mut text = String::new();
        let mut depth = 0_usize;
        loop {
            match self.event()? {
                Event::Start(_) => depth += 1,
                Event::End(_) if depth == 0 => return Ok(text),
                Event::End(_) => depth -= 1,
                Event::Text(run) => text.push_str(&run.into_inner()),
                Event::CData(section) => text.push_str(&section.into_inner()),
                Event::GeneralRef(reference) => text.push(self.resolve(&reference)?),
                _ => (),
            }
        }
    }

    /// The value of an attribute; `None` if the tag does not have it.
    pub(crate) fn attribute(&self, start: &Start<'_>, name: &str) -> Result<Option<String>, RecordError> {
        let attribute = start.try_get_attribute(name).map_err(|error| self.error(&error.to_string()))?;
        let Some(attribute) = attribute else { return Ok(None) };
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        value.map(|value| Some(value.into_owned())).map_err(|error| self.error(&error.to_string()))
    }

    /// Checks that nothing follows the end tag of the record.
    pub(crate) fn finish(&mut self) -> Result<(), RecordError> {
        match self.reader.read_event() {
            Ok(Event::Eof) => Ok(()),
            _ => Err(self.error("content after the end tag of the record")),
        }
    }

    fn event(&mut self) -> Result<Event<'a>, RecordError> {
        let event =
            self.reader.read_event().map_err(|error| error_at(self.reader.error_position(), &error.to_string()))?;
        match &event {
            Event::Start(start) => self.check_tag(start)?,
            Event::GeneralRef(reference) => drop(self.resolve(reference)?),
            Event::Eof => return Err(self.error("record ends before its end tag")),
            Event::DocType(_) | Event::Decl(_) => return Err(self.error("declaration inside the record")),
            _ => (),
        }
        Ok(event)
    }

    fn check_tag(&self, start: &Start<'_>) -> Result<(), RecordError> {
        let name = start.name().into_inner();
        if !is_name(name.as_bytes()) {
            return Err(self.error(&format!("<{}> is not a tag", clipped(name))));
        }
        if start.attributes_raw().is_empty() {
            return Ok(());
        }
        for (count, attribute) in start.attributes().enumerate() {
            if count == MOST_ATTRIBUTES {
                return Err(self.error(&format!("<{}> has more than {MOST_ATTRIBUTES} attributes", clipped(name))));
            }
            let attribute = attribute.map_err(|error| self.error(&format!("in <{}>: {error}", clipped(name))))?;
            if memchr::memchr2(b'&', b'<', attribute.value.as_bytes()).is_some() {
                self.check_value(&attribute.value)?;
            }
        }
        Ok(())
    }

    fn check_value(&self, value: &str) -> Result<(), RecordError> {
        if value.contains('<') {
            return Err(self.error("attribute value contains `<`"));
        }
        let references = value.split('&').skip(1);
        for reference in references {
            let (name, _) =
                reference.split_once(';').ok_or_else(|| self.error("attribute value contains a bare `&`"))?;
            self.resolve(&BytesRef::new(name))?;
        }
        Ok(())
    }

    /// The character of a reference. Only the five predefined entities are known; PubMed declares no others.
    fn resolve(&self, reference: &BytesRef<'_>) -> Result<char, RecordError> {
        let unknown = || self.error(&format!("unknown entity or invalid character reference &{};", clipped(reference)));
        let resolved = match reference.resolve_char_ref() {
            Ok(Some(c)) => Some(c).filter(|&c| is_xml_char(c)),
            Ok(None) => resolve_predefined_entity(reference).and_then(|text| text.chars().next()),
            Err(_) => None,
        };
        resolved.ok_or_else(unknown)
    }

    fn error(&self, what: &str) -> RecordError {
        error_at(self.reader.buffer_position(), what)
    }
}

fn error_at(position: u64, what: &str) -> RecordError {
    RecordError::new(RejectReason::Malformed, format!("{what} (at byte {position} of the record)"))
}

/// Whether a name is valid (XML 1.0, 2.3); all characters beyond ASCII are accepted.
fn is_name(name: &[u8]) -> bool {
    const IN_NAME: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            let c = byte as u8;
            table[byte] = c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.' | b':' | 0x80..);
            byte += 1;
        }
        table
    };
    let begins = name.first().is_some_and(|&first| !first.is_ascii_digit() && first != b'-' && first != b'.');
    begins && name.iter().all(|&byte| IN_NAME[usize::from(byte)])
}

/// Whether XML allows a character (XML 1.0, 2.2).
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

/// A name, shortened for messages.
fn clipped(name: &str) -> String {
    name.chars().take(40).collect()
}
