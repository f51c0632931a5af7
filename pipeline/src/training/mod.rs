//! From annotated corpora to training examples, and from model output back to documents.
//!
//! ```text
//! corpus ─► gold ─► contexts ─► examples ─► pubtag_ner::train ─► output (a Hugging Face directory, its card)
//!                            │      ▲    └► predict ─► documents ─► scores
//! texts ─► unlabelled ───────┘   teachers
//! ```

pub(crate) mod card;
pub(crate) mod corpora;
pub(crate) mod curve;
pub(crate) mod metrics;
pub(crate) mod monitor;
pub(crate) mod output;
pub(crate) mod page;
mod place;
pub(crate) mod predict;
pub(crate) mod training_set;
pub(crate) mod unlabelled;
