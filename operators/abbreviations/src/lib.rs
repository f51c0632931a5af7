//! Makes the annotations of abbreviations agree with their definitions in the text.
//!
//! ```text
//! Packet<TaggedRecord> ─► Abbreviations ─► Packet<TaggedRecord>
//!                           └ definitions: `long form (SHORT)` and `SHORT (long form)`, after Schwartz & Hearst
//!                           └ complete: the short form gets the meaning of its long form everywhere in the text
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
