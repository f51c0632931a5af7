//! `report.html` of a training run.

use maud::{PreEscaped, html};

use super::card::{DataFile, Record};
use super::curve::learning_curve;
use super::metrics::{EpochLine, Metrics};
use crate::html::{page, table};

/// The file beside the model.
pub(crate) const REPORT: &str = "report.html";

/// The page.
pub(crate) fn html(record: &Record<'_>, metrics: &Metrics, name: &str) -> String {
    const FILE_HEADS: [&str; 3] = ["file", "sentences", "mentions"];
    let epochs = metrics.epochs();
    let curve = learning_curve(&metrics.steps(), &epochs).unwrap_or_else(|error| {
        tracing::warn!("there is no learning curve in {REPORT}: {error}");
        String::new()
    });
    let rows = |files: &[DataFile]| files.iter().map(data_row).collect::<Vec<_>>();
    let body = html! {
        p {
            "A token classifier (" (record.labels.join(", ")) "), fine-tuned by " (record.program) " on "
            (record.threads) " threads."
        }
        (PreEscaped(curve))
        (table("Learnt from", FILE_HEADS, &rows(&record.train)))
        (table("Chosen by", FILE_HEADS, &rows(&record.dev)))
        (table("Epochs", EpochLine::HEADS, &epochs.iter().map(EpochLine::cells).collect::<Vec<_>>()))
        p { "Development figures are strict entity scores, micro-averaged, as conlleval and seqeval compute them." }
        h2 { "Made by" }
        pre { (record.command) }
        pre { (serde_json::to_string_pretty(record.settings).unwrap_or_default()) }
    };
    page(name, &body)
}

fn data_row(file: &DataFile) -> [String; 3] {
    [file.name.clone(), file.sentences.to_string(), file.mentions.to_string()]
}
