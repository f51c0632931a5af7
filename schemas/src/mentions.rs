//! Mentions by themselves: the columns of `annotations` that depend on neither a document's id nor a run.

use std::collections::HashMap;

use arrow::array::StructArray;
use arrow::datatypes::{Field, Fields};
use arrow::error::ArrowError;

use crate::table::{Table, int};
use crate::tables::AnnotationRow;
use crate::{Annotation, CharOffsets, CitationText, Section};

/// The columns of `annotations` that a mention by itself has.
const COLUMNS: [&str; 9] =
    ["section", "start_char", "end_char", "start_byte", "end_byte", "mention", "label", "score", "source"];

/// The row of a mention, without document and run.
///
/// # Errors
/// If the annotation is outside of the text, or a number is out of range.
pub fn mention_row(
    text: &CitationText,
    annotation: &Annotation,
    offsets: &mut CharOffsets<'_>,
) -> Result<AnnotationRow, String> {
    let Annotation { bytes, label, score, source, concept_ids } = annotation;
    let mention = text.as_str().get(bytes.clone()).filter(|mention| !mention.is_empty());
    let mention = mention.ok_or_else(|| format!("annotation at bytes {bytes:?} is not on characters of the text"))?;
    let mut chars = |byte| offsets.at(byte).ok_or_else(|| format!("byte {byte} is inside a character"));
    let (start_char, end_char) = (chars(bytes.start)?, chars(bytes.end)?);
    Ok(AnnotationRow {
        annotation_id: String::new(),
        doc_id: String::new(),
        pmid: None,
        pmid_version: 1,
        section: text.section_at(bytes.start).map_or("title", Section::name).to_owned(),
        start_char: int(start_char, "start_char")?,
        end_char: int(end_char, "end_char")?,
        start_byte: int(bytes.start, "start_byte")?,
        end_byte: int(bytes.end, "end_byte")?,
        mention: mention.to_owned(),
        label: label.clone(),
        score: *score,
        concept_ids: (!concept_ids.is_empty()).then(|| concept_ids.clone()),
        model_id: String::new(),
        run_id: String::new(),
        generation: None,
        file_seq: None,
        ordinal: 0,
        source_file: String::new(),
        source: Some(source.as_str().to_owned()),
    })
}

/// The fields of a mention, with names and types of `annotations`, without the ids of its columns.
pub fn mention_fields() -> Fields {
    let schema = AnnotationRow::schema();
    let field = |name: &&str| schema.field_with_name(name).expect("a column of annotations").clone();
    COLUMNS.iter().map(|name| field(name).with_metadata(HashMap::new())).collect::<Vec<Field>>().into()
}

/// Mentions as structs of [`mention_fields`].
///
/// # Errors
/// As [`Table::to_batch`].
pub fn mention_structs(rows: &[AnnotationRow]) -> Result<StructArray, ArrowError> {
    let batch = AnnotationRow::to_batch(rows)?;
    let column = |name: &&str| batch.column_by_name(name).expect("a column of annotations").clone();
    StructArray::try_new(mention_fields(), COLUMNS.iter().map(column).collect(), None)
}
