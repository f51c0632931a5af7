//! `pubtag schema`.

use std::io;

use pubtag_schemas::table::markdown;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow};

use crate::terminal;

/// Prints the documentation of the output tables.
///
/// # Errors
/// Standard output cannot be written.
pub fn execute() -> io::Result<()> {
    let pages = [markdown::<AnnotationRow>(), markdown::<DocumentRow>(), markdown::<RejectRow>()];
    terminal::print(&pages.join("\n"))
}
