//! PubMed XML in all its forms.
//!
//! ```text
//! window ─► markup: one tag, comment, … ─► extent: where a record ends ─► record: its fields, by quick-xml
//! ```
//!
//! Finding the end of a record is separate from parsing it, so that an error in one record does not affect others: a scanner
//! that knows only tags follows the structure of the file, and the bytes of each record are parsed by themselves.

mod elements;
mod extent;
mod grammar;
mod markup;
mod reader;
mod record;
mod text;

pub(crate) use grammar::{is_known_root, root_name};
pub(crate) use reader::XmlReader;
