//! Plain Rust over four lanes, which compiles to SSE2, NEON and the like.

use crate::kernels::simd::{Kernel, Simd};

/// Needs no special instructions.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Portable;

/// Applies an operation to each lane.
macro_rules! lanes {
    ($i:ident => $e:expr) => {{
        let mut out = [Default::default(); LANES];
        for $i in 0..LANES {
            out[$i] = $e;
        }
        out
    }};
}

const LANES: usize = 4;
/// Adding and subtracting it rounds to the nearest integer.
const ROUNDER: f32 = 1.5 * (1 << 23) as f32;

impl Simd for Portable {
    const LANES: usize = LANES;
    // 4 × 2 accumulators, two vectors of the panel, one broadcast: 11 of SSE2's 16 registers.
    const TILE_ROWS: usize = 4;
    type F32 = [f32; LANES];
    type I32 = [u32; LANES];

    #[inline(never)]
    fn call<K: Kernel<Self>>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn prefetch(self, _: *const f32) {}
    #[inline(always)]
    fn splat(self, x: f32) -> [f32; LANES] {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [f32; LANES] {
        // SAFETY: the caller promises `LANES` readable values.
        unsafe { p.cast::<[f32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for (i, lane) in out.iter_mut().enumerate().take(n) {
            // SAFETY: the caller promises `n` readable values.
            *lane = unsafe { p.add(i).read() };
        }
        out
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: [f32; LANES]) {
        // SAFETY: the caller promises `LANES` writable values.
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: [f32; LANES], n: usize) {
        for (i, lane) in v.into_iter().enumerate().take(n) {
            // SAFETY: the caller promises `n` writable values.
            unsafe { p.add(i).write(lane) }
        }
    }
    #[inline(always)]
    fn add(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        lanes!(i => a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        lanes!(i => a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        lanes!(i => a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        lanes!(i => a[i] / b[i])
    }
    #[inline(always)]
    fn min(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        lanes!(i => if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn max(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        lanes!(i => if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn fma(self, a: [f32; LANES], b: [f32; LANES], c: [f32; LANES]) -> [f32; LANES] {
        // Without such an instruction, `mul_add` is a slow library call.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            lanes!(i => a[i].mul_add(b[i], c[i]))
        } else {
            lanes!(i => a[i] * b[i] + c[i])
        }
    }
    #[inline(always)]
    fn abs(self, a: [f32; LANES]) -> [f32; LANES] {
        lanes!(i => a[i].abs())
    }
    #[inline(always)]
    fn round(self, a: [f32; LANES]) -> [f32; LANES] {
        lanes!(i => (a[i] + ROUNDER) - ROUNDER)
    }
    #[inline(always)]
    fn scale(self, a: [f32; LANES], n: [f32; LANES]) -> [f32; LANES] {
        // The low bits of `n + ROUNDER` are `n` in two's complement; the shift keeps only them.
        lanes!(i => a[i] * f32::from_bits((n[i] + (ROUNDER + 127.0)).to_bits() << 23))
    }
    #[inline(always)]
    fn sum(self, a: [f32; LANES]) -> f32 {
        (a[0] + a[2]) + (a[1] + a[3])
    }
    #[inline(always)]
    fn largest(self, a: [f32; LANES]) -> f32 {
        a[0].max(a[1]).max(a[2].max(a[3]))
    }

    #[inline(always)]
    fn splat_word(self, x: u32) -> [u32; LANES] {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load_words(self, p: *const u32) -> [u32; LANES] {
        // SAFETY: the caller promises `LANES` readable words.
        unsafe { p.cast::<[u32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store_words(self, p: *mut u32, v: [u32; LANES]) {
        // SAFETY: the caller promises `LANES` writable words.
        unsafe { p.cast::<[u32; LANES]>().write_unaligned(v) }
    }
    #[inline(always)]
    fn to_words(self, a: [f32; LANES]) -> [u32; LANES] {
        lanes!(i => a[i].to_bits())
    }
    #[inline(always)]
    fn add_words(self, a: [u32; LANES], b: [u32; LANES]) -> [u32; LANES] {
        lanes!(i => a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    fn words_to_f32(self, a: [u32; LANES]) -> [f32; LANES] {
        lanes!(i => a[i].cast_signed() as f32)
    }
    #[inline(always)]
    fn dot_bytes(self, acc: [u32; LANES], a: [u32; LANES], b: [u32; LANES]) -> [u32; LANES] {
        let mut out = acc;
        for i in 0..LANES {
            let (a, b) = (a[i].to_le_bytes(), b[i].to_le_bytes());
            for j in 0..4 {
                let product = i32::from(a[j]) * i32::from(b[j].cast_signed());
                out[i] = out[i].wrapping_add(product.cast_unsigned());
            }
        }
        out
    }
    #[inline(always)]
    unsafe fn store_bytes(self, p: *mut u8, v: [f32; LANES]) {
        let bytes: [u8; LANES] = lanes!(i => (v[i] + ROUNDER).to_bits() as u8);
        // SAFETY: the caller promises `LANES` writable bytes.
        unsafe { p.cast::<[u8; LANES]>().write_unaligned(bytes) }
    }
}
