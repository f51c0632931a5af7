//! Annotated corpora: read, written, converted, counted, and models scored against them.
//!
//! ```text
//! file ─► open ─► Item{Document | Diagnostic} ─► convert | stats | list | segment ─► file, report, training, score
//! ```
//!
//! Eight formats meet in one noun, [`AnnotatedDocument`](pubtag_schemas::AnnotatedDocument). Readers stream it document by
//! document; what a record gets wrong, and what a format cannot express, is a [`Diagnostic`] with its place, never silence.
//! [`score`] compares what a model found with what a corpus says.

mod bioc;
pub mod bioc_json;
pub mod bioc_xml;
pub mod brat;
mod contexts;
mod convert;
mod detect;
mod diagnostic;
mod document;
mod error;
mod files;
mod gold;
pub mod inline;
pub mod iob;
pub mod jsonl;
mod lines;
mod list;
mod ncbi;
pub mod nemo;
mod overlap;
pub mod pubtator;
mod reader;
pub mod score;
mod segment;
mod spec;
mod stats;
mod tagged;
mod tagging;
mod two_parts;
mod whole;
pub mod words;
mod writer;

pub use contexts::{PackedContext, pack};
pub use convert::{ConversionReport, ConvertOptions, convert};
pub use detect::{Format, FormatError};
pub use diagnostic::{Diagnostic, DiagnosticCount, DiagnosticKind, Diagnostics, Effect, Spot};
pub use error::CorpusError;
pub use files::{Corpus, from_reader, open};
pub use gold::{Gold, categories};
pub use iob::IobColumns;
pub use list::{ListedMention, Listing};
pub use ncbi::{Labels, is_ncbi};
pub use reader::{Documents, Item};
pub use segment::segment;
pub use spec::CorpusSpec;
pub use stats::{CorpusStats, FileStats, Leakage, StatsBuilder, summarize};
pub use tagged::TagOptions;
pub use tagging::{Scheme, iob2, sentence_tags};
pub use whole::WholeFile;
pub use writer::{CorpusWriter, WriteOptions};
