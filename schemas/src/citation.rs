//! What a source reads: citations and deletions.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::{CitationText, Date, Place, PubDate};

/// A PubMed identifier: a positive integer of at most 10 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pmid(NonZeroU32);

/// The text is not a PMID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a PMID (expected a whole number from 1 to 4294967295)")]
pub struct PmidError {
    text: String,
}

impl Pmid {
    /// The number itself.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl FromStr for Pmid {
    type Err = PmidError;

    fn from_str(text: &str) -> Result<Self, PmidError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.map(Pmid).ok_or_else(|| PmidError { text: text.chars().take(40).collect() })
    }
}

impl TryFrom<u32> for Pmid {
    type Error = PmidError;

    fn try_from(number: u32) -> Result<Self, PmidError> {
        NonZeroU32::new(number).map(Pmid).ok_or_else(|| PmidError { text: number.to_string() })
    }
}

impl fmt::Display for Pmid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `PMID@Version`: a whole number from 1 to 2147483647, the largest that the tables' column can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PmidVersion(i32);

/// The text is not a version of a PMID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version (expected a whole number from 1 to 2147483647)")]
pub struct PmidVersionError {
    text: String,
}

impl PmidVersion {
    /// The version of a citation that does not give one.
    pub const FIRST: Self = Self(1);

    /// The number itself.
    pub fn get(self) -> i32 {
        self.0
    }
}

impl FromStr for PmidVersion {
    type Err = PmidVersionError;

    fn from_str(text: &str) -> Result<Self, PmidVersionError> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten().filter(|number| *number > 0);
        number.map(Self).ok_or_else(|| PmidVersionError { text: text.chars().take(40).collect() })
    }
}

/// The identifier of a document in the output: the PMID in decimal, or the id given by the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DocId(String);

impl DocId {
    /// An identifier as the source gives it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Pmid> for DocId {
    fn from(pmid: Pmid) -> Self {
        Self(pmid.to_string())
    }
}

/// One version of one article in PubMed, reduced to what pubtag needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// Identifier in the output.
    pub doc_id: DocId,
    /// PMID, absent for documents from other sources.
    pub pmid: Option<Pmid>,
    /// `PMID@Version`; the first where the source gives none.
    pub version: PmidVersion,
    /// Title and abstract, joined into the text that every offset counts in.
    pub text: CitationText,
    /// Publication date as the journal gives it.
    pub pub_date: PubDate,
    /// Day of the last revision of the record.
    pub date_revised: Option<Date>,
    /// ISO abbreviation of the journal, or its title where there is no abbreviation.
    pub journal: Option<String>,
    /// Languages as MARC codes, joined by a comma (`eng`, `eng,fre`).
    pub language: Option<String>,
    /// Position of the record in the input.
    pub place: Place,
}

/// One `DeleteCitation/PMID`: as of this file, the citation is no longer in PubMed.
#[derive(Clone, Debug, PartialEq)]
pub struct Deletion {
    /// The deleted citation.
    pub pmid: Pmid,
    /// `PMID@Version`; the first where the source gives none.
    pub version: PmidVersion,
    /// Position of the deletion in the input.
    pub place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_fits_its_column() {
        assert_eq!("2147483647".parse::<PmidVersion>().map(PmidVersion::get), Ok(i32::MAX));
        for bad in ["", "0", "+1", "2147483648", "4294967295", "-1", "1.0"] {
            assert!(bad.parse::<PmidVersion>().is_err(), "{bad:?} must not be a version");
        }
    }

    #[test]
    fn a_pmid_is_digits_only_and_never_zero() {
        assert_eq!("123".parse::<Pmid>().map(Pmid::get), Ok(123));
        for bad in ["", "0", "+5", " 5", "12a", "4294967296", "-1"] {
            assert!(bad.parse::<Pmid>().is_err(), "{bad:?} must not be a PMID");
        }
    }
}
