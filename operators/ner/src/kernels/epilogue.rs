//! From sums of products to a layer's output: decoding, bias, and what follows them.

use super::gemm::Finish;
use super::math::Activation;
use super::simd::Simd;

/// What follows `x·W + b`.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a> {
    /// Nothing.
    Bias,
    /// An activation.
    Activation(Activation),
    /// The sum with `[T, out]` values.
    Residual(&'a [f32]),
}

/// Converts sums of products to numbers.
pub(super) trait Decode<S: Simd> {
    /// The numbers of `n` columns of a row; `sums` are the bits that the format stored.
    /// # Safety
    /// The output has the row and the columns.
    unsafe fn decode(&self, s: S, sums: S::F32, row: usize, column: usize, n: usize) -> S::F32;
}

/// Sums that already are numbers.
pub(super) struct Plain;

impl<S: Simd> Decode<S> for Plain {
    #[inline(always)]
    unsafe fn decode(&self, _: S, sums: S::F32, _: usize, _: usize, _: usize) -> S::F32 {
        sums
    }
}

/// Decodes, adds the bias if there is one, and applies the epilogue.
pub(super) struct Complete<'a, E> {
    pub(super) decode: E,
    /// One value per column of the output (`width`), if `biased`.
    pub(super) bias: *const f32,
    pub(super) biased: bool,
    pub(super) width: usize,
    pub(super) epilogue: Epilogue<'a>,
}

impl<S: Simd, E: Decode<S>> Finish<S> for Complete<'_, E> {
    #[inline(always)]
    unsafe fn finish(&self, s: S, place: *mut u32, row: usize, column: usize, n: usize) {
        let place = place.cast::<f32>();
        // SAFETY: the caller's promise; bias and residual are as wide as the output.
        unsafe {
            let v = self.decode.decode(s, s.load_up_to(place, n), row, column, n);
            let v = if self.biased { s.add(v, s.load_up_to(self.bias.add(column), n)) } else { v };
            let v = match self.epilogue {
                Epilogue::Bias => v,
                Epilogue::Activation(activation) => activation.apply(s, v),
                Epilogue::Residual(residual) => {
                    s.add(v, s.load_up_to(residual.as_ptr().add(row * self.width + column), n))
                }
            };
            s.store_up_to(place, v, n);
        }
    }
}
