//! `pubtag schema`.

use std::io::{self, Write};

use pubtag_schemas::table::markdown;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow};

/// Prints the documentation of the output tables.
///
/// # Errors
/// Standard output cannot be written.
pub fn execute() -> io::Result<()> {
    let pages = [markdown::<AnnotationRow>(), markdown::<DocumentRow>(), markdown::<RejectRow>()];
    io::stdout().lock().write_all(pages.join("\n").as_bytes())
}
