//! Special registers: where a thread is, and what it can ask of the machine.

use crate::registers::{LANES, Row};

/// Where a warp is: what its special registers are computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    /// The block's place in the grid.
    pub(crate) index: [u32; 3],
    /// The number of the warp in its block.
    pub(crate) warp: u32,
    pub(crate) dynamic_shared: u32,
    pub(crate) total_shared: u32,
}

/// A special register that keeps its value while a block runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Thread(usize),
    BlockSize(usize),
    Block(usize),
    GridSize(usize),
    Lane,
    Warp,
    Warps,
    LanesEqual,
    LanesBelow,
    LanesUpTo,
    LanesAbove,
    LanesFrom,
    DynamicShared,
    TotalShared,
    /// Blocks are clusters of their own.
    One,
    Zero,
}

impl Special {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (base, axis) = match name.split_once('.') {
            Some((base, axis)) => (base, ["x", "y", "z"].iter().position(|name| *name == axis)?),
            None => (name, 3),
        };
        Some(match (base, axis) {
            ("%tid", 0..3) => Self::Thread(axis),
            ("%ntid", 0..3) => Self::BlockSize(axis),
            ("%ctaid" | "%clusterid", 0..3) => Self::Block(axis),
            ("%nctaid" | "%nclusterid", 0..3) => Self::GridSize(axis),
            ("%laneid", 3) => Self::Lane,
            ("%warpid", 3) => Self::Warp,
            ("%nwarpid", 3) => Self::Warps,
            ("%lanemask_eq", 3) => Self::LanesEqual,
            ("%lanemask_lt", 3) => Self::LanesBelow,
            ("%lanemask_le", 3) => Self::LanesUpTo,
            ("%lanemask_gt", 3) => Self::LanesAbove,
            ("%lanemask_ge", 3) => Self::LanesFrom,
            ("%dynamic_smem_size", 3) => Self::DynamicShared,
            ("%total_smem_size", 3) => Self::TotalShared,
            ("%cluster_nctaid", 0..3) | ("%cluster_nctarank" | "%nsmid", 3) => Self::One,
            ("%cluster_ctaid", 0..3) | ("%cluster_ctarank" | "%smid" | "%gridid", 3) => Self::Zero,
            _ => return None,
        })
    }

    pub(crate) fn row(self, place: &Place) -> Row {
        let [x, y, _] = place.block;
        std::array::from_fn(|lane| {
            let thread = place.warp * LANES as u32 + lane as u32;
            let bit = 1_u32 << lane;
            match self {
                Self::Thread(axis) => [thread % x, thread / x % y, thread / x / y][axis],
                Self::BlockSize(axis) => place.block[axis],
                Self::Block(axis) => place.index[axis],
                Self::GridSize(axis) => place.grid[axis],
                Self::Lane => lane as u32,
                Self::Warp => place.warp,
                Self::Warps => place.block.iter().product::<u32>().div_ceil(LANES as u32),
                Self::LanesEqual => bit,
                Self::LanesBelow => bit - 1,
                Self::LanesUpTo => bit | (bit - 1),
                Self::LanesAbove => !(bit | (bit - 1)),
                Self::LanesFrom => !(bit - 1),
                Self::DynamicShared => place.dynamic_shared,
                Self::TotalShared => place.total_shared,
                Self::One => 1,
                Self::Zero => 0,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_numbered_along_x_first() {
        let place =
            Place { grid: [9, 1, 1], block: [8, 4, 3], index: [5, 0, 0], warp: 2, dynamic_shared: 0, total_shared: 0 };
        let row = |name: &str| Special::parse(name).unwrap().row(&place);
        assert_eq!((row("%tid.x")[9], row("%tid.y")[9], row("%tid.z")[9]), (1, 1, 2));
        assert_eq!((row("%ctaid.x")[0], row("%nctaid.x")[0], row("%nwarpid")[0]), (5, 9, 3));
        assert_eq!((row("%lanemask_lt")[4], row("%lanemask_ge")[31]), (0b1111, 1 << 31));
        assert_eq!(Special::parse("%r5"), None);
    }
}
