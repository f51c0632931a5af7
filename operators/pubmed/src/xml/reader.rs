//! Follows the structure of a file and parses its records.

use std::io;

use pubtag_schemas::{Pmid, RejectReason};

use super::extent::{Extent, Look, exact_extent, likely_extent, stray_extent};
use super::grammar::{Level, RecordKind, Set, is_deletions};
use super::markup::{Markup, Sought, markup_at};
use super::record::{parse, salvage_pmid};
use crate::collector::{Collector, MAX_RECORD_BYTES, RecordError, too_large};
use crate::record_reader::{End, RecordReader, Step};
use crate::scan::{count, find_byte};
use crate::window::{Ended, Window};

/// Reads PubMed XML: sets of articles, book articles or MEDLINE citations, and records outside of sets.
///
/// A file may contain several documents, such as concatenated responses of efetch.
pub(crate) struct XmlReader {
    level: Level,
    seen_root: bool,
    /// Whether the rest of a record that is too large is being skipped.
    skipping: bool,
    /// Whether the text was transcoded, so that replacement characters mean invalid bytes.
    transcoded: bool,
    sought: Sought,
    /// Whether a warning about other content was logged.
    warned: bool,
}

impl RecordReader for XmlReader {
    fn step(&mut self, window: &mut Window, out: &mut Collector) -> io::Result<Step> {
        self.next(window, out)
    }

    fn salvage_pmid(&self, record: &[u8]) -> Option<Pmid> {
        salvage_pmid(record)
    }
}

impl XmlReader {
    pub(crate) fn new(transcoded: bool) -> Self {
        Self {
            level: Level::Outside,
            seen_root: false,
            skipping: false,
            transcoded,
            sought: Sought::default(),
            warned: false,
        }
    }

    /// Reads the next piece of structure or record.
    fn next(&mut self, window: &mut Window, out: &mut Collector) -> io::Result<Step> {
        if self.skipping {
            return self.skip(window);
        }
        let blank = window.bytes().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        count(blank);
        window.consume(blank);
        if window.bytes().is_empty() {
            return if window.fill()? { Ok(Step::More) } else { Ok(Step::End(self.at_end(window, out))) };
        }
        if markup_at(window.bytes(), window.offset(), &mut self.sought).0 == Markup::Unclosed {
            if can_grow(window) && window.fill()? {
                return Ok(Step::More);
            }
            if self.ends_outside_a_record(window) {
                return Ok(Step::End(self.damaged(window, false)));
            }
            self.sought.endless_doctype |= window.bytes().starts_with(b"<!DOCTYPE");
        }
        match markup_at(window.bytes(), window.offset(), &mut self.sought) {
            (Markup::Start { name, empty }, len) => {
                let name = name.to_vec();
                self.start(&name, empty, len, window, out)
            }
            (Markup::End { name }, len) if self.closes(name) => {
                window.consume(len);
                Ok(Step::More)
            }
            (Markup::Aside, len) => {
                window.consume(len);
                Ok(Step::More)
            }
            (Markup::Doctype, len) if self.level == Level::Outside => {
                window.consume(len);
                Ok(Step::More)
            }
            _ => self.stray("expected a record", window, out),
        }
    }

    /// Whether the stream ends inside a piece of structure that cannot be the start of a record.
    fn ends_outside_a_record(&self, window: &Window) -> bool {
        let no_tag = match window.bytes() {
            // More markup follows: a damaged start tag, not an instruction that is cut off.
            [b'<', b'?', rest @ ..] => find_byte(rest, b'<').is_none(),
            bytes => matches!(bytes, [b'<'] | [b'<', b'/' | b'!', ..]),
        };
        let inside = match self.level {
            Level::Outside => !self.seen_root,
            _ => no_tag,
        };
        inside && window.ended().is_some()
    }

    fn start(
        &mut self,
        name: &[u8],
        empty: bool,
        len: usize,
        window: &mut Window,
        out: &mut Collector,
    ) -> io::Result<Step> {
        if let Some(kind) = self.level.record(name) {
            self.seen_root = true;
            return self.record(kind, empty.then_some(len), window, out);
        }
        let inner = match (self.level, Set::named(name)) {
            (Level::Outside, Some(set)) => Level::Set(set),
            (Level::Set(set), None) if is_deletions(name) => Level::Deletions(set),
            (Level::Deletions(set), _) if Level::Set(set).is_boundary(&Markup::Start { name, empty }) => {
                tracing::warn!(byte = window.offset(), "list of deletions without an end tag");
                self.level = Level::Set(set);
                return Ok(Step::More);
            }
            (Level::Outside, None) if !self.seen_root => {
                return Ok(Step::End(End::Unreadable(format!(
                    "not PubMed XML: root element is <{}>, not PubmedArticleSet, PubmedBookArticleSet, MedlineCitationSet \
                     or one of their records",
                    String::from_utf8_lossy(&name[..name.len().min(60)])
                ))));
            }
            _ => return self.stray("element is not a record", window, out),
        };
        self.seen_root = true;
        if !empty {
            self.level = inner;
        }
        window.consume(len);
        Ok(Step::More)
    }

    /// Closes the open set or list of deletions if the end tag matches; returns whether it did.
    fn closes(&mut self, name: &[u8]) -> bool {
        let outer = match self.level {
            Level::Set(set) if name == set.name().as_bytes() => Level::Outside,
            Level::Deletions(set) if is_deletions(name) => Level::Set(set),
            Level::Deletions(set) if name == set.name().as_bytes() => Level::Outside,
            _ => return false,
        };
        self.level = outer;
        true
    }

    /// Reads the record at the start of the window; `whole` is its length if known.
    fn record(
        &mut self,
        kind: RecordKind,
        whole: Option<usize>,
        window: &mut Window,
        out: &mut Collector,
    ) -> io::Result<Step> {
        if out.at_limit() {
            return Ok(Step::End(End::Limited));
        }
        let likely = whole.map_or_else(|| likely_extent(window.bytes(), kind), Extent::Closed);
        if let Extent::Unended = likely
            && can_grow(window)
            && window.fill()?
        {
            return Ok(Step::More);
        }
        if let Extent::Closed(len) = likely
            && self.accept(kind, len, window, out).is_ok()
        {
            return Ok(Step::More);
        }
        let exact = exact_extent(look(window), kind, self.level, &mut self.sought);
        match exact {
            Extent::Closed(len) => {
                if let Err(error) = self.accept(kind, len, window, out) {
                    reject(len, error, window, out);
                }
            }
            Extent::Broken(len) => {
                let detail = format!("no end tag </{}>", kind.name());
                reject(len, RecordError::new(RejectReason::Malformed, detail), window, out);
            }
            Extent::Unended if can_grow(window) && window.fill()? => (),
            Extent::Unended => return Ok(self.unended(window, out)),
        }
        Ok(Step::More)
    }

    /// Accepts a record of known length if it can be parsed.
    fn accept(
        &self,
        kind: RecordKind,
        len: usize,
        window: &mut Window,
        out: &mut Collector,
    ) -> Result<(), RecordError> {
        let bytes = &window.bytes()[..len];
        if len > MAX_RECORD_BYTES {
            return Err(too_large("record"));
        }
        if self.transcoded && memchr::memmem::find(bytes, "\u{FFFD}".as_bytes()).is_some() {
            return Err(RecordError::new(RejectReason::Encoding, "bytes are not valid in the declared encoding"));
        }
        out.push(parse(kind, bytes, out.place(window.offset()))?);
        window.consume(len);
        Ok(())
    }

    /// Rejects everything up to the next tag that belongs at this level.
    fn stray(&mut self, what: &str, window: &mut Window, out: &mut Collector) -> io::Result<Step> {
        if self.level == Level::Outside {
            return Ok(self.stray_outside(window));
        }
        if out.at_limit() {
            return Ok(Step::End(End::Limited));
        }
        match stray_extent(look(window), self.level, &mut self.sought) {
            Extent::Closed(len) | Extent::Broken(len) => {
                reject(len, RecordError::new(RejectReason::Malformed, what), window, out);
            }
            Extent::Unended if can_grow(window) && window.fill()? => (),
            Extent::Unended => return Ok(self.unended(window, out)),
        }
        Ok(Step::More)
    }

    /// Skips text or broken markup outside the root elements. Before the first one, the file is not XML.
    fn stray_outside(&mut self, window: &mut Window) -> Step {
        if !self.seen_root {
            return Step::End(End::Unreadable("not PubMed XML: content before the root element".into()));
        }
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(byte = window.offset(), "content after the root element is ignored");
        }
        let next = find_byte(&window.bytes()[1..], b'<').map_or(window.bytes().len(), |at| at + 1);
        window.consume(next);
        Step::More
    }

    /// Handles a record, or something stray, that exceeds the window.
    fn unended(&mut self, window: &mut Window, out: &mut Collector) -> Step {
        if window.ended().is_some() {
            return Step::End(self.damaged(window, true));
        }
        let raw = window.bytes();
        out.reject(window.offset(), too_large("record"), salvage_pmid(raw), raw);
        window.consume(1);
        self.skipping = true;
        Step::More
    }

    /// Skips the rest of a record that is too large.
    fn skip(&mut self, window: &mut Window) -> io::Result<Step> {
        // `stray_extent` starts after one byte that is known to be part of the record.
        match stray_extent(Look { last: true, ..look(window) }, self.level, &mut self.sought) {
            Extent::Broken(at) | Extent::Closed(at) => {
                window.consume(at);
                self.skipping = false;
            }
            Extent::Unended => {
                // A tag may be split at the end of the window, so it is kept.
                let bytes = window.bytes();
                let kept = memchr::memrchr(b'<', bytes).map_or(1, |at| (bytes.len() - at + 1).min(4096));
                window.consume(bytes.len().saturating_sub(kept));
                if !window.fill()? {
                    return Ok(Step::End(self.damaged(window, false)));
                }
            }
        }
        Ok(Step::More)
    }

    fn at_end(&self, window: &Window, out: &Collector) -> End {
        match (self.level, window.ended()) {
            (Level::Outside, Some(Ended::At(crate::gzip::Defect::Trailing))) if self.seen_root => {
                tracing::warn!(record = out.tally().records(), "data after the gzip data are ignored");
                End::Complete
            }
            (Level::Outside, Some(Ended::At(_))) => self.damaged(window, false),
            (Level::Outside, _) if self.seen_root => End::Complete,
            (Level::Outside, _) => End::Unreadable("no XML element".into()),
            _ => self.damaged(window, false),
        }
    }

    fn damaged(&self, window: &Window, in_record: bool) -> End {
        let missing = match self.level {
            Level::Set(set) | Level::Deletions(set) => format!("the end tag </{}>", set.name()),
            Level::Outside => "the end of the root element".to_owned(),
        };
        let cause = match window.ended() {
            Some(Ended::At(defect)) => defect.to_string(),
            _ if in_record => "file ends inside a record".to_owned(),
            _ => format!("file ends before {missing}"),
        };
        End::Damaged { cause, in_record }
    }
}

fn reject(len: usize, error: RecordError, window: &mut Window, out: &mut Collector) {
    let raw = &window.bytes()[..len];
    out.reject(window.offset(), error, salvage_pmid(raw), raw);
    window.consume(len);
}

fn look(window: &Window) -> Look<'_> {
    Look { bytes: window.bytes(), offset: window.offset(), last: !can_grow(window) }
}

/// Whether more bytes can be read and a record may be larger than the window.
fn can_grow(window: &Window) -> bool {
    window.ended().is_none() && window.bytes().len() < MAX_RECORD_BYTES
}
