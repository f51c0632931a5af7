//! AVX2 with FMA, and AVX-VNNI for kernels that use it.

use std::arch::x86_64::*;

use crate::kernels::simd::{Kernel, Simd};

/// Proof that the processor has AVX2 and FMA, and AVX-VNNI if `VNNI`.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Avx2<const VNNI: bool>(());

impl<const VNNI: bool> Avx2<VNNI> {
    /// # Safety
    /// The processor has AVX2 and FMA, and AVX-VNNI if `VNNI`.
    pub(in crate::kernels) unsafe fn assume() -> Self {
        Self(())
    }
}

/// Evaluates an intrinsic.
macro_rules! avx2 {
    ($e:expr) => {{
        // SAFETY: `self` proves that the processor has the features; pointers are valid as the caller guarantees.
        unsafe { $e }
    }};
}

#[target_feature(enable = "avx2,fma")]
fn call_base<S: Simd, K: Kernel<S>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

#[target_feature(enable = "avx2,fma,avxvnni")]
fn call_vnni<S: Simd, K: Kernel<S>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

/// A mask of the first `n` lanes.
#[inline(always)]
fn mask<const VNNI: bool>(_proof: Avx2<VNNI>, n: usize) -> __m256i {
    debug_assert!(n < 8);
    // SAFETY: `_proof` shows that the processor has AVX2.
    unsafe { _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)) }
}

impl<const VNNI: bool> Simd for Avx2<VNNI> {
    const LANES: usize = 8;
    // 6 × 2 accumulators, two vectors of the panel, one broadcast: 15 of 16 registers.
    const TILE_ROWS: usize = 6;
    type F32 = __m256;
    type I32 = __m256i;

    #[inline(always)]
    fn call<K: Kernel<Self>>(self, kernel: K) -> K::Output {
        if VNNI { avx2!(call_vnni(self, kernel)) } else { avx2!(call_base(self, kernel)) }
    }

    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        avx2!(_mm_prefetch::<_MM_HINT_T1>(p.cast()))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        avx2!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        avx2!(_mm256_loadu_ps(p))
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> __m256 {
        avx2!(_mm256_maskload_ps(p, mask(self, n)))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        avx2!(_mm256_storeu_ps(p, v))
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: __m256, n: usize) {
        avx2!(_mm256_maskstore_ps(p, mask(self, n), v))
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_min_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        avx2!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        avx2!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        avx2!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), a))
    }
    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        avx2!(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn scale(self, a: __m256, n: __m256) -> __m256 {
        let exponent = avx2!(_mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127))));
        avx2!(_mm256_mul_ps(a, _mm256_castsi256_ps(exponent)))
    }
    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        let four = avx2!(_mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a)));
        let two = avx2!(_mm_add_ps(four, _mm_movehl_ps(four, four)));
        avx2!(_mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two))))
    }
    #[inline(always)]
    fn largest(self, a: __m256) -> f32 {
        let four = avx2!(_mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a)));
        let two = avx2!(_mm_max_ps(four, _mm_movehl_ps(four, four)));
        avx2!(_mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two))))
    }

    #[inline(always)]
    fn splat_word(self, x: u32) -> __m256i {
        avx2!(_mm256_set1_epi32(x.cast_signed()))
    }
    #[inline(always)]
    unsafe fn load_words(self, p: *const u32) -> __m256i {
        avx2!(_mm256_loadu_si256(p.cast()))
    }
    #[inline(always)]
    unsafe fn store_words(self, p: *mut u32, v: __m256i) {
        avx2!(_mm256_storeu_si256(p.cast(), v))
    }
    #[inline(always)]
    fn to_words(self, a: __m256) -> __m256i {
        avx2!(_mm256_castps_si256(a))
    }
    #[inline(always)]
    fn add_words(self, a: __m256i, b: __m256i) -> __m256i {
        avx2!(_mm256_add_epi32(a, b))
    }
    #[inline(always)]
    fn words_to_f32(self, a: __m256i) -> __m256 {
        avx2!(_mm256_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn dot_bytes(self, acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        if VNNI {
            return avx2!(_mm256_dpbusd_avx_epi32(acc, a, b));
        }
        // `vpmaddubsw` saturates, so even and odd bytes are widened separately for exact 16-bit products.
        let (a0, a1) = avx2!((_mm256_and_si256(a, _mm256_set1_epi16(0xff)), _mm256_srli_epi16::<8>(a)));
        let (b0, b1) = avx2!((_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(b)), _mm256_srai_epi16::<8>(b)));
        avx2!(_mm256_add_epi32(acc, _mm256_add_epi32(_mm256_madd_epi16(a0, b0), _mm256_madd_epi16(a1, b1))))
    }
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, v: __m256) {
        let words = avx2!(_mm256_cvtps_epi32(v));
        let halves = avx2!(_mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words)));
        avx2!(_mm_storel_epi64(p.cast(), _mm_packus_epi16(halves, halves)))
    }
}
