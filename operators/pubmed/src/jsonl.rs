//! JSONL: one object a line, `{"id" | "pmid", "title"?, "abstract" | "text"}`.

use std::io;

use memchr::memchr;
use pubtag_schemas::{AbstractSegment, Citation, CitationText, DocId, Place, Pmid, PubDate, Record, RejectReason};
use serde::Deserialize;
use serde_json::Value;
use serde_json::error::Category;

use crate::collector::{Collector, Flaw};
use crate::reader::{End, MAX_RECORD_BYTES, Step};
use crate::window::{Ended, Window};

/// Reads JSONL, a line at a time; lines of white space are no records.
///
/// Texts are taken as they stand: nothing is trimmed or normalised, so that offsets count in what was given.
#[derive(Default)]
pub(crate) struct JsonlReader {
    /// A line that is too large was rejected, and its end is still to be found.
    skipping: bool,
}

impl JsonlReader {
    /// Reads the next line.
    pub(crate) fn step(&mut self, window: &mut Window, out: &mut Collector) -> io::Result<Step> {
        let line_break = memchr(b'\n', window.bytes());
        if self.skipping {
            return self.skip(line_break, window);
        }
        if line_break.is_none() && window.bytes().len() < MAX_RECORD_BYTES && window.fill()? {
            return Ok(Step::More);
        }
        let len = line_break.unwrap_or(window.bytes().len());
        let line = window.bytes()[..len].trim_ascii();
        if line.is_empty() {
            window.consume(len + usize::from(line_break.is_some()));
            return if line_break.is_some() { Ok(Step::More) } else { Ok(Step::End(at_end(window, false))) };
        }
        if out.at_limit() {
            return Ok(Step::End(End::Limited));
        }
        if len > MAX_RECORD_BYTES || (line_break.is_none() && window.ended().is_none()) {
            let detail = format!("the line is longer than {} MiB", MAX_RECORD_BYTES >> 20);
            out.reject(window.offset(), Flaw::new(RejectReason::TooLarge, detail), None, line);
            self.skipping = true;
            return Ok(Step::More);
        }
        match parse(line, out.place(window.offset())) {
            Ok(record) => out.push(record),
            Err(flaw) if line_break.is_none() && is_cut(line, window) => {
                tracing::debug!(detail = flaw.detail, "the last line is not whole");
                return Ok(Step::End(at_end(window, true)));
            }
            Err(flaw) => out.reject(window.offset(), flaw, salvage_pmid(line), line),
        }
        window.consume(len + usize::from(line_break.is_some()));
        Ok(Step::More)
    }

    /// Passes over the rest of a line that is too large.
    fn skip(&mut self, line_break: Option<usize>, window: &mut Window) -> io::Result<Step> {
        window.consume(line_break.map_or(window.bytes().len(), |at| at + 1));
        self.skipping = line_break.is_none();
        if self.skipping && !window.fill()? {
            return Ok(Step::End(at_end(window, false)));
        }
        Ok(Step::More)
    }
}

/// How the stream ends, behind its last whole line or in the middle of one.
fn at_end(window: &Window, in_record: bool) -> End {
    match window.ended() {
        Some(Ended::At(defect)) => End::Damaged { cause: defect.to_string(), in_record },
        _ if in_record => End::Damaged { cause: "it ends inside a record".into(), in_record },
        _ => End::Complete,
    }
}

/// Whether the last line, which cannot be read, is the beginning of one that could be.
fn is_cut(line: &[u8], window: &Window) -> bool {
    let cut_character = std::str::from_utf8(line).is_err_and(|error| error.error_len().is_none());
    let cut_value = || serde_json::from_slice::<Value>(line).is_err_and(|error| error.classify() == Category::Eof);
    matches!(window.ended(), Some(Ended::At(_))) || cut_character || cut_value()
}

#[derive(Deserialize)]
struct Line {
    id: Option<Value>,
    pmid: Option<Value>,
    title: Option<String>,
    #[serde(rename = "abstract")]
    abstract_text: Option<String>,
    text: Option<String>,
}

fn parse(line: &[u8], place: Place) -> Result<Record, Flaw> {
    let line = std::str::from_utf8(line)
        .map_err(|error| Flaw::new(RejectReason::Encoding, format!("the line is not UTF-8 ({error})")))?;
    let line: Line =
        serde_json::from_str(line).map_err(|error| Flaw::new(RejectReason::Malformed, error.to_string()))?;
    let pmid = line.pmid.as_ref().map(pmid_of).transpose()?;
    let doc_id = match (&line.id, pmid) {
        (Some(id), _) => DocId::new(id_of(id)?),
        (None, Some(pmid)) => pmid.into(),
        (None, None) => return Err(Flaw::new(RejectReason::MissingId, "it has neither `id` nor `pmid`")),
    };
    if line.title.is_none() && line.abstract_text.is_none() && line.text.is_none() {
        return Err(Flaw::new(RejectReason::MissingText, "it has none of `title`, `abstract` and `text`"));
    }
    let text = line.abstract_text.or(line.text).unwrap_or_default();
    let segment = AbstractSegment { text, ..Default::default() };
    Ok(Record::Citation(Box::new(Citation {
        doc_id,
        pmid,
        version: 1,
        text: CitationText::new(&line.title.unwrap_or_default(), vec![segment]),
        pub_date: PubDate::default(),
        date_revised: None,
        journal: None,
        language: None,
        place,
    })))
}

/// An id as text: a string as it stands, a whole number in decimal.
fn id_of(id: &Value) -> Result<String, Flaw> {
    match id {
        Value::String(text) if text.trim().is_empty() => Err(Flaw::new(RejectReason::MissingId, "its id is empty")),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Ok(number.to_string()),
        _ => Err(Flaw::new(RejectReason::BadId, "its id is neither a string nor a whole number")),
    }
}

fn pmid_of(pmid: &Value) -> Result<Pmid, Flaw> {
    let text = id_of(pmid)?;
    text.trim().parse().map_err(|error: pubtag_schemas::PmidError| Flaw::new(RejectReason::BadId, error.to_string()))
}

fn salvage_pmid(line: &[u8]) -> Option<Pmid> {
    let object: Value = serde_json::from_slice(line).ok()?;
    pmid_of(object.get("pmid")?).ok()
}
