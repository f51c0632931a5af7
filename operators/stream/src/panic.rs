//! Panics as values.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls a function of a library that panics where it should fail; what the panic says is the error.
///
/// # Errors
/// If the function panics. What it was working on must not be used again.
pub fn without_panic<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| panic_message(payload.as_ref()))
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
}
