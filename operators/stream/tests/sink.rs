//! What every sink can rely on, shown with one that keeps records in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use pubtag_schemas::{
    COMMIT_VERSION, Close, Commit, CommitOutcome, Deletion, Ending, Input, InputUnit, Location, Outcome, Packet, Place,
    PmidVersion, TaggedRecord, Tally, UnitReport,
};
use pubtag_stream::{Attempt, Fault, FaultKind, Meter, Operator, Sink, Write};

/// What was written, unit by unit: its file, its records, and how the attempt ended.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<String>>>);

struct Kept {
    memory: Memory,
    unit: Arc<InputUnit>,
    records: usize,
}

impl Sink for Memory {
    type Attempt = Kept;

    fn name(&self) -> &'static str {
        "keep"
    }

    async fn begin(&self, unit: Arc<InputUnit>) -> Result<Kept, Fault> {
        Ok(Kept { memory: self.clone(), unit, records: 0 })
    }
}

impl Attempt for Kept {
    async fn write(&mut self, records: Vec<TaggedRecord>, _: &Meter) -> Result<(), Fault> {
        self.records += records.len();
        Ok(())
    }

    async fn finish(self, close: &Close, outcome: CommitOutcome, _: &Meter) -> Result<Ending, Fault> {
        self.note("kept");
        Ok(Ending::Committed(Arc::new(commit(close, outcome))))
    }

    async fn abandon(self) {
        self.note("abandoned");
    }
}

impl Kept {
    fn note(&self, ending: &str) {
        let line = format!("{} {} {ending}", self.unit.file_name(), self.records);
        self.memory.0.lock().unwrap().push(line);
    }
}

fn commit(close: &Close, outcome: CommitOutcome) -> Commit {
    Commit {
        version: COMMIT_VERSION,
        fingerprint: close.sha256.clone(),
        input: Input::new(&close.unit, close.sha256.clone(), close.sha256.clone()),
        attempt_id: String::new(),
        run_id: Default::default(),
        model_id: String::new(),
        model_sha256: String::new(),
        settings: BTreeMap::new(),
        program: String::new(),
        parts: Vec::new(),
        tally: close.tally,
        statuses: BTreeMap::new(),
        outcome,
        supersedes: Vec::new(),
        claim: None,
        former_claims: Vec::new(),
        committed_at: String::new(),
    }
}

fn unit(index: usize) -> Arc<InputUnit> {
    let unit = InputUnit::new(index, Location::File(format!("/in/{index}.xml")));
    Arc::new(InputUnit { sha256: Some("ab".to_owned()), ..unit })
}

fn items(unit: &Arc<InputUnit>, count: u32) -> Packet<TaggedRecord> {
    let place = |ordinal| Place { unit: unit.clone(), ordinal, byte_offset: 0 };
    let deletion =
        |ordinal| Deletion { pmid: 7.try_into().unwrap(), version: PmidVersion::FIRST, place: place(ordinal) };
    Packet::Items((0..count).map(|ordinal| TaggedRecord::Deletion(deletion(ordinal))).collect())
}

fn close(unit: &Arc<InputUnit>, sha256: &str, outcome: Outcome) -> Packet<TaggedRecord> {
    let (unit, sha256) = (unit.clone(), sha256.to_owned());
    Packet::Close(Close { unit, tally: Tally::default(), bytes: 0, sha256, outcome })
}

async fn write(packets: Vec<Packet<TaggedRecord>>) -> (Vec<String>, Vec<Result<UnitReport, Fault>>) {
    let memory = Memory::default();
    let input = Box::pin(futures::stream::iter(packets).map(Ok));
    let reports = Write::new(memory.clone()).apply(input, Meter::new("keep")).collect().await;
    let lines = memory.0.lock().unwrap().clone();
    (lines, reports)
}

#[tokio::test]
async fn a_unit_is_finished_or_abandoned_as_it_closes() {
    let units: Vec<_> = (0..4).map(unit).collect();
    let (lines, reports) = write(vec![
        Packet::Open(units[0].clone()),
        items(&units[0], 2),
        items(&units[0], 1),
        close(&units[0], "ab", Outcome::Complete),
        Packet::Open(units[1].clone()),
        close(&units[1], "ab", Outcome::Quarantined("truncated".to_owned())),
        Packet::Open(units[2].clone()),
        close(&units[2], "cd", Outcome::Complete),
        Packet::Open(units[3].clone()),
        items(&units[3], 1),
    ])
    .await;
    assert_eq!(lines, ["0.xml 3 kept", "1.xml 0 abandoned", "2.xml 0 abandoned", "3.xml 1 abandoned"]);
    let endings: Vec<Ending> = reports.into_iter().map(|report| report.unwrap().ending).collect();
    assert!(matches!(&endings[0], Ending::Committed(commit) if commit.outcome == CommitOutcome::Complete));
    assert!(matches!(&endings[1], Ending::Quarantined { reason } if reason == "truncated"));
    assert!(matches!(&endings[2], Ending::Quarantined { reason } if reason.contains("changed while it was read")));
    assert!(matches!(&endings[3], Ending::Abandoned));
}

#[tokio::test]
async fn packets_out_of_order_are_a_fault() {
    let (one, other) = (unit(0), unit(1));
    for (packets, expected) in [
        (vec![items(&one, 1)], "outside of any unit"),
        (vec![Packet::Open(one.clone()), Packet::Open(other.clone())], "begins before /in/0.xml has ended"),
        (vec![Packet::Open(one.clone()), close(&other, "ab", Outcome::Complete)], "ends but did not begin"),
    ] {
        let (_, mut reports) = write(packets).await;
        let fault = reports.pop().unwrap().unwrap_err();
        let source = std::error::Error::source(&fault).unwrap().to_string();
        assert_eq!((fault.stage(), fault.kind()), ("keep", FaultKind::Internal));
        assert!(source.contains(expected), "{source}");
    }
}
