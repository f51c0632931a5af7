//! The columns that are checked, typed, and a cursor over their rows.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
};

use super::defect::Defect;

/// Maximum characters of a value in a line.
const SHOWN_CHARS: usize = 80;

/// A batch of one table with typed columns.
pub(super) trait Columns: Sized {
    /// Extracts the columns from a batch.
    ///
    /// # Errors
    /// The name of the first missing column.
    fn of(batch: &RecordBatch) -> Result<Self, &'static str>;

    /// Number of the record in its input.
    fn ordinal(&self, row: usize) -> i32;

    /// The provenance columns, which all tables have.
    fn origin(&self) -> &Origin;
}

/// Declares a struct of typed columns, each named like its column.
macro_rules! columns {
    ($(#[$meta:meta])* $name:ident { $($column:ident: $array:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub(super) struct $name {
            pub(super) origin: Origin,
            $(pub(super) $column: $array,)*
        }

        impl Columns for $name {
            fn of(batch: &RecordBatch) -> Result<Self, &'static str> {
                Ok(Self {
                    origin: Origin::of(batch)?,
                    $($column: typed(batch, stringify!($column).trim_start_matches("r#"))?,)*
                })
            }

            fn ordinal(&self, row: usize) -> i32 {
                self.origin.ordinal.value(row)
            }

            fn origin(&self) -> &Origin {
                &self.origin
            }
        }
    };
}

/// The provenance of a row.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) run_id: StringArray,
    pub(super) generation: Int32Array,
    pub(super) file_seq: Int32Array,
    pub(super) ordinal: Int32Array,
    pub(super) source_file: StringArray,
}

impl Origin {
    fn of(batch: &RecordBatch) -> Result<Self, &'static str> {
        Ok(Self {
            run_id: typed(batch, "run_id")?,
            generation: typed(batch, "generation")?,
            file_seq: typed(batch, "file_seq")?,
            ordinal: typed(batch, "ordinal")?,
            source_file: typed(batch, "source_file")?,
        })
    }
}

columns! {
    /// The checked columns of `annotations`.
    Annotations {
        annotation_id: StringArray,
        doc_id: StringArray,
        pmid: Int64Array,
        pmid_version: Int32Array,
        section: StringArray,
        start_char: Int32Array,
        end_char: Int32Array,
        start_byte: Int32Array,
        end_byte: Int32Array,
        mention: StringArray,
        score: Float32Array,
        model_id: StringArray,
    }
}

columns! {
    /// The checked columns of `documents`.
    Documents {
        doc_id: StringArray,
        pmid: Int64Array,
        pmid_version: Int32Array,
        title: StringArray,
        r#abstract: StringArray,
        text_sha256: StringArray,
        sections: ListArray,
        has_abstract: BooleanArray,
        char_count: Int32Array,
        token_count: Int32Array,
        annotation_count: Int32Array,
        status: StringArray,
        model_id: StringArray,
    }
}

columns! {
    /// The checked columns of `rejects`.
    Rejects {}
}

/// A section of a document, in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) label: Option<String>,
    pub(super) start: i32,
    pub(super) end: i32,
}

impl Documents {
    /// The sections of a document; none if the column has another type.
    pub(super) fn sections(&self, row: usize) -> Vec<Section> {
        let sections = self.sections.value(row);
        let sections = sections.as_struct();
        let column = |name| sections.column_by_name(name).cloned();
        let (Some(labels), Some(starts), Some(ends)) =
            (column("label").and_then(cast::<StringArray>), int(column("start")), int(column("end")))
        else {
            return Vec::new();
        };
        let section = |at| Section {
            label: (!labels.is_null(at)).then(|| labels.value(at).to_owned()),
            start: starts.value(at),
            end: ends.value(at),
        };
        (0..sections.len()).map(section).collect()
    }
}

fn int(column: Option<ArrayRef>) -> Option<Int32Array> {
    column.and_then(cast)
}

fn cast<A: Array + Clone + 'static>(column: ArrayRef) -> Option<A> {
    column.as_any().downcast_ref::<A>().cloned()
}

fn typed<A: Array + Clone + 'static>(batch: &RecordBatch, name: &'static str) -> Result<A, &'static str> {
    batch.column_by_name(name).cloned().and_then(cast).ok_or(name)
}

/// A value that may be null.
pub(super) fn optional(column: &StringArray, row: usize) -> Option<&str> {
    (!column.is_null(row)).then(|| column.value(row))
}

/// A row: its columns and its position.
#[derive(Clone, Debug)]
pub(super) struct Row<C> {
    pub(super) columns: Arc<C>,
    /// Index within the columns.
    pub(super) at: usize,
    /// Path of the part.
    pub(super) part: Arc<str>,
    /// Number within the part, from 0.
    pub(super) number: u64,
}

impl<C: Columns> Row<C> {
    pub(super) fn ordinal(&self) -> i32 {
        self.columns.ordinal(self.at)
    }

    /// A defect of this row.
    pub(super) fn defect(&self, what: &'static str) -> Defect {
        Defect::new(&*self.part, what).at(format_args!("row {}, record {}", self.number, self.ordinal()))
    }

    /// Checks that a value is as expected.
    pub(super) fn equal<T: PartialEq + Debug>(&self, what: &'static str, expected: T, found: T) -> Result<(), Defect> {
        if expected == found { Ok(()) } else { Err(self.defect(what).expected(shown(&expected), shown(&found))) }
    }
}

/// A value for messages: quoted, escaped and truncated.
fn shown(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The rows of a table's parts, one by one.
pub(super) struct Cursor<C, I> {
    parts: I,
    part: Arc<str>,
    batch: Option<Arc<C>>,
    at: usize,
    rows: usize,
    number: u64,
}

/// The input of a cursor: batches with the path of their part.
pub(super) type Batch = Result<(Arc<str>, RecordBatch), Defect>;

impl<C: Columns, I: Iterator<Item = Batch>> Cursor<C, I> {
    pub(super) fn new(parts: I) -> Self {
        Self { parts, part: "".into(), batch: None, at: 0, rows: 0, number: 0 }
    }

    /// The current row; `None` after the last.
    ///
    /// # Errors
    /// What is wrong with the part.
    pub(super) fn row(&mut self) -> Result<Option<Row<C>>, Defect> {
        while self.at == self.rows {
            let Some(batch) = self.parts.next() else { return Ok(None) };
            let (part, batch) = batch?;
            if part != self.part {
                (self.part, self.number) = (part, 0);
            }
            let columns = C::of(&batch);
            let columns = columns.map_err(|name| Defect::new(&*self.part, "column is missing").found(name))?;
            (self.batch, self.at, self.rows) = (Some(Arc::new(columns)), 0, batch.num_rows());
        }
        let row = |columns: &Arc<C>| Row {
            columns: columns.clone(),
            at: self.at,
            part: self.part.clone(),
            number: self.number,
        };
        Ok(self.batch.as_ref().map(row))
    }

    /// Advances to the next row.
    pub(super) fn advance(&mut self) {
        self.at += 1;
        self.number += 1;
    }
}
