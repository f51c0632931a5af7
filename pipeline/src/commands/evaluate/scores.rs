//! The scores of a model on a corpus.

use std::collections::BTreeMap;

use pubtag_corpus::score::bootstrap::{Bootstrap, Interval};
use pubtag_corpus::score::errors::ErrorList;
use pubtag_corpus::score::spans::{self, Match};
use pubtag_corpus::score::tags::{self, Mode, TokenTable};
use pubtag_corpus::score::{ScoreError, Scores, errors};
use pubtag_corpus::{DiagnosticKind, Gold, Labels, categories, iob2, is_ncbi};
use pubtag_ner::{Aggregation, Checkpoint, Decoding, Precision};
use pubtag_schemas::AnnotatedDocument;
use serde::Serialize;

use super::predictions::{completes_abbreviations, has_own_text, reading};
use crate::cli::EvaluateArgs;

/// The scores of a model on a corpus.
#[derive(Debug, Serialize)]
pub(super) struct Evaluation {
    pub(super) model: String,
    /// SHA-256 of the model's files.
    pub(super) model_fingerprint: String,
    pub(super) gold: String,
    pub(super) gold_sha256: Option<String>,
    pub(super) documents: usize,
    pub(super) sentences: usize,
    pub(super) tokens: usize,
    pub(super) mentions: usize,
    /// What could not be read of the corpus, by class.
    pub(super) left_out: BTreeMap<DiagnosticKind, u64>,
    /// Mentions that tags cannot express, by class: they only count as spans of text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) untaggable: BTreeMap<DiagnosticKind, u64>,
    /// Types of the corpus that the model does not know; their mentions are ignored.
    pub(super) not_scored: Vec<String>,
    pub(super) decode: String,
    pub(super) aggregation: String,
    pub(super) precision: String,
    /// How the model read the corpus.
    pub(super) reading: String,
    /// Whether abbreviations were tagged by their definitions.
    pub(super) abbreviations: bool,
    /// Whole entities on the corpus's tokens, as conlleval and seqeval's default count them.
    pub(super) entities: Scores,
    /// 95% confidence interval of their micro F1, from 1000 samples of sentences.
    pub(super) entities_interval: Interval,
    /// The same with seqeval's `mode="strict", scheme=IOB2`.
    pub(super) entities_strict_iob2: Scores,
    /// The same with the four categories of the NCBI Disease corpus merged; absent if the corpus has none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) entities_as_one_category: Option<Scores>,
    /// Spans of text; absent if the corpus has only tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spans_strict: Option<Scores>,
    /// The same, where overlap is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spans_overlapping: Option<Scores>,
    /// Single tokens, as in NeMo's report. Not comparable with entity scores.
    pub(super) single_tokens: TokenTable,
    /// The model's errors.
    pub(super) errors: ErrorList,
}

/// A corpus to score a model on.
pub(super) struct Target {
    /// The corpus, with only the mentions of types that the model knows.
    pub(super) gold: Gold,
    /// The other types of the corpus.
    pub(super) not_scored: Vec<String>,
    /// Mentions that tags cannot express, by class.
    pub(super) untaggable: BTreeMap<DiagnosticKind, u64>,
}

/// Scores the predicted mentions against those of the corpus.
///
/// # Errors
/// The documents do not have the same tokens.
pub(super) fn evaluate(
    args: &EvaluateArgs,
    Target { gold, not_scored, untaggable }: &Target,
    checkpoint: &Checkpoint,
    found: &[AnnotatedDocument],
) -> Result<Evaluation, ScoreError> {
    let (expected_tags, found_tags) = (iob2(&gold.documents), iob2(found));
    let counts = tags::count(&expected_tags, &found_tags, Mode::Default)?;
    let merged = |documents: &[AnnotatedDocument]| {
        let mut documents = documents.to_vec();
        documents.iter_mut().for_each(|document| Labels::Auto.apply(document));
        iob2(&documents)
    };
    let has_parts = categories(&gold.documents).iter().any(|category| is_ncbi(category));
    let as_one = has_parts.then(|| tags::score(&merged(&gold.documents), &merged(found), Mode::Default)).transpose()?;
    let own_text = has_own_text(gold);
    let spans = |by| own_text.then(|| spans::score(&gold.documents, found, by)).transpose();
    Ok(Evaluation {
        model: checkpoint.name(),
        model_fingerprint: checkpoint.fingerprint().to_owned(),
        gold: gold.corpus.path.display().to_string(),
        gold_sha256: gold.sha256.clone(),
        documents: gold.documents.len(),
        sentences: gold.sentences(),
        tokens: expected_tags.iter().map(Vec::len).sum(),
        mentions: gold.mentions(),
        left_out: gold.left_out.clone(),
        untaggable: untaggable.clone(),
        not_scored: not_scored.clone(),
        decode: Decoding::from(args.decode).to_string(),
        aggregation: Aggregation::from(args.aggregation).to_string(),
        precision: Precision::from(args.device.precision).to_string(),
        reading: reading(args, gold, checkpoint).to_string(),
        abbreviations: completes_abbreviations(args, gold, checkpoint),
        entities: tags::score(&expected_tags, &found_tags, Mode::Default)?,
        entities_interval: Bootstrap::default().interval(&counts),
        entities_strict_iob2: tags::score(&expected_tags, &found_tags, Mode::Strict)?,
        entities_as_one_category: as_one,
        spans_strict: spans(Match::Strict)?,
        spans_overlapping: spans(Match::Overlapping)?,
        single_tokens: tags::token_table(&expected_tags, &found_tags)?,
        errors: errors::list(&gold.documents, found)?,
    })
}
