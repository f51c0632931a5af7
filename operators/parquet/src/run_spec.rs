//! What determines a result besides the input, and the fingerprint of both.

use std::borrow::Cow;
use std::collections::BTreeMap;

use pubtag_schemas::{Commit, InputUnit, OUTPUT_VERSION};

use crate::digest;

/// Everything that determines the rows of an input besides its content: the model and the settings.
///
/// The program's version is not included: an upgrade re-tags nothing unless it changes [`OUTPUT_VERSION`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSpec {
    /// Name of the model and the first 12 hex digits of its SHA-256, as in the tables.
    pub model_id: String,
    /// SHA-256 of the model, lower-case hex.
    pub model_sha256: String,
    /// Every setting that changes the rows (text policy, stride, limit, …), by name.
    pub settings: BTreeMap<String, String>,
    /// Whether documents are named after their file, as lines of plain text are; then the name determines the rows, too.
    pub named_after_file: bool,
}

impl RunSpec {
    /// What identifies an input: the SHA-256 of its content, or of content and file name if documents are named after
    /// their file. An output holds one result per key.
    pub fn key<'a>(&self, unit: &InputUnit, sha256: &'a str) -> Cow<'a, str> {
        match self.named_after_file {
            true => digest::of_fields([sha256.as_bytes(), unit.file_name().as_bytes()]).into(),
            false => sha256.into(),
        }
    }

    /// The fingerprint of an input's result: SHA-256 over the input's [key](Self::key), the model's SHA-256, the
    /// settings and [`OUTPUT_VERSION`], lower-case hex.
    pub fn fingerprint(&self, key: &str) -> String {
        let version = OUTPUT_VERSION.to_string();
        let head = [key, &self.model_sha256, &version];
        let settings = self.settings.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        digest::of_fields(head.into_iter().chain(settings).map(str::as_bytes))
    }

    /// Whether a commit is of an input that has not been modified since, as far as its URI, size and modification time, or
    /// ETag in a store, tell without reading it.
    pub fn covers(&self, commit: &Commit, unit: &InputUnit) -> bool {
        let input = &commit.input;
        let is_same = match &unit.e_tag {
            // Some stores quote ETags only in answers to single objects.
            Some(e_tag) => input.e_tag.as_ref().is_some_and(|known| known.trim_matches('"') == e_tag.trim_matches('"')),
            None => unit.modified_us.is_some() && input.modified_us == unit.modified_us,
        };
        let is_known = unit.size.is_some() && unit.modified_us.is_some();
        let is_at_place = input.uri == unit.uri() && input.size == unit.size;
        is_known && is_at_place && is_same && commit.fingerprint == self.fingerprint(input.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(settings: &[(&str, &str)]) -> RunSpec {
        let settings = settings.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        RunSpec { model_id: "m-0".into(), model_sha256: "aa".into(), settings, named_after_file: false }
    }

    #[test]
    fn a_fingerprint_depends_on_input_model_and_settings_only() {
        let base = spec(&[("stride", "64"), ("text", "keep")]);
        let print = base.fingerprint("ff");
        assert_eq!(print, base.fingerprint("ff"));
        assert_eq!(print, RunSpec { model_id: "renamed".into(), ..base.clone() }.fingerprint("ff"));
        assert_ne!(print, base.fingerprint("fe"));
        assert_ne!(print, RunSpec { model_sha256: "ab".into(), ..base.clone() }.fingerprint("ff"));
        assert_ne!(print, spec(&[("stride", "64")]).fingerprint("ff"));
        // Fields are delimited: moving a letter from one to the next is another run spec.
        assert_ne!(
            spec(&[("ab", "c")]).fingerprint("ff"),
            spec(&[("a", "bc")]).fingerprint("ff"),
            "name and value must not run together"
        );
    }

    #[test]
    fn the_fingerprint_of_version_4_never_changes() {
        // Computed with Python's hashlib: sha256 of u64-LE length + bytes for "ff", "aa", "4", "text", "keep".
        let expected = "c7b9053ba3b7dbd037c80019df2ebe0824c2676b7a2d75cc3d38e14a15a5a2f3";
        assert_eq!(spec(&[("text", "keep")]).fingerprint("ff"), expected);
    }
}
