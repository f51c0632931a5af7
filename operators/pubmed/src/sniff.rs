//! Detects the format of a file from its first bytes.

use std::io::Read;

use encoding_rs::Encoding;
use flate2::bufread::GzDecoder;

use crate::nbib;
use crate::options::{InputFormat, TextColumns};
use crate::table::Table;
use crate::{ReadOptions, xml};

/// Number of bytes that the format is detected from.
pub(crate) const HEAD_BYTES: usize = 16 * 1024;

const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// The detected content of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content {
    /// Nothing, or only white space.
    Empty,
    /// gzip members.
    Gzip,
    /// XML, with its encoding if that is not UTF-8.
    Xml(Option<&'static Encoding>),
    /// Something else in UTF-16; what it is shows once it is converted.
    Utf16(&'static Encoding),
    /// One JSON object per line.
    Jsonl,
    /// The tagged MEDLINE format.
    Nbib,
    /// CSV or TSV.
    Table {
        /// The separator of fields.
        separator: u8,
    },
    /// Apache Parquet.
    Parquet,
    /// Plain text, one document per line.
    Lines,
    /// Plain text, one document.
    Text,
    /// Something else, with an explanation and a hint.
    Other(&'static str),
}

/// First bytes of other common formats.
const OTHERS: [(&[u8], &str); 6] = [
    (b"\x28\xB5\x2F\xFD", "compressed with zstd; decompress it first"),
    (b"BZh", "compressed with bzip2; decompress it first"),
    (b"\xFD7zXZ\x00", "compressed with xz; decompress it first"),
    (b"PK\x03\x04", "zip archive; unpack it first"),
    (b"[", "JSON array; write one object per line (JSONL)"),
    (b"%PDF", "PDF; export the citations as PubMed XML"),
];

/// Detects the content of a stream from its first bytes, or takes the format from the options.
///
/// UTF-16 is detected by its byte order mark or the zero bytes in `<?`, any other encoding by the XML declaration, and a table
/// by a header with the columns of a document.
pub(crate) fn content(head: &[u8], options: &ReadOptions) -> Content {
    match head {
        [0x1F, 0x8B, ..] => return Content::Gzip,
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => return utf16(head, encoding_rs::UTF_16LE, options.format),
        [0xFE, 0xFF, ..] | [0, b'<', ..] => return utf16(head, encoding_rs::UTF_16BE, options.format),
        _ => (),
    }
    let text = head.strip_prefix(UTF8_BOM).unwrap_or(head).trim_ascii_start();
    match (text, options.format) {
        ([], _) => Content::Empty,
        (_, Some(format)) => given(format, text),
        ([b'{', ..], _) => Content::Jsonl,
        ([b'<', ..], _) => declared_encoding(text),
        ([b'P', b'A', b'R', b'1', ..], _) => Content::Parquet,
        _ if text.starts_with(nbib::START) => Content::Nbib,
        _ => table(text, &options.columns).unwrap_or_else(|| Content::Other(other(text))),
    }
}

fn utf16(head: &[u8], encoding: &'static Encoding, format: Option<InputFormat>) -> Content {
    let (text, _) = encoding.decode_with_bom_removal(head);
    match format {
        Some(InputFormat::Xml) => Content::Xml(Some(encoding)),
        None if text.trim_start().starts_with('<') => Content::Xml(Some(encoding)),
        _ => Content::Utf16(encoding),
    }
}

/// The content for a format given by the user.
fn given(format: InputFormat, text: &[u8]) -> Content {
    match format {
        InputFormat::Xml => declared_encoding(text),
        InputFormat::Jsonl => Content::Jsonl,
        InputFormat::Nbib => Content::Nbib,
        InputFormat::Csv => Content::Table { separator: b',' },
        InputFormat::Tsv => Content::Table { separator: b'\t' },
        InputFormat::Parquet => Content::Parquet,
        InputFormat::Lines => Content::Lines,
        InputFormat::Text => Content::Text,
    }
}

/// A table, if the header has the columns of a document.
fn table(text: &[u8], columns: &TextColumns) -> Option<Content> {
    let has_columns = |separator: &u8| matches!(Table::open(text, *separator, columns), Some(Ok(_)));
    [b'\t', b','].into_iter().find(has_columns).map(|separator| Content::Table { separator })
}

fn other(text: &[u8]) -> &'static str {
    let known = OTHERS.iter().find(|(start, _)| text.starts_with(start));
    known.map_or(
        "not PubMed XML, JSONL, nbib, Parquet, or a table with id and text columns; name the columns with --id-column and \
         --text-column, or give the format with --input-format",
        |(_, what)| what,
    )
}

/// Length of a UTF-8 byte order mark at the start of a stream.
pub(crate) fn bom_len(head: &[u8]) -> usize {
    if head.starts_with(UTF8_BOM) { UTF8_BOM.len() } else { 0 }
}

/// XML with the declared encoding, unless that is UTF-8 or ASCII.
fn declared_encoding(text: &[u8]) -> Content {
    let label = declaration(text).and_then(|declaration| attribute(declaration, "encoding"));
    let Some(label) = label else { return Content::Xml(None) };
    if label.eq_ignore_ascii_case("us-ascii") || label.eq_ignore_ascii_case("ascii") {
        return Content::Xml(None);
    }
    match Encoding::for_label(label.as_bytes()) {
        None => Content::Other("unknown encoding in the XML declaration; convert the file to UTF-8"),
        // A declaration that is readable as ASCII is not in UTF-16, whatever it says.
        Some(encoding) if encoding == encoding_rs::UTF_8 || !encoding.is_ascii_compatible() => Content::Xml(None),
        Some(encoding) => Content::Xml(Some(encoding)),
    }
}

fn declaration(text: &[u8]) -> Option<&str> {
    let rest = text.strip_prefix(b"<?xml")?;
    let end = memchr::memmem::find(rest, b"?>")?;
    std::str::from_utf8(&rest[..end]).ok()
}

fn attribute<'a>(declaration: &'a str, name: &str) -> Option<&'a str> {
    let value = declaration.split_once(name)?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split_once(quote).map(|(value, _)| value)
}

/// Whether a file with these first bytes is an input; if not, why.
///
/// In doubt it is an input: reading it reports what is wrong with it.
pub(crate) fn recognise(head: &[u8], options: &ReadOptions) -> Result<(), String> {
    match content(head, options) {
        Content::Gzip => {
            let mut inner = Vec::new();
            // The head ends anywhere, so an error at its end means nothing.
            let _cut = GzDecoder::new(head).take(HEAD_BYTES as u64).read_to_end(&mut inner);
            if inner.is_empty() { Ok(()) } else { recognise_content(&inner, options) }
        }
        _ => recognise_content(head, options),
    }
}

fn recognise_content(head: &[u8], options: &ReadOptions) -> Result<(), String> {
    match content(head, options) {
        Content::Empty => Err("empty file".into()),
        Content::Gzip => Err("gzip inside gzip; decompress it once".into()),
        Content::Other(what) => Err(what.into()),
        Content::Xml(None) => match xml::root_name(head) {
            Some(root) if !xml::is_known_root(&root) => {
                Err(format!("not PubMed XML: root element is <{}>", String::from_utf8_lossy(&root)))
            }
            _ => Ok(()),
        },
        Content::Jsonl => recognise_lines(head, options.columns.id.as_deref()),
        Content::Utf16(encoding) => recognise_content(encoding.decode_with_bom_removal(head).0.as_bytes(), options),
        _ => Ok(()),
    }
}

/// JSONL has an object with an id in at least one of its first lines; any other line becomes a reject.
fn recognise_lines(head: &[u8], id: Option<&str>) -> Result<(), String> {
    let text = head[bom_len(head)..].trim_ascii_start();
    let has_id = |line: &[u8]| {
        let object: Option<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(line).ok();
        let is_id = |name: &String| id.map_or(["id", "pmid"].contains(&name.as_str()), |id| name == id);
        object.is_some_and(|object| object.keys().any(is_id))
    };
    // The first line may be longer than what is looked at.
    let is_whole = text.contains(&b'\n') || head.len() < HEAD_BYTES;
    let is_input = !is_whole || text.split(|&b| b == b'\n').any(has_id);
    if is_input { Ok(()) } else { Err("JSON without an object with an id in its first lines".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_detected_from_the_bytes() {
        let content = |head: &[u8]| content(head, &ReadOptions::default());
        assert_eq!(content(b"\x1F\x8B\x08"), Content::Gzip);
        assert_eq!(content(b"\xEF\xBB\xBF \r\n<a/>"), Content::Xml(None));
        assert_eq!(content(b"\n{\"id\": 1}"), Content::Jsonl);
        assert_eq!(content(b" \n"), Content::Empty);
        assert_eq!(content(b"\nPMID- 12\n"), Content::Nbib);
        assert_eq!(content(b"PAR1\x15"), Content::Parquet);
        assert_eq!(content(b"pmid,title\n1,x\n"), Content::Table { separator: b',' });
        assert_eq!(content(b"id\ttext\n"), Content::Table { separator: b'\t' });
        assert!(matches!(content(b"key,body\n"), Content::Other(what) if what.contains("--text-column")));
        assert!(matches!(content(b"hello"), Content::Other(what) if what.contains("not PubMed XML")));
    }

    #[test]
    fn the_declared_encoding_is_used_if_it_is_possible() {
        let declared = |label| {
            content(format!("<?xml version='1.0' encoding='{label}'?><a/>").as_bytes(), &ReadOptions::default())
        };
        assert_eq!(declared("utf-8"), Content::Xml(None));
        assert_eq!(declared("US-ASCII"), Content::Xml(None));
        assert_eq!(declared("UTF-16"), Content::Xml(None));
        assert_eq!(declared("iso-8859-1"), Content::Xml(Some(encoding_rs::WINDOWS_1252)));
        assert!(matches!(declared("klingon"), Content::Other(_)));
        let content = |head: &[u8]| content(head, &ReadOptions::default());
        assert_eq!(content(b"<\0?\0"), Content::Xml(Some(encoding_rs::UTF_16LE)));
        assert_eq!(content(b"\xFE\xFF\0<"), Content::Xml(Some(encoding_rs::UTF_16BE)));
        assert_eq!(content(b"\xFF\xFEi\0d\0"), Content::Utf16(encoding_rs::UTF_16LE));
    }

    #[test]
    fn only_pubmed_roots_and_records_with_ids_are_recognised() {
        let recognise = |head: &[u8]| recognise(head, &ReadOptions::default());
        assert!(recognise(b"<?xml version='1.0'?><!-- x --><PubmedArticleSet>").is_ok());
        assert!(recognise(b"<PubmedArticle>").is_ok());
        assert!(recognise(b"<rss>").is_err_and(|why| why.contains("<rss>")));
        assert!(recognise(b"{\"pmid\": 3, \"title\": \"t\"}\n").is_ok());
        assert!(recognise(b"{\"text\": \"t\"}\n{\"id\": 1, \"text\": \"t\"}\n").is_ok(), "the first line is a reject");
        assert!(recognise(b"{\"id\": 1, \"te\n{\"id\": 1, \"text\": \"t\"}\n").is_ok(), "the first line is damaged");
        assert!(recognise(b"{\n  \"name\": \"x\"\n}").is_err());
        assert!(recognise(b"").is_err());
        assert!(recognise(b"\x1F\x8B\x08garbage").is_ok(), "errors are reported when it is read");
    }
}
