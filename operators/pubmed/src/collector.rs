//! Where a reader puts what it finds: numbered, counted and measured.

use std::sync::Arc;

use pubtag_schemas::{InputUnit, MAX_RAW_BYTES, Place, Pmid, Record, Reject, RejectReason, Tally};

/// A packet holds at most this many records.
pub(crate) const PACKET_RECORDS: usize = 64;

/// A packet is full once its records hold this many bytes of text.
pub(crate) const PACKET_BYTES: usize = 512 * 1024;

/// The records of the next packet, and the count of all.
pub(crate) struct Collector {
    unit: Arc<InputUnit>,
    records: Vec<Record>,
    bytes: usize,
    tally: Tally,
    limit: Option<u64>,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) reason: RejectReason,
    pub(crate) detail: String,
}

impl Flaw {
    pub(crate) fn new(reason: RejectReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl Collector {
    pub(crate) fn new(unit: Arc<InputUnit>, limit: Option<u64>) -> Self {
        Self { unit, records: Vec::new(), bytes: 0, tally: Tally::default(), limit }
    }

    /// The place of the record that comes next, whose first byte stands at an offset.
    pub(crate) fn place(&self, byte_offset: u64) -> Place {
        let ordinal = u32::try_from(self.tally.records()).unwrap_or(u32::MAX);
        Place { unit: self.unit.clone(), ordinal, byte_offset }
    }

    pub(crate) fn push(&mut self, record: Record) {
        let (count, bytes) = match &record {
            Record::Citation(citation) => (&mut self.tally.citations, citation.text.as_str().len()),
            Record::Deletion(_) => (&mut self.tally.deletions, 0),
            Record::Reject(reject) => (&mut self.tally.rejects, reject.raw.len()),
        };
        *count += 1;
        self.bytes += bytes;
        self.records.push(record);
    }

    pub(crate) fn reject(&mut self, byte_offset: u64, flaw: Flaw, pmid: Option<Pmid>, raw: &[u8]) {
        let place = self.place(byte_offset);
        let raw = raw[..raw.len().min(MAX_RAW_BYTES)].to_vec();
        self.push(Record::Reject(Reject { place, reason: flaw.reason, detail: flaw.detail, pmid, raw }));
    }

    /// Whether no further record may be read.
    pub(crate) fn at_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.tally.records() >= limit)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= PACKET_RECORDS || self.bytes >= PACKET_BYTES
    }

    /// The records of the packet that is due.
    pub(crate) fn take(&mut self) -> Vec<Record> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }
}
