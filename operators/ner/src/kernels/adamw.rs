//! The optimizer's arithmetic in one pass over memory: parameter, gradient and both moments are each read once.

use rayon::prelude::*;

use super::isa::Isa;
use super::simd::{Kernel, Simd};

/// Values per unit of work; fixed, so that sums do not depend on the number of threads.
const PIECE: usize = 1 << 14;

/// One step of AdamW (Loshchilov and Hutter, 2019; algorithm 2), with the bias corrections folded into its factors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AdamWStep {
    /// Factor of the gradients, for clipping.
    pub(crate) scale: f32,
    /// `1 − η·λ`: factor of the parameter, for decoupled weight decay.
    pub(crate) keep: f32,
    /// `η / (1 − β₁ᵗ)`
    pub(crate) rate: f32,
    /// `1 / √(1 − β₂ᵗ)`
    pub(crate) correction: f32,
}

impl AdamWStep {
    /// β₁: decay of the first moment.
    pub(crate) const BETA_1: f32 = 0.9;
    /// β₂: decay of the second moment.
    pub(crate) const BETA_2: f32 = 0.999;
    /// Added to the root of the second moment; as in PyTorch.
    pub(crate) const EPSILON: f32 = 1e-8;

    /// The step at time `t` (from 1) with learning rate η, weight decay λ and gradients scaled by `scale`.
    pub(crate) fn new(learning_rate: f64, weight_decay: f32, scale: f32, time: usize) -> Self {
        let rest = |beta: f32| 1.0 - f64::from(beta).powf(time as f64);
        Self {
            scale,
            keep: (1.0 - learning_rate * f64::from(weight_decay)) as f32,
            rate: (learning_rate / rest(Self::BETA_1)) as f32,
            correction: rest(Self::BETA_2).sqrt().recip() as f32,
        }
    }
}

/// Updates a parameter and the moments of its gradient in place, on all threads of the current pool.
///
/// # Panics
/// If the slices differ in length.
pub(crate) fn adamw(
    isa: Isa,
    step: &AdamWStep,
    parameter: &mut [f32],
    gradient: &[f32],
    [first, second]: [&mut [f32]; 2],
) {
    let lengths = [gradient.len(), first.len(), second.len()];
    assert!(lengths.iter().all(|length| *length == parameter.len()), "one gradient and two moments per value");
    parameter
        .par_chunks_mut(PIECE)
        .zip(gradient.par_chunks(PIECE))
        .zip(first.par_chunks_mut(PIECE).zip(second.par_chunks_mut(PIECE)))
        .for_each(|((parameter, gradient), (first, second))| {
            isa.run(Update { step: *step, parameter, gradient, first, second });
        });
}

struct Update<'a> {
    step: AdamWStep,
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl<S: Simd> Kernel<S> for Update<'_> {
    type Output = ();

    // Plain element-wise code: the compiler vectorizes it for the instruction set that it is inlined into.
    #[inline(always)]
    fn run(self, _: S) {
        let AdamWStep { scale, keep, rate, correction } = self.step;
        let moments = self.first.iter_mut().zip(self.second.iter_mut());
        for ((parameter, gradient), (first, second)) in self.parameter.iter_mut().zip(self.gradient).zip(moments) {
            let gradient = gradient * scale;
            *first += (1.0 - AdamWStep::BETA_1) * (gradient - *first);
            *second = AdamWStep::BETA_2 * *second + (1.0 - AdamWStep::BETA_2) * gradient * gradient;
            *parameter = *parameter * keep - rate * *first / (second.sqrt() * correction + AdamWStep::EPSILON);
        }
    }
}

/// The sum of squares, with the same bits on any number of threads.
pub(crate) fn sum_of_squares(isa: Isa, values: &[f32]) -> f64 {
    // Collected first, since a parallel sum would add in any order.
    let sums: Vec<f64> = values.par_chunks(PIECE).map(|piece| isa.run(Squares(piece))).collect();
    sums.into_iter().sum()
}

struct Squares<'a>(&'a [f32]);

impl<S: Simd> Kernel<S> for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self, s: S) -> f64 {
        let mut sums = [s.splat(0.0); 4];
        let mut total = 0.0;
        let mut blocks = self.0.chunks_exact(4 * S::LANES);
        for block in &mut blocks {
            for (at, sum) in sums.iter_mut().enumerate() {
                // SAFETY: a block holds four vectors.
                let v = unsafe { s.load(block.as_ptr().add(at * S::LANES)) };
                *sum = s.fma(v, v, *sum);
            }
        }
        for sum in sums {
            total += f64::from(s.sum(sum));
        }
        total + blocks.remainder().iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{floats, on_threads};

    #[test]
    fn steps_follow_the_formula_on_every_level() {
        let (n, rate, decay) = (40_003, 1e-2, 0.1);
        let gradients: Vec<Vec<f32>> = (0..4).map(|step| floats(10 + step, n)).collect();
        let mut expected: Vec<f64> = floats(1, n).iter().map(|x| f64::from(*x)).collect();
        let (mut m, mut v) = (vec![0f64; n], vec![0f64; n]);
        for (t, gradient) in (1..).zip(&gradients) {
            for i in 0..n {
                let g = f64::from(gradient[i]) * 0.5;
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                let (first, second) = (m[i] / (1.0 - 0.9f64.powi(t)), v[i] / (1.0 - 0.999f64.powi(t)));
                expected[i] -= rate * (first / (second.sqrt() + 1e-8) + decay * expected[i]);
            }
        }
        for isa in Isa::available() {
            let mut parameter = floats(1, n);
            let (mut first, mut second) = (vec![0.0; n], vec![0.0; n]);
            for (time, gradient) in (1..).zip(&gradients) {
                let step = AdamWStep::new(rate, decay as f32, 0.5, time);
                adamw(isa, &step, &mut parameter, gradient, [&mut first, &mut second]);
            }
            let worst = parameter.iter().zip(&expected).map(|(x, e)| (f64::from(*x) - e).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-5, "{isa:?}: {worst:e}");
        }
    }

    #[test]
    fn a_sum_of_squares_has_the_same_bits_on_any_number_of_threads() {
        let values = floats(3, 100_001);
        let expected: f64 = values.iter().map(|x| f64::from(*x).powi(2)).sum();
        for isa in Isa::available() {
            let one = on_threads(1, || sum_of_squares(isa, &values));
            assert_eq!(one, on_threads(3, || sum_of_squares(isa, &values)));
            assert!((one / expected - 1.0).abs() < 1e-6, "{isa:?}: {one} is not {expected}");
        }
    }
}
