//! The loss.

use burn::tensor::activation::log_softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

use crate::host::index;

/// Added to the log-probability of excluded labels: its exponential is 0 in 32 bits.
const EXCLUDED: f32 = -1e9;

/// What a token should learn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// What a corpus says.
    Label {
        /// The label in the corpus.
        label: u32,
        /// Labels that are also possible, because the corpus does not annotate their types.
        alternatives: &'a [u32],
    },
    /// What teachers say: the probability of each label.
    Probabilities(&'a [f32]),
}

impl Target<'_> {
    /// Its weight in the mean.
    fn weight(&self, of_label: impl Fn(usize) -> f32) -> f32 {
        match self {
            Self::Label { label, .. } => of_label(*label as usize),
            Self::Probabilities(row) => row.iter().enumerate().map(|(label, share)| share * of_label(label)).sum(),
        }
    }

    /// Whether −log Σ p counts a label. Over all labels it is 0, so it leaves a teacher's token to the cross-entropy.
    fn allows(&self, of: u32) -> bool {
        match self {
            Self::Label { label, alternatives } => *label == of || alternatives.contains(&of),
            Self::Probabilities(_) => true,
        }
    }
}

/// The mean loss of tokens with a target, weighted by label if weights are given.
///
/// - A label of a corpus: −log Σ p over the label and its alternatives. Without alternatives, this is PyTorch's
///   `CrossEntropyLoss`; with them, the marginal likelihood of a partially annotated sequence (Greenberg et al., 2018), token
///   by token.
/// - Probabilities `q` of teachers: the cross-entropy −Σ q·log p (Hinton et al., 2015, at temperature 1), as PyTorch's
///   `CrossEntropyLoss` of class probabilities.
///
/// `logits` is `[T, labels]`; `targets` has one entry for each of the first tokens of the run, `None` where a token does
/// not count. At least one must count.
pub(crate) fn negative_log_likelihood<B: Backend>(
    logits: Tensor<B, 2>,
    targets: &[Option<Target<'_>>],
    label_weights: Option<&[f32]>,
) -> Tensor<B, 1> {
    let device = logits.device();
    let [_, labels] = logits.dims();
    let scored: Vec<(i32, Target<'_>)> =
        targets.iter().enumerate().filter_map(|(token, target)| Some((index(token), (*target)?))).collect();
    let count = scored.len();
    let tokens: Vec<i32> = scored.iter().map(|(token, _)| *token).collect();
    let tokens = Tensor::<B, 1, Int>::from_data(TensorData::new(tokens, [count]), &device);

    let weight = |label: usize| label_weights.and_then(|weights| weights.get(label)).copied().unwrap_or(1.0);
    let weights: Vec<f32> = scored.iter().map(|(_, target)| target.weight(weight)).collect();
    let total: f32 = weights.iter().sum();
    let weights = Tensor::<B, 1>::from_data(TensorData::new(weights, [count]), &device);

    let rows = scored.iter().flat_map(|(_, target)| (0_u32..).take(labels).map(|label| target.allows(label)));
    let mask = rows.map(|allowed| if allowed { 0.0 } else { EXCLUDED }).collect::<Vec<f32>>();
    let mask = Tensor::<B, 2>::from_data(TensorData::new(mask, [count, labels]), &device);

    let log_p = log_softmax(logits.select(0, tokens), 1); // [scored, labels]
    let allowed = log_p.clone() + mask; // [scored, labels]
    let highest = allowed.clone().detach().max_dim(1); // [scored, 1]
    let sum = (allowed - highest.clone()).exp().sum_dim(1).log() + highest; // [scored, 1]
    let of_labels = (sum.squeeze_dim::<1>(1) * weights).sum();
    let log_likelihood = match taught(&scored, labels, weight) {
        Some(shares) => {
            of_labels + (log_p * Tensor::from_data(TensorData::new(shares, [count, labels]), &device)).sum()
        }
        None => of_labels,
    };
    log_likelihood / (-total)
}

/// `[scored, labels]`: the teachers' probabilities times the labels' weights, 0 for a corpus's tokens. `None` if there are
/// only those.
fn taught(scored: &[(i32, Target<'_>)], labels: usize, weight: impl Fn(usize) -> f32) -> Option<Vec<f32>> {
    let mut shares = vec![0.0; scored.len() * labels];
    let mut any = false;
    for (row, (_, target)) in shares.chunks_exact_mut(labels).zip(scored) {
        if let Target::Probabilities(probabilities) = target {
            any = true;
            for (label, (share, probability)) in row.iter_mut().zip(*probabilities).enumerate() {
                *share = probability * weight(label);
            }
        }
    }
    any.then_some(shares)
}

#[cfg(test)]
mod tests {
    use burn::backend::Autodiff;
    use burn_flex::{Flex, FlexDevice};

    use super::*;

    fn alone(label: u32) -> Option<Target<'static>> {
        Some(Target::Label { label, alternatives: &[] })
    }

    fn loss(targets: &[Option<Target<'_>>], weights: Option<&[f32]>) -> f32 {
        let logits = Tensor::<Flex, 2>::from_floats([[2.0, 0.0], [0.0, 1.0], [5.0, 5.0]], &FlexDevice);
        negative_log_likelihood(logits, targets, weights).into_scalar()
    }

    /// −log softmax, by hand.
    fn nll(own: f32, other: f32) -> f32 {
        (1.0 + (other - own).exp()).ln()
    }

    #[test]
    fn only_tokens_with_a_target_count() {
        let both = loss(&[alone(0), alone(1), None], None);
        assert!((both - (nll(2.0, 0.0) + nll(1.0, 0.0)) / 2.0).abs() < 1e-6, "{both}");
        let one = loss(&[None, alone(0), None], None);
        assert!((one - nll(0.0, 1.0)).abs() < 1e-6, "{one}");
    }

    #[test]
    fn a_weighted_mean_is_divided_by_the_sum_of_the_weights() {
        let weighted = loss(&[alone(0), alone(1), None], Some(&[1.0, 3.0]));
        assert!((weighted - (nll(2.0, 0.0) + 3.0 * nll(1.0, 0.0)) / 4.0).abs() < 1e-6, "{weighted}");
    }

    #[test]
    fn a_token_that_may_have_any_label_has_no_loss() {
        let any = Some(Target::Label { label: 0, alternatives: &[1] });
        assert!(loss(&[any, None, None], None).abs() < 1e-6);
        let mixed = loss(&[any, alone(1), None], None);
        assert!((mixed - nll(1.0, 0.0) / 2.0).abs() < 1e-6, "{mixed}");
    }

    /// Four tokens with four labels: one with two alternatives, one without, one that does not count, one of a teacher.
    const LOGITS: [f32; 16] = [1.5, -0.5, 0.25, 2.0, -1.0, 0.75, 3.0, 0.5, 9.0, -9.0, 1.0, 0.0, 0.5, -2.0, 1.25, 0.75];
    const TARGETS: [Option<Target<'static>>; 4] = [
        Some(Target::Label { label: 0, alternatives: &[1, 2] }),
        Some(Target::Label { label: 2, alternatives: &[] }),
        None,
        Some(Target::Probabilities(&[0.5, 0.25, 0.125, 0.125])),
    ];
    const WEIGHTS: [f32; 4] = [0.5, 1.0, 2.0, 1.0];

    /// The same in 64 bits, from the formula.
    fn by_the_formula(logits: &[f64]) -> f64 {
        let token = |row: &[f64], target: &Target<'_>| {
            let sum = |labels: &mut dyn Iterator<Item = usize>| labels.map(|label| row[label].exp()).sum::<f64>();
            match target {
                Target::Label { label, alternatives } => {
                    let own = std::iter::once(label).chain(*alternatives).map(|label| *label as usize);
                    let weight = f64::from(WEIGHTS[*label as usize]);
                    (-weight * (sum(&mut own.clone()) / sum(&mut (0..4))).ln(), weight)
                }
                Target::Probabilities(shares) => {
                    let weighted = |label: usize| f64::from(shares[label] * WEIGHTS[label]);
                    let log_p = |label: usize| (row[label].exp() / sum(&mut (0..4))).ln();
                    let loss = (0..4).map(|label| -weighted(label) * log_p(label)).sum();
                    (loss, (0..4).map(weighted).sum())
                }
            }
        };
        let tokens = logits.chunks(4).zip(&TARGETS).filter_map(|(row, target)| Some(token(row, target.as_ref()?)));
        let (loss, weight) = tokens.fold((0.0, 0.0), |(loss, weights), (of, weight)| (loss + of, weights + weight));
        loss / weight
    }

    #[test]
    fn gradients_are_the_slopes_of_the_formula() {
        type Train = Autodiff<Flex>;
        let data = TensorData::new(LOGITS.to_vec(), [4, 4]);
        let logits = Tensor::<Train, 2>::from_data(data, &FlexDevice).require_grad();
        let loss = negative_log_likelihood(logits.clone(), &TARGETS, Some(&WEIGHTS));
        let exact = LOGITS.map(f64::from);
        assert!((f64::from(loss.clone().into_scalar()) - by_the_formula(&exact)).abs() < 1e-6);

        let gradients: Vec<f32> = logits.grad(&loss.backward()).expect("a gradient").into_data().to_vec().unwrap();
        const STEP: f64 = 1e-5;
        for (at, gradient) in gradients.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut logits = exact;
                logits[at] += by;
                by_the_formula(&logits)
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!((f64::from(gradient) - slope).abs() < 1e-6, "logit {at}: {gradient}, but the slope is {slope}");
        }
    }

    #[test]
    fn the_loss_and_its_gradients_stay_finite_for_logits_far_apart() {
        type Train = Autodiff<Flex>;
        let logits = Tensor::<Train, 2>::from_floats([[-300.0, -200.0, 300.0]], &FlexDevice).require_grad();
        let loss =
            negative_log_likelihood(logits.clone(), &[Some(Target::Label { label: 0, alternatives: &[1] })], None);
        assert!((loss.clone().into_scalar() - 500.0).abs() < 1e-3);
        let gradients: Vec<f32> = logits.grad(&loss.backward()).expect("a gradient").into_data().to_vec().unwrap();
        for (gradient, expected) in gradients.iter().zip([0.0, -1.0, 1.0]) {
            assert!((gradient - expected).abs() < 1e-5, "{gradients:?}");
        }
    }
}
