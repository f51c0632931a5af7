//! Layer normalization.

use super::error::{KernelError, check_len};
use super::isa::Isa;
use super::parallel::{Blocks, Shared, for_each};
use super::simd::{Kernel, Simd};

/// Rows per unit of work.
const ROWS: usize = 64;

/// `γ·(x − mean)/√(variance + ε) + β` over each row, the variance being that of the row (divided by its length).
#[derive(Clone, Debug)]
pub struct LayerNorm {
    isa: Isa,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    epsilon: f32,
}

/// Lanes of the widest instruction set.
const MAX_LANES: usize = 16;

impl LayerNorm {
    /// Makes a norm over rows as long as `gamma` and `beta`.
    ///
    /// # Errors
    /// If the two differ in length or are empty.
    pub fn new(isa: Isa, gamma: &[f32], beta: &[f32], epsilon: f32) -> Result<Self, KernelError> {
        if gamma.is_empty() {
            return Err(KernelError::Size { what: "hidden size", value: 0, why: "must be positive" });
        }
        check_len("beta of a layer norm", gamma.len(), beta.len())?;
        Ok(Self { isa, gamma: gamma.to_vec(), beta: beta.to_vec(), epsilon })
    }

    /// Length of a row.
    pub fn hidden(&self) -> usize {
        self.gamma.len()
    }

    /// Normalizes each row of `x` (`[T, hidden]`) into `out`.
    ///
    /// # Errors
    /// If the lengths differ or are not a whole number of rows.
    pub fn forward(&self, x: &[f32], out: &mut [f32]) -> Result<(), KernelError> {
        check_len("output of a layer norm", x.len(), out.len())?;
        self.each_block(out, |rows, out| self.rows(&x[rows], out))
    }

    /// Calls `work` for blocks of rows of `out`, on all threads; the range is that of the block's values.
    fn each_block(
        &self,
        out: &mut [f32],
        work: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
    ) -> Result<(), KernelError> {
        let hidden = self.hidden();
        check_len("rows of a layer norm", out.len() / hidden * hidden, out.len())?;
        let threads = rayon::current_num_threads();
        let blocks = Blocks::new(out.len() / hidden, 1, ROWS, threads);
        let out = Shared::new(out);
        for_each(&mut vec![(); threads], blocks.count(), |(), block| {
            let rows = blocks.rows(block);
            let range = rows.start * hidden..rows.end * hidden;
            // SAFETY: blocks are disjoint, and each is worked by one thread.
            work(range.clone(), unsafe { out.part(range) });
        });
        Ok(())
    }

    /// Normalizes rows on this thread; both slices have the same length.
    pub(super) fn rows(&self, x: &[f32], out: &mut [f32]) {
        assert!(x.len() == out.len(), "as many values in as out");
        self.isa.run(Normalize { norm: self, x: x.as_ptr(), out: out.as_mut_ptr(), rows: x.len() / self.hidden() });
    }
}

/// `x` is valid for reading and `out` for writing `rows` rows; `x` may be `out`.
struct Normalize<'a> {
    norm: &'a LayerNorm,
    x: *const f32,
    out: *mut f32,
    rows: usize,
}

impl<S: Simd> Kernel<S> for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let hidden = self.norm.hidden();
        for row in 0..self.rows {
            // SAFETY: the row is one of `rows`, see `Normalize`.
            unsafe {
                let at = row * hidden;
                let x = self.x.add(at);
                self.norm.row(s, |i, lanes| s.load_up_to(x.add(i), lanes), self.out.add(at));
            }
        }
    }
}

impl LayerNorm {
    /// Normalizes one row in three passes over the cached row: sum, squares of deviations, result. `x` reads some of its
    /// values, zeros in the other lanes.
    /// # Safety
    /// `out` is valid for writing a row.
    #[inline(always)]
    pub(super) unsafe fn row<S: Simd>(&self, s: S, x: impl Fn(usize, usize) -> S::F32, out: *mut f32) {
        let hidden = self.hidden();
        let lanes = |i: usize| S::LANES.min(hidden - i);
        let mut sum = s.splat(0.0);
        let mut squares = s.splat(0.0);
        // SAFETY: every access is to `lanes(i)` values at `i < hidden` of a row.
        unsafe {
            for i in (0..hidden).step_by(S::LANES) {
                let v = x(i, lanes(i));
                s.store_up_to(out.add(i), v, lanes(i));
                sum = s.add(sum, v);
            }
            let mean = s.sum(sum) / hidden as f32;
            let means = [mean; MAX_LANES];
            for i in (0..hidden).step_by(S::LANES) {
                // Lanes past the end of the row are zero in both and add nothing.
                let v = s.sub(s.load_up_to(out.add(i), lanes(i)), s.load_up_to(means.as_ptr(), lanes(i)));
                squares = s.fma(v, v, squares);
            }
            let mean = s.splat(mean);
            let scale = s.splat(1.0 / (s.sum(squares) / hidden as f32 + self.epsilon).sqrt());
            for i in (0..hidden).step_by(S::LANES) {
                let n = lanes(i);
                let v = s.mul(s.sub(s.load_up_to(out.add(i), n), mean), scale);
                let gamma = s.load_up_to(self.gamma.as_ptr().add(i), n);
                let beta = s.load_up_to(self.beta.as_ptr().add(i), n);
                s.store_up_to(out.add(i), s.fma(v, gamma, beta), n);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{floats, plain_norm};
    use proptest::prelude::*;

    fn check(out: &[f32], rows: &[f64], norm: &LayerNorm) -> Result<(), TestCaseError> {
        let epsilon = f64::from(norm.epsilon);
        for (out, row) in out.chunks(norm.hidden()).zip(rows.chunks(norm.hidden())) {
            for (y, expected) in out.iter().zip(plain_norm(row, &norm.gamma, &norm.beta, epsilon)) {
                prop_assert!((f64::from(*y) - expected).abs() <= 1e-5 * (1.0 + expected.abs()), "{} {}", y, expected);
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_level_computes_the_plain_norm(hidden in 2usize..100, rows in 0usize..150, seed: u64) {
            let (gamma, beta) = (floats(seed, hidden), floats(seed ^ 1, hidden));
            let x = floats(seed ^ 2, rows * hidden);
            let plain: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            for isa in Isa::available() {
                // Two close values in a row of two would make the quotient ill-conditioned without ε.
                let norm = LayerNorm::new(isa, &gamma, &beta, 1e-3).expect("shapes fit");
                let mut out = vec![f32::NAN; x.len()];
                norm.forward(&x, &mut out).expect("shapes fit");
                check(&out, &plain, &norm)?;
            }
        }
    }
}
