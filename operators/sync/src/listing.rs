//! What a server says it has: the HTML page of a folder, and the file that names the last of the baseline.

use std::collections::BTreeMap;

use crate::name::Role;
use crate::{Folder, PubmedFile};

/// The PubMed files of a folder, as its HTML page lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The files, with what is listed of each.
    pub files: BTreeMap<PubmedFile, Listed>,
}

/// What is listed of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The file itself; false if only its checksum or its statistics are listed.
    pub data: bool,
    /// Its checksum.
    pub checksum: bool,
    /// Its statistics.
    pub stats: bool,
    /// Its size in bytes, to the page's precision (Apache rounds: `19M`); `None` if the page has no sizes.
    pub bytes: Option<u64>,
}

/// Why a page is not a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the listing is truncated: it has no closing </html>")]
pub struct TruncatedListing;

/// Reads the page of a folder as Apache, nginx and Python's `http.server` write it.
///
/// A file is a link whose target is exactly its name, with or without `./` before it. Every other link is ignored, so a
/// page can name no other place.
///
/// # Errors
/// The page ends before its `</html>`: some of its files may be missing.
pub fn parse_listing(html: &str) -> Result<Listing, TruncatedListing> {
    let lower = html.to_ascii_lowercase();
    if lower.contains("<html") && !lower.contains("</html") {
        return Err(TruncatedListing);
    }
    let mut listing = Listing::default();
    let mut at = 0;
    while let Some(found) = lower[at..].find("href") {
        at += found + "href".len();
        let Some((target, behind)) = attribute(&html[at..]) else { continue };
        let Some((file, role)) = PubmedFile::and_role(target.strip_prefix("./").unwrap_or(target)) else { continue };
        let listed = listing.files.entry(file).or_default();
        match role {
            Role::Checksum => listed.checksum = true,
            Role::Stats => listed.stats = true,
            Role::Data => (listed.data, listed.bytes) = (true, size(behind)),
        }
    }
    Ok(listing)
}

/// The value of an attribute, and the text that follows it; `rest` begins after the attribute's name.
fn attribute(rest: &str) -> Option<(&str, &str)> {
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split_once(quote),
        _ => value.find([' ', '\t', '\r', '\n', '>']).map(|end| value.split_at(end)),
    }
}

/// The size at the end of a link's line: `…</a>  2025-12-14 18:08   19M`.
fn size(behind: &str) -> Option<u64> {
    let row = behind.split(['\n', '\r']).next()?;
    // In a table, each cell ends the text of the one before.
    let row = row.split("</tr").next()?.replace("</td>", " ").replace("&nbsp;", " ");
    let text: Vec<&str> = row.split('<').filter_map(|tag| tag.split_once('>').map(|(_, text)| text)).collect();
    let text = text.join(" ");
    let (digits, unit) = match text.split_whitespace().last()? {
        word if word.ends_with(|c: char| c.is_ascii_digit()) => (word, 1.0),
        word => (word.get(..word.len() - 1)?, unit(word.chars().last()?)?),
    };
    let is_number = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let bytes = is_number.then(|| digits.parse::<f64>().ok()).flatten()? * unit;
    // A float that is too large becomes the largest number.
    Some(bytes as u64)
}

fn unit(letter: char) -> Option<f64> {
    let power = "KMGT".find(letter.to_ascii_uppercase())? + 1;
    Some(1024_f64.powi(i32::try_from(power).ok()?))
}

/// The last baseline file, as the README beside the baseline declares it.
///
/// Its sentence is "The complete baseline consists of files pubmed26n0001.xml through pubmed26n1334.xml."
pub fn last_of_baseline(readme: &str) -> Option<PubmedFile> {
    let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, rest) = readme.split_once("baseline consists of files ")?;
    let (first, rest) = rest.split_once(" through ")?;
    let last = rest.split_whitespace().next()?;
    let stem = |name: &str| name.split('.').next().and_then(|stem| stem.parse::<PubmedFile>().ok());
    let (first, last) = (stem(first)?, stem(last)?);
    (first.number() == 1 && first.generation() == last.generation()).then_some(last)
}

/// The listings of both folders.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listings {
    pub(crate) baseline: Listing,
    pub(crate) updates: Listing,
    /// The last baseline file that the README declares.
    pub(crate) last_of_baseline: Option<PubmedFile>,
}

impl Listings {
    pub(crate) fn of(&self, folder: Folder) -> &Listing {
        match folder {
            Folder::Baseline => &self.baseline,
            Folder::Updates => &self.updates,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(stem: &str) -> PubmedFile {
        stem.parse().unwrap()
    }

    const APACHE: &str = "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n<head>\n\
        <title>Index of /pubmed/updatefiles</title>\n</head>\n<body>\n<h1>Index of /pubmed/updatefiles</h1>\n\
        <pre>Name                     Last modified      Size  <hr>\
        <a href=\"/pubmed/\">Parent Directory</a>                              -   \n\
        <a href=\"README.txt\">README.txt</a>               2024-01-12 14:25  4.5K  \n\
        <a href=\"pubmed24n1220.xml.gz\">pubmed24n1220.xml.gz</a>     2023-12-15 15:32   31M  \n\
        <a href=\"pubmed24n1220.xml.gz.md5\">pubmed24n1220.xml.gz.md5</a> 2023-12-15 15:32   60   \n\
        <a href=\"pubmed24n1220_stats.html\">pubmed24n1220_stats.html</a> 2023-12-15 15:32  582   \n\
        <a href=\"pubmed24n1221.xml.gz\">pubmed24n1221.xml.gz</a>     2023-12-15 15:32  1.5M  \n\
        <hr></pre>\n</body></html>\n";

    #[test]
    fn an_apache_page_lists_files_sidecars_and_sizes() {
        let listing = parse_listing(APACHE).unwrap();
        let first = Listed { data: true, checksum: true, stats: true, bytes: Some(31 << 20) };
        let second = Listed { data: true, bytes: Some(3 << 19), ..Listed::default() };
        let expected = [(file("pubmed24n1220"), first), (file("pubmed24n1221"), second)];
        assert_eq!(listing.files.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn other_servers_pages_are_read_too() {
        let nginx = "<html><body><pre><a href=\"pubmed26n0001.xml.gz\">pubmed26n0001.xml.gz</a>  \
                     14-Dec-2025 18:08   19922944\r\n</pre></body></html>";
        let python = "<HTML><ul>\n<li><a href='./pubmed26n0001.xml.gz'>pubmed26n0001.xml.gz</a></li>\n</ul></HTML>";
        let table = "<html><tr><td><A HREF = pubmed26n0001.xml.gz>x</A></td><td align=\"right\">2025-12-14 18:08  \
                     </td><td align=\"right\"> 19M</td><td>&nbsp;</td></tr></html>";
        for (page, bytes) in [(nginx, Some(19_922_944)), (python, None), (table, Some(19 << 20))] {
            let listing = parse_listing(page).unwrap();
            assert_eq!(
                listing.files[&file("pubmed26n0001")],
                Listed { data: true, bytes, ..Listed::default() },
                "{page}"
            );
        }
    }

    #[test]
    fn a_page_that_breaks_off_is_not_a_listing() {
        let end = APACHE.find("pubmed24n1221").unwrap();
        assert_eq!(parse_listing(&APACHE[..end]), Err(TruncatedListing));
    }

    #[test]
    fn links_that_lead_elsewhere_are_ignored() {
        for target in [
            "../pubmed26n0001.xml.gz",
            "/etc/pubmed26n0001.xml.gz",
            "https://example.org/pubmed26n0001.xml.gz",
            "pubmed26n0001.xml.gz/../../x",
            "..%2fpubmed26n0001.xml.gz",
            "pubmed26n0001.xml.gz?C=N;O=D",
        ] {
            let page = format!("<a href=\"{target}\">pubmed26n0001.xml.gz</a>\n");
            assert_eq!(parse_listing(&page).unwrap(), Listing::default(), "{target}");
        }
    }

    #[test]
    fn the_readme_declares_the_last_baseline_file() {
        let readme = "The annual baseline is released in December of each year. The complete baseline\n\
                      consists of files pubmed26n0001.xml through pubmed26n1334.xml.\n\n\
                      The first Update file to be loaded is pubmed26n1335.xml.";
        assert_eq!(last_of_baseline(readme), Some(file("pubmed26n1334")));
        assert_eq!(last_of_baseline(&readme.replace("26n1334", "27n1334")), None);
        assert_eq!(last_of_baseline("The first Update file to be loaded is pubmed26n1335.xml."), None);
    }

    proptest! {
        #[test]
        fn every_listed_file_is_found(numbers in prop::collection::btree_set(1_u16..10_000, 0..40), style in 0..3) {
            let link = |name: String| match style {
                0 => format!("<a href=\"{name}\">{name}</a>  2025-12-14 18:08   19M  \n"),
                1 => format!("<li><A HREF='./{name}'>{name}</A></li>\n"),
                _ => format!("<tr><td><a href={name}>{name}</a></td></tr>"),
            };
            let files: Vec<_> = numbers.iter().map(|number| PubmedFile::new(2026, *number).unwrap()).collect();
            let rows: String = files.iter().map(|file| link(file.to_string()) + &link(file.checksum_name())).collect();
            let listing = parse_listing(&format!("<html><body>{rows}</body></html>")).unwrap();
            prop_assert!(listing.files.keys().eq(files.iter()));
            prop_assert!(listing.files.values().all(|listed| listed.data && listed.checksum && !listed.stats));
        }

        #[test]
        fn no_page_breaks_the_parsers(page in "(<html>|href|HREF|=|\"|'|pubmed26n000[0-9]|\\.xml\\.gz|>|</a>| |[0-9]|K|é|\n){0,60}") {
            let _ = parse_listing(&page);
            let _ = last_of_baseline(&page);
        }

        #[test]
        fn no_text_breaks_the_parsers(page in ".{0,200}") {
            let _ = parse_listing(&format!("href={page}"));
            let _ = last_of_baseline(&format!("baseline consists of files {page}"));
        }
    }
}
