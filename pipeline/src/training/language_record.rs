//! The record of a pretrained model: `README.md` and `report.html` for people, `training.json` for programs.

use maud::{PreEscaped, html};
use serde::Serialize;

use super::card::{markdown, training};
use super::curve::drawn;
use super::metrics::{EpochLine, Metrics};
use super::unlabelled::{TextFile, text_table};
use crate::cli::PretrainArgs;
use crate::html::{page, table};

/// How a model was pretrained.
#[derive(Debug, Serialize)]
pub(crate) struct LanguageRecord<'a> {
    pub(crate) program: &'static str,
    pub(crate) command: String,
    /// SHA-256 of the base model's weights.
    pub(crate) base_sha256: String,
    /// The base model's own record, if this program made it.
    pub(crate) base: Option<serde_json::Value>,
    pub(crate) texts: Vec<TextFile>,
    /// Number of documents that were learnt.
    pub(crate) learnt: usize,
    /// Number of documents that were held out.
    pub(crate) held_out: usize,
    pub(crate) settings: &'a PretrainArgs,
    pub(crate) threads: usize,
    pub(crate) epochs: &'a [EpochLine],
}

impl LanguageRecord<'_> {
    /// The model card, with the front matter that model hubs read.
    pub(crate) fn card(&self, name: &str) -> String {
        format!(
            "---\nlibrary_name: transformers\npipeline_tag: fill-mask\nlanguage: en\ntags: [pubtag, biomedical]\n---\n\n\
             # {name}\n\n\
             {summary} To fine-tune it: `pubtag train --base`.\n\n\
             ## Data\n\n{texts}\n\
             {training}\
             ## Epochs\n\n\
             {kept}\n\n\
             {epochs}",
            summary = self.summary(),
            texts = text_table(&self.texts),
            training = training(&self.command, self.threads, &self.base_sha256),
            kept = self.kept(),
            epochs = markdown(self.epochs),
        )
    }

    /// The page, for the epochs so far.
    pub(crate) fn html(&self, metrics: &Metrics, name: &str) -> String {
        let epochs = metrics.epochs();
        let heads = epochs.first().map(EpochLine::heads).unwrap_or_default();
        let text_row = |file: &TextFile| [file.name.clone(), file.documents.to_string(), file.sha256.clone()];
        let body = html! {
            p { (self.summary()) }
            (PreEscaped(drawn(metrics, &epochs)))
            (table("Epochs", &heads, &epochs.iter().map(EpochLine::cells).collect::<Vec<_>>()))
            p { (self.kept()) }
            (table("Texts", &["file", "documents", "SHA-256"], &self.texts.iter().map(text_row).collect::<Vec<_>>()))
            h2 { "Command and settings" }
            pre { (self.command) }
            pre { (serde_json::to_string_pretty(self.settings).unwrap_or_default()) }
        };
        page(name, &body)
    }

    fn summary(&self) -> String {
        format!(
            "A language model, pretrained further by {} on {} documents: masked language modelling with {}% of the tokens in \
             whole words masked.",
            self.program,
            self.learnt,
            (self.settings.mask.0 * 1000.0).round() / 10.0
        )
    }

    fn kept(&self) -> String {
        match self.held_out {
            0 => "No documents were held out: the last epoch is kept.".to_owned(),
            held_out => format!(
                "Held-out loss, perplexity and accuracy are those of the masked tokens of {held_out} documents that are not \
                 learnt, with the same masks after each epoch. The epoch with the lowest held-out loss is kept."
            ),
        }
    }
}
