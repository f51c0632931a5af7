//! The names of PubMed's files, and the order they are meant to be read in.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A file of the PubMed distribution: `pubmed26n0001.xml.gz` is file 1 of generation 2026.
///
/// The order of these values is PubMed's own: by generation, then by number. Numbers run on from the baseline into the
/// update files, so a baseline file precedes every update file of its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PubmedFile {
    generation: u16,
    number: u16,
}

/// Why a text is not the name of a PubMed file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a PubMed file name such as pubmed26n0001.xml.gz")]
pub struct NameError {
    text: String,
}

impl PubmedFile {
    /// A file of a generation (2000 to 2099) with a number (1 to 9999).
    pub fn new(generation: u16, number: u16) -> Option<Self> {
        let valid = (2000..2100).contains(&generation) && (1..10_000).contains(&number);
        valid.then_some(Self { generation, number })
    }

    /// The file with exactly this name: `pubmedYYnNNNN.xml.gz`, nothing before or after it.
    pub fn from_file_name(name: &str) -> Option<Self> {
        name.strip_suffix(DATA).and_then(Self::from_stem)
    }

    /// The file with this stem: `pubmedYYnNNNN`.
    fn from_stem(stem: &str) -> Option<Self> {
        let (year, number) = stem.strip_prefix("pubmed")?.split_once('n')?;
        let is_number = |text: &str, digits| text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        (is_number(year, 2) && is_number(number, 4)).then_some(())?;
        Self::new(2000 + year.parse::<u16>().ok()?, number.parse().ok()?)
    }

    /// The file that a data file, its checksum or its statistics belong to, and which of these it is.
    pub(crate) fn and_role(name: &str) -> Option<(Self, Role)> {
        let role = |suffix, role| name.strip_suffix(suffix).and_then(Self::from_stem).map(|file| (file, role));
        role(DATA, Role::Data).or_else(|| role(CHECKSUM, Role::Checksum)).or_else(|| role(STATS, Role::Stats))
    }

    /// The year of the baseline that the file belongs to.
    pub fn generation(self) -> u16 {
        self.generation
    }

    /// Its number within the generation.
    pub fn number(self) -> u16 {
        self.number
    }

    /// The name of its statistics: `pubmed26n1335_stats.html`.
    pub fn stats_name(self) -> String {
        format!("{}{STATS}", self.stem())
    }

    /// The name of its checksum: `pubmed26n0001.xml.gz.md5`.
    pub fn checksum_name(self) -> String {
        format!("{}{CHECKSUM}", self.stem())
    }

    fn stem(self) -> String {
        format!("pubmed{:02}n{:04}", self.generation % 100, self.number)
    }
}

const DATA: &str = ".xml.gz";
const CHECKSUM: &str = ".xml.gz.md5";
const STATS: &str = "_stats.html";

/// What a file is to its citations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The citations.
    Data,
    /// Their MD5.
    Checksum,
    /// Counts of them, in HTML.
    Stats,
}

impl fmt::Display for PubmedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{DATA}", self.stem())
    }
}

/// Reads `pubmed26n0001.xml.gz` or `pubmed26n0001`.
impl FromStr for PubmedFile {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let file = Self::from_stem(text.strip_suffix(DATA).unwrap_or(text));
        file.ok_or_else(|| NameError { text: text.chars().take(60).collect() })
    }
}

impl Serialize for PubmedFile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The two folders of the distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Folder {
    /// The yearly baseline.
    #[serde(rename = "baseline")]
    Baseline,
    /// The daily update files.
    #[serde(rename = "updatefiles")]
    Updates,
}

impl Folder {
    /// Its name, on the server and in the mirror.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Updates => "updatefiles",
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn baseline_files_come_before_update_files_and_generations_in_turn() {
        let mut names = ["pubmed26n1335", "pubmed25n1600", "pubmed26n0002", "pubmed26n0001"].map(|name| {
            let file: PubmedFile = name.parse().unwrap();
            file
        });
        names.sort();
        let sorted = names.map(|file| file.to_string());
        let expected = ["pubmed25n1600", "pubmed26n0001", "pubmed26n0002", "pubmed26n1335"];
        assert_eq!(sorted, expected.map(|stem| format!("{stem}.xml.gz")));
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_not_files() {
        for name in [
            "../pubmed26n0001.xml.gz",
            "/etc/pubmed26n0001.xml.gz",
            "pubmed26n0001.xml.gz/..",
            "pubmed26n0001.xml.gz\0",
            "pubmed26n0001.xml.gz ",
            "pubmed26n00011.xml.gz",
            "pubmed26n001.xml.gz",
            "pubmed26n0000.xml.gz",
            "pubmed2６n0001.xml.gz",
            "PUBMED26n0001.xml.gz",
            "pubmed26n0001.xml",
            "pubmed26n+001.xml.gz",
        ] {
            assert_eq!(PubmedFile::from_file_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn each_file_has_a_checksum_and_statistics() {
        let file: PubmedFile = "pubmed26n1335".parse().unwrap();
        assert_eq!(PubmedFile::and_role(&file.to_string()), Some((file, Role::Data)));
        assert_eq!(PubmedFile::and_role(&file.checksum_name()), Some((file, Role::Checksum)));
        assert_eq!(PubmedFile::and_role(&file.stats_name()), Some((file, Role::Stats)));
        assert_eq!(PubmedFile::and_role("README.txt"), None);
    }

    proptest! {
        #[test]
        fn a_file_is_read_back_from_its_name(generation in 2000_u16..2100, number in 1_u16..10_000) {
            let file = PubmedFile::new(generation, number).unwrap();
            prop_assert_eq!(PubmedFile::from_file_name(&file.to_string()), Some(file));
        }

        #[test]
        fn only_its_own_name_yields_a_file(name in "[./]{0,3}(pubmed|medline)?[0-9n]{0,8}(\\.xml)?(\\.gz)?[./\0 ]{0,2}") {
            if let Some(file) = PubmedFile::from_file_name(&name) {
                prop_assert_eq!(file.to_string(), name);
            }
        }
    }
}
