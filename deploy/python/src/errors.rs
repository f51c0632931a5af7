//! Errors as exceptions of `pubtag.errors`.

use pubtag::exit::{Exit, Failure};
use pyo3::prelude::*;

/// The exception of a failure: its class follows from the exit code.
pub(crate) fn exception(py: Python<'_>, failure: &Failure) -> PyErr {
    let made = py
        .import("pubtag.errors")
        .and_then(|errors| errors.call_method1("of_exit_code", (failure.exit.code(), format!("{:#}", failure.error))));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// The exception for arguments that are not valid.
pub(crate) fn usage(py: Python<'_>, message: impl Into<String>) -> PyErr {
    exception(py, &Failure::message(Exit::Usage, message))
}
