//! Checks a row of `documents` by itself.

use arrow::array::{Array, Int32Array};
use pubtag_schemas::tables::Status;

use super::columns::{Documents, Row, Section, optional};
use super::defect::Defect;
use crate::{TextPolicy, digest};

/// A document and its text, if it was kept.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) row: Row<Documents>,
    pub(super) text: Option<String>,
    pub(super) sections: Vec<Section>,
}

impl Document {
    pub(super) fn new(row: Row<Documents>) -> Self {
        let Documents { title, r#abstract, .. } = &*row.columns;
        let text = optional(title, row.at).zip(optional(r#abstract, row.at));
        let text = text.map(|(title, abstract_text)| format!("{title} {abstract_text}"));
        let sections = row.columns.sections(row.at);
        Self { row, text, sections }
    }

    /// Checks the row; `policy` is the text policy in its marker, if any.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn check(&self, policy: Option<TextPolicy>) -> Result<(), Defect> {
        if self.status() == Status::Deleted.as_str() {
            return self.check_deletion();
        }
        self.check_text(policy)?;
        self.check_sections()?;
        let (annotations, tokens) = (self.annotation_count(), self.int(|d| &d.token_count));
        let status = match (annotations, tokens) {
            (1.., _) => Status::Tagged,
            (_, 0) => Status::NoText,
            _ => Status::NoEntity,
        };
        self.row.equal("status does not match the counts", status.as_str(), self.status())
    }

    pub(super) fn status(&self) -> &str {
        self.row.columns.status.value(self.row.at)
    }

    pub(super) fn annotation_count(&self) -> i32 {
        self.int(|d| &d.annotation_count)
    }

    fn int(&self, column: impl Fn(&Documents) -> &Int32Array) -> i32 {
        column(&self.row.columns).value(self.row.at)
    }

    fn check_deletion(&self) -> Result<(), Defect> {
        let Documents { title, r#abstract, text_sha256, .. } = &*self.row.columns;
        let has_text = [title, r#abstract, text_sha256].iter().any(|column| column.is_valid(self.row.at));
        let counted = self.annotation_count() != 0 || self.int(|d| &d.token_count) != 0;
        if has_text || counted { Err(self.row.defect("deletion has a text or annotations")) } else { Ok(()) }
    }

    fn check_text(&self, policy: Option<TextPolicy>) -> Result<(), Defect> {
        let Documents { title, r#abstract, text_sha256, has_abstract, .. } = &*self.row.columns;
        let kept = (title.is_valid(self.row.at), r#abstract.is_valid(self.row.at));
        match (policy, kept) {
            (Some(TextPolicy::Keep) | None, (true, true)) | (Some(TextPolicy::Hash) | None, (false, false)) => {}
            (Some(TextPolicy::Hash), _) => return Err(self.row.defect("has a text despite --text hash")),
            _ => return Err(self.row.defect("text is missing")),
        }
        let sha256 = optional(text_sha256, self.row.at);
        let sha256 = sha256.ok_or_else(|| self.row.defect("text_sha256 is missing"))?;
        let Some(text) = &self.text else { return Ok(()) };
        self.row.equal("text_sha256 does not match the text", &*digest::of(text.as_bytes()), sha256)?;
        let chars = i32::try_from(text.chars().count()).unwrap_or(i32::MAX);
        self.row.equal("char_count does not match the text", chars, self.int(|d| &d.char_count))?;
        let expected = !r#abstract.value(self.row.at).is_empty();
        self.row.equal("has_abstract does not match the abstract", expected, has_abstract.value(self.row.at))
    }

    /// Sections must not overlap: the title starts at 0, each follows the one before, and the last is inside the text.
    fn check_sections(&self) -> Result<(), Defect> {
        let titled =
            self.sections.first().is_some_and(|first| first.label.as_deref() == Some("title") && first.start == 0);
        let in_order = self.sections.iter().all(|section| section.start <= section.end)
            && self.sections.windows(2).all(|pair| pair[0].end < pair[1].start);
        let inside = self.sections.last().is_some_and(|last| last.end <= self.int(|d| &d.char_count));
        if titled && in_order && inside {
            return Ok(());
        }
        let places: Vec<_> = self.sections.iter().map(|section| section.start..section.end).collect();
        let defect = self.row.defect("sections overlap or are out of order");
        Err(defect.found(format_args!("{places:?} of {} characters", self.int(|d| &d.char_count))))
    }
}
