//! What a worker reads.

use std::io::{self, BufRead, Read};
use std::num::{NonZeroU32, NonZeroU64};
use std::thread;

use pubtag_pubmed::{InputFormat, ReadOptions, TextColumns};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use tokio::sync::mpsc;

use crate::config::RunConfig;
use crate::exit::{Exit, Failure};

/// The longest line that is read, in bytes: 1 MiB, far more than any request has.
const LONGEST: usize = 1 << 20;

/// An input to tag. Options that it does not set are those of the worker's command line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// Copied into every answer; read by [`Line::id`].
    #[serde(default, rename = "id")]
    _id: Json,
    /// Path or URL of one file.
    input: String,
    /// Seconds between progress records; absent for none.
    #[serde(default, deserialize_with = "progress_seconds")]
    pub(super) progress_seconds: Option<NonZeroU32>,
    #[serde(default, deserialize_with = "format")]
    input_format: Option<InputFormat>,
    id_column: Option<String>,
    title_column: Option<String>,
    text_column: Option<String>,
    #[serde(default, deserialize_with = "limit")]
    limit: Option<NonZeroU64>,
    accept_partial: Option<bool>,
    overwrite: Option<bool>,
}

fn format<'de, D: Deserializer<'de>>(value: D) -> Result<Option<InputFormat>, D::Error> {
    let name: Option<String> = Option::deserialize(value)?;
    name.map(|name| name.parse().map_err(D::Error::custom)).transpose()
}

fn limit<'de, D: Deserializer<'de>>(value: D) -> Result<Option<NonZeroU64>, D::Error> {
    at_least_1::<u64, _, _>(value, "limit")
}

fn progress_seconds<'de, D: Deserializer<'de>>(value: D) -> Result<Option<NonZeroU32>, D::Error> {
    at_least_1::<u32, _, _>(value, "progress_seconds")
}

fn at_least_1<'de, T, N, D>(value: D, name: &str) -> Result<Option<N>, D::Error>
where
    T: Deserialize<'de>,
    N: TryFrom<T>,
    D: Deserializer<'de>,
{
    let number: Option<T> = Option::deserialize(value)?;
    let checked =
        number.map(|number| N::try_from(number).map_err(|_| D::Error::custom(format!("{name} must be at least 1"))));
    checked.transpose()
}

impl Request {
    /// The settings of a run over the input.
    pub(super) fn config(&self, base: &RunConfig) -> RunConfig {
        let ReadOptions { accept_partial, limit, format, columns, output, buckets } = base.read.clone();
        let columns = TextColumns {
            id: self.id_column.clone().or(columns.id),
            title: self.title_column.clone().or(columns.title),
            text: self.text_column.clone().or(columns.text),
        };
        let read = ReadOptions {
            accept_partial: self.accept_partial.unwrap_or(accept_partial),
            limit: self.limit.map(NonZeroU64::get).or(limit),
            format: self.input_format.or(format),
            columns,
            output,
            buckets,
        };
        let overwrite = self.overwrite.unwrap_or(base.overwrite);
        RunConfig { inputs: vec![self.input.clone()], read, overwrite, ..base.clone() }
    }
}

/// A line of standard input that is not empty.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its number, from 1.
    pub(super) number: u64,
    /// What it says.
    content: Result<Json, String>,
}

impl Line {
    fn new(number: u64, bytes: &[u8]) -> Self {
        let content = match bytes.len() {
            ..=LONGEST => serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}")),
            _ => Err(format!("longer than {LONGEST} bytes")),
        };
        Self { number, content }
    }

    /// The `id` of the request; null without one.
    pub(super) fn id(&self) -> Json {
        self.content.as_ref().ok().and_then(|content| content.get("id")).cloned().unwrap_or_default()
    }

    /// The request.
    ///
    /// # Errors
    /// Why the line is not one.
    pub(super) fn request(self) -> Result<Request, String> {
        let invalid = |reason: String| format!("line {}: invalid request: {reason}", self.number);
        let request: Request =
            serde_json::from_value(self.content.map_err(invalid)?).map_err(|error| invalid(error.to_string()))?;
        match request.input.as_str() {
            "-" => Err(invalid("standard input carries the requests; name a file".to_owned())),
            _ => Ok(request),
        }
    }
}

/// Reads standard input on a thread of its own, one line ahead.
///
/// # Errors
/// The thread cannot be started. That standard input cannot be read is its last item.
pub(crate) fn lines() -> Result<mpsc::Receiver<Result<Line, Failure>>, Failure> {
    let (sender, lines) = mpsc::channel(1);
    let read = move || {
        let mut numbered = Numbered { input: io::stdin().lock(), number: 0 };
        while let Some(line) = numbered.next().transpose() {
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                break;
            }
        }
    };
    let started = thread::Builder::new().name("pubtag-requests".to_owned()).spawn(read);
    started.map(|_| lines).map_err(|error| Failure::new(Exit::Internal, error))
}

/// The lines of an input.
struct Numbered<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Numbered<R> {
    /// The next line that is not empty; `None` at the end.
    fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            let mut bytes = Vec::new();
            if self.read(&mut bytes).map_err(|error| unreadable(&error))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(Line::new(self.number, &bytes)));
            }
        }
    }

    /// Reads a line, of one that is too long only the start.
    fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        let read = self.input.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', bytes)?;
        if read > LONGEST && bytes.last() != Some(&b'\n') {
            self.input.skip_until(b'\n')?;
        }
        Ok(read)
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::message(Exit::Transient, format!("failed to read requests from standard input: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(text: &[u8]) -> Vec<(u64, Json, Result<Request, String>)> {
        let mut numbered = Numbered { input: text, number: 0 };
        let next = || numbered.next().expect("memory can be read");
        std::iter::from_fn(next).map(|line| (line.number, line.id(), line.request())).collect()
    }

    fn refusal(text: &str) -> String {
        requests(text.as_bytes()).remove(0).2.expect_err(text)
    }

    #[test]
    fn requests_have_an_id_and_the_number_of_their_line() {
        let text = b"{\"id\": 7, \"input\": \"a.xml\"}\n\n  \r\n{\"input\": \"b.xml\", \"id\": {\"n\": 1}}";
        let read = requests(text);
        let read: Vec<_> = read
            .iter()
            .map(|(number, id, request)| (*number, id.to_string(), request.as_ref().unwrap().input.as_str()))
            .collect();
        assert_eq!(read, [(1, "7".to_owned(), "a.xml"), (4, "{\"n\":1}".to_owned(), "b.xml")]);
    }

    #[test]
    fn what_is_not_a_request_is_refused_with_its_reason_and_its_id() {
        assert!(refusal("{\"input\": ").contains("line 1: invalid request: not JSON"));
        assert!(refusal("{\"id\": 1}").contains("missing field `input`"));
        assert!(refusal("{\"input\": \"-\"}").contains("name a file"));
        assert!(refusal("[1]").contains("line 1"));
        assert!(refusal("{\"input\": \"a\", \"input_format\": \"pdf\"}").contains("expected one of xml, jsonl"));
        assert!(refusal("{\"input\": \"a\", \"progress_seconds\": 0}").contains("line 1"));
        let (_, id, request) = requests(b"{\"id\": \"x\", \"input\": \"a\", \"ouptut\": \"b\"}").remove(0);
        assert!(id == "x" && request.expect_err("a misspelled option").contains("unknown field `ouptut`"));
    }

    #[test]
    fn a_line_without_end_is_refused_and_the_next_one_is_read() {
        for extra in [1, 2, 5 * LONGEST] {
            let mut text = vec![b'x'; LONGEST + extra];
            text.extend(b"\n{\"input\": \"a.xml\"}\n");
            let read = requests(&text);
            assert!(read[0].2.as_ref().is_err_and(|reason| reason.contains("longer than")), "{extra}");
            assert!(read.len() == 2 && read[1].0 == 2 && read[1].2.is_ok(), "{extra}");
        }
    }

    #[test]
    fn a_request_changes_only_what_it_sets() {
        use clap::Parser;
        let cli = crate::cli::Cli::parse_from([
            "pubtag",
            "worker",
            "--output",
            "out",
            "--overwrite",
            "--text-column",
            "body",
            "--limit",
            "9",
            "--device",
            "cpu",
        ]);
        let crate::cli::Command::Worker(args) = cli.command else { panic!("another command") };
        let base = RunConfig::without_inputs(args.options).expect("complete");
        let text = br#"{"input": "a.csv", "id_column": "key", "limit": 3, "overwrite": false, "input_format": "csv"}"#;
        let config = requests(text).remove(0).2.expect("a request").config(&base);
        assert_eq!(config.inputs, ["a.csv"]);
        assert_eq!((config.read.limit, config.overwrite, config.read.accept_partial), (Some(3), false, false));
        assert_eq!(config.read.format, Some(InputFormat::Csv));
        let columns = TextColumns { id: Some("key".to_owned()), title: None, text: Some("body".to_owned()) };
        assert_eq!(config.read.columns, columns);
    }
}
