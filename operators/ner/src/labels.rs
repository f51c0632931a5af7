//! The labels of a token classifier, checked to be IOB2.

use std::collections::BTreeMap;

/// The IOB2 tag of a token, as in CoNLL-2002 (Tjong Kim Sang, 2002).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Iob2 {
    /// Outside any entity.
    Outside,
    /// The first token of an entity of this type, by number.
    Begin(usize),
    /// A further token of an entity of this type.
    Inside(usize),
}

/// The labels of a model, one tag per column of its logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSet {
    tags: Vec<Iob2>,
    entity_types: Vec<String>,
}

impl LabelSet {
    /// Reads `id2label`: ids from 0 without gaps, one `O`, and for every `I-X` a `B-X`.
    ///
    /// # Errors
    /// What is wrong with the labels.
    pub fn from_id2label(id2label: &BTreeMap<usize, String>) -> Result<Self, String> {
        if let Some((gap, _)) = id2label.keys().enumerate().find(|(expected, id)| expected != *id) {
            return Err(format!("no label has id {gap}"));
        }
        let mut set = Self { tags: Vec::new(), entity_types: Vec::new() };
        for label in id2label.values() {
            let tag = set.parse(label)?;
            if set.tags.contains(&tag) {
                return Err(format!("{label:?} is a duplicate"));
            }
            set.tags.push(tag);
        }
        set.check()?;
        Ok(set)
    }

    fn parse(&mut self, label: &str) -> Result<Iob2, String> {
        match label.split_once('-') {
            None if label == "O" => Ok(Iob2::Outside),
            Some(("B", kind)) if !kind.is_empty() => Ok(Iob2::Begin(self.type_id(kind))),
            Some(("I", kind)) if !kind.is_empty() => Ok(Iob2::Inside(self.type_id(kind))),
            _ => Err(format!("{label:?} is not O, B-<type> or I-<type>")),
        }
    }

    fn type_id(&mut self, kind: &str) -> usize {
        self.entity_types.iter().position(|known| known == kind).unwrap_or_else(|| {
            self.entity_types.push(kind.to_owned());
            self.entity_types.len() - 1
        })
    }

    fn check(&self) -> Result<(), String> {
        if !self.tags.contains(&Iob2::Outside) {
            return Err("O is missing".to_owned());
        }
        if self.entity_types.is_empty() {
            return Err("there are no entity types".to_owned());
        }
        let headless = (0..self.entity_types.len()).find(|&kind| !self.tags.contains(&Iob2::Begin(kind)));
        headless.map_or(Ok(()), |kind| {
            let name = &self.entity_types[kind];
            Err(format!("I-{name} has no matching B-{name}"))
        })
    }

    /// The tag of each column of the logits.
    pub fn tags(&self) -> &[Iob2] {
        &self.tags
    }

    /// The entity types, in order of their first label.
    pub fn entity_types(&self) -> &[String] {
        &self.entity_types
    }

    /// The names of the labels, in the order of the logits' columns.
    pub fn names(&self) -> Vec<String> {
        let name = |tag: &Iob2| match tag {
            Iob2::Outside => "O".to_owned(),
            Iob2::Begin(kind) => format!("B-{}", self.entity_types[*kind]),
            Iob2::Inside(kind) => format!("I-{}", self.entity_types[*kind]),
        };
        self.tags.iter().map(name).collect()
    }

    /// The column of `O`.
    pub fn outside(&self) -> usize {
        let position = self.tags.iter().position(|tag| *tag == Iob2::Outside);
        position.expect("a label set is checked to have an O")
    }

    /// The number of labels, which are the columns of the logits.
    pub fn count(&self) -> usize {
        self.tags.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Result<LabelSet, String> {
        LabelSet::from_id2label(&names.iter().map(|name| (*name).to_owned()).enumerate().collect())
    }

    #[test]
    fn iob2_labels_are_read_in_any_order() {
        let set = labels(&["I-Gene", "O", "B-Disease", "B-Gene", "I-Disease"]).unwrap();
        assert_eq!(set.entity_types(), ["Gene", "Disease"]);
        let expected = [Iob2::Inside(0), Iob2::Outside, Iob2::Begin(1), Iob2::Begin(0), Iob2::Inside(1)];
        assert_eq!(set.tags(), expected);
    }

    #[test]
    fn a_type_may_have_a_hyphen_and_lack_an_inside_label() {
        let set = labels(&["O", "B-Cell-line"]).unwrap();
        assert_eq!(set.entity_types(), ["Cell-line"]);
    }

    #[test]
    fn labels_that_are_not_iob2_are_rejected_with_the_reason() {
        for (names, reason) in [
            (&["LABEL_0", "LABEL_1"][..], "\"LABEL_0\" is not O"),
            (&["O", "Disease"], "\"Disease\" is not O"),
            (&["O", "I-Disease"], "I-Disease has no matching B-Disease"),
            (&["B-Disease", "I-Disease"], "O is missing"),
            (&["O"], "no entity types"),
            (&["O", "B-", "I-"], "\"B-\" is not O"),
            (&["O", "B-X", "B-X"], "\"B-X\" is a duplicate"),
        ] {
            let problem = labels(names).unwrap_err();
            assert!(problem.contains(reason), "{names:?}: {problem}");
        }
        let gap = BTreeMap::from([(0, "O".to_owned()), (2, "B-X".to_owned())]);
        assert!(LabelSet::from_id2label(&gap).unwrap_err().contains("no label has id 1"));
    }
}
