//! Exponential and activations, a vector at a time.
//!
//! Every instruction set evaluates the same polynomials; results differ only in whether a product and a sum are rounded
//! together. The polynomials are minimax fits (Remez exchange in 40-digit arithmetic; the coarse one by linear programming).

use super::precision::Precision;
use super::simd::Simd;

/// The nonlinearity of a feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x·Φ(x)` with the Gaussian distribution function, Hugging Face's `gelu`: within 4·10⁻⁷ + 1.2·10⁻⁷·|x| everywhere.
    Gelu,
    /// The same within 1.2·10⁻⁴, for results that are then rounded to 8 bits.
    CoarseGelu,
    /// `x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`, Hugging Face's `gelu_new`: within 3·10⁻⁷·(1 + |x|) everywhere.
    GeluTanh,
    /// `max(x, 0)`, exact.
    Relu,
    /// `tanh x`: within 3·10⁻⁷ everywhere.
    Tanh,
}

impl Activation {
    /// Applies the activation.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(self, s: S, x: S::F32) -> S::F32 {
        match self {
            Self::Gelu => gelu(s, x),
            Self::CoarseGelu => coarse_gelu(s, x),
            Self::GeluTanh => gelu_tanh(s, x),
            Self::Relu => s.max(s.splat(0.0), x),
            Self::Tanh => tanh(s, x),
        }
    }
}

impl Activation {
    /// This activation, or a cheaper one whose error is far below that of the precision that its results are rounded to.
    pub(super) fn for_precision(self, precision: Precision) -> Self {
        match (self, precision) {
            (Self::Gelu, Precision::Int8) => Self::CoarseGelu,
            (activation, _) => activation,
        }
    }

    /// The value and the derivative, the latter within 10⁻⁶.
    #[inline(always)]
    pub(super) fn with_slope<S: Simd>(self, s: S, x: S::F32) -> (S::F32, S::F32) {
        match self {
            Self::Gelu | Self::CoarseGelu => gelu_with_slope(s, x),
            Self::GeluTanh => gelu_tanh_with_slope(s, x),
            Self::Relu => {
                let y = s.max(s.splat(0.0), x);
                // 1 for every value of relevant size, 0 for 0.
                (y, s.min(s.splat(1.0), s.mul(y, s.splat(1e38))))
            }
            Self::Tanh => {
                let y = tanh(s, x);
                (y, s.sub(s.splat(1.0), s.mul(y, y)))
            }
        }
    }
}

/// Evaluates a polynomial by Horner's rule; coefficients start with the constant term.
#[inline(always)]
pub(super) fn polynomial<S: Simd, const N: usize>(s: S, x: S::F32, coefficients: &[f32; N]) -> S::F32 {
    let mut sum = s.splat(coefficients[N - 1]);
    for c in coefficients[..N - 1].iter().rev() {
        sum = s.fma(sum, x, s.splat(*c));
    }
    sum
}

/// `(eʳ − 1 − r) / r²` for |r| ≤ ln 2 / 2, to 3·10⁻⁹ of `eʳ`.
const EXP: [f32; 5] = [0.499_999_93, 0.166_665_2, 0.041_668_39, 0.008_368_773, 0.001_381_469_7];
/// [`exp`] clamps its argument here, before results become subnormal.
pub(super) const EXP_MIN: f32 = -87.0;
/// [`exp`] clamps its argument here, before overflow.
pub(super) const EXP_MAX: f32 = 88.0;
/// ln 2 in two parts; the first has few bits, so that its product with a small integer is exact.
const LN2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);

/// `eˣ` with a relative error of 2·10⁻⁷ for −87 ≤ x ≤ 88, clamped beyond; NaN for NaN.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let x = s.max(s.splat(EXP_MIN), s.min(s.splat(EXP_MAX), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.fma(n, s.splat(-LN2.1), s.fma(n, s.splat(-LN2.0), x));
    let q = polynomial(s, r, &EXP);
    let e = s.add(s.fma(s.mul(r, r), q, r), s.splat(1.0));
    s.scale(e, n)
}

/// Where the Gaussian tail is cut off: `5.5·(1 − Φ(5.5))` is 10⁻⁷.
const TAIL_END: f32 = 5.5;
/// `1 − Φ(a)` in `u = a/2.75 − 1` for 0 ≤ a ≤ 5.5, such that `a` times its error stays within 4·10⁻⁸.
const TAIL: [f32; 17] = [
    0.002_979_769_5,
    -0.025_007_515,
    0.094_558_014,
    -0.206_834_75,
    0.271_902_92,
    -0.176_800_02,
    -0.051_652_976,
    0.216_282_02,
    -0.161_338_21,
    -0.028_541_822,
    0.127_740_45,
    -0.059_044_05,
    -0.034_613_89,
    0.037_947_938,
    -0.001_837_325_4,
    -0.008_002_633,
    0.002_262_085_2,
];

/// `x·Φ(x)`, as `max(x, 0) − |x|·(1 − Φ(|x|))`: no exponential and no division.
#[inline(always)]
fn gelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let a = s.min(s.splat(TAIL_END), s.abs(x));
    let u = s.fma(a, s.splat(2.0 / TAIL_END), s.splat(-1.0));
    let tail = s.mul(a, polynomial(s, u, &TAIL));
    s.sub(s.max(s.splat(0.0), x), tail)
}

/// Where [`coarse_gelu`] cuts off the tail.
const COARSE_END: f32 = 4.0;
/// `a·(1 − Φ(a))` for 0 ≤ a ≤ 4, within 1.2·10⁻⁴.
const COARSE: [f32; 9] = [
    0.000_111_291_985,
    0.495_218_8,
    -0.365_266,
    -0.090_102_62,
    0.183_645_19,
    -0.079_756_75,
    0.016_228_91,
    -0.001_583_183_2,
    0.000_057_263_887,
];

/// `max(x, 0) − |x|·(1 − Φ(|x|))`, as [`gelu`].
#[inline(always)]
fn coarse_gelu<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let a = s.min(s.splat(COARSE_END), s.abs(x));
    s.sub(s.max(s.splat(0.0), x), polynomial(s, a, &COARSE))
}

/// `x·Φ(x)` and its derivative, `Φ(x) + x·φ(x)`.
#[inline(always)]
fn gelu_with_slope<S: Simd>(s: S, x: S::F32) -> (S::F32, S::F32) {
    const ROOT_2_PI_INVERSE: f32 = 0.398_942_3;
    let a = s.min(s.splat(TAIL_END), s.abs(x));
    let u = s.fma(a, s.splat(2.0 / TAIL_END), s.splat(-1.0));
    let tail = polynomial(s, u, &TAIL);
    let value = s.sub(s.max(s.splat(0.0), x), s.mul(a, tail));
    // For negative x, Φ(x) is the tail; for positive x, 1 minus the tail.
    let positive = s.min(s.splat(1.0), s.mul(s.max(s.splat(0.0), x), s.splat(1e38)));
    let distribution = s.fma(positive, s.sub(s.splat(1.0), s.add(tail, tail)), tail);
    let density = s.mul(s.splat(ROOT_2_PI_INVERSE), exp(s, s.mul(s.mul(x, x), s.splat(-0.5))));
    (value, s.fma(x, density, distribution))
}

/// `x·σ` with `σ = 1 / (1 + e^(−2z))`, and its derivative, `σ + x·σ·(1 − σ)·2z′`.
#[inline(always)]
fn gelu_tanh_with_slope<S: Simd>(s: S, x: S::F32) -> (S::F32, S::F32) {
    const TWICE_ROOT_2_BY_PI: f32 = 1.595_769;
    let one = s.splat(1.0);
    let square = s.mul(x, x);
    let z = s.mul(s.mul(x, s.fma(square, s.splat(0.044_715), one)), s.splat(TWICE_ROOT_2_BY_PI));
    let sigma = s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), z))));
    let slope = s.mul(s.fma(square, s.splat(3.0 * 0.044_715), one), s.splat(TWICE_ROOT_2_BY_PI));
    let rest = s.mul(s.mul(x, slope), s.sub(one, sigma));
    (s.mul(x, sigma), s.fma(sigma, rest, sigma))
}

/// `x / (1 + e^(−2z))`, which is `x/2·(1 + tanh z)`.
#[inline(always)]
fn gelu_tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    const ROOT_2_BY_PI: f32 = 0.797_884_6;
    let cubic = s.fma(s.mul(x, x), s.splat(0.044_715), s.splat(1.0));
    let z = s.mul(s.mul(x, cubic), s.splat(-2.0 * ROOT_2_BY_PI));
    s.div(x, s.add(s.splat(1.0), exp(s, z)))
}

/// `1 − 2 / (1 + e^(2x))`.
#[inline(always)]
fn tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let e = exp(s, s.add(x, x));
    s.sub(s.splat(1.0), s.div(s.splat(2.0), s.add(s.splat(1.0), e)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::Kernel;
    use crate::kernels::{Isa, testing};

    struct Map<'a>(Option<Activation>, &'a [f32], &'a mut [f32]);

    impl<S: Simd> Kernel<S> for Map<'_> {
        type Output = ();
        #[inline(always)]
        fn run(self, s: S) {
            for (x, out) in self.1.chunks(S::LANES).zip(self.2.chunks_mut(S::LANES)) {
                // SAFETY: both chunks hold `x.len() ≤ LANES` values.
                unsafe {
                    let v = s.load_up_to(x.as_ptr(), x.len());
                    let v = match self.0 {
                        Some(activation) => activation.apply(s, v),
                        None => exp(s, v),
                    };
                    s.store_up_to(out.as_mut_ptr(), v, x.len());
                }
            }
        }
    }

    /// Every 997th `f32` between two, by bits, so that all magnitudes are covered equally.
    fn sweep(from: f32, to: f32) -> Vec<f32> {
        (from.to_bits()..=to.to_bits()).step_by(997).map(f32::from_bits).collect()
    }

    fn both_signs(to: f32) -> Vec<f32> {
        let positive = sweep(1e-30, to);
        positive.iter().map(|x| -x).chain(positive.iter().copied()).chain([0.0, to, -to]).collect()
    }

    fn map(isa: Isa, activation: Option<Activation>, xs: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; xs.len()];
        isa.run(Map(activation, xs, &mut out));
        out
    }

    #[test]
    fn the_relative_error_of_exp_is_below_two_ten_millionths() {
        let xs: Vec<f32> = both_signs(88.0).into_iter().filter(|x| *x >= EXP_MIN).collect();
        for isa in Isa::available() {
            let worst = map(isa, None, &xs)
                .iter()
                .zip(&xs)
                .map(|(y, x)| (f64::from(*y) / f64::from(*x).exp() - 1.0).abs())
                .fold(0.0, f64::max);
            assert!(worst < 2e-7, "{isa:?}: {worst:e}");
        }
    }

    #[test]
    fn exp_is_clamped_at_its_ends_and_keeps_nan() {
        for isa in Isa::available() {
            let y = map(isa, None, &[f32::NEG_INFINITY, -1e30, -100.0, 100.0, f32::INFINITY, f32::NAN]);
            assert!(y[..3].iter().all(|y| *y > 0.0 && *y < 2e-38), "{isa:?}: {y:?}");
            assert!(y[3] == y[4] && y[3] > 1.6e38 && y[3].is_finite() && y[5].is_nan(), "{isa:?}: {y:?}");
        }
    }

    #[test]
    fn activations_stay_within_their_stated_bounds() {
        let xs = both_signs(1e6);
        for isa in Isa::available() {
            for (activation, bound) in [
                (Activation::Gelu, (|x| 4e-7 + 1.2e-7 * x) as fn(f64) -> f64),
                (Activation::CoarseGelu, |x| 1.2e-4 + 1.2e-7 * x),
                (Activation::GeluTanh, |x| 3e-7 * (1.0 + x)),
                (Activation::Relu, |_| 0.0),
                (Activation::Tanh, |_| 3e-7),
            ] {
                for (y, x) in map(isa, Some(activation), &xs).iter().zip(&xs) {
                    let expected = testing::activate(activation, f64::from(*x));
                    let error = (f64::from(*y) - expected).abs();
                    let bound = bound(f64::from(x.abs()));
                    assert!(error <= bound, "{isa:?} {activation:?} of {x}: {y} is {error:e} off {expected}");
                }
            }
        }
    }

    struct Slopes<'a>(Activation, &'a [f32], &'a mut [f32]);

    impl<S: Simd> Kernel<S> for Slopes<'_> {
        type Output = ();
        #[inline(always)]
        fn run(self, s: S) {
            for (x, out) in self.1.chunks(S::LANES).zip(self.2.chunks_mut(S::LANES)) {
                // SAFETY: both chunks hold `x.len() ≤ LANES` values.
                unsafe {
                    let (_, slope) = self.0.with_slope(s, s.load_up_to(x.as_ptr(), x.len()));
                    s.store_up_to(out.as_mut_ptr(), slope, x.len());
                }
            }
        }
    }

    #[test]
    fn derivatives_are_those_of_the_activations() {
        let xs: Vec<f32> = both_signs(30.0).into_iter().filter(|x| x.abs() > 1e-6).collect();
        let mut slopes = vec![0.0; xs.len()];
        for isa in Isa::available() {
            for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Tanh] {
                isa.run(Slopes(activation, &xs, &mut slopes));
                for (slope, x) in slopes.iter().zip(&xs) {
                    let (x, h) = (f64::from(*x), 1e-5 * f64::from(x.abs()).min(1.0));
                    let f = |x| testing::activate(activation, x);
                    let expected = (f(x + h) - f(x - h)) / (2.0 * h);
                    assert!((f64::from(*slope) - expected).abs() < 2e-6, "{isa:?} {activation:?}′({x}): {slope}");
                }
            }
        }
    }

    #[test]
    fn activations_keep_nan() {
        use Activation::{CoarseGelu, Gelu, GeluTanh, Relu, Tanh};
        for isa in Isa::available() {
            for activation in [Gelu, CoarseGelu, GeluTanh, Relu, Tanh] {
                assert!(map(isa, Some(activation), &[f32::NAN])[0].is_nan(), "{isa:?} {activation:?}");
            }
        }
    }
}
