//! Panics on threads that are not ours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

use crate::thread::panic_message;
use crate::{Device, NerError};

/// What panics of any thread have said since the first watch began.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Notices panics anywhere in the process: the device's threads survive theirs and say nothing of them.
#[derive(Debug)]
pub(crate) struct Watch(());

impl Watch {
    /// Begins to watch.
    pub(crate) fn start() -> Self {
        static HOOKED: Once = Once::new();
        HOOKED.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(panic_message(panic.payload()));
                before(panic);
            }));
        });
        Self(())
    }

    /// Calls a function that uses a device; a panic meanwhile, on whichever thread, is the device's failure.
    pub(crate) fn guard<T>(&self, device: Device, call: impl FnOnce() -> Result<T, NerError>) -> Result<T, NerError> {
        let before = panics().len();
        let result = catch_unwind(AssertUnwindSafe(call));
        let said = panics().split_off(before);
        // The first one is the cause; later ones only miss what it has left undone.
        match (said.first(), result) {
            (None, Ok(result)) => result,
            (Some(message), _) => Err(failure(device, message, &said)),
            (None, Err(payload)) => Err(failure(device, &panic_message(payload.as_ref()), &[])),
        }
    }
}

fn panics() -> std::sync::MutexGuard<'static, Vec<String>> {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a panic's message means.
fn failure(device: Device, message: &str, all: &[String]) -> NerError {
    let out_of_memory = |text: &str| text.contains("OUT_OF_MEMORY") || text.contains("OutOfMemory");
    if out_of_memory(message) || all.iter().any(|text| out_of_memory(text)) {
        return NerError::OutOfMemory { device };
    }
    NerError::DeviceFailed { device, message: first_lines(message) }
}

/// Enough of a message to know it by: some carry the whole source of a kernel.
fn first_lines(message: &str) -> String {
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).take(4).collect();
    lines.join(" ").chars().take(600).collect()
}
