//! `report.html` of a training run: one file that needs no other.

use std::fmt::Write as _;

use super::card::{DataFile, Record};
use super::curve::learning_curve;
use super::metrics::{EpochLine, Metrics};

/// The file beside the model.
pub(crate) const REPORT: &str = "report.html";

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}\
                     table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .8rem;text-align:right;\
                     border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}pre{background:#f5f5f5;\
                     padding:1rem;overflow-x:auto}svg{max-width:100%;height:auto}";

/// The page.
pub(crate) fn html(record: &Record<'_>, metrics: &Metrics, name: &str) -> String {
    let epochs = metrics.epochs();
    let curve = learning_curve(&metrics.steps(), &epochs).unwrap_or_else(|error| {
        tracing::warn!("there is no learning curve in {REPORT}: {error}");
        String::new()
    });
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title><style>{STYLE}</style>\n<h1>{name}</h1>\n\
         <p>A token classifier ({labels}), fine-tuned by {program} on {threads} threads.</p>\n{curve}\n",
        name = escaped(name),
        labels = escaped(&record.labels.join(", ")),
        program = record.program,
        threads = record.threads,
    );
    table(&mut page, "Learnt from", &["file", "sentences", "mentions"], record.train.iter().map(data_row));
    table(&mut page, "Chosen by", &["file", "sentences", "mentions"], record.dev.iter().map(data_row));
    table(&mut page, "Epochs", &EpochLine::HEADS, epochs.iter().map(|line| line.cells().to_vec()));
    let _ = write!(
        page,
        "<p>Development figures are strict entity scores, micro-averaged, as conlleval and seqeval compute them.</p>\n\
         <h2>Made by</h2>\n<pre>{}</pre>\n<pre>{}</pre>\n</html>\n",
        escaped(&record.command),
        escaped(&serde_json::to_string_pretty(record.settings).unwrap_or_default()),
    );
    page
}

fn table(page: &mut String, title: &str, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let line = |cells: &mut dyn Iterator<Item = String>, tag: &str| {
        let cells: String = cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(&cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let body: String = rows.map(|row| line(&mut row.into_iter(), "td")).collect();
    if !body.is_empty() {
        let head = line(&mut heads.iter().map(|head| (*head).to_owned()), "th");
        let _ = write!(page, "<h2>{title}</h2>\n<table>\n{head}{body}</table>\n");
    }
}

fn data_row(file: &DataFile) -> Vec<String> {
    vec![file.name.clone(), file.sentences.to_string(), file.mentions.to_string()]
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
