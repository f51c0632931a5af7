//! The checksums that NLM puts beside its files.

/// Finds the MD5 of a file in the text of a `.md5` file, as lower-case hex.
///
/// Reads `MD5(name)= hex` (NLM's form, which is BSD's) and `hex  name` (`md5sum`'s). Of several lines, the one that names
/// the file counts; a single line counts whatever it names.
pub fn md5_in(content: &str, name: &str) -> Option<String> {
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
    fn both_common_forms_are_read() {
        for line in [
            format!("MD5(a.xml.gz)= {HEX}\n"),
            format!("MD5 (a.xml.gz) = {}\n", HEX.to_uppercase()),
            format!("{HEX}  a.xml.gz\n"),
            format!("{HEX} *./a.xml.gz\r\n"),
            HEX.to_owned(),
        ] {
            assert_eq!(md5_in(&line, "a.xml.gz").as_deref(), Some(HEX), "{line:?}");
        }
    }

    #[test]
    fn of_a_list_only_the_line_that_names_the_file_counts() {
        let other = HEX.replace('0', "f");
        let list = format!("{other}  b.xml.gz\n{HEX}  a.xml.gz\n");
        assert_eq!(md5_in(&list, "a.xml.gz").as_deref(), Some(HEX));
        assert_eq!(md5_in(&list, "c.xml.gz"), None);
    }

    #[test]
    fn a_text_without_an_md5_is_none() {
        assert_eq!(md5_in("404 not found", "a"), None);
        assert_eq!(md5_in("", "a"), None);
    }
}
