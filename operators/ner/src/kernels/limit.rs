//! The machine's arithmetic limit: products and sums in registers, without memory access.

use super::isa::Isa;
use super::simd::{Kernel, Simd};

/// Multiplies and adds in registers, `rounds` times over all accumulators of a register tile, and returns the number of
/// floating-point operations. Divided by the time, that is the limit of this thread.
pub fn register_flops(isa: Isa, rounds: usize) -> usize {
    isa.run(Registers { rounds })
}

struct Registers {
    rounds: usize,
}

/// Enough chains to hide latency, few enough for the registers of every instruction set.
const CHAINS: usize = 10;

impl<S: Simd> Kernel<S> for Registers {
    type Output = usize;

    #[inline(always)]
    fn run(self, s: S) -> usize {
        let (factor, term) = std::hint::black_box((0.999, 0.001));
        let (factor, term) = (s.splat(factor), s.splat(term));
        let mut chains = [s.splat(1.0); CHAINS];
        for _ in 0..self.rounds {
            for chain in &mut chains {
                *chain = s.fma(*chain, factor, term);
            }
        }
        for chain in chains {
            std::hint::black_box(s.sum(chain));
        }
        2 * self.rounds * CHAINS * S::LANES
    }
}
