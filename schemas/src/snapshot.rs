//! The tables of a snapshot: documents with their annotations, and what changed since the snapshot before.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use crate::table::{Column, FIELD_ID, Table, columns_markdown};
use crate::tables::{AnnotationRow, DocumentRow};

/// Columns of `annotations` that repeat those of their document.
const OF_THE_DOCUMENT: [&str; 9] =
    ["doc_id", "pmid", "pmid_version", "model_id", "run_id", "generation", "file_seq", "ordinal", "source_file"];

/// Id of the column `annotations`, far above those of `documents`, which grow. Its members have the ids of the columns of
/// [`AnnotationRow`] above a hundred times this.
const ANNOTATIONS_ID: i32 = 1000;

/// The columns of a citation in a snapshot: those of [`DocumentRow`], and its annotations as a list.
pub fn snapshot_schema() -> SchemaRef {
    Arc::new(Schema::new(snapshot_columns().into_iter().map(|column| column.field).collect::<Vec<_>>()))
}

/// The columns of a change: those of a citation in a snapshot, the kind of change and the snapshot.
pub fn change_schema() -> SchemaRef {
    let columns = snapshot_columns().into_iter().chain(change_columns());
    Arc::new(Schema::new(columns.map(|column| column.field).collect::<Vec<_>>()))
}

/// The documentation of both tables in Markdown.
pub fn snapshot_markdown() -> String {
    let documents = "One row per live citation (`pubtag snapshot`).";
    let changes = "One row per citation that one snapshot inserted, updated or deleted. All columns of the snapshot's `documents`, and:";
    columns_markdown("snapshot documents", documents, snapshot_columns())
        + "\n"
        + &columns_markdown("snapshot changes", changes, change_columns())
}

/// The members of an annotation in a snapshot.
pub fn annotation_members() -> Fields {
    let columns = AnnotationRow::columns().into_iter().map(|column| column.field);
    columns.filter(|field| !OF_THE_DOCUMENT.contains(&field.name().as_str())).map(within_annotations).collect()
}

/// A column of `annotations` as a member of the list, with ids of its own.
fn within_annotations(field: Field) -> Field {
    let id = field.metadata().get(FIELD_ID).and_then(|id| id.parse::<i32>().ok()).unwrap_or_default();
    let data_type = match field.data_type() {
        DataType::List(item) => DataType::List(Arc::new(with_id(item.as_ref().clone(), ANNOTATIONS_ID * 200 + id))),
        other => other.clone(),
    };
    with_id(field.with_data_type(data_type), ANNOTATIONS_ID * 100 + id)
}

fn with_id(field: Field, id: i32) -> Field {
    field.with_metadata(HashMap::from([(FIELD_ID.to_owned(), id.to_string())]))
}

/// The item of the column `annotations`.
pub fn annotation_item() -> Field {
    with_id(Field::new("element", DataType::Struct(annotation_members()), false), ANNOTATIONS_ID * 100)
}

fn snapshot_columns() -> Vec<Column> {
    let list = DataType::List(Arc::new(annotation_item()));
    let mut columns = DocumentRow::columns();
    columns.push(Column {
        field: with_id(Field::new("annotations", list, false), ANNOTATIONS_ID),
        doc: "The document's rows of `annotations`, in order of position, without the columns that repeat the document's.",
    });
    columns
}

fn change_columns() -> Vec<Column> {
    vec![
        Column::new::<String>(
            ANNOTATIONS_ID + 1,
            "change",
            "`inserted`, `updated` or `deleted`; of a deleted citation, the row is its last.",
        ),
        Column::new::<i64>(ANNOTATIONS_ID + 2, "snapshot", "Number of the snapshot that the change came with."),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ids(field: &Field, found: &mut Vec<i32>) {
        found.push(field.metadata()[FIELD_ID].parse().expect("a field id is a number"));
        match field.data_type() {
            DataType::List(item) => ids(item, found),
            DataType::Struct(members) => members.iter().for_each(|member| ids(member, found)),
            _ => {}
        }
    }

    #[test]
    fn every_field_of_a_change_has_a_unique_id() {
        let mut found = Vec::new();
        change_schema().fields().iter().for_each(|field| ids(field, &mut found));
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len(), "{found:?}");
    }

    #[test]
    fn an_annotation_keeps_every_column_that_is_not_its_documents() {
        let document: Vec<_> = DocumentRow::columns().into_iter().map(|column| column.field.name().clone()).collect();
        let kept: Vec<_> = annotation_members().iter().map(|field| field.name().clone()).collect();
        for column in AnnotationRow::columns() {
            let name = column.field.name();
            assert_ne!(kept.contains(name), OF_THE_DOCUMENT.contains(&name.as_str()), "{name}");
            assert!(kept.contains(name) || document.contains(name), "{name} is lost");
        }
    }
}
