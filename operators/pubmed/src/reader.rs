//! Reads one unit, a packet at a time.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;

use pubtag_schemas::{Close, InputUnit, Outcome, Record, RejectReason};

use crate::PubmedError;
use crate::collector::{Collector, Flaw};
use crate::disk::{Disk, READ_BYTES};
use crate::gzip::Gunzip;
use crate::jsonl::JsonlReader;
use crate::sniff::{self, Content, HEAD_BYTES};
use crate::window::{Ended, Window};
use crate::xml::XmlReader;

/// A record that is larger than this is rejected. PubMed's have about 10 KiB.
pub(crate) const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// How to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Takes what can be read of a file that is truncated or corrupt, instead of quarantining it.
    pub accept_partial: bool,
    /// Reads at most this many records.
    pub limit: Option<u64>,
}

/// What a step of reading has come to.
#[derive(Debug)]
pub(crate) enum Step {
    More,
    End(End),
}

/// How reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Complete,
    Limited,
    /// The input ends too early or is corrupt; what was read before is sound.
    Damaged {
        cause: String,
        in_record: bool,
    },
    /// The input is not what it should be at all.
    Unreadable(String),
}

enum Format {
    Xml(XmlReader),
    Jsonl(JsonlReader),
    Unreadable(End),
}

/// A unit that is being read.
pub(crate) struct UnitReader {
    unit: Arc<InputUnit>,
    options: ReadOptions,
    disk: Disk,
    window: Window,
    format: Format,
    out: Collector,
    end: Option<End>,
}

impl UnitReader {
    /// Opens a unit and finds out what it holds.
    pub(crate) fn open(unit: Arc<InputUnit>, options: ReadOptions) -> Result<Self, PubmedError> {
        let disk = Disk::open(&unit)?;
        let (window, format) = open_content(disk.clone()).map_err(PubmedError::io(&unit.uri, "read it"))?;
        let out = Collector::new(unit.clone(), options.limit);
        Ok(Self { unit, options, disk, window, format, out, end: None })
    }

    /// Bytes of the input read so far, as they lie on disk.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.disk.bytes_read()
    }

    /// The records of the next packet; `None` at the end.
    pub(crate) fn next_records(&mut self) -> Result<Option<Vec<Record>>, PubmedError> {
        while self.end.is_none() && !self.out.is_full() {
            let step = match &mut self.format {
                Format::Xml(xml) => xml.step(&mut self.window, &mut self.out),
                Format::Jsonl(jsonl) => jsonl.step(&mut self.window, &mut self.out),
                Format::Unreadable(end) => Ok(Step::End(end.clone())),
            };
            match step.map_err(PubmedError::io(&self.unit.uri, "read it"))? {
                Step::More => (),
                Step::End(end) => self.end_with(end),
            }
        }
        let records = self.out.take();
        Ok((!records.is_empty()).then_some(records))
    }

    fn end_with(&mut self, end: End) {
        if let End::Damaged { cause, in_record: true } = &end
            && self.options.accept_partial
        {
            let flaw = Flaw::new(RejectReason::Truncated, cause.clone());
            let raw = self.window.bytes();
            self.out.reject(self.window.offset(), flaw, crate::xml::salvage_pmid(raw), raw);
        }
        self.end = Some(end);
    }

    /// Reads what is left of the file for its checksums, and says how the unit has ended.
    pub(crate) fn close(self) -> Result<Close, PubmedError> {
        let checked = self.disk.clone().finish(&self.unit)?;
        let end = self.end.clone().unwrap_or(End::Limited);
        let outcome = match (end, checked.changed, checked.mismatch) {
            (_, Some(changed), _) => self.quarantined(&format!("it changed while it was read ({changed}); run again")),
            (End::Unreadable(cause), ..) => self.quarantined(&cause),
            (End::Damaged { cause, .. }, _, mismatch) => self.damaged(&cause, mismatch),
            (_, _, Some(mismatch)) => self.quarantined(&format!("{mismatch}; fetch both again")),
            (End::Limited, ..) => Outcome::Limited,
            (End::Complete, ..) => Outcome::Complete,
        };
        let tally = self.out.tally();
        Ok(Close { unit: self.unit, tally, bytes: checked.bytes, sha256: checked.sha256, outcome })
    }

    fn quarantined(&self, reason: &str) -> Outcome {
        Outcome::Quarantined(format!("{}: {reason}", self.unit.uri))
    }

    fn damaged(&self, cause: &str, mismatch: Option<String>) -> Outcome {
        let read_to = self.window.offset();
        let records = self.out.tally().records();
        let mismatch = mismatch.map(|mismatch| format!("; {mismatch}")).unwrap_or_default();
        let reason = format!("{cause} (content read to byte {read_to}, behind {records} records){mismatch}");
        if self.options.accept_partial {
            Outcome::Partial(format!("{}: {reason}", self.unit.uri))
        } else {
            self.quarantined(&format!("{reason}; fetch it again, or take what is there with --accept-partial"))
        }
    }
}

/// Looks through the compression and the encoding of an input.
fn open_content(disk: Disk) -> io::Result<(Window, Format)> {
    let mut disk = BufReader::with_capacity(READ_BYTES, disk);
    let mut head = Vec::new();
    (&mut disk).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    let compressed = sniff::content(&head) == Content::Gzip;
    let whole: Box<dyn BufRead + Send> = Box::new(Cursor::new(head).chain(disk));
    let mut window = Window::new(if compressed { Box::new(Gunzip::new(whole)) } else { Box::new(whole) });
    window.fill()?;
    let format = open_format(&mut window, compressed);
    Ok((window, format))
}

fn open_format(window: &mut Window, compressed: bool) -> Format {
    let end = match (sniff::content(window.bytes()), window.ended()) {
        (Content::Xml(None), _) => {
            window.consume(sniff::bom_len(window.bytes()));
            return Format::Xml(XmlReader::new(false));
        }
        (Content::Xml(Some(encoding)), _) => {
            window.transcode(encoding);
            return Format::Xml(XmlReader::new(true));
        }
        (Content::Jsonl, _) => {
            window.consume(sniff::bom_len(window.bytes()));
            return Format::Jsonl(JsonlReader::default());
        }
        (Content::Empty, Some(Ended::At(defect))) => End::Damaged { cause: defect.to_string(), in_record: false },
        (Content::Empty, _) if compressed => End::Unreadable("its gzip data hold nothing; fetch it again".into()),
        (Content::Empty, _) => End::Unreadable("it is empty; fetch it again".into()),
        (Content::Gzip, _) => End::Unreadable("it is gzip within gzip; decompress it once".into()),
        (Content::Other(what), _) => End::Unreadable(what.into()),
    };
    Format::Unreadable(end)
}
