//! Abbreviations that a text defines: where a long form is a mention of an entity, so is its short form, and nowhere else.
//!
//! ```text
//! Packet<TaggedRecord> ─► Abbreviations ─► Packet<TaggedRecord>
//!                           └ definitions: `long form (SHORT)` and `SHORT (long form)`, after Schwartz & Hearst
//!                           └ complete: what a long form means, its short form means everywhere in the text
//! ```

mod brackets;
mod definitions;
mod long_form;
mod occurrences;
mod operator;
mod rule;

pub use definitions::{Definition, definitions};
pub use operator::{AbbreviationStats, Abbreviations};
pub use rule::{Changes, complete};
