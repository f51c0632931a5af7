//! How a corpus is named: `FILE:types=Disease,Chemical:weight=2:map=SpecificDisease=Disease`.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use pubtag_schemas::AnnotatedDocument;
use serde::{Serialize, Serializer};

use crate::Labels;

/// A corpus, the types it annotates, and how its categories are renamed.
#[derive(Clone, Debug, PartialEq)]
pub struct CorpusSpec {
    /// The file, or the directory of its files.
    pub path: PathBuf,
    /// The types that the corpus annotates [default: those of its mentions]. Mentions of other types are dropped.
    pub types: Option<Vec<String>>,
    /// Renamed categories, from and to; applied before `types`. Other categories become what [`Labels`] makes of them.
    pub map: Vec<(String, String)>,
    /// Passes over the corpus per training epoch. A fraction takes that share of it, drawn anew in each epoch.
    pub weight: f64,
}

impl CorpusSpec {
    /// A corpus without options.
    pub fn plain(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), types: None, map: Vec::new(), weight: 1.0 }
    }

    /// Turns a document's categories into types, and drops mentions of types that the corpus does not annotate.
    pub fn apply(&self, labels: Labels, document: &mut AnnotatedDocument) {
        for mention in &mut document.mentions {
            mention.category = self.type_of(labels, &mention.category).to_owned();
        }
        if let Some(types) = &self.types {
            document.mentions.retain(|mention| types.contains(&mention.category));
        }
    }

    /// The type of a category: what it is mapped to, by its own name or else by the one that `labels` gives it.
    fn type_of<'a>(&'a self, labels: Labels, category: &'a str) -> &'a str {
        let mapped = |name: &str| self.map.iter().find(|(from, _)| from == name).map(|(_, to)| to.as_str());
        let common = labels.name_of(category);
        mapped(category).or_else(|| mapped(common)).unwrap_or(common)
    }

    /// The categories of `map` that are not among those of the corpus.
    pub(crate) fn unknown<'a>(&'a self, labels: Labels, categories: &BTreeSet<String>) -> Vec<&'a str> {
        let has = |name: &str| categories.iter().any(|category| category == name || labels.name_of(category) == name);
        self.map.iter().map(|(from, _)| from.as_str()).filter(|from| !has(from)).collect()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let names = || value.split(',').map(str::to_owned);
        if names().any(|name| name.is_empty()) {
            return Err(format!("{key}= has an empty name in {value:?}"));
        }
        match key {
            "types" => self.types = Some(names().collect()),
            "weight" => {
                let weight = value.parse().ok().filter(|weight: &f64| weight.is_finite() && *weight > 0.0);
                self.weight = weight.ok_or_else(|| format!("weight={value} is not a number above 0"))?;
            }
            "map" => {
                self.map = pairs(names()).ok_or_else(|| format!("map={value}: expected CATEGORY=TYPE,…"))?;
                if let Some(from) = mapped_twice(&self.map) {
                    return Err(format!("map={value} maps {from} twice"));
                }
            }
            _ => return Err(format!("unknown corpus option {key:?}; expected types, weight or map")),
        }
        Ok(())
    }
}

/// `A=B` of each name; `None` if one is something else.
fn pairs(names: impl Iterator<Item = String>) -> Option<Vec<(String, String)>> {
    let pair = |name: String| {
        let (from, to) = name.split_once('=').filter(|(from, to)| !from.is_empty() && !to.is_empty())?;
        Some((from.to_owned(), to.to_owned()))
    };
    names.map(pair).collect()
}

fn mapped_twice(map: &[(String, String)]) -> Option<&str> {
    let mut seen = HashSet::new();
    map.iter().map(|(from, _)| from.as_str()).find(|from| !seen.insert(*from))
}

impl FromStr for CorpusSpec {
    type Err = String;

    /// Options are read from the end, so paths may contain colons; whatever exists as a file is a path.
    fn from_str(argument: &str) -> Result<Self, String> {
        let mut corpus = Self::plain("");
        let mut path = argument;
        let mut given = Vec::new();
        while !Path::new(path).exists() {
            let Some((before, option)) = path.rsplit_once(':') else { break };
            let Some((key, value)) = option.split_once('=') else { break };
            corpus.set(key, value)?;
            if given.contains(&key) {
                return Err(format!("{key}= is given twice; put a comma between values: types=A,B or map=A=X,B=X"));
            }
            given.push(key);
            path = before;
        }
        Ok(Self { path: path.into(), ..corpus })
    }
}

impl fmt::Display for CorpusSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(types) = &self.types {
            write!(f, ":types={}", types.join(","))?;
        }
        if self.weight != 1.0 {
            write!(f, ":weight={}", self.weight)?;
        }
        let pairs: Vec<String> = self.map.iter().map(|(from, to)| format!("{from}={to}")).collect();
        if pairs.is_empty() { Ok(()) } else { write!(f, ":map={}", pairs.join(",")) }
    }
}

impl Serialize for CorpusSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_follow_the_path_in_any_order() {
        let corpus: CorpusSpec = "a/b.txt:weight=0.5:types=Disease,Gene:map=Modifier=Disease,X=Gene".parse().unwrap();
        assert_eq!(corpus.path, Path::new("a/b.txt"));
        assert_eq!(corpus.types.as_deref(), Some(&["Disease".to_owned(), "Gene".to_owned()][..]));
        assert_eq!(corpus.weight, 0.5);
        assert_eq!(corpus.map[1], ("X".to_owned(), "Gene".to_owned()));
        assert_eq!(corpus.to_string(), "a/b.txt:types=Disease,Gene:weight=0.5:map=Modifier=Disease,X=Gene");
        assert_eq!(corpus.to_string().parse(), Ok(corpus));
    }

    #[test]
    fn a_category_is_mapped_by_its_own_name_or_by_its_common_one() {
        let types = |map: &str| {
            let corpus: CorpusSpec = format!("a:map={map}").parse().unwrap();
            ["Modifier", "DiseaseClass", "Gene"].map(|name| corpus.type_of(Labels::Auto, name).to_owned())
        };
        assert_eq!(types("Modifier=Other"), ["Other", "Disease", "Gene"]);
        assert_eq!(types("Disease=Illness,Gene=G"), ["Illness", "Illness", "G"]);
        assert_eq!(types("Disease=Illness,Modifier=Disease"), ["Disease", "Illness", "Gene"]);

        let corpus: CorpusSpec = "a:map=Modifier=A,Disease=B,Typo=C".parse().unwrap();
        let categories = BTreeSet::from(["Modifier".to_owned()]);
        assert_eq!(corpus.unknown(Labels::Auto, &categories), ["Typo"]);
        assert_eq!(corpus.unknown(Labels::Category, &categories), ["Disease", "Typo"]);
    }

    #[test]
    fn a_path_may_have_colons_and_look_like_an_option() {
        for path in ["C:\\data\\train.tsv", "a:b.tsv", "plain"] {
            assert_eq!(path.parse(), Ok(CorpusSpec::plain(path)));
        }
        let directory = tempfile::tempdir().unwrap();
        let odd = directory.path().join("x:weight=2");
        std::fs::write(&odd, "").unwrap();
        let named = format!("{}:weight=3", odd.display());
        let corpus: CorpusSpec = named.parse().unwrap();
        assert_eq!((corpus.path, corpus.weight), (odd.clone(), 3.0));
        assert_eq!(odd.display().to_string().parse(), Ok(CorpusSpec::plain(odd)));
    }

    #[test]
    fn invalid_options_are_errors_that_name_them() {
        for (argument, problem) in [
            ("a:wieght=2", "wieght"),
            ("a:weight=0", "weight=0"),
            ("a:weight=NaN", "weight=NaN"),
            ("a:types=", "empty name"),
            ("a:types=A,,B", "empty name"),
            ("a:map=A", "map=A"),
            ("a:map=A=X:map=B=X", "map= is given twice"),
            ("a:types=A:weight=2:types=B", "types= is given twice"),
            ("a:map=A=X,A=Y", "maps A twice"),
        ] {
            let error = argument.parse::<CorpusSpec>().unwrap_err();
            assert!(error.contains(problem), "{argument}: {error}");
        }
    }
}
