//! `report.html` of a training run.

use maud::{PreEscaped, html};
use pubtag_corpus::score::Score;

use super::card::{DataFile, Record};
use super::curve::drawn;
use super::metrics::{CorpusScore, EpochLine, Metrics};
use crate::html::{page, table};

/// The file in the model's directory.
pub(crate) const REPORT: &str = "report.html";

/// The page, for the epochs so far.
pub(crate) fn html(record: &Record<'_>, metrics: &Metrics, name: &str) -> String {
    let epochs = metrics.epochs();
    let files = |files: &[DataFile]| files.iter().map(data_row).collect::<Vec<_>>();
    let heads = epochs.first().map(EpochLine::heads).unwrap_or_default();
    let body = html! {
        p {
            "A token classifier (" (record.labels.join(", ")) "), fine-tuned by " (record.program) " on "
            (record.threads) " threads. It reads up to " (record.context_words) " words at a time."
        }
        (PreEscaped(drawn(metrics, &epochs)))
        (table("Epochs", &heads, &epochs.iter().map(EpochLine::cells).collect::<Vec<_>>()))
        p {
            "F1 of strict entities, micro-averaged over types, as in conlleval and seqeval. The epoch with the highest mean "
            "is kept."
        }
        @if let Some(last) = epochs.last() {
            @let rows: Vec<_> = last.development.iter().flat_map(type_rows).collect();
            (table(&format!("Types after epoch {}", last.epoch), &TYPE_HEADS, &rows))
        }
        (table("Training corpora", &FILE_HEADS, &files(&record.train)))
        (table("Development corpora", &FILE_HEADS, &files(&record.dev)))
        h2 { "Command and settings" }
        pre { (record.command) }
        pre { (serde_json::to_string_pretty(record.settings).unwrap_or_default()) }
    };
    page(name, &body)
}

const FILE_HEADS: [&str; 4] = ["file", "types", "sentences", "mentions"];
const TYPE_HEADS: [&str; 6] = ["corpus", "type", "precision", "recall", "F1", "mentions"];

fn data_row(file: &DataFile) -> [String; 4] {
    [file.name.clone(), file.types.join(", "), file.sentences.to_string(), file.mentions.to_string()]
}

fn type_rows(score: &CorpusScore) -> Vec<[String; 6]> {
    let row = |(name, of): (&String, &Score)| {
        let [precision, recall, f1] = [of.precision, of.recall, of.f1].map(|value| format!("{value:.4}"));
        [score.corpus.clone(), name.clone(), precision, recall, f1, of.support.to_string()]
    };
    score.types.iter().map(row).collect()
}
