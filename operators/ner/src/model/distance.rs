//! What attention adds to its scores by the distance of key and query (MPNet: Song et al., 2020).
//!
//! Distances are divided into buckets as in T5 (Raffel et al., 2020): one half for keys up to the query, the other for keys
//! behind it; in each, the nearest distances have buckets of their own, and the others share buckets whose widths grow.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

use super::parts::parameter;
use crate::config::{DISTANCE_BIAS, DISTANCE_BUCKETS, EncoderConfig};
use crate::host::index;
use crate::weights::Weights;

/// From this distance on, all are in the last bucket of their half.
const FARTHEST: f64 = 128.0;

/// The table of additions, which all layers share.
#[derive(Module, Debug)]
pub(crate) struct DistanceBias<B: Backend> {
    /// `[buckets, heads]`
    pub(crate) weight: Param<Tensor<B, 2>>,
    /// The longest sequence.
    longest: usize,
}

impl<B: Backend> DistanceBias<B> {
    /// `None` if the model has no such table.
    pub(crate) fn load(config: &EncoderConfig, weights: &mut Weights, device: &B::Device) -> Option<Self> {
        let shape = [config.distance_buckets, config.heads];
        (config.distance_buckets > 0).then(|| Self {
            weight: parameter(weights.take(DISTANCE_BIAS), shape, device),
            longest: config.max_tokens().get(),
        })
    }

    /// The addition for each head and distance, from a key as far as possible before the query to one as far as possible
    /// behind it: `[heads, 2·longest − 1]`
    pub(crate) fn by_distance(&self) -> Tensor<B, 2> {
        let table = self.weight.val();
        let distances = 1 - index(self.longest)..index(self.longest);
        let numbers: Vec<i32> = distances.map(|distance| index(bucket(distance))).collect();
        let length = numbers.len();
        let numbers = Tensor::<B, 1, Int>::from_data(TensorData::new(numbers, [length]), &table.device());
        table.select(0, numbers).swap_dims(0, 1)
    }
}

/// The addition for each head, query and key of sequences of this length: `[1, heads, length, length]`. Positions beyond the
/// longest sequence, which hold no tokens, get any.
pub(super) fn of_pairs<B: Backend>(by_distance: &Tensor<B, 2>, length: usize) -> Tensor<B, 4> {
    let [heads, distances] = by_distance.dims();
    let device = by_distance.device();
    let numbers = Tensor::<B, 1, Int>::arange(0..i64::from(index(length)), &device);
    let [keys, queries] =
        [[1, length], [length, 1]].map(|shape| numbers.clone().reshape(shape).expand([length, length]));
    let farthest = index(distances / 2);
    let pairs = (keys - queries + farthest).clamp(0, 2 * farthest).reshape([length * length]);
    by_distance.clone().select(1, pairs).reshape([1, heads, length, length])
}

/// The bucket of a distance. The logarithms are those of 32-bit floats, as in `transformers`.
fn bucket(distance: i32) -> usize {
    const HALF: usize = DISTANCE_BUCKETS / 2;
    const EXACT: usize = HALF / 2;
    let first = if distance > 0 { HALF } else { 0 };
    let length = distance.unsigned_abs() as usize;
    if length < EXACT {
        return first + length;
    }
    let share = (length as f32 / EXACT as f32).ln() / (FARTHEST / EXACT as f64).ln() as f32;
    let beyond = (share * (HALF - EXACT) as f32) as usize;
    first + (EXACT + beyond).min(HALF - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_transformers() {
        // The first distance of each bucket in `MPNetEncoder.relative_position_bucket`.
        let first = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
        for distance in 0..512 {
            let expected = first.partition_point(|first| *first <= distance) - 1;
            assert_eq!(bucket(-distance), expected, "{distance}");
            assert_eq!(bucket(distance), expected + if distance > 0 { 16 } else { 0 }, "{distance}");
        }
    }
}
