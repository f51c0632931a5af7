//! Errors as exceptions of `pubtag.errors`.

use arrow::error::ArrowError;
use pubtag::exit::{Exit, Failure};
use pyo3::exceptions::PyKeyboardInterrupt;
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

/// Leaves Ctrl-C pending if that is what ended a stream. The C interface has only messages; whatever the caller makes of
/// it, Python then raises `KeyboardInterrupt`.
pub(crate) fn keep_interrupt(error: &ArrowError) {
    let ArrowError::ExternalError(cause) = error else { return };
    let Some(exception) = cause.downcast_ref::<PyErr>() else { return };
    Python::attach(|py| {
        if exception.is_instance_of::<PyKeyboardInterrupt>(py) {
            // If this fails, there still is the message.
            let _ = py.import("_thread").and_then(|thread| thread.call_method0("interrupt_main"));
        }
    });
}
