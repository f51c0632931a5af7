//! Models that teach: what they say of texts, in the labels of the model that learns from them.

use std::path::PathBuf;

use pubtag_schemas::TokenWindow;

use crate::labels::Iob2;
use crate::{
    Aggregation, Checkpoint, ClassifierSetup, Device, LabelSet, Logits, MicroBatch, NerError, TokenClassifier,
    WordProbabilities, classifier,
};

/// A trained model whose probabilities another model learns (distillation: Hinton et al., 2015).
pub struct Teacher {
    classifier: Box<dyn TokenClassifier>,
    /// The student's label of each of the teacher's. Types that the student does not have are outside for it.
    columns: Vec<usize>,
    /// Of each of the student's labels, whether the teacher knows its type.
    known: Vec<bool>,
    token_budget: usize,
}

impl Teacher {
    /// Opens a model that teaches some of these labels; `kernel_cache` as in [`TrainConfig`](super::TrainConfig).
    ///
    /// # Errors
    /// It cannot be run on the device.
    pub fn start(
        checkpoint: &Checkpoint,
        student: &LabelSet,
        device: Device,
        kernel_cache: Option<PathBuf>,
    ) -> Result<Self, NerError> {
        let columns = columns(checkpoint.labels(), student);
        let known = known(checkpoint.labels(), student);
        let mut setup = ClassifierSetup::on(device);
        setup.cuda.cache = kernel_cache;
        let token_budget = setup.token_budget.get();
        let classifier = classifier(checkpoint, device, setup)?()?;
        Ok(Self { classifier, columns, known, token_budget })
    }

    /// What it says of texts, given the windows of each by its own tokenizer.
    ///
    /// # Errors
    /// The model fails.
    pub fn read(&mut self, texts: &[Vec<TokenWindow>]) -> Result<Vec<WordProbabilities>, NerError> {
        let mut all = MicroBatch::default();
        let windows = texts.iter().flatten();
        windows.for_each(|window| all.push_scored(&window.ids, Aggregation::First.scores(window)));
        let batches = all.split(self.token_budget);
        let logits = batches.iter().map(|batch| self.classifier.classify(batch)).collect::<Result<Vec<_>, _>>()?;
        let mut rows = logits.iter().flat_map(Logits::rows);
        let read = |windows: &Vec<TokenWindow>| {
            let own = WordProbabilities::read(windows, self.columns.len(), &mut rows);
            own.relabelled(self.known.clone(), |from, to| {
                from.iter().zip(&self.columns).for_each(|(share, label)| to[*label] += share);
            })
        };
        Ok(texts.iter().map(read).collect())
    }
}

/// Checks that teachers together know what their student learns.
///
/// # Errors
/// A teacher knows none of the student's types, or no teacher knows one of them.
pub fn check_teachers(teachers: &[Checkpoint], student: &LabelSet) -> Result<(), NerError> {
    let knows = |teacher: &Checkpoint, name: &String| teacher.labels().entity_types().contains(name);
    let wanted = student.entity_types();
    for teacher in teachers {
        if !wanted.iter().any(|name| knows(teacher, name)) {
            let has = teacher.labels().entity_types().join(", ");
            return Err(NerError::Teacher { teacher: teacher.name(), has, wanted: wanted.join(", ") });
        }
    }
    match wanted.iter().find(|name| !teachers.iter().any(|teacher| knows(teacher, name))) {
        Some(name) => Err(NerError::Untaught { name: name.clone() }),
        None => Ok(()),
    }
}

/// The student's label of each of the teacher's labels; outside for types that the student does not have.
fn columns(teacher: &LabelSet, student: &LabelSet) -> Vec<usize> {
    let (of_teacher, of_student) = (teacher.entity_types(), student.entity_types());
    let own = |tag: &Iob2| match tag {
        Iob2::Outside => Some(Iob2::Outside),
        Iob2::Begin(kind) => of_student.iter().position(|name| *name == of_teacher[*kind]).map(Iob2::Begin),
        Iob2::Inside(kind) => of_student.iter().position(|name| *name == of_teacher[*kind]).map(Iob2::Inside),
    };
    let position = |tag: Iob2| student.tags().iter().position(|known| *known == tag);
    let outside = student.outside();
    teacher.tags().iter().map(|tag| own(tag).and_then(position).unwrap_or(outside)).collect()
}

/// Of each of the student's labels, whether the teacher knows its type. It may know one without a label for the inside of
/// mentions; its probability is 0 then.
fn known(teacher: &LabelSet, student: &LabelSet) -> Vec<bool> {
    let knows = |kind: usize| teacher.entity_types().contains(&student.entity_types()[kind]);
    let known = |tag: &Iob2| match tag {
        Iob2::Outside => true,
        Iob2::Begin(kind) | Iob2::Inside(kind) => knows(*kind),
    };
    student.tags().iter().map(known).collect()
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
        assert_eq!(columns(&teacher, &student), [0, 0, 0, 1, 2]);
        assert_eq!(columns(&student, &teacher), [2, 3, 4]);
    }

    #[test]
    fn a_teacher_knows_the_labels_of_its_types_even_if_it_has_none_for_the_inside() {
        let student = labels(&["O", "B-Gene", "I-Gene", "B-Disease", "I-Disease"]);
        assert_eq!(known(&labels(&["O", "B-Disease"]), &student), [true, false, false, true, true]);
    }
}
