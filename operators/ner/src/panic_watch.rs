//! Panics on a device's own threads, which would otherwise go unnoticed.
//!
//! A panic that other code catches and handles (a library's at a damaged file, for example) is distinguished by its scope;
//! see [`panic_is_private`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use pubtag_stream::{panic_is_private, panic_message, with_public_panics, without_panic};

use crate::{Device, NerError};

/// Messages of panics on any thread since the first watch began, except private ones.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Guarded calls in progress.
static GUARDED: AtomicUsize = AtomicUsize::new(0);

/// Whether a device has failed for good; later panics of its threads follow from that.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Records panics anywhere in the process.
#[derive(Debug)]
pub(crate) struct PanicWatch {
    /// Panics before the watch began.
    before: usize,
}

impl PanicWatch {
    /// Starts to watch.
    pub(crate) fn start() -> Self {
        static HOOKED: Once = Once::new();
        HOOKED.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if panic_is_private() {
                    return before(panic);
                }
                panics().push(panic_message(panic.payload()));
                // In a guarded call the panic becomes an error with all details.
                if GUARDED.load(Ordering::SeqCst) == 0 && !FAILED.load(Ordering::SeqCst) {
                    before(panic);
                }
            }));
        });
        Self { before: panics().len() }
    }

    /// Fails if a thread has panicked since the watch began.
    pub(crate) fn check(&self, device: Device) -> Result<(), NerError> {
        let said = panics()[self.before..].to_vec();
        said.first().map_or(Ok(()), |message| Err(failure(device, message, &said)))
    }

    /// Calls a function that uses a device. A panic on any thread during the call counts as a failure of the device.
    pub(crate) fn guard<T>(&self, device: Device, call: impl FnOnce() -> Result<T, NerError>) -> Result<T, NerError> {
        let before = panics().len();
        GUARDED.fetch_add(1, Ordering::SeqCst);
        let result = without_panic(|| with_public_panics(call));
        GUARDED.fetch_sub(1, Ordering::SeqCst);
        // Not removed: another device in use at the same time may have failed.
        let said = panics()[before..].to_vec();
        // The first panic is the cause; later ones are consequences.
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

/// The error that a panic's message means.
fn failure(device: Device, message: &str, all: &[String]) -> NerError {
    let out_of_memory = |text: &str| text.contains("can't allocate") || text.contains("CUDA_ERROR_OUT_OF_MEMORY");
    if out_of_memory(message) || all.iter().any(|text| out_of_memory(text)) {
        return NerError::OutOfMemory { device };
    }
    FAILED.store(true, Ordering::SeqCst);
    NerError::DeviceFailed { device, message: gist(message) }
}

/// The line with the driver's error, or else the first: some messages contain the whole source of a kernel.
fn gist(message: &str) -> String {
    let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let named = lines.clone().find(|line| line.contains("CUDA_ERROR_"));
    named.or_else(|| lines.next()).unwrap_or("no message").chars().take(400).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: Device = Device::Cuda(0);

    /// Guards see each other's panics, so this is one test.
    #[test]
    fn only_panics_that_no_other_code_handles_count_as_device_failures() {
        let watch = PanicWatch::start();
        // A reader of a damaged file, on another thread, while the device is busy.
        let reading = || std::thread::spawn(|| without_panic(|| -> u8 { panic!("page header out of range") })).join();
        let result = watch.guard(CARD, || {
            assert_eq!(reading().ok(), Some(Err("page header out of range".to_owned())));
            Ok(7)
        });
        assert!(matches!(result, Ok(7)), "{result:?}");

        // A thread of the device, which survives silently. (Running out of memory is not permanent.)
        let device = || std::thread::spawn(|| -> u8 { panic!("can't allocate 8 GiB") }).join();
        let result = watch.guard(CARD, || {
            assert!(device().is_err());
            Ok(7)
        });
        assert!(matches!(result, Err(NerError::OutOfMemory { device: CARD })), "{result:?}");
        assert!(matches!(watch.check(CARD), Err(NerError::OutOfMemory { device: CARD })));
        assert!(PanicWatch::start().check(CARD).is_ok(), "a later watch sees only later panics");

        // The call itself, although the model's thread catches panics too.
        let result = without_panic(|| watch.guard(CARD, || -> Result<(), _> { panic!("can't allocate 8 GiB") }));
        assert!(matches!(result, Ok(Err(NerError::OutOfMemory { device: CARD }))), "{result:?}");
    }
}
