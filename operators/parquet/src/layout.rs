//! Paths below the output directory, and what can be read from a name.

use std::fmt;

use object_store::path::Path;
use pubtag_schemas::InputUnit;
use pubtag_schemas::table::Table;
use pubtag_schemas::tables::{AnnotationRow, DocumentRow, RejectRow};
use uuid::Uuid;

use crate::digest;

/// The directories of the three tables.
pub(crate) const TABLES: [&str; 3] = [AnnotationRow::NAME, DocumentRow::NAME, RejectRow::NAME];
/// pubtag's own directory. The leading underscore hides it from Spark and Hive.
pub(crate) const OWN: &str = "_pubtag";
/// Directory of the markers.
pub(crate) const COMMITS: &str = "_pubtag/commits";
/// Directory of the claims.
pub(crate) const CLAIMS: &str = "_pubtag/claims";
/// Created twice to see whether the store refuses the second time.
pub(crate) const PROBE: &str = "_pubtag/probe.json";
/// The compacted log of commits.
pub(crate) const LOG: &str = "_pubtag/log.parquet";
/// Written to learn the time of the store.
pub(crate) const CLOCK: &str = "_pubtag/clock.json";
/// Directory of the locks.
pub(crate) const ATTEMPTS: &str = "_pubtag/attempts";
/// Locked while a commit is replaced.
pub(crate) const REPLACING: &str = "_pubtag/replacing.lock";
/// Marks the directory as an output of pubtag.
pub(crate) const OUTPUT: &str = pubtag_schemas::OUTPUT_MARK;

/// Maximum length of a stem, so that names stay below file systems' limits.
const MAX_STEM: usize = 80;
/// Length of a UUID with hyphens.
const UUID_LEN: usize = 36;

/// One attempt at one unit, numbered within its run; no other attempt writes under the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptId {
    pub(crate) run_id: Uuid,
    pub(crate) number: usize,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:05}", self.run_id, self.number)
    }
}

/// The path of a part.
pub(crate) fn part(table: &str, unit: &InputUnit, attempt: AttemptId, number: usize) -> Path {
    Path::from(format!("{table}/{}-{attempt}-{number:03}.parquet", stem(unit)))
}

/// The path of the marker of an input, by its [key](crate::RunSpec::key).
pub(crate) fn marker(key: &str) -> Path {
    let name: String = key.chars().take(32).collect();
    Path::from(format!("{COMMITS}/{name}.json"))
}

/// The path of a claim of an identity.
pub(crate) fn claim(identity: &str, number: u32) -> Path {
    let name: String = digest::of(identity.as_bytes()).chars().take(32).collect();
    Path::from(format!("{CLAIMS}/{name}-{number:06}.json"))
}

/// The run that wrote a part, from the part's name.
pub(crate) fn run_of_part(name: &str) -> Option<Uuid> {
    let (rest, _number) = name.strip_suffix(".parquet")?.rsplit_once('-')?;
    let (rest, _attempt) = rest.rsplit_once('-')?;
    let start = rest.len().checked_sub(UUID_LEN)?;
    rest.get(..start)?.ends_with('-').then(|| rest[start..].parse().ok()).flatten()
}

/// The input's file name without its extensions, in characters that need no quoting anywhere.
///
/// A leading underscore or dot would hide the part from Spark and Hive.
fn stem(unit: &InputUnit) -> String {
    let name = unit.file_name();
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let name = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let clean: String = name.chars().map(plain).collect();
    let bounded: String = clean.trim_start_matches(['_', '.', '-']).chars().take(MAX_STEM).collect();
    if bounded.is_empty() { "input".to_owned() } else { bounded }
}

#[cfg(test)]
mod tests {
    use pubtag_schemas::Location;

    use super::*;

    fn unit(uri: &str) -> InputUnit {
        InputUnit::new(7, Location::File(uri.into()))
    }

    #[test]
    fn a_stem_is_plain_bounded_and_never_empty() {
        assert_eq!(stem(&unit("/data/pubmed26n0001.xml.gz")), "pubmed26n0001");
        assert_eq!(stem(&unit("/data/a b#1/é.v2.jsonl")), "v2");
        assert_eq!(stem(&unit("/data/_tmp x#3.xml")), "tmp_x_3");
        assert_eq!(stem(&unit("-")), "input");
        assert_eq!(stem(&unit(&"x".repeat(500))).len(), MAX_STEM);
    }

    #[test]
    fn the_name_of_a_part_contains_its_run() {
        let run_id = Uuid::now_v7();
        for uri in ["/data/pubmed26n0001.xml.gz", "/a-b-c.xml", "-"] {
            let path = part("annotations", &unit(uri), AttemptId { run_id, number: 123_456 }, 2);
            assert_eq!(path.filename().and_then(run_of_part), Some(run_id), "{path}");
        }
        for other in ["x.parquet", "a-b-c.parquet", "part-00000-c000.snappy.parquet", "é-1-2.parquet", ".parquet"] {
            assert_eq!(run_of_part(other), None, "{other}");
        }
    }
}
