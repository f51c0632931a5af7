//! What training minimises.

use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

use crate::packed::index;

/// Cross-entropy over the tokens that have a target: the mean, weighted by label where weights are given, as PyTorch's
/// `CrossEntropyLoss` computes it.
///
/// `logits` is `[T, labels]`; `targets` has one entry for each of the first tokens of the run, `None` where a token does
/// not count. At least one must count.
pub(crate) fn cross_entropy<B: Backend>(
    logits: Tensor<B, 2>,
    targets: &[Option<u32>],
    label_weights: Option<&[f32]>,
) -> Tensor<B, 1> {
    let device = logits.device();
    let scored: Vec<(i32, u32)> =
        targets.iter().enumerate().filter_map(|(token, target)| Some((index(token), (*target)?))).collect();
    let count = scored.len();
    let ints = |values: Vec<i32>| Tensor::<B, 1, Int>::from_data(TensorData::new(values, [count]), &device);
    let tokens = ints(scored.iter().map(|(token, _)| *token).collect());
    let labels = ints(scored.iter().map(|(_, label)| index(*label as usize)).collect());

    let weight = |label: u32| label_weights.and_then(|weights| weights.get(label as usize)).copied().unwrap_or(1.0);
    let weights: Vec<f32> = scored.iter().map(|(_, label)| weight(*label)).collect();
    let total: f32 = weights.iter().sum();
    let weights = Tensor::<B, 1>::from_data(TensorData::new(weights, [count]), &device);

    let log_probabilities = log_softmax(logits.select(0, tokens), 1); // [scored, labels]
    let of_targets = log_probabilities.gather(1, labels.unsqueeze_dim(1)).squeeze_dim::<1>(1); // [scored]
    (of_targets * weights).sum() / (-total)
}

#[cfg(test)]
mod tests {
    use burn_flex::{Flex, FlexDevice};

    use super::*;

    fn loss(targets: &[Option<u32>], weights: Option<&[f32]>) -> f32 {
        let logits = Tensor::<Flex, 2>::from_floats([[2.0, 0.0], [0.0, 1.0], [5.0, 5.0]], &FlexDevice);
        cross_entropy(logits, targets, weights).into_scalar()
    }

    /// −log softmax, by hand.
    fn nll(own: f32, other: f32) -> f32 {
        (1.0 + (other - own).exp()).ln()
    }

    #[test]
    fn only_tokens_with_a_target_count() {
        let both = loss(&[Some(0), Some(1), None], None);
        assert!((both - (nll(2.0, 0.0) + nll(1.0, 0.0)) / 2.0).abs() < 1e-6, "{both}");
        let one = loss(&[None, Some(0), None], None);
        assert!((one - nll(0.0, 1.0)).abs() < 1e-6, "{one}");
    }

    #[test]
    fn a_weighted_mean_divides_by_the_weights() {
        let weighted = loss(&[Some(0), Some(1), None], Some(&[1.0, 3.0]));
        assert!((weighted - (nll(2.0, 0.0) + 3.0 * nll(1.0, 0.0)) / 4.0).abs() < 1e-6, "{weighted}");
    }
}
