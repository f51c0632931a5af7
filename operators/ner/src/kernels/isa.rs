//! The choice of an instruction set, at run time.

use super::precision::Precision;
#[cfg(target_arch = "x86_64")]
use super::simd::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use super::simd::avx512::{self, Avx512};
use super::simd::portable::Portable;
use super::simd::{Kernel, Simd};

/// A family of vector instructions, from narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What every processor of the compilation target has.
    Portable,
    /// AVX2 and FMA: 8 lanes.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: 16 lanes.
    Avx512,
}

/// The instructions that kernels use: those of this processor, or fewer if asked.
///
/// Weights are packed for one `Isa` and stay with it. There is no other way to make one than to ask the processor,
/// so holding it proves that its instructions exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa {
    level: Level,
    byte_dot: bool,
    bf16_dot: bool,
}

impl Isa {
    /// Everything that this processor has.
    pub fn detect() -> Self {
        Self::at_most(Level::Avx512)
    }

    /// What this processor has, up to a level.
    pub fn at_most(limit: Level) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if limit >= Level::Avx512 && has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
                return Self { level: Level::Avx512, byte_dot: has!("avx512vnni"), bf16_dot: has!("avx512bf16") };
            }
            if limit >= Level::Avx2 && has!("avx2") && has!("fma") {
                return Self { level: Level::Avx2, byte_dot: has!("avxvnni"), bf16_dot: false };
            }
        }
        Self { level: limit.min(Level::Portable), byte_dot: false, bf16_dot: false }
    }

    /// Every choice that this processor offers, narrowest first: each level, without and with its byte products.
    pub fn available() -> Vec<Self> {
        let mut all: Vec<_> = [Level::Portable, Level::Avx2, Level::Avx512]
            .into_iter()
            .flat_map(|level| [Self::at_most(level).without_byte_dot(), Self::at_most(level)])
            .collect();
        all.dedup();
        all
    }

    /// The precisions that it computes in.
    pub fn precisions(self) -> impl Iterator<Item = Precision> {
        let all = [Precision::F32, Precision::Bf16, Precision::Int8];
        all.into_iter().filter(move |precision| *precision != Precision::Bf16 || self.bf16_dot)
    }

    /// The same without VNNI: 8-bit products are widened instead, with the same results.
    pub fn without_byte_dot(self) -> Self {
        Self { byte_dot: false, ..self }
    }

    /// The level.
    pub fn level(self) -> Level {
        self.level
    }

    /// Whether 8-bit products have an instruction of their own (VNNI).
    pub fn has_byte_dot(self) -> bool {
        self.byte_dot
    }

    /// Whether bfloat16 products have an instruction of their own.
    pub fn has_bf16_dot(self) -> bool {
        self.bf16_dot
    }

    /// Columns of a weight panel: two vectors.
    pub(super) fn panel_columns(self) -> usize {
        2 * match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::<{ avx512::BASE }>::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::<false>::LANES,
            _ => Portable::LANES,
        }
    }

    /// Rows of a register tile.
    pub(super) fn tile_rows(self) -> usize {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::<{ avx512::BASE }>::TILE_ROWS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::<false>::TILE_ROWS,
            _ => Portable::TILE_ROWS,
        }
    }

    /// Runs a kernel that multiplies no bytes.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn run<K, T>(self, kernel: K) -> T
    where
        K: Kernel<Portable, Output = T>
            + Kernel<Avx2<false>, Output = T>
            + Kernel<Avx512<{ avx512::BASE }>, Output = T>,
    {
        match self.level {
            Level::Portable => Portable.call(kernel),
            // SAFETY: `at_most` saw the features of the level.
            Level::Avx2 => unsafe { Avx2::<false>::assume() }.call(kernel),
            // SAFETY: `at_most` saw the features of the level.
            Level::Avx512 => unsafe { Avx512::<{ avx512::BASE }>::assume() }.call(kernel),
        }
    }

    /// Runs a kernel that multiplies bytes.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn run_bytes<K, T>(self, kernel: K) -> T
    where
        K: Kernel<Portable, Output = T>
            + Kernel<Avx2<false>, Output = T>
            + Kernel<Avx2<true>, Output = T>
            + Kernel<Avx512<{ avx512::BASE }>, Output = T>
            + Kernel<Avx512<{ avx512::VNNI }>, Output = T>,
    {
        match (self.level, self.byte_dot) {
            // SAFETY: `at_most` saw the level and its byte products.
            (Level::Avx2, true) => unsafe { Avx2::<true>::assume() }.call(kernel),
            // SAFETY: `at_most` saw the level and its byte products.
            (Level::Avx512, true) => unsafe { Avx512::<{ avx512::VNNI }>::assume() }.call(kernel),
            _ => self.run(kernel),
        }
    }

    /// Runs a kernel that multiplies bfloat16, if the processor can.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn run_bf16<K: Kernel<Avx512<{ avx512::BF16 }>>>(self, kernel: K) -> Option<K::Output> {
        // SAFETY: `at_most` saw the features of the level and its bfloat16 products.
        self.bf16_dot.then(|| unsafe { Avx512::<{ avx512::BF16 }>::assume() }.call(kernel))
    }

    /// Runs a kernel.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn run<K: Kernel<Portable, Output = T>, T>(self, kernel: K) -> T {
        Portable.call(kernel)
    }

    /// Runs a kernel that multiplies bytes.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn run_bytes<K: Kernel<Portable, Output = T>, T>(self, kernel: K) -> T {
        Portable.call(kernel)
    }
}
