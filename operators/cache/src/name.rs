//! The name of a segment: the range of its loci, and what makes it unique.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The name of a segment, `<first>-<last>-<UUID>.parquet` with loci of 16 hex digits, which sort like numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentName {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) id: Uuid,
}

impl SegmentName {
    /// A new name for entries of a range.
    pub(crate) fn new(first: u64, last: u64) -> Self {
        Self { first, last, id: Uuid::now_v7() }
    }

    /// Whether entries of a range may be in the segment.
    pub(crate) fn overlaps(&self, first: u64, last: u64) -> bool {
        self.first <= last && first <= self.last
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}-{}.parquet", self.first, self.last, self.id)
    }
}

impl FromStr for SegmentName {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let mut parts = name.strip_suffix(".parquet").ok_or(())?.splitn(3, '-');
        let mut part = || parts.next().ok_or(());
        let locus = |digits: &str| match digits.len() {
            16 => u64::from_str_radix(digits, 16).map_err(drop),
            _ => Err(()),
        };
        let (first, last) = (locus(part()?)?, locus(part()?)?);
        let named = Self { first, last, id: part()?.parse().map_err(drop)? };
        (first <= last && named.to_string() == name).then_some(named).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_parsed_as_it_is_printed() {
        let name = SegmentName::new(7, u64::MAX);
        assert_eq!(name.to_string().parse(), Ok(name));
        let id = name.id;
        for other in [
            "spec.json".to_owned(),
            format!("7-8-{id}.parquet"),
            format!("{:016x}-{:016x}-{id}.parquet", 8, 7),
            format!("{:016X}-{:016x}-{id}.parquet", 10, 11),
            format!("{:016x}-{:016x}-{id}", 7, 8),
        ] {
            assert!(other.parse::<SegmentName>().is_err(), "{other}");
        }
    }
}
