//! What is added to the rows of a batch: a list of mentions, or a row per mention.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use pubtag_schemas::mentions::{mention_fields, mention_row, mention_structs};
use pubtag_schemas::tables::AnnotationRow;
use pubtag_schemas::{CharOffsets, TaggedDocument};

/// Rows per batch of a row per mention: each repeats its text.
const EXPLODED_ROWS: usize = 1024;

/// What is added to the input's columns.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// A column of lists, with this name.
    List(String),
    /// A row per mention, with the columns of one.
    Exploded,
}

impl Layout {
    /// The input's schema with the added columns.
    ///
    /// # Errors
    /// The input has a column of the same name.
    pub(crate) fn schema(&self, input: &Schema) -> Result<SchemaRef, String> {
        let added: Fields = match self {
            Self::List(name) => vec![Field::new(name, DataType::List(item()), true)].into(),
            Self::Exploded => mention_fields(),
        };
        if let Some(taken) = added.iter().find(|field| input.field_with_name(field.name()).is_ok()) {
            let way_out = match self {
                Self::List(_) => "choose another name for the mentions with column=",
                Self::Exploded => "rename it, or use explode=False",
            };
            return Err(format!("the input already has a column {:?}; {way_out}", taken.name()));
        }
        let fields = input.fields().iter().chain(&added).cloned().collect::<Vec<_>>();
        Ok(Arc::new(Schema::new_with_metadata(fields, input.metadata().clone())))
    }
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Struct(mention_fields()), false))
}

/// The mentions of a batch.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    rows: Vec<AnnotationRow>,
    /// Mentions of each row; `None` if it has no text.
    counts: Vec<Option<usize>>,
}

impl Mentions {
    /// Adds a row without text.
    pub(crate) fn push_null(&mut self) {
        self.counts.push(None);
    }

    /// Adds a row whose text has been tagged.
    ///
    /// # Errors
    /// An annotation is not in the text.
    pub(crate) fn push(&mut self, document: &TaggedDocument) -> Result<(), ArrowError> {
        let text = &document.citation.text;
        let mut offsets = CharOffsets::new(text.as_str());
        for annotation in &document.annotations {
            let row = mention_row(text, annotation, &mut offsets);
            self.rows.push(row.map_err(|why| ArrowError::ComputeError(format!("{why}; this is a bug in pubtag")))?);
        }
        self.counts.push(Some(document.annotations.len()));
        Ok(())
    }

    /// Rows so far.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// The batch with its mentions; empty batches are left out.
    ///
    /// # Errors
    /// A column becomes too large for its type.
    pub(crate) fn add_to(
        self,
        batch: &RecordBatch,
        layout: &Layout,
        schema: &SchemaRef,
    ) -> Result<Vec<RecordBatch>, ArrowError> {
        let structs = mention_structs(&self.rows)?;
        match layout {
            Layout::List(_) => Ok(vec![with(batch.columns(), [self.lists(structs)?], schema)?]),
            Layout::Exploded => {
                let rows = self.repeated();
                let slice = |start: usize| {
                    let len = EXPLODED_ROWS.min(rows.len() - start);
                    let part = UInt32Array::from(rows[start..start + len].to_vec());
                    let repeated = batch.columns().iter().map(|column| take(column, &part, None));
                    let repeated = repeated.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
                    with(&repeated, structs.slice(start, len).columns().iter().cloned(), schema)
                };
                (0..rows.len()).step_by(EXPLODED_ROWS).map(slice).collect()
            }
        }
    }

    fn lists(&self, structs: StructArray) -> Result<ArrayRef, ArrowError> {
        let offsets = OffsetBuffer::from_lengths(self.counts.iter().map(|count| count.unwrap_or(0)));
        let nulls = NullBuffer::from_iter(self.counts.iter().map(Option::is_some));
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        Ok(Arc::new(ListArray::try_new(item(), offsets, Arc::new(structs), nulls)?))
    }

    /// The row of the batch that each mention is from.
    fn repeated(&self) -> Vec<u32> {
        let rows = (0..).zip(&self.counts);
        rows.flat_map(|(row, count)| std::iter::repeat_n(row, count.unwrap_or(0))).collect()
    }
}

fn with(
    columns: &[ArrayRef],
    added: impl IntoIterator<Item = ArrayRef>,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(schema.clone(), columns.iter().cloned().chain(added).collect())
}
