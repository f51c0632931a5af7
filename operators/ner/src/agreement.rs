//! How far a device's logits are from those of the CPU in single precision.

use crate::{Checkpoint, Logits, MicroBatch, Precision};
#[cfg(any(feature = "cuda", test))]
use crate::{NerError, TokenClassifier, cpu};

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

/// Sequences of several lengths, with the logits that the CPU computes for them.
///
/// Sequences do not see each other, so these few make micro-batches of every shape without further work on the CPU.
#[cfg(any(feature = "cuda", test))]
pub(crate) struct Reference {
    longest: Vec<usize>,
    sequences: MicroBatch,
    logits: Logits,
}

#[cfg(any(feature = "cuda", test))]
impl Reference {
    /// Computes [mixed](mixed) sequences for each of these longest lengths.
    ///
    /// # Errors
    /// If the checkpoint's weights cannot be read.
    pub(crate) fn new(checkpoint: &Checkpoint, longest: Vec<usize>) -> Result<Self, NerError> {
        let lengths: Vec<usize> = longest.iter().flat_map(|&length| mixed(length)).collect();
        let sequences = sample(checkpoint, &lengths);
        let logits = cpu::open(checkpoint, Precision::F32)?.classify(&sequences)?;
        Ok(Self { longest, sequences, logits })
    }

    /// Compares a classifier on as many sequences with this longest length, long and short in turn.
    ///
    /// # Errors
    /// If the classifier fails.
    pub(crate) fn compare(
        &self,
        classifier: &mut dyn TokenClassifier,
        longest: usize,
        count: usize,
    ) -> Result<Agreement, NerError> {
        let first = self.longest.iter().take_while(|&&length| length != longest).count() * MIXED;
        let mut batch = MicroBatch::default();
        let mut expected = Logits { values: Vec::new(), ..self.logits.clone() };
        let labels = expected.labels;
        for sequence in self.sequences.sequences().skip(first).take(MIXED).cycle().take(count) {
            batch.push(&self.sequences.ids()[sequence.clone()]);
            expected.values.extend_from_slice(&self.logits.values[labels * sequence.start..labels * sequence.end]);
        }
        Ok(compare(&expected, &classifier.classify(&batch)?))
    }
}

/// Sequences with the same longest length.
#[cfg(any(feature = "cuda", test))]
const MIXED: usize = 4;

/// Lengths that are found together: in a block of rows, most positions of the short ones are empty.
#[cfg(any(feature = "cuda", test))]
fn mixed(longest: usize) -> [usize; MIXED] {
    [longest, longest.div_ceil(8), longest - longest / 16, longest.div_ceil(3)]
}

/// Sequences of these lengths, capped at the model's positions; the same for all models with the same vocabulary (Knuth's
/// multiplicative sequence).
pub fn sample(checkpoint: &Checkpoint, lengths: &[usize]) -> MicroBatch {
    let (vocabulary, longest) = (checkpoint.config().encoder.vocab_size as u32, checkpoint.max_tokens().get());
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
    use crate::shapes::Shapes;

    fn tiny() -> Checkpoint {
        Checkpoint::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-bert")).unwrap()
    }

    #[test]
    fn the_cpu_agrees_with_itself_in_every_precision() {
        for precision in [Precision::F32, Precision::Int8] {
            let mut classifier = cpu::open(&tiny(), precision).unwrap();
            let reference = Reference::new(&tiny(), vec![7, 64]).unwrap();
            for (longest, count) in [(7, 1), (64, 1), (64, 5), (7, 40)] {
                let agreement = reference.compare(&mut classifier, longest, count).unwrap();
                assert!(agreement.tokens >= count && agreement.holds(precision), "{precision}: {agreement:?}");
            }
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
        let agreement = Reference::new(&tiny(), vec![64]).unwrap().compare(&mut Zeros, 64, 8).unwrap();
        assert!(Precision::ALL.iter().all(|&precision| !agreement.holds(precision)), "{agreement:?}");
    }

    #[test]
    fn mixed_lengths_need_the_shape_of_their_longest() {
        for shape in Shapes::Listed.all(32_768, 512) {
            let lengths: Vec<usize> = mixed(shape[0]).into_iter().cycle().take(shape.len()).collect();
            let tokens = |lengths: &[usize]| Shapes::Listed.tokens(lengths.iter().sum());
            assert_eq!(tokens(&lengths), tokens(&shape), "{} x {}", shape.len(), shape[0]);
            let (of, block) = (Shapes::Listed.blocks(&lengths), &Shapes::Listed.blocks(&shape)[0]);
            assert!(of.iter().any(|of| (of.rows, of.length) == (block.rows, block.length)), "{block:?} not in {of:?}");
        }
    }
}
