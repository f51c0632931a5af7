//! JSONL: one object per line, `{"id" | "pmid", "title"?, "abstract" | "text"}`, or with the names that the user gives.

use pubtag_schemas::{Place, Pmid, Record, RejectReason};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::collector::RecordError;
use crate::delimited::{Format, line_end, utf8};
use crate::fields::{Fields, parse_pmid};
use crate::options::TextColumns;

/// The JSONL format.
#[derive(Debug)]
pub(crate) struct Jsonl {
    /// The names that the user gives.
    pub(crate) columns: TextColumns,
}

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
        let text = utf8(record)?;
        // serde would take an array for the fields in order.
        if !text.starts_with('{') {
            return Err(RecordError::new(RejectReason::Malformed, "not a JSON object"));
        }
        let fields = match self.columns == TextColumns::default() {
            true => read::<Line>(text)?.fields(),
            false => self.fields(&read(text)?),
        };
        fields?.into_record(place)
    }

    fn salvage_pmid(&self, record: &[u8]) -> Option<Pmid> {
        let object: Value = serde_json::from_slice(record).ok()?;
        parse_pmid(&id_of(object.get("pmid")?).ok()?).ok()
    }
}

impl Jsonl {
    /// The fields under the given names. As in tables, a named text column without a title column means no title.
    fn fields(&self, object: &Map<String, Value>) -> Result<Fields, RecordError> {
        let TextColumns { id, title, text } = &self.columns;
        let value = |name: &str| object.get(name).filter(|value| !value.is_null());
        let string = |name: &str| match value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(RecordError::new(RejectReason::Malformed, format!("{name} is not a string"))),
        };
        let id_in = |name: &str| value(name).map(id_of).transpose();
        let pmid = if id.as_deref().is_none_or(|name| name == "pmid") { id_in("pmid")? } else { None };
        let title = title.as_deref().or(text.is_none().then_some("title"));
        Ok(Fields {
            id: id_in(id.as_deref().unwrap_or("id"))?,
            pmid,
            title: title.map_or(Ok(None), string)?,
            text: match text {
                Some(name) => string(name)?,
                None => one_text(string("abstract")?, string("text")?)?,
            },
        })
    }
}

/// The text under one of two names. With both, one of them would not be read.
fn one_text(abstract_text: Option<String>, text: Option<String>) -> Result<Option<String>, RecordError> {
    match (abstract_text, text) {
        (Some(one), Some(other)) if one != other => Err(RecordError::new(
            RejectReason::Malformed,
            "has both abstract and text; name the one to read with --text-column",
        )),
        (one, other) => Ok(one.or(other)),
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, RecordError> {
    serde_json::from_str(text).map_err(|error| RecordError::new(RejectReason::Malformed, error.to_string()))
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

impl Line {
    fn fields(self) -> Result<Fields, RecordError> {
        let id = |value: Option<&Value>| value.map(id_of).transpose();
        Ok(Fields {
            id: id(self.id.as_ref())?,
            pmid: id(self.pmid.as_ref())?,
            title: self.title,
            text: one_text(self.abstract_text, self.text)?,
        })
    }
}

/// An id as text: a string unchanged, an integer in decimal.
fn id_of(id: &Value) -> Result<String, RecordError> {
    match id {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Ok(number.to_string()),
        _ => Err(RecordError::new(RejectReason::BadId, "id is not a string or an integer")),
    }
}
