//! What the annotations of a text depend on besides the text.

use std::collections::BTreeMap;
use std::fmt;

use pubtag_schemas::{OUTPUT_VERSION, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the layout of segments and of `spec.json`.
pub(crate) const CACHE_VERSION: u32 = 1;

/// What the annotations of a text depend on besides the text: the model, and the settings of tagging.
///
/// Like a fingerprint, it does not include the version of the program: an upgrade keeps the cache unless it changes
/// [`OUTPUT_VERSION`]. Unlike one, it does not include how inputs are read or which columns are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheSpec {
    /// Version of this layout.
    pub version: u32,
    /// Name of the model and the first 12 hex digits of its SHA-256, as in the tables; not part of the identity.
    pub model_id: String,
    /// SHA-256 of the model, lower-case hex.
    pub model_sha256: String,
    /// The version of results, see [`OUTPUT_VERSION`].
    pub output_version: u32,
    /// Every setting that annotations depend on, by name.
    pub settings: BTreeMap<String, String>,
}

impl CacheSpec {
    /// The spec of a model and settings, for results of this version.
    pub fn new(model_id: String, model_sha256: String, settings: BTreeMap<String, String>) -> Self {
        Self { version: CACHE_VERSION, model_id, model_sha256, output_version: OUTPUT_VERSION, settings }
    }

    /// The identity of the spec.
    pub(crate) fn id(&self) -> SpecId {
        let mut hasher = Sha256::new();
        let [version, output_version] = [self.version, self.output_version].map(|version| version.to_string());
        let settings = self.settings.iter().flat_map(|(name, value)| [name, value]);
        for field in [&version, &output_version, &self.model_sha256].into_iter().chain(settings) {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        SpecId(hex(hasher.finalize()).chars().take(32).collect())
    }
}

/// The identity of a [`CacheSpec`]: the name of its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpecId(String);

impl SpecId {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The identity that a directory is named after.
    pub(crate) fn of_directory(name: &str) -> Option<Self> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (name.len() == 32 && name.bytes().all(is_hex)).then(|| Self(name.to_owned()))
    }
}

impl fmt::Display for SpecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(model_sha256: &str, settings: &[(&str, &str)]) -> CacheSpec {
        let settings = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        CacheSpec::new("m".to_owned(), model_sha256.to_owned(), settings)
    }

    #[test]
    fn a_spec_depends_on_the_model_and_the_settings_and_not_on_the_models_name() {
        let base = spec("aa", &[("decode", "viterbi")]);
        assert_eq!(base.id(), CacheSpec { model_id: "renamed".to_owned(), ..base.clone() }.id());
        assert_ne!(base.id(), spec("ab", &[("decode", "viterbi")]).id());
        assert_ne!(base.id(), spec("aa", &[("decode", "argmax")]).id());
        assert_ne!(base.id(), CacheSpec { output_version: OUTPUT_VERSION + 1, ..base.clone() }.id());
        assert_ne!(spec("a", &[("ab", "c")]).id(), spec("a", &[("a", "bc")]).id());
        assert_eq!(SpecId::of_directory(&base.id().to_string()), Some(base.id()));
    }
}
