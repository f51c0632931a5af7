//! Plain text: one document per line, or one per file.

use pubtag_schemas::{Place, Record, hex};
use sha2::{Digest, Sha256};

use crate::collector::RecordError;
use crate::delimited::{Format, line_end, utf8};
use crate::fields::Fields;
use crate::options::InputFormat;

/// A plain text format.
#[derive(Debug)]
pub(crate) enum Plain {
    /// Every line is a document; its id is the file name and the number of the document, from 1.
    Lines,
    /// The file is a document; its id is the file name without its extension.
    Document,
}

/// What the ids of the documents in a file begin with.
pub(crate) fn document_name(format: InputFormat, file_name: &str) -> Option<&str> {
    match format {
        InputFormat::Lines => Some(file_name),
        InputFormat::Text => Some(stem(file_name)),
        _ => None,
    }
}

/// A file name without its extension, unless nothing would be left.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map(|(stem, _)| stem).filter(|stem| !stem.is_empty()).unwrap_or(name)
}

/// A few digits that tell texts apart.
fn digits(text: &[u8]) -> String {
    hex(Sha256::digest(text)).chars().take(12).collect()
}

impl Format for Plain {
    const RECORD: &'static str = "text";

    fn end(&self, bytes: &[u8], _: bool) -> Option<(usize, usize)> {
        match self {
            Self::Lines => line_end(bytes),
            Self::Document => None,
        }
    }

    fn resume(&self, bytes: &[u8]) -> (usize, bool) {
        self.end(bytes, false).map_or((bytes.len(), false), |(_, whole)| (whole, true))
    }

    fn is_cut(&self, _: &[u8], broken_off: bool) -> bool {
        broken_off
    }

    fn parse(&self, record: &[u8], place: Place) -> Result<Record, RecordError> {
        let name = place.unit.file_name();
        let mut id = match self {
            Self::Lines => format!("{name}:{}", u64::from(place.ordinal) + 1),
            Self::Document => stem(name).to_owned(),
        };
        // All pipes have the same few names, whatever is in them.
        if place.unit.read_once {
            id = format!("{id}:{}", digits(record));
        }
        let text = Some(utf8(record)?.to_owned());
        Fields { id: Some(id), text, ..Fields::default() }.into_record(place)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pubtag_schemas::{InputUnit, Location};

    use super::*;

    fn id(location: Location, read_once: bool, text: &str) -> String {
        let unit = Arc::new(InputUnit { read_once, ..InputUnit::new(0, location) });
        let parsed = Plain::Lines.parse(text.as_bytes(), Place { unit, ordinal: 0, byte_offset: 0 });
        let Ok(Record::Document(citation)) = parsed else { panic!("{text} is a document") };
        citation.doc_id.as_str().to_owned()
    }

    #[test]
    fn lines_of_pipes_are_told_apart_by_their_texts() {
        let file = || Location::File("/in/a.txt".to_owned());
        assert_eq!(id(file(), false, "Gout."), "a.txt:1");
        assert_eq!(id(Location::Stdin, true, "abc"), "-:1:ba7816bf8f01", "FIPS 180-2, example B.1");
        assert_ne!(id(Location::Stdin, true, "Gout."), id(Location::Stdin, true, "Ataxia."));
    }
}
