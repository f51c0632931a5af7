//! How far a device's logits are from those of the CPU in single precision.

use crate::{Checkpoint, Logits, MicroBatch, Precision};
#[cfg(any(feature = "cuda", test))]
use crate::{NerError, TokenClassifier, cpu};

/// Sequences of many lengths, few enough to run in a moment.
#[cfg(any(feature = "cuda", test))]
const LENGTHS: [usize; 6] = [3, 17, 64, 100, 190, 512];

/// How closely two devices agree on the same tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Tokens compared.
    pub tokens: usize,
    /// The largest difference between two logits, relative to the largest logit.
    pub difference: f32,
    /// Tokens with the same best label.
    pub same_labels: usize,
}

impl Agreement {
    /// Whether the difference is within the tolerance of a precision.
    pub fn holds(&self, precision: Precision) -> bool {
        self.difference <= tolerance(precision)
    }
}

/// The largest difference that a precision explains, relative to the largest logit.
pub fn tolerance(precision: Precision) -> f32 {
    match precision {
        // On CUDA, matrix products may round their inputs to TF32, which has the mantissa of half precision.
        Precision::F32 => 0.01,
        Precision::F16 => 0.02,
        Precision::Bf16 => 0.1,
        Precision::Int8 => 0.25,
    }
}

/// Compares a classifier with the CPU on the same tokens, drawn from the whole vocabulary.
///
/// # Errors
/// If either fails, or the checkpoint's weights cannot be read.
#[cfg(any(feature = "cuda", test))]
pub(crate) fn with_cpu(checkpoint: &Checkpoint, classifier: &mut dyn TokenClassifier) -> Result<Agreement, NerError> {
    let batch = sample(checkpoint, &LENGTHS);
    let expected = cpu::open(checkpoint, Precision::F32)?.classify(&batch)?;
    Ok(compare(&expected, &classifier.classify(&batch)?))
}

/// Sequences of these lengths, capped at the model's positions; the same for all models with the same vocabulary (Knuth's
/// multiplicative sequence).
pub fn sample(checkpoint: &Checkpoint, lengths: &[usize]) -> MicroBatch {
    let (vocabulary, longest) = (checkpoint.config().vocab_size as u32, checkpoint.max_tokens().get());
    let mut batch = MicroBatch::default();
    let mut drawn = 1_u32;
    for &length in lengths {
        let mut draw = || {
            drawn = drawn.wrapping_mul(2_654_435_761).wrapping_add(1);
            (drawn >> 8) % vocabulary
        };
        batch.push(&std::iter::repeat_with(&mut draw).take(length.min(longest)).collect::<Vec<_>>());
    }
    batch
}

/// Compares the logits of the same tokens.
pub fn compare(expected: &Logits, found: &Logits) -> Agreement {
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    let range = largest(&mut expected.values.iter().map(|value| value.abs()));
    let apart = largest(&mut expected.values.iter().zip(&found.values).map(|(a, b)| (a - b).abs()));
    let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let same_labels = expected.rows().zip(found.rows()).filter(|(a, b)| best(a) == best(b)).count();
    Agreement { tokens: expected.rows().len(), difference: apart / range.max(f32::MIN_POSITIVE), same_labels }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Checkpoint {
        Checkpoint::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert")).unwrap()
    }

    #[test]
    fn the_cpu_agrees_with_itself_in_every_precision() {
        for precision in [Precision::F32, Precision::Int8] {
            let mut classifier = cpu::open(&tiny(), precision).unwrap();
            let agreement = with_cpu(&tiny(), &mut classifier).unwrap();
            assert!(agreement.holds(precision), "{precision}: {agreement:?}");
        }
    }

    /// A device that computes nothing, as after a dropped kernel launch.
    struct Zeros;

    impl TokenClassifier for Zeros {
        fn classify(&mut self, batch: &MicroBatch) -> Result<Logits, NerError> {
            Ok(Logits { labels: 3, values: vec![0.0; 3 * batch.token_count()], padding: crate::Padding::default() })
        }
    }

    #[test]
    fn a_device_that_computes_nothing_does_not_agree() {
        let agreement = with_cpu(&tiny(), &mut Zeros).unwrap();
        assert!(Precision::ALL.iter().all(|&precision| !agreement.holds(precision)), "{agreement:?}");
    }
}
