//! A row of `annotations` against its document.

use std::collections::HashSet;
use std::ops::{Range, RangeInclusive};

use arrow::array::{Array, Int32Array, Int64Array};
use pubtag_schemas::CharOffsets;

use super::columns::{Annotations, Row};
use super::defect::Defect;
use super::document::Document;

/// A score is a mean of probabilities; in f32 it can exceed 1 by a rounding error.
const SCORES: RangeInclusive<f32> = 0.0..=1.0001;

/// Checks the annotations that belong to a document; `report` is called for each that is wrong.
///
/// # Errors
/// If their number differs from the document's.
pub(super) fn check_all(
    annotations: &[Row<Annotations>],
    document: &Document,
    mut report: impl FnMut(Defect),
) -> Result<(), Defect> {
    let mut ids = HashSet::new();
    let mut offsets = document.text.as_deref().map(CharOffsets::new);
    for row in annotations {
        let id = row.columns.annotation_id.value(row.at);
        if !ids.insert(id) {
            report(row.defect("duplicate annotation_id").found(id));
        } else if let Err(defect) = check(row, document, offsets.as_mut()) {
            report(defect);
        }
    }
    let rows = i32::try_from(ids.len()).unwrap_or(i32::MAX);
    document.row.equal("annotation_count does not match the rows", rows, document.annotation_count())
}

/// Checks an annotation's document and offsets; `offsets` are those of the document's text, if it was kept.
///
/// # Errors
/// The first thing that is wrong.
fn check(row: &Row<Annotations>, document: &Document, offsets: Option<&mut CharOffsets<'_>>) -> Result<(), Defect> {
    check_document(row, document)?;
    check_lengths(row)?;
    if let (Some(text), Some(offsets)) = (&document.text, offsets) {
        check_text(row, text, offsets)?;
    }
    let section = section_at(document, row.columns.start_char.value(row.at));
    row.equal("section does not match start_char", section, row.columns.section.value(row.at))?;
    let score = row.columns.score.value(row.at);
    if SCORES.contains(&score) { Ok(()) } else { Err(row.defect("score is not a probability").found(score)) }
}

fn check_document(row: &Row<Annotations>, document: &Document) -> Result<(), Defect> {
    let (ours, theirs) = (&document.row, row);
    let doc_id = ours.columns.doc_id.value(ours.at);
    row.equal("doc_id differs from its document's", doc_id, theirs.columns.doc_id.value(theirs.at))?;
    let pmid = |column: &Int64Array, at: usize| column.is_valid(at).then(|| column.value(at));
    let expected = pmid(&ours.columns.pmid, ours.at);
    row.equal("pmid differs from its document's", expected, pmid(&theirs.columns.pmid, theirs.at))?;
    let version = ours.columns.pmid_version.value(ours.at);
    row.equal("pmid_version differs from its document's", version, theirs.columns.pmid_version.value(theirs.at))
}

fn range(row: &Row<Annotations>, start: &Int32Array, end: &Int32Array) -> Range<usize> {
    let at = |column: &Int32Array| usize::try_from(column.value(row.at)).unwrap_or(usize::MAX);
    at(start)..at(end)
}

fn bytes(row: &Row<Annotations>) -> Range<usize> {
    range(row, &row.columns.start_byte, &row.columns.end_byte)
}

fn chars(row: &Row<Annotations>) -> Range<usize> {
    range(row, &row.columns.start_char, &row.columns.end_char)
}

/// Checks the mention's length against its offsets, which does not need the text.
fn check_lengths(row: &Row<Annotations>) -> Result<(), Defect> {
    let mention = row.columns.mention.value(row.at);
    let length = |range: Range<usize>| range.end.checked_sub(range.start);
    if mention.is_empty() {
        return Err(row.defect("mention is empty"));
    }
    row.equal("byte offsets do not match the mention's length", Some(mention.len()), length(bytes(row)))?;
    row.equal("character offsets do not match the mention's length", Some(mention.chars().count()), length(chars(row)))
}

fn check_text(row: &Row<Annotations>, text: &str, offsets: &mut CharOffsets<'_>) -> Result<(), Defect> {
    let (bytes, mention) = (bytes(row), row.columns.mention.value(row.at));
    row.equal(
        "mention differs from the text at its byte offsets",
        mention,
        text.get(bytes.clone()).unwrap_or_default(),
    )?;
    let start = offsets.at(bytes.start).unwrap_or(usize::MAX);
    row.equal("start_char does not match start_byte", start, chars(row).start)
}

/// The name of the section that contains a character; for the space between two sections, of the one before.
fn section_at(document: &Document, start_char: i32) -> &str {
    let section = document.sections.iter().rev().find(|section| section.start <= start_char);
    section.map_or("title", |section| section.label.as_deref().unwrap_or("abstract"))
}
