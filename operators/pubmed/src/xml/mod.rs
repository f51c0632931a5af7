//! PubMed XML, in every form in which it is met.
//!
//! ```text
//! window ─► markup: one tag, comment, … ─► extent: where a record ends ─► record: its fields, by quick-xml
//! ```
//!
//! Finding where a record ends is kept apart from reading it, so that what is wrong with one record stays in it: the
//! file's structure is followed by a scanner that knows only tags, and each record's bytes are parsed on their own.

mod elements;
mod extent;
mod grammar;
mod markup;
mod reader;
mod record;
mod text;

pub(crate) use grammar::{is_known_root, root_name};
pub(crate) use reader::XmlReader;
