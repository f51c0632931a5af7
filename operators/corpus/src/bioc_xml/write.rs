//! Writes BioC XML.

use std::borrow::Cow;
use std::io::{self, Write};

use pubtag_schemas::AnnotatedDocument;
use quick_xml::escape::escape;

use crate::bioc::{self, BiocAnnotation, Infons};
use crate::diagnostic::{DiagnosticKind, Notes};

/// Writes what comes before the first document.
pub(crate) fn write_start(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<!DOCTYPE collection SYSTEM \"BioC.dtd\">")?;
    writeln!(out, "<collection><source/><date/><key/>")
}

/// Writes what comes after the last document.
pub(crate) fn write_end(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "</collection>")
}

/// Writes a document without white space between elements, because readers differ in what they trim.
pub(crate) fn write(document: &AnnotatedDocument, out: &mut impl Write, notes: &mut Notes<'_>) -> io::Result<()> {
    let bioc = bioc::disassemble(document, notes);
    let mut xml = Xml { out, replaced: 0 };
    write!(xml.out, "<document>")?;
    xml.text("id", &bioc.id)?;
    xml.infons(&bioc.infons)?;
    for passage in &bioc.passages {
        write!(xml.out, "<passage>")?;
        xml.infons(&passage.infons)?;
        write!(xml.out, "<offset>{}</offset>", passage.offset)?;
        if let Some(text) = &passage.text {
            xml.text("text", text)?;
        }
        xml.annotations(&passage.annotations)?;
        for sentence in &passage.sentences {
            write!(xml.out, "<sentence><offset>{}</offset>", sentence.offset)?;
            xml.text("text", sentence.text.as_deref().unwrap_or_default())?;
            xml.annotations(&sentence.annotations)?;
            write!(xml.out, "</sentence>")?;
        }
        write!(xml.out, "</passage>")?;
    }
    writeln!(xml.out, "</document>")?;
    let replaced = xml.replaced;
    notes.add(DiagnosticKind::ControlCharacters, replaced, format!("{replaced} control characters written as U+FFFD"));
    Ok(())
}

struct Xml<'a, W> {
    out: &'a mut W,
    /// Number of characters that XML 1.0 does not allow, not even escaped.
    replaced: usize,
}

impl<W: Write> Xml<'_, W> {
    fn escaped<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let count = text.chars().filter(|&c| !is_xml(c)).count();
        if count == 0 {
            return escape(text);
        }
        self.replaced += count;
        let allowed: String = text.chars().map(|c| if is_xml(c) { c } else { '\u{fffd}' }).collect();
        escape(allowed)
    }

    fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        let text = self.escaped(text);
        write!(self.out, "<{name}>{text}</{name}>")
    }

    fn infons(&mut self, infons: &Infons) -> io::Result<()> {
        for (key, value) in infons {
            let key = self.escaped(key);
            let value = self.escaped(value.as_str().unwrap_or_default());
            write!(self.out, "<infon key=\"{key}\">{value}</infon>")?;
        }
        Ok(())
    }

    fn annotations(&mut self, annotations: &[BiocAnnotation]) -> io::Result<()> {
        for annotation in annotations {
            write!(self.out, "<annotation id=\"{}\">", annotation.id)?;
            self.infons(&annotation.infons)?;
            for location in &annotation.locations {
                write!(self.out, "<location offset=\"{}\" length=\"{}\"/>", location.offset, location.length)?;
            }
            self.text("text", annotation.text.as_deref().unwrap_or_default())?;
            write!(self.out, "</annotation>")?;
        }
        Ok(())
    }
}

/// `Char` of XML 1.0.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
