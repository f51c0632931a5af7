//! AVX-512 (F, BW, DQ, VL), and VNNI or BF16 for kernels that use them.

use std::arch::x86_64::*;

use crate::kernels::simd::{Kernel, Simd};

/// Neither extension.
pub(in crate::kernels) const BASE: u8 = 0;
/// With VNNI: bytes are multiplied by `vpdpbusd`.
pub(in crate::kernels) const VNNI: u8 = 1;
/// With BF16: `vdpbf16ps` multiplies pairs of bfloat16.
pub(in crate::kernels) const BF16: u8 = 2;

/// Proof that the processor has AVX-512 F, BW, DQ and VL, and the extension `EXT`.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Avx512<const EXT: u8>(());

impl<const EXT: u8> Avx512<EXT> {
    /// # Safety
    /// The processor has AVX-512 F, BW, DQ, VL and the extension `EXT`.
    pub(in crate::kernels) unsafe fn assume() -> Self {
        Self(())
    }
}

/// Evaluates an intrinsic.
macro_rules! avx512 {
    ($e:expr) => {{
        // SAFETY: `self` proves that the processor has the features; pointers are valid as the caller guarantees.
        unsafe { $e }
    }};
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn call_base<S: Simd, K: Kernel<S>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn call_vnni<S: Simd, K: Kernel<S>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn call_bf16<S: Simd, K: Kernel<S>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

fn mask(n: usize) -> __mmask16 {
    debug_assert!(n < 16);
    (1 << n) - 1
}

impl<const EXT: u8> Simd for Avx512<EXT> {
    const LANES: usize = 16;
    // 12 × 2 accumulators, two vectors of the panel, one broadcast: 27 of 32 registers.
    const TILE_ROWS: usize = 12;
    type F32 = __m512;
    type I32 = __m512i;

    #[inline(always)]
    fn call<K: Kernel<Self>>(self, kernel: K) -> K::Output {
        match EXT {
            VNNI => avx512!(call_vnni(self, kernel)),
            BF16 => avx512!(call_bf16(self, kernel)),
            _ => avx512!(call_base(self, kernel)),
        }
    }

    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        avx512!(_mm_prefetch::<_MM_HINT_T1>(p.cast()))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        avx512!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        avx512!(_mm512_loadu_ps(p))
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> __m512 {
        avx512!(_mm512_maskz_loadu_ps(mask(n), p))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        avx512!(_mm512_storeu_ps(p, v))
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: __m512, n: usize) {
        avx512!(_mm512_mask_storeu_ps(p, mask(n), v))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        avx512!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        avx512!(_mm512_abs_ps(a))
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        avx512!(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn scale(self, a: __m512, n: __m512) -> __m512 {
        avx512!(_mm512_scalef_ps(a, n))
    }
    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        avx512!(_mm512_reduce_add_ps(a))
    }
    #[inline(always)]
    fn largest(self, a: __m512) -> f32 {
        avx512!(_mm512_reduce_max_ps(a))
    }

    #[inline(always)]
    fn splat_word(self, x: u32) -> __m512i {
        avx512!(_mm512_set1_epi32(x.cast_signed()))
    }
    #[inline(always)]
    unsafe fn load_words(self, p: *const u32) -> __m512i {
        avx512!(_mm512_loadu_si512(p.cast()))
    }
    #[inline(always)]
    unsafe fn store_words(self, p: *mut u32, v: __m512i) {
        avx512!(_mm512_storeu_si512(p.cast(), v))
    }
    #[inline(always)]
    fn to_words(self, a: __m512) -> __m512i {
        avx512!(_mm512_castps_si512(a))
    }
    #[inline(always)]
    fn add_words(self, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn words_to_f32(self, a: __m512i) -> __m512 {
        avx512!(_mm512_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn dot_bytes(self, acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        if EXT == VNNI {
            return avx512!(_mm512_dpbusd_epi32(acc, a, b));
        }
        // `vpmaddubsw` saturates, so even and odd bytes are widened separately for exact 16-bit products.
        let (a0, a1) = avx512!((_mm512_and_si512(a, _mm512_set1_epi16(0xff)), _mm512_srli_epi16::<8>(a)));
        let (b0, b1) = avx512!((_mm512_srai_epi16::<8>(_mm512_slli_epi16::<8>(b)), _mm512_srai_epi16::<8>(b)));
        avx512!(_mm512_add_epi32(acc, _mm512_add_epi32(_mm512_madd_epi16(a0, b0), _mm512_madd_epi16(a1, b1))))
    }
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, v: __m512) {
        avx512!(_mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(v))))
    }
}
