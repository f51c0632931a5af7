//! The vector operations that the kernels are written in, once for every instruction set.
//!
//! A kernel is generic over [`Simd`] and is inlined whole into a function that enables the features of one instruction
//! set ([`Simd::call`]), so that it compiles to that set's instructions only. A value of a `Simd` type proves that the
//! processor has its features: only [`Isa`](super::Isa) makes them, after querying the processor. Everything between the
//! entry and the arithmetic must therefore be `#[inline(always)]`, and closures must not use vectors.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
pub(super) mod portable;

/// A computation that [`Simd::call`] compiles for one instruction set.
pub(super) trait Kernel<S: Simd> {
    /// What it computes.
    type Output;

    /// Computes it; implementations are `#[inline(always)]`.
    fn run(self, simd: S) -> Self::Output;
}

/// One instruction set: vectors of `f32` and of 32-bit words.
pub(super) trait Simd: Copy + Send + Sync {
    /// 32-bit lanes of a vector.
    const LANES: usize;
    /// Rows of the largest register tile (by two vectors) of the matrix product.
    const TILE_ROWS: usize;
    /// A vector of `f32`.
    type F32: Copy;
    /// A vector of 32-bit words.
    type I32: Copy;

    /// Runs a kernel in a function that has this set's features enabled.
    fn call<K: Kernel<Self>>(self, kernel: K) -> K::Output;

    /// Prefetches the cache line at `p`, which may point anywhere, into the second-level cache.
    fn prefetch(self, p: *const f32);
    fn splat(self, x: f32) -> Self::F32;
    /// # Safety
    /// `p` is valid for reading `LANES` values.
    unsafe fn load(self, p: *const f32) -> Self::F32;
    /// Reads the first `n < LANES` lanes; the others are zero.
    /// # Safety
    /// `p` is valid for reading `n` values.
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::F32;
    /// # Safety
    /// `p` is valid for writing `LANES` values.
    unsafe fn store(self, p: *mut f32, v: Self::F32);
    /// Writes the first `n < LANES` lanes.
    /// # Safety
    /// `p` is valid for writing `n` values.
    unsafe fn store_first(self, p: *mut f32, v: Self::F32, n: usize);
    /// Reads the first `n ≤ LANES` lanes; the others are zero.
    /// # Safety
    /// `p` is valid for reading `n` values.
    #[inline(always)]
    unsafe fn load_up_to(self, p: *const f32, n: usize) -> Self::F32 {
        // SAFETY: the caller's promise.
        unsafe { if n == Self::LANES { self.load(p) } else { self.load_first(p, n) } }
    }
    /// Writes the first `n ≤ LANES` lanes.
    /// # Safety
    /// `p` is valid for writing `n` values.
    #[inline(always)]
    unsafe fn store_up_to(self, p: *mut f32, v: Self::F32, n: usize) {
        // SAFETY: the caller's promise.
        unsafe { if n == Self::LANES { self.store(p, v) } else { self.store_first(p, v, n) } }
    }
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The smaller; `b` if either is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The larger; `b` if either is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a·b + c`, rounded once if the hardware can.
    fn fma(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    fn abs(self, a: Self::F32) -> Self::F32;
    /// The nearest integer, for `|a| < 2²²`.
    fn round(self, a: Self::F32) -> Self::F32;
    /// `a·2ⁿ` for whole `n` in −126..=127.
    fn scale(self, a: Self::F32, n: Self::F32) -> Self::F32;
    /// The sum of all lanes, in an order fixed per instruction set.
    fn sum(self, a: Self::F32) -> f32;
    /// The largest lane.
    fn largest(self, a: Self::F32) -> f32;

    fn splat_word(self, x: u32) -> Self::I32;
    /// # Safety
    /// `p` is valid for reading `LANES` words.
    unsafe fn load_words(self, p: *const u32) -> Self::I32;
    /// # Safety
    /// `p` is valid for writing `LANES` words.
    unsafe fn store_words(self, p: *mut u32, v: Self::I32);
    /// The bits of the lanes.
    fn to_words(self, a: Self::F32) -> Self::I32;
    fn add_words(self, a: Self::I32, b: Self::I32) -> Self::I32;
    /// The words, read as signed integers, as the nearest `f32`.
    fn words_to_f32(self, a: Self::I32) -> Self::F32;
    /// `acc + Σ aᵢ·bᵢ` in each lane over its four bytes, `a` unsigned and `b` signed, exactly.
    fn dot_bytes(self, acc: Self::I32, a: Self::I32, b: Self::I32) -> Self::I32;
    /// Writes the lanes as bytes, rounded to nearest even; they must be in 0..=255.
    /// # Safety
    /// `p` is valid for writing `LANES` bytes.
    unsafe fn store_bytes(self, p: *mut u8, v: Self::F32);
}
