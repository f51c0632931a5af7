//! `deleted.pmids.gz`: the PMIDs that NLM has deleted from PubMed.

use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use pubtag_schemas::Pmid;

/// A PMID fits in far less.
const LONGEST_LINE: u64 = 1024;

/// Reads gzipped PMIDs, one per line; blank lines are skipped.
///
/// *Memory*: one line.
///
/// # Examples
/// ```
/// use std::io::Write;
///
/// let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
/// gzip.write_all(b"12345\n67890\n")?;
/// let bytes = gzip.finish()?;
/// let deleted: Result<Vec<_>, _> = pubtag_sync::deleted_pmids(&bytes[..]).map(|pmid| pmid.map(|p| p.get())).collect();
/// assert_eq!(deleted?, [12345, 67890]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Each line that is not a PMID is an error of kind [`io::ErrorKind::InvalidData`] that says its number; reading goes on
/// after it. Damaged gzip is the last item.
pub fn deleted_pmids(gzip: impl Read) -> impl Iterator<Item = io::Result<Pmid>> {
    let mut lines = BufReader::new(MultiGzDecoder::new(gzip));
    let mut number = 0_u64;
    let mut broken = false;
    std::iter::from_fn(move || {
        loop {
            if broken {
                return None;
            }
            number += 1;
            match next_line(&mut lines) {
                Ok(None) => return None,
                Ok(Some(line)) if line.is_empty() => {}
                Ok(Some(line)) => return Some(line.parse().map_err(|error| invalid(number, error))),
                Err(error) => {
                    broken = true;
                    return Some(Err(error));
                }
            }
        }
    })
}

fn next_line(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if lines.take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not a list of PMIDs: a line is longer than 1024 bytes",
        ));
    }
    Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()))
}

fn invalid(line: u64, error: impl std::error::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {line}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn shown(bytes: &[u8]) -> Vec<String> {
        deleted_pmids(bytes)
            .map(|item| item.map_or_else(|error| error.to_string(), |pmid| pmid.get().to_string()))
            .collect()
    }

    #[test]
    fn a_line_that_is_not_a_pmid_is_an_error_with_its_number() {
        let items = shown(&gzip("1\r\n\nx\n0\n 22 "));
        assert_eq!([&items[0], &items[3]], ["1", "22"]);
        assert!(items[1].starts_with("line 3: \"x\"") && items[2].starts_with("line 4: \"0\""), "{items:?}");
        assert_eq!(items.len(), 4);
    }

    #[test]
    fn a_truncated_file_ends_with_an_error() {
        let whole = gzip("1\n2\n3\n");
        assert_eq!(shown(&whole), ["1", "2", "3"]);
        assert!(deleted_pmids(&whole[..whole.len() - 4]).any(|item| item.is_err()));
        assert!(deleted_pmids(&b"<html>"[..]).any(|item| item.is_err()));
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_in_memory() {
        let items = shown(&gzip(&"7".repeat(1 << 20)));
        assert_eq!(items, ["not a list of PMIDs: a line is longer than 1024 bytes"]);
    }

    proptest! {
        #[test]
        fn pmids_are_read_back(pmids in prop::collection::vec(1_u32.., 0..200)) {
            let text: String = pmids.iter().map(|pmid| format!("{pmid}\n")).collect();
            let read: Vec<u32> = deleted_pmids(&gzip(&text)[..]).map(|pmid| pmid.unwrap().get()).collect();
            prop_assert_eq!(read, pmids);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            assert!(deleted_pmids(&bytes[..]).count() < 1000);
        }
    }
}
