//! Annotated corpora: reading, writing, conversion, statistics, and scores of models.
//!
//! ```text
//! file ─► open ─► Item{Document | Diagnostic} ─┬─► convert | stats | list ─► file, report
//!                                              └─► segment ─► Gold ─► pack ─► training, score
//! ```
//!
//! Eight formats share one type, [`AnnotatedDocument`](pubtag_schemas::AnnotatedDocument). Readers stream one document at a
//! time. Errors in a record, and what a format cannot express, are reported as [`Diagnostic`]s with their place. [`Gold`] is
//! a whole corpus in memory, [`PackedContext`]s are the texts that a model reads of it, and [`score`] compares the mentions
//! that a model found with those of the corpus.
//!
//! ```
//! use std::sync::Arc;
//!
//! use pubtag_corpus::{Format, Item, TagOptions, from_reader};
//!
//! let text = "motor\tB-Disease\nataxia\tI-Disease\n\n".as_bytes();
//! let documents = from_reader(text, &Arc::from("example.tsv"), Format::Iob, &TagOptions::default())?;
//! for item in documents {
//!     match item? {
//!         Item::Document(_, document) => assert_eq!(document.mentions[0].text, "motor ataxia"),
//!         Item::Diagnostic(diagnostic) => eprintln!("{diagnostic}"),
//!     }
//! }
//! # Ok::<(), pubtag_corpus::CorpusError>(())
//! ```

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
pub use tagging::{Scheme, iob2, sentence_tags, untaggable};
pub use whole::WholeFile;
pub use writer::{CorpusWriter, WriteOptions};
