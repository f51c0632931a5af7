//! `pubtag show`.

use std::io;
use std::num::NonZeroUsize;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use futures::StreamExt;
use pubtag_parquet::Tables;
use pubtag_schemas::table::Table;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow};
use pubtag_store::Address;

use crate::cli::{Color, ShowArgs};
use crate::exit::{Exit, Failure};
use crate::outputs::open_output;
use crate::runtime::runtime;
use crate::terminal;

/// A row of `documents`.
#[derive(Debug)]
struct Document {
    /// The row with the highest rank is current.
    rank: [i32; 4],
    source_file: String,
    title: Option<String>,
    abstract_text: Option<String>,
    status: String,
    model_id: String,
}

/// A row of `annotations`; offsets in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mention {
    start: usize,
    end: usize,
    label: String,
}

/// Prints the current version of a document.
///
/// # Errors
/// The output or document does not exist, or its text was not kept.
pub fn execute(args: &ShowArgs) -> Result<io::Result<()>, Failure> {
    let runtime = runtime(NonZeroUsize::MIN)?;
    let (document, mentions) = runtime.block_on(async {
        let tables = Tables::open(open_output(&args.output, &args.store.options()).await?).await?;
        let document = current(&tables, &args.id).await?.ok_or_else(|| not_there(&args.id, &args.output))?;
        let mentions = mentions(&tables, &args.id, &document).await?;
        Ok::<_, Failure>((document, mentions))
    })?;
    let colored = match args.color {
        Color::Auto => terminal::stdout_is_terminal(),
        Color::Always => true,
        Color::Never => false,
    };
    let page = page(&args.id, &document, &mentions, colored)?;
    Ok(if colored { terminal::print_colored(&page) } else { terminal::print(&page) })
}

fn not_there(id: &str, output: &Address) -> Failure {
    let message = format!("document {id} not found in {output}; expected a PMID, or an ID from the input");
    Failure::message(Exit::Data, message)
}

/// The current row of a document.
async fn current(tables: &Tables, id: &str) -> Result<Option<Document>, Failure> {
    let columns = [
        "doc_id",
        "pmid_version",
        "title",
        "abstract",
        "status",
        "model_id",
        "generation",
        "file_seq",
        "ordinal",
        "source_file",
    ];
    let mut found: Option<Document> = None;
    let mut batches = tables.batches(DocumentRow::NAME, &columns);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for row in rows_of(&batch, id) {
            let number = |name: &str| number(&batch, name, row).unwrap_or(-1);
            let text = |name: &str| text(&batch, name, row);
            let document = Document {
                rank: ["generation", "file_seq", "pmid_version", "ordinal"].map(number),
                source_file: text("source_file").unwrap_or_default(),
                title: text("title"),
                abstract_text: text("abstract"),
                status: text("status").unwrap_or_default(),
                model_id: text("model_id").unwrap_or_default(),
            };
            if found.as_ref().is_none_or(|best| document.rank >= best.rank) {
                found = Some(document);
            }
        }
    }
    Ok(found)
}

/// The mentions of a row, in text order.
async fn mentions(tables: &Tables, id: &str, document: &Document) -> Result<Vec<Mention>, Failure> {
    let columns = ["doc_id", "start_char", "end_char", "label", "ordinal", "source_file"];
    let mut found = Vec::new();
    let mut batches = tables.batches(AnnotationRow::NAME, &columns);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for row in rows_of(&batch, id) {
            let same_row = number(&batch, "ordinal", row) == Some(document.rank[3])
                && text(&batch, "source_file", row).as_deref() == Some(&document.source_file);
            if same_row {
                let place = |name| number(&batch, name, row).and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
                let label = text(&batch, "label", row).unwrap_or_default();
                found.push(Mention { start: place("start_char"), end: place("end_char"), label });
            }
        }
    }
    found.sort();
    Ok(found)
}

fn rows_of<'a>(batch: &'a RecordBatch, id: &'a str) -> impl Iterator<Item = usize> + 'a {
    let ids = batch.column_by_name("doc_id").map(|ids| ids.as_string::<i32>());
    (0..batch.num_rows()).filter(move |row| ids.is_some_and(|ids| ids.value(*row) == id))
}

fn text(batch: &RecordBatch, name: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
    (!column.is_null(row)).then(|| column.value(row).to_owned())
}

fn number(batch: &RecordBatch, name: &str, row: usize) -> Option<i32> {
    let column = batch.column_by_name(name)?.as_primitive_opt::<Int32Type>()?;
    (!column.is_null(row)).then(|| column.value(row))
}

/// The page. With colors, everything else is escaped for the terminal.
fn page(id: &str, document: &Document, mentions: &[Mention], colored: bool) -> Result<String, Failure> {
    let shown = |text: &str| if colored { terminal::page(text).into_owned() } else { text.to_owned() };
    let Document { source_file, model_id, .. } = document;
    let head = shown(&format!("{id} · {source_file} · {model_id} · {} mentions", mentions.len()));
    if document.status == "deleted" {
        return Ok(format!("{head}\ndeleted\n"));
    }
    let (Some(title), Some(abstract_text)) = (&document.title, &document.abstract_text) else {
        return Err(Failure::configuration(format!(
            "no text of {id} in this output, which was written with --text hash; tag again with --text keep"
        )));
    };
    let text: Vec<char> = title.chars().chain([' ']).chain(abstract_text.chars()).collect();
    let title_end = title.chars().count();
    let mut page = format!("{head}\n\n");
    let mut at = 0;
    for Mention { start, end, label } in mentions {
        let (start, end) = ((*start).clamp(at, text.len()), (*end).clamp(at, text.len()));
        page.push_str(&shown(&part(&text, at..start, title_end)));
        let (mention, name) = (shown(&part(&text, start..end, title_end)), shown(label));
        page.push_str(&if colored {
            format!("\x1b[1;{}m{mention}\x1b[0m\x1b[2m {name}\x1b[0m", color(label))
        } else {
            format!("[{mention}|{name}]")
        });
        at = end;
    }
    page.push_str(&shown(&part(&text, at..text.len(), title_end)));
    page.push('\n');
    Ok(page)
}

/// A part of the text; the space after the title becomes an empty line.
fn part(text: &[char], range: std::ops::Range<usize>, title_end: usize) -> String {
    range.map(|at| if at == title_end { "\n\n".to_owned() } else { text[at].to_string() }).collect()
}

/// A terminal color for a label.
fn color(label: &str) -> u32 {
    31 + label.bytes().map(u32::from).sum::<u32>() % 6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_marked_by_character_not_byte_offsets() {
        let document = Document {
            rank: [0; 4],
            source_file: "a.xml".into(),
            title: Some("β-ataxia".into()),
            abstract_text: Some("No gout.".into()),
            status: "tagged".into(),
            model_id: "m".into(),
        };
        let mention = |start, end| Mention { start, end, label: "Disease".into() };
        let page = page("7", &document, &[mention(0, 8), mention(12, 16)], false).expect("the text is there");
        assert_eq!(page, "7 · a.xml · m · 2 mentions\n\n[β-ataxia|Disease]\n\nNo [gout|Disease].\n");
    }

    #[test]
    fn on_a_terminal_a_text_has_only_our_colors() {
        let document = Document {
            rank: [0; 4],
            source_file: "a\x1b[2J.xml".into(),
            title: Some("Gout \u{202e}and".into()),
            abstract_text: Some("\x1b]0;x\x07".into()),
            status: "tagged".into(),
            model_id: "m".into(),
        };
        let mention = Mention { start: 0, end: 4, label: "D\x1bX".into() };
        let seen = page("7\r", &document, std::slice::from_ref(&mention), true).expect("the text is there");
        let ours = ["\x1b[1;", "\x1b[0m\x1b[2m", "\x1b[0m"];
        let rest = ours.iter().fold(seen.clone(), |seen, ours| seen.replace(ours, ""));
        assert!(!rest.contains(|c: char| c.is_control() && c != '\n') && !rest.contains('\u{202e}'), "{seen:?}");
        let exact = page("7", &document, &[mention], false).expect("the text is there");
        assert!(exact.contains("a\x1b[2J.xml") && exact.contains("\x1b]0;x\x07"), "{exact:?}");
    }
}
