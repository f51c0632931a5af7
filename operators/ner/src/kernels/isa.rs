//! Selects an instruction set at run time.

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
    /// Available on every processor of the compilation target.
    Portable,
    /// AVX2 and FMA: 8 lanes.
    Avx2,
    /// AVX-512 F, BW, DQ and VL: 16 lanes.
    Avx512,
}

/// The instructions that kernels use: all of this processor's, or fewer on request.
///
/// Weights are packed for one `Isa`. It can only be made by querying the processor, so a value proves that its instructions
/// exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa {
    level: Level,
    byte_dot: bool,
    bf16_dot: bool,
}

impl Isa {
    /// Everything that this processor supports.
    pub fn detect() -> Self {
        Self::at_most(Level::Avx512)
    }

    /// What this processor supports, up to a level.
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

    /// Every choice on this processor, narrowest first: each level, without and with 8-bit products.
    pub fn available() -> Vec<Self> {
        let mut all: Vec<_> = [Level::Portable, Level::Avx2, Level::Avx512]
            .into_iter()
            .flat_map(|level| [Self::at_most(level).without_byte_dot(), Self::at_most(level)])
            .collect();
        all.dedup();
        all
    }

    /// The supported precisions.
    pub fn precisions(self) -> impl Iterator<Item = Precision> {
        let all = [Precision::F32, Precision::Bf16, Precision::Int8];
        all.into_iter().filter(move |precision| *precision != Precision::Bf16 || self.bf16_dot)
    }

    /// The same without VNNI; 8-bit products are widened instead, with the same results.
    pub fn without_byte_dot(self) -> Self {
        Self { byte_dot: false, ..self }
    }

    /// The level.
    pub fn level(self) -> Level {
        self.level
    }

    /// Whether there are instructions for 8-bit products (VNNI).
    pub fn has_byte_dot(self) -> bool {
        self.byte_dot
    }

    /// Whether there are instructions for bfloat16 products.
    pub fn has_bf16_dot(self) -> bool {
        self.bf16_dot
    }

    /// Columns per weight panel: two vectors.
    pub(super) fn panel_columns(self) -> usize {
        2 * match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::<{ avx512::BASE }>::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::<false>::LANES,
            _ => Portable::LANES,
        }
    }

    /// Rows per register tile.
    pub(super) fn tile_rows(self) -> usize {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::<{ avx512::BASE }>::TILE_ROWS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::<false>::TILE_ROWS,
            _ => Portable::TILE_ROWS,
        }
    }

    /// Runs a kernel without 8-bit products.
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

    /// Runs a kernel with 8-bit products.
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
            // SAFETY: `at_most` saw the level and its 8-bit products.
            (Level::Avx2, true) => unsafe { Avx2::<true>::assume() }.call(kernel),
            // SAFETY: `at_most` saw the level and its 8-bit products.
            (Level::Avx512, true) => unsafe { Avx512::<{ avx512::VNNI }>::assume() }.call(kernel),
            _ => self.run(kernel),
        }
    }

    /// Runs a kernel with bfloat16 products, if the processor supports them.
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

    /// Runs a kernel with 8-bit products.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn run_bytes<K: Kernel<Portable, Output = T>, T>(self, kernel: K) -> T {
        Portable.call(kernel)
    }
}
