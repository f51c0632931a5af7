//! The Python package's own module, `pubtag._pubtag`.
//!
//! ```text
//! Arrow data ─► input ─► columns ─► pubtag::tagger ─► rows ─► stream ─► Arrow C stream
//! ```
//!
//! The rest of the package is in `python/`.

mod columns;
mod errors;
mod input;
mod process;
mod rows;
mod stream;
mod tagger;

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command line in this process and returns its exit code.
///
/// `argv` begins with the program's name, as `sys.argv`. This is the whole of the console script `pubtag`; programs call
/// the functions of `pubtag.cli`, which run it in a process of its own.
#[pyfunction]
fn main(py: Python<'_>, argv: Vec<OsString>) -> u8 {
    py.detach(|| pubtag::run_arguments(argv))
}

/// The part of the package that is written in Rust.
#[pymodule]
#[pyo3(name = "_pubtag")]
fn contents(own: &Bound<'_, PyModule>) -> PyResult<()> {
    own.add("__version__", env!("CARGO_PKG_VERSION"))?;
    own.add_function(wrap_pyfunction!(main, own)?)?;
    own.add_class::<tagger::Tagger>()?;
    own.add_class::<stream::TaggedStream>()
}
