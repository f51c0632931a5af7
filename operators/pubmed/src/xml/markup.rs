//! Parses single pieces of markup: just enough XML to follow the structure of a file.

use crate::scan::{count, find, find_byte};

/// A piece of markup, which begins with `<`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markup<'a> {
    /// A start tag; `empty` if self-closing (`<a/>`).
    Start { name: &'a [u8], empty: bool },
    /// An end tag.
    End { name: &'a [u8] },
    /// A comment, a processing instruction or the XML declaration.
    Aside,
    /// A CDATA section.
    CData,
    /// A document type declaration.
    Doctype,
    /// It continues beyond the bytes.
    Unclosed,
    /// Not markup: a stray `<`.
    Stray,
}

/// Searches without result, so that the rest of a stream is not searched again for each unclosed piece of markup.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sought {
    instruction: Gap,
    section: Gap,
    /// A document type declaration exceeds the window, so further ones are not recognised.
    pub(crate) endless_doctype: bool,
}

/// A range of offsets without the end that was searched for.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    from: u64,
    to: u64,
}

impl Gap {
    /// Searches `bytes`, at `offset` of the stream, for an end after the first `opened` bytes; returns its position.
    fn find(&mut self, end: &[u8], bytes: &[u8], opened: usize, offset: u64) -> Option<usize> {
        let here = offset + opened as u64;
        let known = if (self.from..=self.to).contains(&here) { self.to } else { here };
        let start = usize::try_from(known - offset).map_or(bytes.len(), |start| start.min(bytes.len()));
        if let Some(at) = find(&bytes[start..], end) {
            return Some(start + at + end.len());
        }
        let to = offset + (bytes.len() + 1).saturating_sub(end.len()) as u64;
        *self = Self { from: if known == here { here } else { self.from }, to: to.max(known) };
        None
    }
}

/// Parses the markup at the start of some bytes, which begin with `<`; also returns its length (1 for a stray `<`).
pub(crate) fn markup(bytes: &[u8]) -> (Markup<'_>, usize) {
    markup_at(bytes, 0, &mut Sought::default())
}

/// The same for bytes at an offset of a stream.
pub(crate) fn markup_at<'a>(bytes: &'a [u8], offset: u64, sought: &mut Sought) -> (Markup<'a>, usize) {
    match bytes {
        [b'<', b'?', ..] => closed(sought.instruction.find(b"?>", bytes, 2, offset), Markup::Aside),
        [b'<', b'!', ..] => declaration(bytes, offset, sought),
        [b'<', b'/', ..] => tag(bytes, 2),
        [b'<', ..] => tag(bytes, 1),
        _ => (Markup::Stray, 1),
    }
}

fn closed(end: Option<usize>, what: Markup<'_>) -> (Markup<'_>, usize) {
    end.map_or((Markup::Unclosed, 0), |len| (what, len))
}

fn declaration<'a>(bytes: &'a [u8], offset: u64, sought: &mut Sought) -> (Markup<'a>, usize) {
    const OPENINGS: [&[u8]; 3] = [b"<!--", b"<![CDATA[", b"<!DOCTYPE"];
    match bytes {
        [b'<', b'!', b'-', b'-', rest @ ..] => comment(rest),
        _ if bytes.starts_with(OPENINGS[1]) => closed(sought.section.find(b"]]>", bytes, 9, offset), Markup::CData),
        _ if bytes.starts_with(OPENINGS[2]) && sought.endless_doctype => (Markup::Stray, 1),
        _ if bytes.starts_with(OPENINGS[2]) => doctype(bytes),
        _ if OPENINGS.iter().any(|opening| opening.starts_with(bytes)) => (Markup::Unclosed, 0),
        _ => (Markup::Stray, 1),
    }
}

/// A comment ends at its first `--`, which must be followed by `>` (XML 1.0, 2.5), so a comment with a damaged end does not
/// swallow the records up to the next comment.
fn comment(rest: &[u8]) -> (Markup<'_>, usize) {
    match find(rest, b"--") {
        None => (Markup::Unclosed, 0),
        Some(at) => match rest.get(at + 2) {
            Some(b'>') => (Markup::Aside, 4 + at + 3),
            Some(_) => (Markup::Stray, 1),
            None => (Markup::Unclosed, 0),
        },
    }
}

/// A document type declaration ends at the first `>` outside of quotes, comments and the internal subset.
fn doctype(bytes: &[u8]) -> (Markup<'_>, usize) {
    let (mut at, mut depth) = (9, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        count(1);
        match byte {
            b'"' | b'\'' => match find_byte(&bytes[at + 1..], byte) {
                Some(quoted) => at += quoted + 1,
                None => return (Markup::Unclosed, 0),
            },
            b'<' if bytes[at..].starts_with(b"<!--") => match find(&bytes[at + 4..], b"-->") {
                Some(commented) => at += commented + 6,
                None => return (Markup::Unclosed, 0),
            },
            b'[' | b'<' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            b'>' if depth == 0 => return (Markup::Doctype, at + 1),
            b'>' => depth -= 1,
            _ => (),
        }
        at += 1;
    }
    (Markup::Unclosed, 0)
}

/// A tag ends at the first `>` outside quotes. XML allows no `<` in a tag, even in quotes: a damaged tag ends there.
fn tag(bytes: &[u8], name_at: usize) -> (Markup<'_>, usize) {
    let mut quote = None;
    for (at, &byte) in bytes.iter().enumerate().skip(name_at) {
        count(1);
        match (byte, quote) {
            (b'<', _) => return (Markup::Stray, 1),
            (b'>', None) => return whole_tag(bytes, name_at, at),
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            _ => (),
        }
    }
    (Markup::Unclosed, 0)
}

fn whole_tag(bytes: &[u8], name_at: usize, end: usize) -> (Markup<'_>, usize) {
    let content = &bytes[name_at..end];
    let len = content.iter().position(|b| b.is_ascii_whitespace() || *b == b'/').unwrap_or(content.len());
    let name = &content[..len];
    match name_at {
        _ if name.is_empty() => (Markup::Stray, 1),
        1 => (Markup::Start { name, empty: content.ends_with(b"/") }, end + 1),
        _ => (Markup::End { name }, end + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(name: &str, empty: bool) -> Markup<'_> {
        Markup::Start { name: name.as_bytes(), empty }
    }

    #[test]
    fn tags_end_at_the_first_bracket_outside_quotes() {
        assert_eq!(markup(b"<a>x"), (start("a", false), 3));
        assert_eq!(markup(b"<a b=\"c>d\" e='f' />x"), (start("a", true), 19));
        assert_eq!(markup(b"<a b='\">'>x"), (start("a", false), 10));
        assert_eq!(markup(b"</a >x"), (Markup::End { name: b"a" }, 5));
        assert_eq!(markup(b"<a b=\"c>d"), (Markup::Unclosed, 0));
        assert_eq!(markup(b"<"), (Markup::Unclosed, 0));
    }

    #[test]
    fn a_damaged_tag_ends_at_the_next_one() {
        assert_eq!(markup(b"<a <b>"), (Markup::Stray, 1));
        assert_eq!(markup(b"<a b=\"c><b>\""), (Markup::Stray, 1));
        assert_eq!(markup(b"<>"), (Markup::Stray, 1));
    }

    #[test]
    fn comments_and_sections_hide_what_is_in_them() {
        assert_eq!(markup(b"<!-- </a> -->x"), (Markup::Aside, 13));
        assert_eq!(markup(b"<!-- -- -->"), (Markup::Stray, 1));
        assert_eq!(markup(b"<![CDATA[</a>]]>x"), (Markup::CData, 16));
        assert_eq!(markup(b"<?pi </a> ?>x"), (Markup::Aside, 12));
        for cut in ["<!", "<!-", "<!--", "<!-- -", "<!-- --", "<![CDA", "<![CDATA[ ]]", "<!DOCT", "<?x ?"] {
            assert_eq!(markup(cut.as_bytes()).0, Markup::Unclosed, "{cut}");
        }
        assert_eq!(markup(b"<!ELEMENT>").0, Markup::Stray);
    }

    #[test]
    fn an_end_that_was_missing_is_found_once_it_is_read() {
        let mut sought = Sought::default();
        let stream = b"<?a ?><?b <?c ?><?d";
        for len in 6..stream.len() {
            for at in [0, 6, 10, 16] {
                let fresh = markup(&stream[at.min(len)..len]);
                let known = markup_at(&stream[at.min(len)..len], at.min(len) as u64, &mut sought);
                assert_eq!(known, fresh, "from {at} to {len}");
            }
        }
    }

    #[test]
    fn a_document_type_may_have_an_internal_subset() {
        let text = b"<!DOCTYPE a PUBLIC \"-//x>\" 'y' [ <!ENTITY b \"]>\"> <!-- ]> ' --> ]>x";
        assert_eq!(markup(text), (Markup::Doctype, text.len() - 1));
        assert_eq!(markup(b"<!DOCTYPE a [").0, Markup::Unclosed);
    }
}
