//! Dropout without stored masks: whether a value is dropped is a function of a seed and its position, so that the backward
//! pass can recompute the mask.

use crate::random::mix;

/// Dropout of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dropout {
    /// Probability that a hidden state's value is dropped before each residual sum.
    pub(crate) hidden: f32,
    /// Probability that an attention probability is dropped.
    pub(crate) attention: f32,
    /// Seed of the random numbers, different for each layer and step.
    pub(crate) seed: u64,
}

/// Where values are dropped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The output of the attention block.
    AttentionOutput,
    /// The output of the feed-forward block.
    Output,
    /// The probabilities of a head.
    Head(usize),
}

/// The mask of one row: 0 in columns that are dropped, else the factor that compensates for dropped values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask {
    key: u32,
    threshold: u32,
    kept: f32,
}

impl Dropout {
    /// The mask of a row; `None` if nothing is dropped there.
    pub(super) fn mask(&self, place: Place, row: usize) -> Option<Mask> {
        let (share, place) = match place {
            Place::AttentionOutput => (self.hidden, 0),
            Place::Output => (self.hidden, 1),
            Place::Head(head) => (self.attention, 2 + head as u64),
        };
        (share > 0.0).then(|| Mask {
            key: (mix(self.seed ^ mix(place << 40 | row as u64)) >> 32) as u32,
            threshold: (f64::from(share) * 2f64.powi(32)) as u32,
            kept: 1.0 / (1.0 - share),
        })
    }
}

impl Mask {
    /// The factor of a column.
    #[inline(always)]
    pub(super) fn at(self, column: u32) -> f32 {
        let random = scramble(self.key ^ column.wrapping_mul(0x9e37_79b9));
        if random < self.threshold { 0.0 } else { self.kept }
    }

    /// Multiplies a row by its mask.
    #[inline(always)]
    pub(super) fn apply(self, row: &mut [f32]) {
        for (column, value) in (0u32..).zip(row) {
            *value *= self.at(column);
        }
    }
}

/// A 32-bit finalizer with low bias (Wellons, 2018: lowbias32); it compiles to vector instructions.
#[inline(always)]
fn scramble(x: u32) -> u32 {
    let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_drop_the_requested_share_and_keep_the_mean() {
        let dropout = Dropout { hidden: 0.1, attention: 0.3, seed: 5 };
        for (place, share) in [(Place::AttentionOutput, 0.1), (Place::Output, 0.1), (Place::Head(3), 0.3)] {
            let mut values = Vec::new();
            for row in 0..500 {
                let mask = dropout.mask(place, row).expect("something is dropped");
                values.extend((0..400).map(|column| mask.at(column)));
            }
            let dropped = values.iter().filter(|value| **value == 0.0).count() as f64 / values.len() as f64;
            let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
            // Five standard deviations of 200,000 draws.
            assert!((dropped - share).abs() < 5.2e-3 && (mean - 1.0).abs() < 8e-3, "{place:?}: {dropped} {mean}");
        }
        assert!(Dropout { hidden: 0.0, ..dropout }.mask(Place::Output, 0).is_none());
    }

    #[test]
    fn rows_places_and_seeds_have_different_masks() {
        let dropout = Dropout { hidden: 0.5, attention: 0.5, seed: 5 };
        let bits = |dropout: Dropout, place, row| -> Vec<bool> {
            let mask = dropout.mask(place, row).expect("something is dropped");
            (0..64).map(|column| mask.at(column) == 0.0).collect()
        };
        let one = bits(dropout, Place::Output, 7);
        assert_eq!(one, bits(dropout, Place::Output, 7));
        assert_ne!(one, bits(dropout, Place::Output, 8));
        assert_ne!(one, bits(dropout, Place::AttentionOutput, 7));
        assert_ne!(one, bits(Dropout { seed: 6, ..dropout }, Place::Output, 7));
    }
}
