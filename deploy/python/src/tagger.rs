//! `pubtag.Tagger`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pubtag::config::TaggerConfig;
use pubtag::exit::Failure;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::columns::TextColumns;
use crate::errors;
use crate::input::Input;
use crate::process::InProcess;
use crate::rows::Layout;
use crate::stream::{TaggedBatches, TaggedStream};

/// Finds entities in the texts of Arrow data.
///
/// A tagger reads documents as `pubtag run` does: the same contexts, model, decoding and abbreviations, and so the same
/// mentions. Unlike a run, it guarantees nothing about the output: it has no commits, resume, cache or rejects. For corpora, use
/// `pubtag run`.
///
/// Arguments have the names, values and defaults of the options of `pubtag run`:
///
/// - model: directory of a Hugging Face token classifier [default: the bundled model for diseases]
/// - device: "auto", "cpu", "cuda", "cuda:N"
/// - precision: "f32", "bf16", "int8"; on CUDA "f32", "f16", "bf16"
/// - threads: threads for inference [default: number of physical cores]
/// - context: words of consecutive sentences that the model reads at a time, or "document"
/// - abbreviations: "auto", "on", "off"
/// - decode: "constrained", "argmax"
/// - aggregation: "first", "simple", "average", "max"
/// - token_budget: maximum tokens per micro-batch
///
/// The model is loaded, and threads are started, when it is first needed. So a tagger can be pickled, which copies only its
/// arguments, and used in a process that was forked. It may be used by several threads.
#[pyclass(module = "pubtag", frozen)]
pub(crate) struct Tagger {
    model: Option<PathBuf>,
    /// Names and values of the other arguments that were given.
    options: Vec<(&'static str, String)>,
    /// Locked only by a thread that holds the interpreter's lock throughout, as one that forks does. So it is never locked in
    /// a fork.
    loaded: Mutex<InProcess<Arc<Loaded>>>,
}

/// The model with its threads, once it is loaded; locked meanwhile.
type Loaded = Mutex<Option<Arc<pubtag::tagger::Tagger>>>;

#[pymethods]
impl Tagger {
    #[new]
    #[pyo3(signature = (
        model = None, *, device = None, precision = None, threads = None, context = None, abbreviations = None,
        decode = None, aggregation = None, token_budget = None
    ))]
    #[expect(clippy::too_many_arguments, reason = "they are keyword arguments in Python")]
    fn new(
        py: Python<'_>,
        model: Option<PathBuf>,
        device: Option<String>,
        precision: Option<String>,
        threads: Option<usize>,
        context: Option<Bound<'_, PyAny>>,
        abbreviations: Option<String>,
        decode: Option<String>,
        aggregation: Option<String>,
        token_budget: Option<usize>,
    ) -> PyResult<Self> {
        let given = [
            ("device", device),
            ("precision", precision),
            ("threads", threads.map(|threads| threads.to_string())),
            ("context", context.map(|context| context.to_string())),
            ("abbreviations", abbreviations),
            ("decode", decode),
            ("aggregation", aggregation),
            ("token_budget", token_budget.map(|tokens| tokens.to_string())),
        ];
        let options = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let tagger = Self { model, options, loaded: Mutex::new(InProcess::new(Arc::default())) };
        tagger.config().map_err(|failure| errors::exception(py, &failure))?;
        Ok(tagger)
    }

    /// Finds entities in the texts of `data` and returns a stream of its rows with the mentions.
    ///
    /// `data` is anything with `__arrow_c_stream__` or `__arrow_c_array__` (a table, data frame, reader or record batch), or
    /// an iterable of such objects with the same columns. It is read without copying, and not further than needed; so memory
    /// does not grow with the number of batches. The stream that is returned is an Arrow stream in turn, to be read once.
    ///
    /// - text, title: names of columns [default: `abstract` or `text`, and `title` if there is one]. With a title, the text
    ///   is title + one space + text, and offsets count in that; otherwise in the text itself.
    /// - explode: one row per mention, instead of one per row of `data` with a list of mentions. Rows without mentions are
    ///   left out.
    /// - column: name of the list column
    ///
    /// A mention has the columns of the output table `annotations`: section, start_char, end_char (in characters, as in
    /// Python), start_byte, end_byte (in UTF-8), mention, label, score, source. Without text, the list is null.
    ///
    /// Raises pubtag.errors.UsageError (also a ValueError) if a column is missing, and other exceptions of pubtag.errors if
    /// the model cannot be used. What fails later reaches whoever reads the stream, as an exception of that library.
    #[pyo3(signature = (data, *, text = None, title = None, explode = false, column = "annotations"))]
    fn tag(
        &self,
        data: &Bound<'_, PyAny>,
        text: Option<&str>,
        title: Option<&str>,
        explode: bool,
        column: &str,
    ) -> PyResult<TaggedStream> {
        let py = data.py();
        let input = Input::open(data)?;
        let layout = if explode { Layout::Exploded } else { Layout::List(column.to_owned()) };
        let columns = TextColumns::find(&input.schema, title, text).map_err(|why| errors::usage(py, why))?;
        let schema = layout.schema(&input.schema).map_err(|why| errors::usage(py, why))?;
        let tagging = self.started(py)?.begin();
        Ok(TaggedStream::new(TaggedBatches::new(input, columns, layout, schema, tagging)))
    }

    /// The model's name and the first 12 hex digits of its SHA-256, as in the output tables. Loads the model.
    #[getter]
    fn model_id(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.started(py)?.model_id().to_owned())
    }

    /// The types of entities that the model finds. Loads the model.
    #[getter]
    fn labels(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.started(py)?.entity_types().to_vec())
    }

    fn __repr__(&self) -> String {
        let model = self.model.iter().map(|model| format!("{:?}", model.display().to_string()));
        let options = self.options.iter().map(|(name, value)| format!("{name}={value:?}"));
        format!("Tagger({})", model.chain(options).collect::<Vec<_>>().join(", "))
    }

    /// Arguments that make the same tagger, for pickle.
    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let options = PyDict::new(py);
        for (name, value) in &self.options {
            match value.parse::<usize>() {
                Ok(number) => options.set_item(name, number)?,
                Err(_) => options.set_item(name, value)?,
            }
        }
        Ok((PyTuple::new(py, [&self.model])?, options))
    }
}

impl Tagger {
    fn config(&self) -> Result<TaggerConfig, Failure> {
        let option = |name: &str, value: OsString| [format!("--{}", name.replace('_', "-")).into(), value];
        let model = self.model.iter().flat_map(|model| option("model", model.clone().into()));
        let others = self.options.iter().flat_map(|(name, value)| option(name, value.into()));
        TaggerConfig::parse(model.chain(others))
    }

    /// The model with its threads, started if this process has not yet.
    fn started(&self, py: Python<'_>) -> PyResult<Arc<pubtag::tagger::Tagger>> {
        let loaded = self.loaded();
        let started = py.detach(|| {
            let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(tagger) = &*loaded {
                return Ok(tagger.clone());
            }
            let tagger = Arc::new(pubtag::tagger::Tagger::start(self.config()?)?);
            *loaded = Some(tagger.clone());
            Ok(tagger)
        });
        started.map_err(|failure: Failure| errors::exception(py, &failure))
    }

    /// What this process has loaded; nothing yet, if it was forked from the one that did.
    fn loaded(&self) -> Arc<Loaded> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.get().is_none() {
            *loaded = InProcess::new(Arc::default());
        }
        loaded.get().expect("this process made it").clone()
    }
}
