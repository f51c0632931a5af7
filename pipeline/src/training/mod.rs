//! From annotated corpora to training examples, and from model output back to documents.
//!
//! ```text
//! corpus ─► gold ─► contexts ─► examples ─► pubtag_ner::train ─► output (a Hugging Face directory, its card)
//!                            │      ▲    └► predict ─► documents ─► scores
//! texts ─► unlabelled ───────┘   teachers
//!               └► masked texts ─► pubtag_ner::train ─► output
//! ```

pub(crate) mod card;
pub(crate) mod corpora;
pub(crate) mod curve;
pub(crate) mod language_record;
pub(crate) mod masked_texts;
pub(crate) mod metrics;
pub(crate) mod monitor;
pub(crate) mod output;
pub(crate) mod page;
mod place;
pub(crate) mod predict;
pub(crate) mod training_set;
pub(crate) mod unlabelled;
