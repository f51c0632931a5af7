//! Panics as values.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Whether a panic on this thread is handled by its catcher and concerns nobody else.
    static PRIVATE: Cell<bool> = const { Cell::new(false) };
}

/// Calls a library function that panics where it should return an error; the panic's message becomes the error.
///
/// Panic hooks can recognise such a panic by [`panic_is_private`].
///
/// # Errors
/// If the function panics. Whatever it was modifying must not be used again.
pub fn without_panic<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let caught = catch_unwind(AssertUnwindSafe(|| with_private_panics(call)));
    caught.map_err(|payload| panic_message(payload.as_ref()))
}

/// Calls a function whose panics are caught further out and concern only that catcher.
pub(crate) fn with_private_panics<T>(call: impl FnOnce() -> T) -> T {
    let _scope = Scope::enter(true);
    call()
}

/// Calls a function whose panics concern others too: within it [`panic_is_private`] is false, even if they are caught.
pub fn with_public_panics<T>(call: impl FnOnce() -> T) -> T {
    let _scope = Scope::enter(false);
    call()
}

/// Whether a panic on this thread becomes an error (as in [`without_panic`]) and needs no other handling. For panic hooks,
/// which run on the panicking thread.
pub fn panic_is_private() -> bool {
    // Thread-locals may already be destroyed while a thread exits.
    PRIVATE.try_with(Cell::get).unwrap_or(false)
}

/// Restores the previous value when dropped, also after a panic.
struct Scope(bool);

impl Scope {
    fn enter(private: bool) -> Self {
        Self(PRIVATE.replace(private))
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        PRIVATE.set(self.0);
    }
}

/// The message of a panic.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        assert_eq!(without_panic(|| 3), Ok(3));
        assert_eq!(without_panic(|| -> u8 { panic!("no {}", 7) }), Err("no 7".to_owned()));
        assert_eq!(without_panic(|| -> u8 { panic!("plain") }), Err("plain".to_owned()));
    }

    #[test]
    fn the_innermost_scope_decides_whether_a_panic_is_private() {
        assert!(!panic_is_private());
        let seen = without_panic(|| (panic_is_private(), with_public_panics(panic_is_private), panic_is_private()));
        assert_eq!(seen, Ok((true, false, true)));
        let failed = without_panic(|| with_public_panics(|| -> u8 { panic!("through both") }));
        assert_eq!(failed, Err("through both".to_owned()));
        assert!(!panic_is_private(), "a panic leaves the scope as it was");
        assert!(without_panic(|| std::thread::spawn(panic_is_private).join()).is_ok_and(|seen| seen.is_ok_and(|x| !x)));
    }
}
