//! Puts the annotations of an input into its documents.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, ListArray, RecordBatch, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, Schema, SchemaRef};
use async_stream::try_stream;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use pubtag_schemas::snapshot::{annotation_item, annotation_members, snapshot_schema};
use pubtag_schemas::table::Table;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow};
use pubtag_stream::Fault;

use crate::rows::columns;
use crate::{Committed, Error, Parts};

/// The documents of an input, in order, in the columns of a snapshot.
///
/// Both tables are in order of `ordinal`, so one pass over each is enough.
///
/// *Memory*: one batch of documents and its annotations.
pub(crate) fn nested<'a>(
    parts: &'a dyn Parts,
    commit: &'a Committed,
) -> impl Stream<Item = Result<RecordBatch, Error>> + 'a {
    try_stream! {
        let schema = snapshot_schema();
        let document_fields = DocumentRow::schema().fields().clone();
        let mut annotations = Annotations::of(parts, commit);
        let mut documents = table(parts, commit, DocumentRow::NAME);
        while let Some(batch) = documents.next().await {
            let mut columns = columns(&batch?, &document_fields)?;
            columns.push(annotations.of_documents(&columns, &document_fields).await?);
            yield RecordBatch::try_new(schema.clone(), columns)?;
        }
        annotations.finish().await?;
    }
}

/// The rows of a table of an input.
fn table<'a>(parts: &'a dyn Parts, commit: &'a Committed, table: &'a str) -> BoxStream<'a, Result<RecordBatch, Fault>> {
    futures::stream::iter(commit.parts(table)).map(|part| parts.rows(part, None)).flatten().boxed()
}

/// The annotations of an input, read along with its documents.
struct Annotations<'a> {
    uri: &'a str,
    rows: BoxStream<'a, Result<RecordBatch, Fault>>,
    schema: SchemaRef,
    /// Read, but of later documents; the first column is `ordinal`.
    ahead: Vec<RecordBatch>,
}

impl<'a> Annotations<'a> {
    fn of(parts: &'a dyn Parts, commit: &'a Committed) -> Self {
        let ordinal = AnnotationRow::columns().into_iter().map(|column| column.field);
        let ordinal = ordinal.filter(|field| field.name() == "ordinal").map(Arc::new);
        let schema = Schema::new(ordinal.chain(annotation_members().iter().cloned()).collect::<Vec<_>>());
        let rows = table(parts, commit, AnnotationRow::NAME);
        Self { uri: &commit.commit.input.uri, rows, schema: Arc::new(schema), ahead: Vec::new() }
    }

    /// The annotations of a batch of documents, as their column `annotations`.
    async fn of_documents(
        &mut self,
        documents: &[ArrayRef],
        fields: &arrow::datatypes::Fields,
    ) -> Result<ArrayRef, Error> {
        let integers = |name| {
            let index = fields.find(name).map(|(index, _)| index).expect("a column of documents");
            documents[index].as_primitive::<Int32Type>()
        };
        let (ordinals, counts) = (integers("ordinal"), integers("annotation_count"));
        let last = ordinals.values().last().copied().unwrap_or(i32::MIN);
        self.read_to(last).await?;
        let all = concat_batches(&self.schema, &self.ahead)?;
        let lengths = self.lengths(&all, ordinals, counts)?;
        let used = lengths.iter().sum();
        self.ahead = vec![all.slice(used, all.num_rows() - used)];
        let members = StructArray::new(annotation_members(), all.slice(0, used).columns()[1..].to_vec(), None);
        let item = Arc::new(annotation_item());
        Ok(Arc::new(ListArray::new(item, OffsetBuffer::from_lengths(lengths), Arc::new(members), None)))
    }

    /// Reads until the annotations of the document with this ordinal are all there.
    async fn read_to(&mut self, ordinal: i32) -> Result<(), Error> {
        while self.ahead.last().and_then(last_ordinal).is_none_or(|last| last <= ordinal) {
            let Some(batch) = self.rows.next().await else { return Ok(()) };
            let batch = crate::rows::conform(&batch?, &self.schema)?;
            if batch.num_rows() > 0 {
                self.ahead.push(batch);
            }
        }
        Ok(())
    }

    /// How many annotations each document has; they follow each other.
    fn lengths(&self, all: &RecordBatch, ordinals: &Int32Array, counts: &Int32Array) -> Result<Vec<usize>, Error> {
        let of = all.column(0).as_primitive::<Int32Type>();
        let mut at = 0;
        let mut length = |ordinal: i32, expected: i32| {
            let start = at;
            while at < of.len() && of.value(at) == ordinal {
                at += 1;
            }
            let found = at - start;
            if usize::try_from(expected) == Ok(found) {
                return Ok(found);
            }
            Err(self.inconsistent(format!("record {ordinal} has {expected} annotations, but {found} were found")))
        };
        ordinals.values().iter().zip(counts.values()).map(|(ordinal, count)| length(*ordinal, *count)).collect()
    }

    /// Checks that no annotations are left.
    async fn finish(mut self) -> Result<(), Error> {
        self.read_to(i32::MAX).await?;
        match self.ahead.iter().map(RecordBatch::num_rows).sum() {
            0 => Ok(()),
            left => Err(self.inconsistent(format!("{left} annotations belong to no document"))),
        }
    }

    fn inconsistent(&self, why: String) -> Error {
        Error::Inconsistent { uri: self.uri.to_owned(), why }
    }
}

fn last_ordinal(batch: &RecordBatch) -> Option<i32> {
    batch.column(0).as_primitive::<Int32Type>().values().last().copied()
}
