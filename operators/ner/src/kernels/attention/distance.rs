//! What attention adds to scores by the distance of key and query.

use std::ops::Range;

use super::Attention;
use crate::kernels::error::{KernelError, check_len};
use crate::kernels::simd::Simd;

/// An addition to the scores of each head for every distance in sequences of up to a longest length.
#[derive(Clone, Copy, Debug)]
pub struct DistanceBias<'a> {
    /// `[heads, 2·longest − 1]`, from the farthest key before a query to the farthest behind it.
    values: &'a [f32],
    longest: usize,
}

impl<'a> DistanceBias<'a> {
    /// Takes `[heads, 2·longest − 1]` values, from the farthest key before a query to the farthest behind it.
    ///
    /// # Errors
    /// If the length is none of such a table.
    pub fn new(values: &'a [f32], heads: usize) -> Result<Self, KernelError> {
        let longest = (values.len() / heads.max(1)).div_ceil(2).max(1);
        check_len("attention bias", heads * (2 * longest - 1), values.len())?;
        Ok(Self { values, longest })
    }

    /// The number of values.
    pub(in crate::kernels) fn len(&self) -> usize {
        self.values.len()
    }

    /// Checks that no sequence is longer than the table has distances for.
    pub(in crate::kernels) fn check(&self, boundaries: &[u32]) -> Result<(), KernelError> {
        match boundaries.windows(2).map(|pair| (pair[1] - pair[0]) as usize).find(|length| *length > self.longest) {
            Some(value) => Err(KernelError::Size { what: "sequence", value, why: "is longer than the attention bias" }),
            None => Ok(()),
        }
    }

    /// The additions to the scores of a query at this position in its sequence, one per key.
    #[inline(always)]
    pub(in crate::kernels) fn row(&self, head: usize, position: usize, keys: usize) -> &'a [f32] {
        let head = &self.values[head * (2 * self.longest - 1)..];
        &head[self.longest - 1 - position..][..keys]
    }
}

impl Attention<'_> {
    /// Adds the bias, in units of `unit`, to the scores of some queries for these keys of their sequence.
    /// # Safety
    /// `table` is valid for reading and writing a row per query, `stride` apart, of a score per key.
    #[inline(always)]
    pub(super) unsafe fn add_bias<S: Simd>(
        &self,
        s: S,
        unit: f32,
        head: usize,
        keys: &Range<usize>,
        queries: Range<usize>,
        (table, stride): (*mut f32, usize),
    ) {
        let Some(bias) = self.bias else { return };
        for (number, query) in queries.enumerate() {
            let additions = bias.row(head, self.row_of(query) - keys.start, keys.len());
            // SAFETY: the caller's promise; `additions` is as long as the row.
            unsafe { add_scaled(s, table.add(number * stride), additions, unit) };
        }
    }
}

/// Adds `unit` times each addition to a row of as many scores.
/// # Safety
/// `row` is valid for reading and writing as many values.
#[inline(always)]
pub(in crate::kernels) unsafe fn add_scaled<S: Simd>(s: S, row: *mut f32, additions: &[f32], unit: f32) {
    let unit = s.splat(unit);
    for at in (0..additions.len()).step_by(S::LANES) {
        let n = S::LANES.min(additions.len() - at);
        // SAFETY: both have `n` values from `at` on.
        unsafe {
            let sum = s.fma(s.load_up_to(additions.as_ptr().add(at), n), unit, s.load_up_to(row.add(at), n));
            s.store_up_to(row.add(at), sum, n);
        }
    }
}
