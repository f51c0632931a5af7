//! White space in the text of a citation.

/// Whether a character is XML white space (XML 1.0, 2.3).
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Trims the ends, and replaces each run of white space that contains a line break with one space. Other runs are kept.
pub(crate) fn clean(raw: &str) -> String {
    let text = raw.trim_matches(is_blank);
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(line_break) = memchr::memchr2(b'\n', b'\r', rest.as_bytes()) {
        cleaned.push_str(rest[..line_break].trim_end_matches(is_blank));
        cleaned.push(' ');
        rest = rest[line_break..].trim_start_matches(is_blank);
    }
    cleaned.push_str(rest);
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_runs_with_a_line_break_become_one_space() {
        assert_eq!(clean(" a \r\n\t b  c\td \n\n e\rf\n"), "a b  c\td e f");
        assert_eq!(clean("\u{A0}a\u{2028}b\u{A0}"), "\u{A0}a\u{2028}b\u{A0}", "only the four characters of XML count");
        assert_eq!(clean(" \n "), "");
    }
}
