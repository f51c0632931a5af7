//! Panics as values.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// Whether a panic on this thread is the affair of who catches it alone.
    static PRIVATE: Cell<bool> = const { Cell::new(false) };
}

/// Calls a function of a library that panics where it should fail; what the panic says is the error.
///
/// Panic hooks can tell such a panic from others by [`panic_is_private`].
///
/// # Errors
/// If the function panics. What it was working on must not be used again.
pub fn without_panic<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let caught = catch_unwind(AssertUnwindSafe(|| with_private_panics(call)));
    caught.map_err(|payload| panic_message(payload.as_ref()))
}

/// Calls a function whose panics somebody catches further out, for whom alone they are.
pub(crate) fn with_private_panics<T>(call: impl FnOnce() -> T) -> T {
    let _scope = Scope::enter(true);
    call()
}

/// Calls a function whose panics concern others too: within it [`panic_is_private`] is false, whoever catches them.
pub fn with_public_panics<T>(call: impl FnOnce() -> T) -> T {
    let _scope = Scope::enter(false);
    call()
}

/// Whether a panic on this thread becomes an error, by [`without_panic`] say, and is nobody else's affair: for panic hooks,
/// which run on the thread that panics.
pub fn panic_is_private() -> bool {
    // A thread at its very end has no such scope any more.
    PRIVATE.try_with(Cell::get).unwrap_or(false)
}

/// Puts back what was there before, after a panic too.
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

/// What a panic says.
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
    fn a_panic_is_private_within_the_nearest_scope_alone() {
        assert!(!panic_is_private());
        let seen = without_panic(|| (panic_is_private(), with_public_panics(panic_is_private), panic_is_private()));
        assert_eq!(seen, Ok((true, false, true)));
        let failed = without_panic(|| with_public_panics(|| -> u8 { panic!("through both") }));
        assert_eq!(failed, Err("through both".to_owned()));
        assert!(!panic_is_private(), "a panic leaves the scope as it was");
        assert!(without_panic(|| std::thread::spawn(panic_is_private).join()).is_ok_and(|seen| seen.is_ok_and(|x| !x)));
    }
}
