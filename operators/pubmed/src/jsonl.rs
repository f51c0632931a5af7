//! JSONL: one object per line, `{"id" | "pmid", "title"?, "abstract" | "text"}`.

use pubtag_schemas::{Place, Pmid, Record, RejectReason};
use serde::Deserialize;
use serde_json::Value;
use serde_json::error::Category;

use crate::collector::RecordError;
use crate::delimited::{Format, line_end, utf8};
use crate::fields::{Fields, parse_pmid};

/// The JSONL format.
#[derive(Debug)]
pub(crate) struct Jsonl;

impl Format for Jsonl {
    const RECORD: &'static str = "line";

    fn end(&self, bytes: &[u8], _: bool) -> Option<(usize, usize)> {
        line_end(bytes)
    }

    /// An object with its closing brace is complete, with or without a line break.
    fn is_cut(&self, record: &[u8], broken_off: bool) -> bool {
        match std::str::from_utf8(record) {
            Err(error) => broken_off || error.error_len().is_none(),
            Ok(text) => match serde_json::from_str::<Value>(text) {
                Ok(_) => false,
                Err(error) => broken_off || error.classify() == Category::Eof,
            },
        }
    }

    fn parse(&self, record: &[u8], place: Place) -> Result<Record, RecordError> {
        let line: Line = serde_json::from_str(utf8(record)?)
            .map_err(|error| RecordError::new(RejectReason::Malformed, error.to_string()))?;
        let id = |value: Option<&Value>| value.map(id_of).transpose();
        let fields = Fields {
            id: id(line.id.as_ref())?,
            pmid: id(line.pmid.as_ref())?,
            title: line.title,
            text: line.abstract_text.or(line.text),
        };
        fields.into_record(place)
    }

    fn salvage_pmid(&self, record: &[u8]) -> Option<Pmid> {
        let object: Value = serde_json::from_slice(record).ok()?;
        parse_pmid(&id_of(object.get("pmid")?).ok()?).ok()
    }
}

#[derive(Deserialize)]
struct Line {
    id: Option<Value>,
    pmid: Option<Value>,
    title: Option<String>,
    #[serde(rename = "abstract")]
    abstract_text: Option<String>,
    text: Option<String>,
}

/// An id as text: a string unchanged, an integer in decimal.
fn id_of(id: &Value) -> Result<String, RecordError> {
    match id {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Ok(number.to_string()),
        _ => Err(RecordError::new(RejectReason::BadId, "id is not a string or an integer")),
    }
}
