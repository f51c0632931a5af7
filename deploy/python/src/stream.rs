//! Batches through the tagger, and out as an Arrow C stream.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ffi_stream::FFI_ArrowArrayStream;
use pubtag::exit::Failure;
use pubtag::tagger::{Next, Tagging};
use pubtag_schemas::{CitationText, TaggedDocument};
use pubtag_stream::without_panic;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::columns::TextColumns;
use crate::errors;
use crate::input::Input;
use crate::process::InProcess;
use crate::rows::{Layout, Mentions};

/// Texts put in at once.
const PACKET: usize = 64;

/// Time between looks for Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

/// Tagged record batches, in the order of the input.
///
/// It has `__arrow_c_stream__`, so `pyarrow.table`, `polars.DataFrame`, `pandas.DataFrame.from_arrow`, DuckDB and others
/// read it; `pyarrow.RecordBatchReader.from_stream` iterates over its batches. It can be read once.
#[pyclass(module = "pubtag", frozen)]
pub(crate) struct TaggedStream {
    /// `None` once it has been handed over.
    batches: Mutex<Option<TaggedBatches>>,
}

impl TaggedStream {
    pub(crate) fn new(batches: TaggedBatches) -> Self {
        Self { batches: Mutex::new(Some(batches)) }
    }
}

#[pymethods]
impl TaggedStream {
    /// The stream in the Arrow PyCapsule interface.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The interface permits to ignore it.
        drop(requested_schema);
        let batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batches = batches.ok_or_else(|| errors::usage(py, "the stream has been read; call Tagger.tag again"))?;
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

/// Reads batches, tags their texts and adds the mentions.
///
/// *Memory*: the batches whose texts are in the tagger, which holds a bounded number of texts.
pub(crate) struct TaggedBatches {
    input: Input,
    columns: TextColumns,
    layout: Layout,
    schema: SchemaRef,
    /// A fork cannot read on.
    tagging: InProcess<Tagging>,
    /// Batches whose texts are being tagged, oldest first; only the last may have texts that are not put in yet.
    open: VecDeque<OpenBatch>,
    /// What is done.
    done: VecDeque<RecordBatch>,
    ended: bool,
}

/// A batch whose texts are being tagged.
struct OpenBatch {
    batch: RecordBatch,
    /// For each row that was put in, whether it has a text.
    has_text: Vec<bool>,
    mentions: Mentions,
}

impl OpenBatch {
    fn new(batch: RecordBatch) -> Self {
        Self { batch, has_text: Vec::new(), mentions: Mentions::default() }
    }

    /// Takes the next rows.
    fn texts(&mut self, columns: &TextColumns) -> Result<Vec<CitationText>, ArrowError> {
        let start = self.has_text.len();
        let texts = columns.texts(&self.batch, start..self.batch.num_rows().min(start + PACKET))?;
        self.has_text.extend(texts.iter().map(Option::is_some));
        self.skip_nulls();
        Ok(texts.into_iter().flatten().collect())
    }

    /// Whether it waits for the mentions of a text.
    fn is_waiting(&self) -> bool {
        self.mentions.len() < self.has_text.len()
    }

    fn push(&mut self, document: &TaggedDocument) -> Result<(), ArrowError> {
        self.mentions.push(document)?;
        self.skip_nulls();
        Ok(())
    }

    /// Adds the rows without text that come next.
    fn skip_nulls(&mut self) {
        while self.has_text.get(self.mentions.len()) == Some(&false) {
            self.mentions.push_null();
        }
    }

    fn all_in(&self) -> bool {
        self.has_text.len() == self.batch.num_rows()
    }

    fn is_done(&self) -> bool {
        self.all_in() && !self.is_waiting()
    }
}

impl TaggedBatches {
    pub(crate) fn new(input: Input, columns: TextColumns, layout: Layout, schema: SchemaRef, tagging: Tagging) -> Self {
        let (open, done) = (VecDeque::new(), VecDeque::new());
        Self { input, columns, layout, schema, tagging: InProcess::new(tagging), open, done, ended: false }
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            if let Some(batch) = self.done.pop_front() {
                return Ok(Some(batch));
            }
            if let Some(open) = self.open.pop_front_if(|open| open.is_done()) {
                self.done.extend(open.mentions.add_to(&open.batch, &self.layout, &self.schema)?);
                continue;
            }
            let failed = |failure: Failure| ArrowError::ExternalError(format!("{:#}", failure.error).into());
            match self.tagging()?.next(TICK).map_err(failed)? {
                Next::Documents(documents) => self.take(&documents)?,
                Next::Room => self.put()?,
                Next::End => return Ok(None),
                Next::Wait => check_signals()?,
            }
        }
    }

    /// # Errors
    /// In a fork.
    fn tagging(&mut self) -> Result<&mut Tagging, ArrowError> {
        let elsewhere = || ArrowError::InvalidArgumentError("the stream was made in another process".to_owned());
        self.tagging.get_mut().ok_or_else(elsewhere)
    }

    /// Puts the next texts into the tagger.
    fn put(&mut self) -> Result<(), ArrowError> {
        if self.open.back().is_none_or(OpenBatch::all_in) {
            match self.input.next().transpose()? {
                Some(batch) => self.open.push_back(OpenBatch::new(batch)),
                None => self.tagging()?.finish(),
            }
        }
        let Some(last) = self.open.back_mut().filter(|last| !last.all_in()) else { return Ok(()) };
        let texts = last.texts(&self.columns)?;
        if !texts.is_empty() {
            self.tagging()?.push(texts);
        }
        Ok(())
    }

    /// Takes documents, which come in the order of their texts.
    fn take(&mut self, documents: &[TaggedDocument]) -> Result<(), ArrowError> {
        for document in documents {
            let open = self.open.iter_mut().find(|open| open.is_waiting()).expect("a document for each text, in order");
            open.push(document)?;
        }
        Ok(())
    }
}

impl Iterator for TaggedBatches {
    type Item = Result<RecordBatch, ArrowError>;

    /// Whoever calls through the C interface may hold the interpreter's lock or not; while waiting, it is free. A panic
    /// must not get there.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let stopped = || Err(ArrowError::ComputeError("the interpreter has ended".to_owned()));
        let advanced = Python::try_attach(|py| py.detach(|| without_panic(|| self.advance())));
        let advanced = advanced.map_or_else(stopped, |caught| {
            caught.unwrap_or_else(|panic| Err(ArrowError::ComputeError(format!("panicked: {panic}"))))
        });
        self.ended = !matches!(advanced, Ok(Some(_)));
        if advanced.is_err() {
            self.input.close();
        }
        advanced.map_err(without_nul).transpose()
    }
}

impl RecordBatchReader for TaggedBatches {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// Lets Python handle signals.
///
/// # Errors
/// A handler raised an exception.
fn check_signals() -> Result<(), ArrowError> {
    Python::attach(|py| py.check_signals().map_err(|exception| ArrowError::ExternalError(Box::new(exception))))
}

/// The C interface has no place for a message with a zero byte.
fn without_nul(error: ArrowError) -> ArrowError {
    let message = error.to_string();
    if message.contains('\0') { ArrowError::ComputeError(message.replace('\0', "\\0")) } else { error }
}
