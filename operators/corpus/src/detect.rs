//! Corpus formats, and their detection from content.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::{iob, pubtator, tagging};

/// A corpus format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// NCBI Disease as published: `<category="…">…</category>`, one document per line.
    Inline,
    /// PubTator: `PMID|t|…`, `PMID|a|…`, one row per mention.
    PubTator,
    /// BioC XML.
    BiocXml,
    /// BioC JSON.
    BiocJson,
    /// One token and its tag per line.
    Iob,
    /// NeMo's `text_X.txt` and `labels_X.txt`.
    Nemo,
    /// brat standoff: `.txt` and `.ann`.
    Brat,
    /// One object `{"id", "text", "entities"}` per line.
    Jsonl,
}

/// Bytes at the start of a file that its format is detected from.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;

impl Format {
    /// Every format.
    pub const ALL: &[Self] =
        &[Self::Inline, Self::PubTator, Self::BiocXml, Self::BiocJson, Self::Iob, Self::Nemo, Self::Brat, Self::Jsonl];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::PubTator => "pubtator",
            Self::BiocXml => "bioc-xml",
            Self::BiocJson => "bioc-json",
            Self::Iob => "iob",
            Self::Nemo => "nemo",
            Self::Brat => "brat",
            Self::Jsonl => "jsonl",
        }
    }

    /// Detects the format from the first bytes of a file (at most 64 KiB are used); `None` if it is unknown.
    ///
    /// For formats with two files, the labels (NeMo) and the annotations (brat) are recognised, but not the texts.
    ///
    /// ```
    /// use pubtag_corpus::Format;
    ///
    /// assert_eq!(Format::detect(b"123|t|Gait in ataxia.\n"), Some(Format::PubTator));
    /// assert_eq!(Format::detect(b"motor\tB-Disease\nataxia\tI-Disease\n"), Some(Format::Iob));
    /// assert_eq!(Format::detect(b"Call me Ishmael."), None);
    /// ```
    pub fn detect(head: &[u8]) -> Option<Self> {
        let head = String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)]);
        let head = head.trim_start_matches('\u{feff}').trim_start_matches(['\n', '\r', ' ']);
        match head.chars().next()? {
            '<' if head.contains("<collection") || head.contains("<document") => return Some(Self::BiocXml),
            '{' | '[' => {
                if let Some(json) = json(head) {
                    return Some(json);
                }
            }
            _ => {}
        }
        // The last line may be incomplete.
        let complete = head.rsplit_once('\n').map_or(head, |(lines, _)| lines);
        let lines = || complete.lines().filter(|line| !line.trim().is_empty()).take(200);
        let first = lines().next()?;
        if pubtator::section(first).is_some_and(|(_, kind, _)| kind == 't') {
            Some(Self::PubTator)
        } else if lines().any(|line| line.contains("<category=\"")) && first.contains('\t') {
            Some(Self::Inline)
        } else if lines().all(is_brat) {
            Some(Self::Brat)
        } else if lines().all(|line| line.split_whitespace().all(|tag| tagging::Tag::parse(tag).is_some())) {
            Some(Self::Nemo)
        } else {
            // An IOB file may have a few bad lines.
            let (good, bad) = lines()
                .filter_map(iob::looks_like)
                .fold((0, 0), |(good, bad), is| if is { (good + 1, bad) } else { (good, bad + 1) });
            (good > 9 * bad && good > 0).then_some(Self::Iob)
        }
    }
}

fn json(head: &str) -> Option<Format> {
    let has = |key: &str| head.contains(&format!("\"{key}\""));
    let line = head.lines().next().unwrap_or_default();
    let spans = line.starts_with('{')
        && line.contains("\"text\"")
        && !line.contains("\"passages\"")
        && line.trim_end().ends_with('}');
    if spans {
        Some(Format::Jsonl)
    } else if has("passages") || has("documents") || has("PubTator3") {
        Some(Format::BiocJson)
    } else {
        // A line longer than the head.
        (head.starts_with('{') && has("text")).then_some(Format::Jsonl)
    }
}

fn is_brat(line: &str) -> bool {
    let mut fields = line.split('\t');
    let (name, middle) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let number = name.strip_prefix(['T', 'N', 'R', 'E', 'A', 'M', '#']).unwrap_or_default();
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (name == "*" || numbered) && middle.contains(' ')
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of an unknown format name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown corpus format {name:?}; expected one of {}", names())]
pub struct FormatError {
    name: String,
}

/// The names of all formats, for messages.
pub(crate) fn names() -> String {
    Format::ALL.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        let found = Self::ALL.iter().copied().find(|format| format.as_str() == name);
        found.ok_or_else(|| FormatError { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_detected_from_its_content() {
        let cases: &[(&str, Option<Format>)] = &[
            ("\n\n12|t|Title\n12|a|Abstract\n", Some(Format::PubTator)),
            ("12\tTitle\tAn <category=\"X\">ill</category>.\n", Some(Format::Inline)),
            ("\u{feff}<?xml version='1.0'?>\n<collection>", Some(Format::BiocXml)),
            ("{\n  \"source\": \"\",\n  \"documents\": [", Some(Format::BiocJson)),
            ("{\"id\":\"1\",\"passages\":[{\"text\":\"x\"}]}\n", Some(Format::BiocJson)),
            ("{\"id\": 1, \"text\": \"x\", \"entities\": []}\n", Some(Format::Jsonl)),
            ("T1\tD 0 3\till\nN1\tReference T1 X\till\n", Some(Format::Brat)),
            ("O O B-D I-D \nO \n", Some(Format::Nemo)),
            ("-DOCSTART- -X- O\n\nan DT O\nill NN B\n", Some(Format::Iob)),
            ("# doc_id = 1\nill\t0\t3\tS-D\n", Some(Format::Iob)),
            ("<html></html>", None),
            ("plain text\nin lines\n", None),
            ("", None),
        ];
        for (head, format) in cases {
            assert_eq!(Format::detect(head.as_bytes()), *format, "{head:?}");
        }
    }

    #[test]
    fn names_round_trip() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(*format));
        }
        assert!("conll".parse::<Format>().is_err_and(|error| error.to_string().contains("iob")));
    }
}
