//! Plain text: one document per line, or one per file.

use pubtag_schemas::{Place, Record};

use crate::collector::RecordError;
use crate::delimited::{Format, line_end, utf8};
use crate::fields::Fields;

/// A plain text format.
#[derive(Debug)]
pub(crate) enum Plain {
    /// Every line is a document; its id is the file name and the number of the document, from 1.
    Lines,
    /// The file is a document; its id is the file name without its extension.
    Document,
}

/// A file name without its extension, unless nothing would be left.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map(|(stem, _)| stem).filter(|stem| !stem.is_empty()).unwrap_or(name)
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
        let id = match self {
            Self::Lines => format!("{name}:{}", u64::from(place.ordinal) + 1),
            Self::Document => stem(name).to_owned(),
        };
        let text = Some(utf8(record)?.to_owned());
        Fields { id: Some(id), text, ..Fields::default() }.into_record(place)
    }
}
