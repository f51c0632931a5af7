//! Element-wise steps of the backward pass.

use crate::kernels::math::Activation;
use crate::kernels::simd::{Kernel, Simd};

/// The gradient of a LayerNorm over some rows.
///
/// With `x̂ = (x − mean)·rstd` and `g = dy·γ`: `dx = rstd·(g − mean(g) − x̂·mean(g·x̂))`, `dγ = Σ dy·x̂`, `dβ = Σ dy`.
pub(super) struct NormBackward<'a> {
    pub(super) gamma: &'a [f32],
    pub(super) epsilon: f32,
    /// The input of the norm.
    pub(super) x: &'a [f32],
    /// The gradient of the result, replaced by that of `x`.
    pub(super) gradient: &'a mut [f32],
    /// Accumulators of dγ and dβ.
    pub(super) sums: [&'a mut [f32]; 2],
}

impl<S: Simd> Kernel<S> for NormBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let Self { gamma, epsilon, x, gradient, sums: [gamma_sum, beta_sum] } = self;
        let width = gamma.len();
        assert!(x.len() == gradient.len() && gamma_sum.len() == width && beta_sum.len() == width, "rows of one length");
        for (x, dy) in x.chunks_exact(width).zip(gradient.chunks_exact_mut(width)) {
            let row = Row::new(s, x, epsilon);
            let (mut sum_g, mut sum_gx) = (s.splat(0.0), s.splat(0.0));
            for i in (0..width).step_by(S::LANES) {
                let n = S::LANES.min(width - i);
                let g = s.mul(load(s, dy, i, n), load(s, gamma, i, n));
                sum_g = s.add(sum_g, g);
                sum_gx = s.fma(g, row.normalised(s, i, n), sum_gx);
            }
            let mean_g = s.splat(s.sum(sum_g) / width as f32);
            let mean_gx = s.splat(s.sum(sum_gx) / width as f32);
            for i in (0..width).step_by(S::LANES) {
                let n = S::LANES.min(width - i);
                let (d, x) = (load(s, dy, i, n), row.normalised(s, i, n));
                store(s, gamma_sum, i, n, s.fma(d, x, load(s, gamma_sum, i, n)));
                store(s, beta_sum, i, n, s.add(d, load(s, beta_sum, i, n)));
                let g = s.sub(s.mul(d, load(s, gamma, i, n)), s.fma(x, mean_gx, mean_g));
                store(s, dy, i, n, s.mul(g, row.scale));
            }
        }
    }
}

/// A row and its statistics.
struct Row<'a, S: Simd> {
    x: &'a [f32],
    mean: S::F32,
    /// `1/√(variance + ε)`
    scale: S::F32,
}

impl<'a, S: Simd> Row<'a, S> {
    #[inline(always)]
    fn new(s: S, x: &'a [f32], epsilon: f32) -> Self {
        let width = x.len() as f32;
        let mut sum = s.splat(0.0);
        for i in (0..x.len()).step_by(S::LANES) {
            sum = s.add(sum, load(s, x, i, S::LANES.min(x.len() - i)));
        }
        let mean = s.splat(s.sum(sum) / width);
        let mut squares = s.splat(0.0);
        for i in (0..x.len()).step_by(S::LANES) {
            let n = S::LANES.min(x.len() - i);
            // Lanes beyond the row's end are zero, not the mean, and must not count.
            let d = masked(s, s.sub(load(s, x, i, n), mean), n);
            squares = s.fma(d, d, squares);
        }
        let scale = s.splat(1.0 / (s.sum(squares) / width + epsilon).sqrt());
        Self { x, mean, scale }
    }

    #[inline(always)]
    fn normalised(&self, s: S, i: usize, n: usize) -> S::F32 {
        s.mul(s.sub(load(s, self.x, i, n), self.mean), self.scale)
    }
}

#[inline(always)]
fn load<S: Simd>(s: S, values: &[f32], at: usize, n: usize) -> S::F32 {
    let part = &values[at..at + n];
    // SAFETY: the part holds `n` values.
    unsafe { s.load_up_to(part.as_ptr(), n) }
}

#[inline(always)]
fn store<S: Simd>(s: S, values: &mut [f32], at: usize, n: usize, v: S::F32) {
    let part = &mut values[at..at + n];
    // SAFETY: the part holds `n` values.
    unsafe { s.store_up_to(part.as_mut_ptr(), v, n) }
}

/// The first `n` lanes; the others zero.
#[inline(always)]
fn masked<S: Simd>(s: S, v: S::F32, n: usize) -> S::F32 {
    if n == S::LANES {
        return v;
    }
    let mut lanes = [0.0; MAX_LANES];
    // SAFETY: the array holds a vector of the widest instruction set.
    unsafe {
        s.store_first(lanes.as_mut_ptr(), v, n);
        s.load_first(lanes.as_ptr(), n)
    }
}

/// Lanes of the widest instruction set.
const MAX_LANES: usize = 16;

/// Applies an activation: `out = f(x)`.
pub(super) struct Activate<'a> {
    pub(super) activation: Activation,
    pub(super) x: &'a [f32],
    pub(super) out: &'a mut [f32],
}

impl<S: Simd> Kernel<S> for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        for (x, out) in self.x.chunks(S::LANES).zip(self.out.chunks_mut(S::LANES)) {
            let v = self.activation.apply(s, load(s, x, 0, x.len()));
            store(s, out, 0, x.len(), v);
        }
    }
}

/// Its gradient, `gradient ← gradient·f′(x)`, and `out = f(x)` again.
pub(super) struct ActivateBackward<'a> {
    pub(super) activation: Activation,
    pub(super) x: &'a [f32],
    pub(super) gradient: &'a mut [f32],
    pub(super) out: &'a mut [f32],
}

impl<S: Simd> Kernel<S> for ActivateBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let rows = self.gradient.chunks_mut(S::LANES).zip(self.out.chunks_mut(S::LANES));
        for (x, (gradient, out)) in self.x.chunks(S::LANES).zip(rows) {
            let n = x.len();
            let v = load(s, x, 0, n);
            let (value, slope) = self.activation.with_slope(s, v);
            store(s, gradient, 0, n, s.mul(load(s, gradient, 0, n), slope));
            store(s, out, 0, n, value);
        }
    }
}

/// Adds each row to `sums`.
#[inline(always)]
pub(super) fn add_rows(rows: &[f32], sums: &mut [f32]) {
    for row in rows.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

/// `Σ a·b`
#[inline(always)]
pub(super) fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let mut sum = s.splat(0.0);
    for (a, b) in a.chunks(S::LANES).zip(b.chunks(S::LANES)) {
        sum = s.fma(load(s, a, 0, a.len()), load(s, b, 0, b.len()), sum);
    }
    s.sum(sum)
}
