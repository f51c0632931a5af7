//! The categories of the NCBI Disease corpus, and what becomes of them.

use std::fmt;
use std::str::FromStr;

use pubtag_schemas::AnnotatedDocument;
use serde::Serialize;

/// The four categories of the NCBI Disease corpus (Doğan et al., 2014).
const CATEGORIES: [&str; 4] = ["CompositeMention", "DiseaseClass", "Modifier", "SpecificDisease"];

/// What they are together.
const DISEASE: &str = "Disease";

/// How categories become entity types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// The four categories of the NCBI Disease corpus become `Disease`; others stay as they are.
    #[default]
    Auto,
    /// Every category stays as it is.
    Category,
}

impl Labels {
    /// Renames the categories of a document's mentions.
    pub fn apply(self, document: &mut AnnotatedDocument) {
        for mention in &mut document.mentions {
            mention.category = self.name_of(&mention.category).to_owned();
        }
    }

    /// The entity type of a category.
    pub fn name_of(self, category: &str) -> &str {
        if self == Self::Auto && is_ncbi(category) { DISEASE } else { category }
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Category => "category",
        })
    }
}

impl FromStr for Labels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Auto, Self::Category].into_iter().find(|labels| labels.to_string() == text);
        known.ok_or_else(|| "expected auto or category".to_owned())
    }
}

/// Whether a category is one of the NCBI Disease corpus.
pub fn is_ncbi(category: &str) -> bool {
    CATEGORIES.contains(&category)
}
