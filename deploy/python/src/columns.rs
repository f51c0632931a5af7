//! The columns that texts are made of.

use std::ops::Range;

use arrow::array::{Array, AsArray, LargeStringArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use pubtag_schemas::{AbstractSegment, CitationText};

/// The most bytes that offsets can count.
const MOST_BYTES: usize = i32::MAX as usize;

/// A column with titles, one with texts, or both.
#[derive(Clone, Debug)]
pub(crate) struct TextColumns {
    title: Option<usize>,
    text: Option<usize>,
}

impl TextColumns {
    /// Finds the columns that are asked for. By default, as `pubtag run` finds them in tables: `abstract` or `text`, and
    /// `title` unless only the other is asked for.
    ///
    /// # Errors
    /// A column is missing, or not of strings.
    pub(crate) fn find(schema: &Schema, title: Option<&str>, text: Option<&str>) -> Result<Self, String> {
        let known = || schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        let place = |name: &str| schema.fields().iter().position(|field| field.name() == name);
        let wanted =
            |name: &str| place(name).map(Some).ok_or_else(|| format!("no column {name:?}; columns are {}", known()));
        let found = match (title, text) {
            (None, None) => Self { title: place("title"), text: place("abstract").or_else(|| place("text")) },
            (title, text) => Self { title: title.map_or(Ok(None), wanted)?, text: text.map_or(Ok(None), wanted)? },
        };
        let columns: Vec<usize> = [found.title, found.text].into_iter().flatten().collect();
        if columns.is_empty() && !schema.fields().is_empty() {
            return Err(format!("no column title, abstract or text; give one of {} as text=", known()));
        }
        match columns.iter().map(|at| schema.field(*at)).find(|field| !is_text(field.data_type())) {
            Some(field) => {
                Err(format!("column {:?} has type {}; texts must be strings", field.name(), field.data_type()))
            }
            None => Ok(found),
        }
    }

    /// The texts of some rows; `None` for a row without title and text.
    ///
    /// # Errors
    /// A value is not UTF-8, or too long for 32-bit offsets.
    pub(crate) fn texts(
        &self,
        batch: &RecordBatch,
        rows: Range<usize>,
    ) -> Result<Vec<Option<CitationText>>, ArrowError> {
        let column = |at: Option<usize>| at.map(|at| strings(batch, at, rows.clone())).transpose();
        let (titles, texts) = (column(self.title)?, column(self.text)?);
        (0..rows.len()).map(|row| fitting(text_of(titles.as_ref(), texts.as_ref(), row))).collect()
    }
}

/// Title and text as `pubtag run` joins them. A text without a title stays as it is, so that offsets are those of the
/// column.
fn text_of(titles: Option<&LargeStringArray>, texts: Option<&LargeStringArray>, row: usize) -> Option<CitationText> {
    let value = |column: Option<&LargeStringArray>| {
        column.filter(|column| column.is_valid(row)).map(|column| column.value(row).to_owned())
    };
    let text = value(texts);
    if titles.is_none() {
        return text.map(|text| CitationText::of_parts(&text, std::iter::once(0..text.len())));
    }
    let title = value(titles);
    (title.is_some() || text.is_some()).then(|| {
        let segment = AbstractSegment { text: text.unwrap_or_default(), ..AbstractSegment::default() };
        CitationText::new(&title.unwrap_or_default(), vec![segment])
    })
}

fn fitting(text: Option<CitationText>) -> Result<Option<CitationText>, ArrowError> {
    match &text {
        Some(long) if long.as_str().len() > MOST_BYTES => {
            Err(ArrowError::InvalidArgumentError(format!("a text is longer than {MOST_BYTES} bytes; split it")))
        }
        _ => Ok(text),
    }
}

/// Rows of a column as strings, checked: producers in other languages do not all guarantee UTF-8.
fn strings(batch: &RecordBatch, at: usize, rows: Range<usize>) -> Result<LargeStringArray, ArrowError> {
    let slice = batch.column(at).slice(rows.start, rows.len());
    slice.to_data().validate_full()?;
    Ok(cast(&slice, &DataType::LargeUtf8)?.as_string::<i64>().clone())
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
