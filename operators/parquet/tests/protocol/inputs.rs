//! Input files, reduced to a content, and the records in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pubtag_parquet::RunSpec;
use pubtag_schemas::{InputUnit, Outcome, Packet, TaggedRecord, Tally, identity};

use crate::common::{self, Tagged};

/// A content: a number that determines the records.
pub(crate) type Content = u8;

/// Contents that can be read.
pub(crate) const GOOD: std::ops::Range<Content> = 0..5;
/// Has several row groups and parts.
pub(crate) const LARGE: Content = 4;
/// Damaged: it is quarantined.
pub(crate) const BAD: Content = 5;

/// A file: its content, and when it was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) content: Content,
    pub(crate) modified: i64,
}

/// Files by name.
pub(crate) type Files = BTreeMap<&'static str, File>;

/// One of two sets of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Settings {
    A,
    B,
}

impl Settings {
    pub(crate) fn spec(self) -> RunSpec {
        match self {
            Self::A => common::spec(),
            Self::B => common::other_model(),
        }
    }

    pub(crate) fn of(spec_model: &str) -> Self {
        if spec_model == Self::A.spec().model_sha256 { Self::A } else { Self::B }
    }
}

/// The file that belongs to the PubMed distribution. Whenever it is written, it is in another directory.
const OF_PUBMED: &str = "b";

fn uri(name: &str, file: File) -> String {
    match name {
        OF_PUBMED => format!("/mirror{}/pubmed26n0001.xml.gz", file.modified % 2),
        _ => format!("/in/{name}"),
    }
}

/// The name of the file with a URI or identity.
pub(crate) fn name_of(uri: &str) -> String {
    match &*identity(uri) {
        "pubmed26n0001" => OF_PUBMED.to_owned(),
        uri => uri.trim_start_matches("/in/").to_owned(),
    }
}

/// The hash of a content.
pub(crate) fn sha256(content: Content) -> String {
    common::sha256(&[content])
}

/// The file as a run discovers it, not hashed yet.
pub(crate) fn unit(index: usize, name: &str, file: File) -> InputUnit {
    let unit = common::unit(index, &uri(name, file), "");
    let (size, modified_us) = (Some(100), Some(file.modified));
    InputUnit { sha256: None, size, modified_us, ..InputUnit::clone(&unit) }
}

/// What the stages before the writer yield for a unit.
pub(crate) fn packets(unit: &Arc<InputUnit>, content: Content) -> Vec<Tagged> {
    let records = records(unit, content);
    let count = |is: fn(&TaggedRecord) -> bool| records.iter().filter(|record| is(record)).count() as u64;
    let tally = Tally {
        citations: count(|record| matches!(record, TaggedRecord::Document(_))),
        deletions: count(|record| matches!(record, TaggedRecord::Deletion(_))),
        rejects: count(|record| matches!(record, TaggedRecord::Reject(_))),
    };
    let outcome = match content {
        BAD => Outcome::Quarantined("damaged".into()),
        _ => Outcome::Complete,
    };
    let items = records.chunks(3).map(|some| Packet::Items(some.to_vec())).collect::<Vec<_>>();
    let open = [Packet::Open(unit.clone())];
    open.into_iter().chain(items).chain([common::close(unit, tally, outcome)]).collect()
}

pub(crate) fn records(unit: &Arc<InputUnit>, content: Content) -> Vec<TaggedRecord> {
    let document = |ordinal| {
        let title = format!("Ataxia and ALS, case {content}.");
        common::document(
            unit,
            ordinal,
            &title,
            &["Ataxia", "ALS"][..ordinal as usize % 3 % 2 + usize::from(content > 1)],
        )
    };
    match content {
        0 => Vec::new(),
        LARGE => (0..24).map(document).chain([common::reject(unit, 24), common::deletion(unit, 25)]).collect(),
        _ => vec![document(0), common::deletion(unit, 1), document(2), common::reject(unit, 3)],
    }
}
