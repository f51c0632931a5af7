//! The checksum files that NLM puts beside its files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Checksum files are shorter than this; the rest is not read.
const MOST_BYTES: u64 = 1 << 20;

/// The `.md5` file beside an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sidecar {
    /// There is no such file.
    None,
    /// The expected MD5 in lower-case hex.
    Md5(String),
    /// The file cannot be used, with the reason.
    Unreadable(String),
}

/// Reads `NAME.md5` beside an input.
pub(crate) fn sidecar(input: &Path) -> Sidecar {
    let path = sidecar_path(input);
    if !path.is_file() {
        return Sidecar::None;
    }
    let mut content = Vec::new();
    if let Err(error) = File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut content)) {
        return Sidecar::Unreadable(format!("cannot read its .md5 file ({error})"));
    }
    let name = input.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let found = parse(&String::from_utf8_lossy(&content), &name);
    found.map_or_else(|| Sidecar::Unreadable("no MD5 in its .md5 file".to_owned()), Sidecar::Md5)
}

fn sidecar_path(input: &Path) -> PathBuf {
    let mut path = input.as_os_str().to_owned();
    path.push(".md5");
    path.into()
}

/// Finds the MD5 of a file in lines `MD5(name)= hex` (NLM) or `hex  name` (md5sum).
///
/// Of several lines, the one with the file name is used; a single line is used whatever it names.
fn parse(content: &str, name: &str) -> Option<String> {
    let sums = || content.lines().filter_map(|line| hex_word(line).map(|hex| (line, hex)));
    let named = sums().find(|(line, _)| line.contains(name));
    let only = || sums().next().filter(|_| sums().count() == 1);
    named.or_else(only).map(|(_, hex)| hex.to_ascii_lowercase())
}

fn hex_word(line: &str) -> Option<&str> {
    let is_sum = |word: &&str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    line.split(|c: char| !c.is_ascii_alphanumeric()).find(is_sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn both_common_forms_are_parsed() {
        for line in [
            format!("MD5(a.xml.gz)= {HEX}\n"),
            format!("MD5 (a.xml.gz) = {}\n", HEX.to_uppercase()),
            format!("{HEX}  a.xml.gz\n"),
            format!("{HEX} *./a.xml.gz\r\n"),
            HEX.to_owned(),
        ] {
            assert_eq!(parse(&line, "a.xml.gz").as_deref(), Some(HEX), "{line:?}");
        }
    }

    #[test]
    fn only_the_line_with_the_file_name_is_used() {
        let other = HEX.replace('0', "f");
        let list = format!("{other}  b.xml.gz\n{HEX}  a.xml.gz\n");
        assert_eq!(parse(&list, "a.xml.gz").as_deref(), Some(HEX));
        assert_eq!(parse(&list, "c.xml.gz"), None);
    }

    #[test]
    fn text_without_an_md5_gives_none() {
        assert_eq!(parse("404 not found", "a"), None);
        assert_eq!(parse("", "a"), None);
    }
}
