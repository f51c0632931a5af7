//! Who wrote an output.

/// Name and version of the program.
pub(crate) const PROGRAM: &str = concat!("pubtag ", env!("CARGO_PKG_VERSION"));
