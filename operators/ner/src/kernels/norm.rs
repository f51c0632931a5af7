//! Layer normalisation, alone, after a residual sum, and after a sum of embeddings.

use super::error::{KernelError, check_len};
use super::isa::Isa;
use super::parallel::{Blocks, Shared, for_each};
use super::simd::{Kernel, Simd};

/// Rows that a thread normalises at a time.
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

/// An embedding table and the row of it that each token takes.
#[derive(Clone, Copy, Debug)]
pub struct Embedding<'a> {
    /// What errors call it.
    pub name: &'static str,
    /// `[rows, hidden]`.
    pub table: &'a [f32],
    /// One row number for each token.
    pub ids: &'a [u32],
}

impl LayerNorm {
    /// A norm over rows as long as `gamma` and `beta`.
    ///
    /// # Errors
    /// If the two differ in length or are empty.
    pub fn new(isa: Isa, gamma: &[f32], beta: &[f32], epsilon: f32) -> Result<Self, KernelError> {
        if gamma.is_empty() {
            return Err(KernelError::Size { what: "hidden size", value: 0, why: "a row must hold something" });
        }
        check_len("beta of a layer norm", gamma.len(), beta.len())?;
        Ok(Self { isa, gamma: gamma.to_vec(), beta: beta.to_vec(), epsilon })
    }

    /// Length of a row.
    pub fn hidden(&self) -> usize {
        self.gamma.len()
    }

    /// Normalises each row of `x` (`[T, hidden]`) into `out`.
    ///
    /// # Errors
    /// If the lengths differ or are no whole number of rows.
    pub fn forward(&self, x: &[f32], out: &mut [f32]) -> Result<(), KernelError> {
        check_len("output of a layer norm", x.len(), out.len())?;
        self.each_block(out, |rows, out| self.rows(&x[rows], None, out))
    }

    /// Normalises each row of `x + residual` (both `[T, hidden]`) into `out`.
    ///
    /// # Errors
    /// If the lengths differ or are no whole number of rows.
    pub fn forward_residual(&self, x: &[f32], residual: &[f32], out: &mut [f32]) -> Result<(), KernelError> {
        check_len("residual of a layer norm", x.len(), residual.len())?;
        check_len("output of a layer norm", x.len(), out.len())?;
        self.each_block(out, |rows, out| self.rows(&x[rows.clone()], Some(&residual[rows]), out))
    }

    /// Sums one row of each table for each token and normalises the sum into `out` (`[T, hidden]`).
    ///
    /// # Errors
    /// If a table is no whole number of rows, if there are not as many ids as tokens, or an id is not in its table.
    pub fn forward_embeddings(&self, embeddings: &[Embedding], out: &mut [f32]) -> Result<(), KernelError> {
        let hidden = self.hidden();
        for Embedding { name, table, ids } in embeddings {
            check_len("ids of an embedding", out.len() / hidden, ids.len())?;
            check_len("embedding table", table.len() / hidden * hidden, table.len())?;
            let rows = table.len() / hidden;
            if let Some(token) = ids.iter().position(|id| *id as usize >= rows) {
                return Err(KernelError::Id { table: name, id: ids[token], token, rows });
            }
        }
        self.each_block(out, |range, out| {
            out.fill(0.0);
            for Embedding { table, ids, .. } in embeddings {
                for (row, id) in out.chunks_exact_mut(hidden).zip(&ids[range.start / hidden..]) {
                    let from = &table[*id as usize * hidden..][..hidden];
                    row.iter_mut().zip(from).for_each(|(sum, x)| *sum += x);
                }
            }
            self.rows_in_place(out);
        })
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

    /// Normalises rows on this thread; all slices have the same length.
    pub(super) fn rows(&self, x: &[f32], residual: Option<&[f32]>, out: &mut [f32]) {
        assert!(x.len() == out.len() && residual.is_none_or(|r| r.len() == x.len()), "rows of one length");
        self.isa.run(Normalise {
            norm: self,
            x: x.as_ptr(),
            residual: residual.map(<[f32]>::as_ptr),
            out: out.as_mut_ptr(),
            rows: x.len() / self.hidden(),
        });
    }

    /// Normalises rows where they stand, on this thread.
    fn rows_in_place(&self, rows: &mut [f32]) {
        let out = rows.as_mut_ptr();
        let rows = rows.len() / self.hidden();
        self.isa.run(Normalise { norm: self, x: out, residual: None, out, rows });
    }
}

/// `x` and `residual` are valid for reading and `out` for writing `rows` rows; `x` may be `out`.
struct Normalise<'a> {
    norm: &'a LayerNorm,
    x: *const f32,
    residual: Option<*const f32>,
    out: *mut f32,
    rows: usize,
}

impl<S: Simd> Kernel<S> for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: S) {
        let hidden = self.norm.hidden();
        for row in 0..self.rows {
            // SAFETY: the row is one of `rows`, see `Normalise`.
            unsafe {
                let at = row * hidden;
                self.norm.row(s, self.x.add(at), self.residual.map(|r| r.add(at)), self.out.add(at));
            }
        }
    }
}

impl LayerNorm {
    /// Normalises one row in three passes over the cached row: sum, squares of deviations, result.
    /// # Safety
    /// `x` and `residual` are valid for reading and `out` for writing a row.
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, s: S, x: *const f32, residual: Option<*const f32>, out: *mut f32) {
        let hidden = self.hidden();
        let lanes = |i: usize| S::LANES.min(hidden - i);
        let mut sum = s.splat(0.0);
        let mut squares = s.splat(0.0);
        // SAFETY: every access is to `lanes(i)` values at `i < hidden` of a row.
        unsafe {
            for i in (0..hidden).step_by(S::LANES) {
                let mut v = s.load_up_to(x.add(i), lanes(i));
                if let Some(residual) = residual {
                    v = s.add(v, s.load_up_to(residual.add(i), lanes(i)));
                }
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
            let (x, residual) = (floats(seed ^ 2, rows * hidden), floats(seed ^ 3, rows * hidden));
            let plain: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            let sum: Vec<f64> = x.iter().zip(&residual).map(|(x, r)| f64::from(x + r)).collect();
            for isa in Isa::available() {
                // Two close values in a row of two would make the quotient ill-conditioned without ε.
                let norm = LayerNorm::new(isa, &gamma, &beta, 1e-3).expect("shapes fit");
                let mut out = vec![f32::NAN; x.len()];
                norm.forward(&x, &mut out).expect("shapes fit");
                check(&out, &plain, &norm)?;
                norm.forward_residual(&x, &residual, &mut out).expect("shapes fit");
                check(&out, &sum, &norm)?;
            }
        }

        #[test]
        fn embeddings_are_summed_and_normalised(hidden in 2usize..70, ids in prop::collection::vec((0u32..9, 0u32..5, 0u32..2), 0..150), types: bool, seed: u64) {
            let tables = [floats(seed, 9 * hidden), floats(seed ^ 1, 5 * hidden), floats(seed ^ 2, 2 * hidden)];
            let columns = [ids.iter().map(|i| i.0).collect::<Vec<_>>(), ids.iter().map(|i| i.1).collect(), ids.iter().map(|i| i.2).collect()];
            let count = if types { 3 } else { 2 };
            let embeddings: Vec<_> = (0..count).map(|i| Embedding { name: "test", table: &tables[i], ids: &columns[i] }).collect();
            let mut sums = vec![0f64; ids.len() * hidden];
            for (at, sum) in sums.iter_mut().enumerate() {
                let parts = embeddings.iter().map(|e| e.table[e.ids[at / hidden] as usize * hidden + at % hidden]);
                *sum = f64::from(parts.fold(0.0, |sum: f32, x| sum + x));
            }
            for isa in Isa::available() {
                let norm = LayerNorm::new(isa, &vec![1.0; hidden], &vec![0.5; hidden], 1e-3).expect("shapes fit");
                let mut out = vec![f32::NAN; sums.len()];
                norm.forward_embeddings(&embeddings, &mut out).expect("ids fit");
                check(&out, &sums, &norm)?;
            }
        }
    }

    #[test]
    fn an_id_outside_its_table_is_an_error_that_names_it() {
        let norm = LayerNorm::new(Isa::detect(), &[1.0; 2], &[0.0; 2], 1e-12).expect("shapes fit");
        let embedding = Embedding { name: "word", table: &[0.0; 6], ids: &[2, 3] };
        let error = norm.forward_embeddings(&[embedding], &mut [0.0; 4]).expect_err("3 is outside");
        assert_eq!(error, KernelError::Id { table: "word", id: 3, token: 1, rows: 3 });
    }
}
