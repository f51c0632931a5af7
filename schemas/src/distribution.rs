//! File names of the PubMed distribution.

use std::borrow::Cow;

/// The baseline year and number of a file of the PubMed distribution.
///
/// `pubmed26n0001.xml.gz` is file 1 of the 2026 baseline; until 2017, names began with `medline`. wget appends a number if the
/// name is taken (`pubmed26n0001.xml.gz.1`). Other endings are of files that others have made.
pub fn distribution(file_name: &str) -> Option<(i32, i32)> {
    let rest = file_name.strip_prefix("pubmed").or_else(|| file_name.strip_prefix("medline"))?;
    let (year, rest) = rest.split_once('n')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (number, ending) = rest.split_at(digits);
    let whole = year.len() == 2 && year.bytes().all(|b| b.is_ascii_digit()) && (4..=6).contains(&digits);
    (whole && is_ending(ending)).then_some(())?;
    Some((2000 + year.parse::<i32>().ok()?, number.parse().ok()?))
}

fn is_ending(ending: &str) -> bool {
    let Some(rest) = ending.strip_prefix(".xml") else { return false };
    let copy = rest.strip_prefix(".gz").unwrap_or(rest);
    let is_number = |copy: &str| !copy.is_empty() && copy.bytes().all(|b| b.is_ascii_digit());
    copy.is_empty() || copy.strip_prefix('.').is_some_and(is_number)
}

/// What contents of an input replace each other under: its URI, or for a file of the PubMed distribution its generation and
/// number, wherever the file is.
pub fn identity(uri: &str) -> Cow<'_, str> {
    let name = uri.rsplit('/').next().unwrap_or(uri);
    match distribution(name) {
        Some((generation, number)) => format!("pubmed{:02}n{number:04}", generation % 100).into(),
        None => uri.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_file_name_gives_year_and_number() {
        assert_eq!(distribution("pubmed26n0001.xml.gz"), Some((2026, 1)));
        assert_eq!(distribution("pubmed25n12345.xml"), Some((2025, 12_345)));
        assert_eq!(distribution("medline17n0892.xml.gz"), Some((2017, 892)));
        assert_eq!(distribution("pubmed26n0001.xml.gz.1"), Some((2026, 1)));
    }

    #[test]
    fn other_names_give_nothing() {
        for name in [
            "pubmed.xml",
            "pubmedsample18n0001.xml.gz",
            "pubmed26n01.xml",
            "pubmed2026n0001.xml",
            "pubmed26n0001",
            "pubmed26n0001.notes.jsonl",
            "pubmed26n0001.jsonl",
            "pubmed26n0001.xml.",
            "pubmed26n0001.xml.gz.bak",
        ] {
            assert_eq!(distribution(name), None, "{name}");
        }
    }

    #[test]
    fn a_pubmed_file_is_the_same_one_in_any_directory() {
        for uri in ["/a/pubmed26n0002.xml.gz", "s3://b/x/pubmed26n0002.xml", "/x/../y/pubmed26n0002.xml.gz.1"] {
            assert_eq!(identity(uri), "pubmed26n0002");
        }
        assert_eq!(identity("pubmed26n0002"), "pubmed26n0002");
        assert_eq!(identity("/a/pubmed26n0002.jsonl"), "/a/pubmed26n0002.jsonl");
    }
}
