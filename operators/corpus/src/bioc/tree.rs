//! The tree of a BioC document.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Keys of infons that hold concept identifiers, in order of preference.
pub(super) const CONCEPT_KEYS: &[&str] = &["identifier", "cui", "concept_id", "MESH", "OMIM"];
/// Key of the infon that holds a category or the kind of a passage.
pub(super) const TYPE: &str = "type";

/// A document of a BioC collection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BiocDocument {
    #[serde(deserialize_with = "name")]
    pub(crate) id: String,
    pub(crate) infons: Infons,
    pub(crate) passages: Vec<BiocPassage>,
    pub(crate) annotations: Vec<BiocAnnotation>,
    pub(crate) relations: Vec<Value>,
}

/// A passage: its text, or its sentences.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BiocPassage {
    pub(crate) infons: Infons,
    pub(crate) offset: usize,
    pub(crate) text: Option<String>,
    pub(crate) sentences: Vec<BiocSentence>,
    pub(crate) annotations: Vec<BiocAnnotation>,
    pub(crate) relations: Vec<Value>,
}

/// A sentence of a passage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BiocSentence {
    pub(crate) infons: Infons,
    pub(crate) offset: usize,
    pub(crate) text: Option<String>,
    pub(crate) annotations: Vec<BiocAnnotation>,
    pub(crate) relations: Vec<Value>,
}

/// An annotation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BiocAnnotation {
    #[serde(deserialize_with = "name")]
    pub(crate) id: String,
    pub(crate) infons: Infons,
    pub(crate) text: Option<String>,
    pub(crate) locations: Vec<BiocLocation>,
}

/// The location of an annotation, or of a part of it, in the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct BiocLocation {
    pub(crate) offset: usize,
    pub(crate) length: usize,
}

/// Keys and values. Real JSON files also have numbers, nulls and lists here.
pub(crate) type Infons = Map<String, Value>;

/// An identifier, which some writers give as a number.
fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = Value::deserialize(deserializer)?;
    as_text(&value).ok_or_else(|| serde::de::Error::custom("an id must be a string or a number"))
}

pub(super) fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some(String::new()),
        _ => None,
    }
}
