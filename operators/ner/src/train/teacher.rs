//! Models that teach: what they say of texts, in the labels of the model that learns from them.

use std::path::PathBuf;

use pubtag_schemas::TokenWindow;

use crate::labels::Iob2;
use crate::{
    Checkpoint, ClassifierSetup, Device, LabelSet, Logits, MicroBatch, NerError, TokenClassifier, WordProbabilities,
    classifier,
};

/// A trained model whose probabilities another model learns (distillation: Hinton et al., 2015).
pub struct Teacher {
    classifier: Box<dyn TokenClassifier>,
    /// The student's label of each of the teacher's. Types that the student does not have are outside for it.
    columns: Vec<usize>,
    /// Number of the student's labels.
    labels: usize,
    token_budget: usize,
}

impl Teacher {
    /// Opens a model that teaches these labels; `kernel_cache` as in [`TrainConfig`](super::TrainConfig).
    ///
    /// # Errors
    /// It lacks one of their types, or cannot be run on the device.
    pub fn start(
        checkpoint: &Checkpoint,
        student: &LabelSet,
        device: Device,
        kernel_cache: Option<PathBuf>,
    ) -> Result<Self, NerError> {
        let columns = columns(checkpoint.labels(), student).map_err(|missing| NerError::Teacher {
            teacher: checkpoint.name(),
            missing: missing.join(", "),
            has: checkpoint.labels().entity_types().join(", "),
        })?;
        let mut setup = ClassifierSetup::on(device);
        setup.cuda.cache = kernel_cache;
        let token_budget = setup.token_budget.get();
        let classifier = classifier(checkpoint, device, setup)?()?;
        Ok(Self { classifier, columns, labels: student.count(), token_budget })
    }

    /// What it says of texts, given the windows of each by its own tokenizer.
    ///
    /// # Errors
    /// The model fails.
    pub fn read(&mut self, texts: &[Vec<TokenWindow>]) -> Result<Vec<WordProbabilities>, NerError> {
        let mut all = MicroBatch::default();
        texts.iter().flatten().for_each(|window| all.push(&window.ids));
        let batches = all.split(self.token_budget);
        let logits = batches.iter().map(|batch| self.classifier.classify(batch)).collect::<Result<Vec<_>, _>>()?;
        let mut rows = logits.iter().flat_map(Logits::rows);
        let read = |windows: &Vec<TokenWindow>| {
            let own = WordProbabilities::read(windows, self.columns.len(), &mut rows);
            own.relabelled(self.labels, |from, to| {
                from.iter().zip(&self.columns).for_each(|(share, label)| to[*label] += share);
            })
        };
        Ok(texts.iter().map(read).collect())
    }
}

/// The student's label of each of the teacher's labels.
///
/// # Errors
/// The student's types that the teacher lacks.
fn columns(teacher: &LabelSet, student: &LabelSet) -> Result<Vec<usize>, Vec<String>> {
    let (of_teacher, of_student) = (teacher.entity_types(), student.entity_types());
    let missing: Vec<String> = of_student.iter().filter(|name| !of_teacher.contains(name)).cloned().collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let own = |tag: &Iob2| match tag {
        Iob2::Outside => Some(Iob2::Outside),
        Iob2::Begin(kind) => of_student.iter().position(|name| *name == of_teacher[*kind]).map(Iob2::Begin),
        Iob2::Inside(kind) => of_student.iter().position(|name| *name == of_teacher[*kind]).map(Iob2::Inside),
    };
    let position = |tag: Iob2| student.tags().iter().position(|known| *known == tag);
    let outside = position(Iob2::Outside).expect("a label set is checked to have an O");
    Ok(teacher.tags().iter().map(|tag| own(tag).and_then(position).unwrap_or(outside)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> LabelSet {
        LabelSet::from_id2label(&names.iter().map(|name| (*name).to_owned()).enumerate().collect()).unwrap()
    }

    #[test]
    fn a_teachers_labels_are_found_by_name_and_its_other_types_are_outside() {
        let teacher = labels(&["B-Gene", "I-Gene", "O", "B-Disease", "I-Disease"]);
        let student = labels(&["O", "B-Disease", "I-Disease"]);
        assert_eq!(columns(&teacher, &student), Ok(vec![0, 0, 0, 1, 2]));
        assert_eq!(columns(&student, &teacher), Err(vec!["Gene".to_owned()]));
    }
}
