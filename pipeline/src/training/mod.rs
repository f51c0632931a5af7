//! Annotated corpora into what a model learns from and is measured by, and a model's words back into documents.
//!
//! ```text
//! corpus ─► gold ─► passages ─► examples ─► pubtag_ner::train ─► output (a Hugging Face directory, its card)
//!                            └► predict ─► documents ─► scores
//! ```

pub(crate) mod card;
pub(crate) mod context;
pub(crate) mod corpus_arg;
pub(crate) mod curve;
pub(crate) mod examples;
pub(crate) mod gold;
pub(crate) mod metrics;
pub(crate) mod monitor;
pub(crate) mod output;
pub(crate) mod page;
pub(crate) mod passages;
mod place;
pub(crate) mod predict;
