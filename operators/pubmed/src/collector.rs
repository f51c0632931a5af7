//! Collects the records of a reader, numbers and counts them.

use std::sync::Arc;

use pubtag_schemas::{InputUnit, MAX_RAW_BYTES, Place, Pmid, Record, Reject, RejectReason, Tally};

/// Records larger than this are rejected. Those of PubMed have about 10 KiB.
pub(crate) const MAX_RECORD_BYTES: usize = 16 * 1024 * 1024;

/// Maximum number of records per packet.
pub(crate) const PACKET_RECORDS: usize = 64;

/// A packet is full when its records have this many bytes of text.
pub(crate) const PACKET_BYTES: usize = 512 * 1024;

/// Maximum number of records per unit: the number of ordinals that the column of the tables can hold.
pub(crate) const MAX_RECORDS: u64 = 1 << 31;

/// The records of the next packet, and the count of all records.
pub(crate) struct Collector {
    unit: Arc<InputUnit>,
    records: Vec<Record>,
    bytes: usize,
    tally: Tally,
    limit: Option<u64>,
    capacity: u64,
    overflowed: bool,
}

/// Why a record is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordError {
    pub(crate) reason: RejectReason,
    pub(crate) detail: String,
}

impl RecordError {
    pub(crate) fn new(reason: RejectReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// The error of a record that is larger than the reader accepts.
pub(crate) fn too_large(what: &str) -> RecordError {
    RecordError::new(RejectReason::TooLarge, format!("{what} larger than {} MiB", MAX_RECORD_BYTES >> 20))
}

impl Collector {
    pub(crate) fn new(unit: Arc<InputUnit>, limit: Option<u64>) -> Self {
        let (records, tally) = (Vec::new(), Tally::default());
        Self { unit, records, bytes: 0, tally, limit, capacity: MAX_RECORDS, overflowed: false }
    }

    /// The place of the next record, given the offset of its first byte.
    pub(crate) fn place(&self, byte_offset: u64) -> Place {
        let ordinal = u32::try_from(self.tally.records()).unwrap_or(u32::MAX);
        Place { unit: self.unit.clone(), ordinal, byte_offset }
    }

    pub(crate) fn push(&mut self, record: Record) {
        if self.tally.records() == self.capacity {
            self.overflowed = true;
            return;
        }
        let (count, bytes) = match &record {
            Record::Document(citation) => (&mut self.tally.citations, citation.text.as_str().len()),
            Record::Cached(document) => (&mut self.tally.citations, document.citation.text.as_str().len()),
            Record::Deletion(_) => (&mut self.tally.deletions, 0),
            Record::Reject(reject) => (&mut self.tally.rejects, reject.raw.len()),
        };
        *count += 1;
        self.bytes += bytes;
        self.records.push(record);
    }

    pub(crate) fn reject(&mut self, byte_offset: u64, error: RecordError, pmid: Option<Pmid>, raw: &[u8]) {
        let place = self.place(byte_offset);
        let raw = raw[..raw.len().min(MAX_RAW_BYTES)].to_vec();
        self.push(Record::Reject(Reject { place, reason: error.reason, detail: error.detail, pmid, raw }));
    }

    /// Whether the limit is reached.
    pub(crate) fn at_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.tally.records() >= limit)
    }

    /// Whether a record was dropped because no ordinal was left for it.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= PACKET_RECORDS || self.bytes >= PACKET_BYTES
    }

    /// Takes the records of the packet.
    pub(crate) fn take(&mut self) -> Vec<Record> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
impl Collector {
    pub(crate) fn with_capacity(self, capacity: u64) -> Self {
        Self { capacity, ..self }
    }
}
