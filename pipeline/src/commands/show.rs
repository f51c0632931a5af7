//! `pubtag show`.

use std::io;
use std::num::NonZeroUsize;

use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::datatypes::Int32Type;
use pubtag_parquet::Tables;
use pubtag_schemas::tables::Status;

use crate::cli::{Color, ShowArgs};
use crate::committed::{OutputParts, committed, generations};
use crate::exit::{Exit, Failure};
use crate::figures::counted;
use crate::outputs::open_output;
use crate::runtime::runtime;
use crate::terminal;

/// A document with its mentions.
#[derive(Debug)]
struct Document {
    source_file: String,
    title: Option<String>,
    abstract_text: Option<String>,
    is_deleted: bool,
    model_id: String,
    /// In text order.
    mentions: Vec<Mention>,
}

/// A mention; offsets in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mention {
    start: usize,
    end: usize,
    label: String,
}

/// Prints the current version of a document, as a snapshot has it.
///
/// # Errors
/// The output or document does not exist, or its text was not kept.
pub fn execute(args: &ShowArgs) -> Result<io::Result<()>, Failure> {
    let document = runtime(NonZeroUsize::MIN)?.block_on(current(args))?;
    let colored = match args.color {
        Color::Auto => terminal::stdout_is_terminal(),
        Color::Always => true,
        Color::Never => false,
    };
    let page = page(&args.id, &document, colored)?;
    Ok(if colored { terminal::print_colored(&page) } else { terminal::print(&page) })
}

/// The document that is current.
async fn current(args: &ShowArgs) -> Result<Document, Failure> {
    let options = args.store.options();
    let tables = Tables::open(open_output(&args.output, &options).await?).await?;
    let commits = committed(&tables);
    let generations = generations(&args.output, &options, &commits).await?;
    match pubtag_snapshot::find(&OutputParts(tables), &commits, &generations, &args.id).await? {
        Some(row) => Ok(Document::of(&row)),
        None => {
            let ShowArgs { id, output, .. } = args;
            let year =
                generations.in_force.map_or_else(String::new, |year| format!(" (generation {year} is in force)"));
            let message =
                format!("document {id} not found in {output}{year}; expected a PMID, or an ID from the input");
            Err(Failure::message(Exit::Data, message))
        }
    }
}

impl Document {
    /// From a row of a snapshot.
    fn of(row: &RecordBatch) -> Self {
        let row = StructArray::from(row.clone());
        let text = |name| text(&row, name, 0);
        let annotations = row.column_by_name("annotations").map(|lists| lists.as_list::<i32>().value(0));
        let mut mentions = annotations.map_or_else(Vec::new, |list| mentions(list.as_struct()));
        mentions.sort();
        Self {
            source_file: text("source_file").unwrap_or_default(),
            title: text("title"),
            abstract_text: text("abstract"),
            is_deleted: text("status").as_deref() == Some(Status::Deleted.as_str()),
            model_id: text("model_id").unwrap_or_default(),
            mentions,
        }
    }
}

fn mentions(annotations: &StructArray) -> Vec<Mention> {
    let offset = |name, row| {
        let offsets = annotations.column_by_name(name).map(|offsets| offsets.as_primitive::<Int32Type>());
        offsets.and_then(|offsets| usize::try_from(offsets.value(row)).ok()).unwrap_or(0)
    };
    let mention = |row| Mention {
        start: offset("start_char", row),
        end: offset("end_char", row),
        label: text(annotations, "label", row).unwrap_or_default(),
    };
    (0..annotations.len()).map(mention).collect()
}

fn text(rows: &StructArray, name: &str, row: usize) -> Option<String> {
    let column = rows.column_by_name(name)?.as_string_opt::<i32>()?;
    (!column.is_null(row)).then(|| column.value(row).to_owned())
}

/// The page. With colors, everything else is escaped for the terminal.
fn page(id: &str, document: &Document, colored: bool) -> Result<String, Failure> {
    let shown = |text: &str| if colored { terminal::page(text).into_owned() } else { text.to_owned() };
    let Document { source_file, model_id, mentions, .. } = document;
    let count = counted(mentions.len() as u64, "mention");
    let head = shown(&format!("{id} · {source_file} · {model_id} · {count}"));
    if document.is_deleted {
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

    fn document(source_file: &str, [title, abstract_text]: [&str; 2], mentions: &[Mention]) -> Document {
        Document {
            source_file: source_file.into(),
            title: Some(title.into()),
            abstract_text: Some(abstract_text.into()),
            is_deleted: false,
            model_id: "m".into(),
            mentions: mentions.to_vec(),
        }
    }

    #[test]
    fn mentions_are_marked_by_character_not_byte_offsets() {
        let mention = |start, end| Mention { start, end, label: "Disease".into() };
        let document = document("a.xml", ["β-ataxia", "No gout."], &[mention(0, 8), mention(12, 16)]);
        let page = page("7", &document, false).expect("the text is there");
        assert_eq!(page, "7 · a.xml · m · 2 mentions\n\n[β-ataxia|Disease]\n\nNo [gout|Disease].\n");
    }

    #[test]
    fn on_a_terminal_a_text_has_only_our_colors() {
        let mention = Mention { start: 0, end: 4, label: "D\x1bX".into() };
        let document = document("a\x1b[2J.xml", ["Gout \u{202e}and", "\x1b]0;x\x07"], &[mention]);
        let seen = page("7\r", &document, true).expect("the text is there");
        let ours = ["\x1b[1;", "\x1b[0m\x1b[2m", "\x1b[0m"];
        let rest = ours.iter().fold(seen.clone(), |seen, ours| seen.replace(ours, ""));
        assert!(!rest.contains(|c: char| c.is_control() && c != '\n') && !rest.contains('\u{202e}'), "{seen:?}");
        let exact = page("7", &document, false).expect("the text is there");
        assert!(exact.contains("a\x1b[2J.xml") && exact.contains("\x1b]0;x\x07"), "{exact:?}");
    }
}
