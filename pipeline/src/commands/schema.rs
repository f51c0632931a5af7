//! `pubtag schema`.

use std::io;

use pubtag_schemas::snapshot::snapshot_markdown;
use pubtag_schemas::table::markdown;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow};

use crate::terminal;

/// Prints the documentation of the output tables.
///
/// # Errors
/// Standard output cannot be written.
pub fn execute() -> io::Result<()> {
    let tables = [markdown::<AnnotationRow>(), markdown::<DocumentRow>(), markdown::<RejectRow>()];
    let pages = tables.into_iter().chain([snapshot_markdown()]).collect::<Vec<_>>();
    terminal::print(&pages.join("\n"))
}
