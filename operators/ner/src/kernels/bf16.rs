//! Linear arithmetic in bfloat16 (`vdpbf16ps`): weights and activations keep 8 significant bits, sums are `f32`.
//!
//! The error of an output is at most 2⁻⁸·(1 + 2⁻¹⁰)·Σ|x·w|, before the rounding of the sum. Only processors whose bfloat16
//! unit is wider than their `f32` unit are faster with it (AMD since Zen 4); Intel's run it at half the rate of `f32`, where
//! it only saves memory.

use std::arch::x86_64::*;

use super::buffer::{Buffer, Converted};
use super::gemm::{Format, Shape};
use super::pack::Matrix;
use super::simd::avx512::{Avx512, BF16};
use super::simd::{Kernel, Simd};

/// Values per word.
pub(super) const GROUP: usize = 2;
/// Lanes per vector.
pub(super) const LANES: usize = 16;

/// Rounds and packs weights.
pub(super) fn pack_bf16(weights: Matrix, panel: usize) -> (Shape, Buffer) {
    let rounded = |weight: f32| u32::from(half::bf16::from_f32(weight).to_bits());
    let shape = Shape { inner: weights.inputs.div_ceil(GROUP), columns: weights.outputs, panel };
    let mut panels = Buffer::default();
    let words = panels.words(shape.words());
    weights.each_panel(shape, GROUP, |outputs, rows| {
        for (word, group) in rows.chunks_exact(GROUP * panel).enumerate() {
            let places = &mut words[shape.index(word, outputs.start)..][..panel];
            let (low, high) = group.split_at(panel);
            for ((place, low), high) in places.iter_mut().zip(low).zip(high) {
                *place = rounded(*low) | rounded(*high) << 16;
            }
        }
    });
    (shape, panels)
}

/// Words of two bfloat16 values, the first in the low half.
#[derive(Clone, Copy)]
pub(super) struct Pairs;

impl Format<Avx512<BF16>> for Pairs {
    type Sum = __m512;
    type Word = __m512i;

    #[inline(always)]
    fn zero(s: Avx512<BF16>) -> __m512 {
        s.splat(0.0)
    }
    #[inline(always)]
    unsafe fn broadcast(s: Avx512<BF16>, p: *const u32) -> __m512i {
        // SAFETY: the caller's promise.
        s.splat_word(unsafe { p.read() })
    }
    #[inline(always)]
    unsafe fn load(s: Avx512<BF16>, p: *const u32) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { s.load_words(p) }
    }
    #[inline(always)]
    fn dot(_: Avx512<BF16>, sum: __m512, a: __m512i, b: __m512i) -> __m512 {
        // SAFETY: the first argument proves that the processor has the instruction; both types are 64 plain bytes.
        unsafe {
            let [a, b] = std::mem::transmute::<[__m512i; 2], [__m512bh; 2]>([a, b]);
            _mm512_dpbf16_ps(sum, a, b)
        }
    }
    #[inline(always)]
    unsafe fn store(s: Avx512<BF16>, p: *mut u32, sum: __m512, accumulate: bool) {
        let p = p.cast::<f32>();
        // SAFETY: the caller's promise.
        unsafe { s.store(p, if accumulate { s.add(s.load(p), sum) } else { sum }) }
    }
}

/// Rounds rows of `inputs` values to bfloat16.
pub(super) struct Round<'a> {
    pub(super) x: &'a [f32],
    pub(super) inputs: usize,
    pub(super) converted: &'a mut Converted,
}

impl Kernel<Avx512<BF16>> for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, s: Avx512<BF16>) {
        let words = self.inputs.div_ceil(GROUP);
        let target = self.converted.words.words(self.x.len() / self.inputs * words);
        for (row, target) in self.x.chunks_exact(self.inputs).zip(target.chunks_exact_mut(words)) {
            round_row(s, row, 1.0, target);
        }
    }
}

/// Multiplies a row by `scale` and rounds it to bfloat16.
#[inline(always)]
pub(super) fn round_row(s: Avx512<BF16>, row: &[f32], scale: f32, words: &mut [u32]) {
    let scale = s.splat(scale);
    for (values, words) in row.chunks(2 * LANES).zip(words.chunks_mut(LANES)) {
        let (low, high) = values.split_at(values.len().min(LANES));
        // SAFETY: both halves are read, and the words written, for their own length.
        unsafe {
            let (low, high) = (s.load_up_to(low.as_ptr(), low.len()), s.load_up_to(high.as_ptr(), high.len()));
            let rounded = round(s, s.mul(low, scale), s.mul(high, scale));
            let mask = if words.len() < LANES { (1 << words.len()) - 1 } else { u16::MAX };
            _mm512_mask_storeu_epi32(words.as_mut_ptr().cast(), mask, rounded);
        }
    }
}

/// Rounds 32 values to bfloat16.
#[inline(always)]
pub(super) fn round(_: Avx512<BF16>, low: __m512, high: __m512) -> __m512i {
    // SAFETY: the first argument proves that the processor has the instruction; both types are 64 plain bytes.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
}

#[cfg(test)]
mod tests {
    use crate::kernels::testing::{dot, floats};
    use crate::kernels::{Epilogue, Isa, KernelError, Layout, Level, LinearWeights, PackedLinear, Precision, Scratch};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn results_stay_within_the_stated_bound(rows in 1usize..30, inputs in 1usize..700, outputs in 1usize..70, seed: u64) {
            let isa = Isa::detect();
            let (x, w, bias) = (floats(seed, rows * inputs), floats(seed ^ 1, inputs * outputs), floats(seed ^ 2, outputs));
            let weights = LinearWeights { weight: &w, layout: Layout::OutIn, bias: &bias, inputs };
            let linear = match PackedLinear::new(isa, Precision::Bf16, &weights) {
                Ok(linear) => linear,
                Err(error) => {
                    prop_assert!(!isa.has_bf16_dot(), "{}", error);
                    return Ok(());
                }
            };
            let mut out = vec![f32::NAN; rows * outputs];
            linear.forward(&x, Epilogue::Bias, &mut out, &mut Scratch::new()).expect("shapes fit");
            for (at, y) in out.iter().enumerate() {
                let (sum, size) = dot(&x[at / outputs * inputs..][..inputs], &weights, at % outputs);
                let bound = (1.0 + 1.0 / 1024.0) / 256.0 * size + 1e-5 * size;
                prop_assert!((f64::from(*y) - sum).abs() <= bound, "{} {}", y, sum);
            }
        }
    }

    #[test]
    fn a_processor_without_bf16_refuses_it() {
        let weights = LinearWeights { weight: &[0.0; 4], layout: Layout::OutIn, bias: &[0.0; 2], inputs: 2 };
        let refused = PackedLinear::new(Isa::at_most(Level::Avx2), Precision::Bf16, &weights).map(|_| ());
        assert!(matches!(refused, Err(KernelError::Unsupported { .. })), "{refused:?}");
    }
}
