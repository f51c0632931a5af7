//! Arrow data from Python, batch by batch.

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ffi_stream::RecordBatchStreamReader;
use arrow_pyarrow::FromPyArrow;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyIterator;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// A stream of record batches. It is read without copying, and only as far as asked.
pub(crate) struct Input {
    /// The columns of every batch.
    pub(crate) schema: SchemaRef,
    batches: Batches,
}

impl Input {
    /// Opens anything with `__arrow_c_stream__` or `__arrow_c_array__`, or an iterable of such objects.
    ///
    /// # Errors
    /// It is something else, or not made of columns.
    pub(crate) fn open(data: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Some(table) = Self::table(data)? {
            return Ok(table);
        }
        let mut tables = Tables { left: data.try_iter().map_err(|_| not_arrow(data))?.unbind() };
        let first = tables.next(data.py()).transpose()?;
        // Spark passes no batches at all for a partition without rows.
        let schema = first.as_ref().map_or_else(|| Schema::empty().into(), |first| first.schema.clone());
        let first = first.into_iter().flat_map(|first| first.batches);
        Ok(Self { schema, batches: Box::new(first.chain(tables.flatten())) })
    }

    /// Lets go of what is left.
    pub(crate) fn close(&mut self) {
        // A generator may run code when it is dropped, which Python would otherwise do later.
        Python::attach(|_| self.batches = Box::new(std::iter::empty()));
    }

    /// The data, if it is Arrow data.
    fn table(data: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if data.hasattr("__arrow_c_stream__")? {
            let reader = RecordBatchStreamReader::from_pyarrow_bound(data)?;
            return Ok(Some(Self { schema: reader.schema(), batches: Box::new(reader) }));
        }
        if data.hasattr("__arrow_c_array__")? {
            let batch = RecordBatch::from_pyarrow_bound(data)?;
            return Ok(Some(Self { schema: batch.schema(), batches: Box::new(std::iter::once(Ok(batch))) }));
        }
        Ok(None)
    }
}

impl Iterator for Input {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.batches.next()?;
        let same = |batch: &RecordBatch| batch.schema().fields() == self.schema.fields();
        let other = || ArrowError::SchemaError("a batch has other columns than the first".to_owned());
        Some(next.and_then(|batch| if same(&batch) { Ok(batch) } else { Err(other()) }))
    }
}

/// The items of a Python iterator.
struct Tables {
    left: Py<PyIterator>,
}

impl Tables {
    fn next(&mut self, py: Python<'_>) -> Option<PyResult<Input>> {
        let item = self.left.bind(py).clone().next()?;
        Some(item.and_then(|item| Input::table(&item)?.ok_or_else(|| not_arrow(&item))))
    }

    /// The batches of all items; an exception is an error.
    fn flatten(mut self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send {
        let items = std::iter::from_fn(move || Python::attach(|py| self.next(py)));
        items.flat_map(|item| match item {
            Ok(input) => input.batches,
            Err(exception) => Box::new(std::iter::once(Err(ArrowError::ExternalError(Box::new(exception))))),
        })
    }
}

fn not_arrow(data: &Bound<'_, PyAny>) -> PyErr {
    let found = data.get_type().fully_qualified_name().map_or_else(|_| "it".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "{found} is not Arrow data: expected an object with __arrow_c_stream__ or __arrow_c_array__ (a table, data frame, \
         reader or record batch), or an iterable of them"
    ))
}
