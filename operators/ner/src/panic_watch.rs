//! Panics on threads that are not ours: a device's threads survive theirs and say nothing of them.
//!
//! A panic that somebody else catches and answers for (a library's at a damaged file, say) is told apart by the scope
//! that it happens in, see [`panic_is_private`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use pubtag_stream::{panic_is_private, panic_message, with_public_panics, without_panic};

use crate::{Device, NerError};

/// What panics of any thread have said since the first watch began, those that are private left out.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Calls that are being guarded.
static GUARDED: AtomicUsize = AtomicUsize::new(0);

/// Whether a device has failed for good: what its threads say from then on follows from that.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Notices panics anywhere in the process.
#[derive(Debug)]
pub(crate) struct PanicWatch(());

impl PanicWatch {
    /// Begins to watch.
    pub(crate) fn start() -> Self {
        static HOOKED: Once = Once::new();
        HOOKED.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if panic_is_private() {
                    return before(panic);
                }
                panics().push(panic_message(panic.payload()));
                // What is guarded becomes an error that says it all.
                if GUARDED.load(Ordering::SeqCst) == 0 && !FAILED.load(Ordering::SeqCst) {
                    before(panic);
                }
            }));
        });
        Self(())
    }

    /// Calls a function that uses a device; a panic meanwhile, on whichever thread, is the device's failure.
    pub(crate) fn guard<T>(&self, device: Device, call: impl FnOnce() -> Result<T, NerError>) -> Result<T, NerError> {
        let before = panics().len();
        GUARDED.fetch_add(1, Ordering::SeqCst);
        let result = without_panic(|| with_public_panics(call));
        GUARDED.fetch_sub(1, Ordering::SeqCst);
        // Kept for others who use a device at the same time: what failed may be theirs.
        let said = panics()[before..].to_vec();
        // The first one is the cause; later ones only miss what it has left undone.
        match (said.first(), result) {
            (None, Ok(result)) => result,
            (Some(message), _) => Err(failure(device, message, &said)),
            (None, Err(message)) => Err(failure(device, &message, &[])),
        }
    }
}

fn panics() -> std::sync::MutexGuard<'static, Vec<String>> {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a panic's message means.
fn failure(device: Device, message: &str, all: &[String]) -> NerError {
    let out_of_memory = |text: &str| text.contains("can't allocate") || text.contains("CUDA_ERROR_OUT_OF_MEMORY");
    if out_of_memory(message) || all.iter().any(|text| out_of_memory(text)) {
        return NerError::OutOfMemory { device };
    }
    FAILED.store(true, Ordering::SeqCst);
    NerError::DeviceFailed { device, message: gist(message) }
}

/// The line that names the driver's error, or the first: some messages carry the whole source of a kernel.
fn gist(message: &str) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let named = lines.clone().find(|line| line.contains("CUDA_ERROR_"));
    named.or_else(|| lines.next()).unwrap_or("no message").chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: Device = Device::Cuda(0);

    /// Guards are told of each other's panics, so these tests are one.
    #[test]
    fn only_panics_that_nobody_else_answers_for_are_the_devices() {
        let watch = PanicWatch::start();
        // A reader of a damaged file, on a thread of its own, while the device is at work.
        let reading = || std::thread::spawn(|| without_panic(|| -> u8 { panic!("page header out of range") })).join();
        let result = watch.guard(CARD, || {
            assert_eq!(reading().ok(), Some(Err("page header out of range".to_owned())));
            Ok(7)
        });
        assert!(matches!(result, Ok(7)), "{result:?}");

        // A thread of the device, which survives and says nothing. (Being out of memory is not for good.)
        let device = || std::thread::spawn(|| -> u8 { panic!("can't allocate 8 GiB") }).join();
        let result = watch.guard(CARD, || {
            assert!(device().is_err());
            Ok(7)
        });
        assert!(matches!(result, Err(NerError::OutOfMemory { device: CARD })), "{result:?}");

        // The call itself, although the model's thread catches panics too.
        let result = without_panic(|| watch.guard(CARD, || -> Result<(), _> { panic!("can't allocate 8 GiB") }));
        assert!(matches!(result, Ok(Err(NerError::OutOfMemory { device: CARD }))), "{result:?}");
    }
}
