//! Fragments: which element of a matrix lies in which lane and register.
//!
//! Those of `mma` are the ones of the PTX ISA ("Matrix Fragments for mma.m16n8k16" and its sisters). Those of `wmma` are
//! not documented; they are laid out here as compute capability 8.0 and later do it, where a `wmma` is made of `mma`s:
//! 16 × 16 are two of 16 × 8, 32 × 8 are two of 16 × 8, 8 × 32 are the transpose of that. Kernels that work on elements of a
//! fragment see the same pairing of lanes and registers for every type of accumulator, as on a card.

use crate::registers::{LANES, Row};

/// A matrix of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// m × k
    A,
    /// k × n
    B,
    /// m × n
    Accumulator,
}

/// Sizes of a product: m, n and k.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
}

impl Shape {
    /// Reads `m16n8k16`.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let (m, rest) = word.strip_prefix('m')?.split_once('n')?;
        let (n, k) = rest.split_once('k')?;
        Some(Self { m: m.parse().ok()?, n: n.parse().ok()?, k: k.parse().ok()? })
    }

    /// Rows and columns of a matrix.
    pub(crate) fn of(self, part: Part) -> (usize, usize) {
        match part {
            Part::A => (self.m, self.k),
            Part::B => (self.k, self.n),
            Part::Accumulator => (self.m, self.n),
        }
    }
}

/// Where the elements of a matrix lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// Elements in a register.
    per_register: usize,
    columns: usize,
    /// For each register and each element in it: the number of the element of each lane, row by row.
    places: Vec<[u16; LANES]>,
}

impl Fragment {
    /// The fragment of a matrix whose elements have so many bits.
    pub(crate) fn new(shape: Shape, part: Part, bits: usize) -> Option<Self> {
        let per = 32 / bits;
        let (rows, columns) = shape.of(part);
        let tall = matches!((shape.m, shape.n), (16, 8 | 16) | (32, 8));
        if !(tall || (shape.m, shape.n) == (8, 32)) || !shape.k.is_multiple_of(4 * per) {
            return None;
        }
        let registers = (rows * columns / LANES).div_ceil(per);
        let place = |lane: usize, register: usize, at: usize| -> (usize, usize) {
            let (group, thread) = (lane / 4, lane % 4);
            // Elements of an accumulator come in pairs, whichever type they have.
            let element = register * per + at;
            let along_k = thread * per + at;
            match part {
                Part::Accumulator if tall => {
                    let (row, column) = (group + 8 * (element >> 1 & 1), 2 * thread + (element & 1));
                    if shape.m == 32 { (row + 16 * (element >> 2), column) } else { (row, column + 8 * (element >> 2)) }
                }
                Part::Accumulator => (2 * thread + (element & 1), group + 8 * (element >> 1 & 1) + 16 * (element >> 2)),
                Part::A if tall => {
                    let in_k = 2 * (shape.k / (4 * per));
                    let (tile, register) = (register / in_k, register % in_k);
                    (group + 8 * (register & 1) + 16 * tile, along_k + 4 * per * (register >> 1))
                }
                Part::A => (group, along_k + 4 * per * register),
                Part::B if tall => {
                    let in_k = shape.k / (4 * per);
                    (along_k + 4 * per * (register % in_k), group + 8 * (register / in_k))
                }
                Part::B => {
                    let in_k = 2 * (shape.k / (4 * per));
                    let (tile, register) = (register / in_k, register % in_k);
                    (along_k + 4 * per * (register >> 1), group + 8 * (register & 1) + 16 * tile)
                }
            }
        };
        let mut places = Vec::with_capacity(registers * per);
        for register in 0..registers {
            for at in 0..per {
                places.push(std::array::from_fn(|lane| {
                    let (row, column) = place(lane, register, at);
                    (row * columns + column) as u16
                }));
            }
        }
        Some(Self { per_register: per, columns, places })
    }

    /// Registers of a lane.
    pub(crate) fn registers(&self) -> usize {
        self.places.len() / self.per_register
    }

    /// Row and column of an element of a lane.
    pub(crate) fn place(&self, register: usize, at: usize, lane: usize) -> (usize, usize) {
        let place = usize::from(self.places[register * self.per_register + at][lane]);
        (place / self.columns, place % self.columns)
    }

    pub(crate) fn per_register(&self) -> usize {
        self.per_register
    }

    /// Collects a matrix from the rows of its registers, row by row.
    #[inline]
    pub(crate) fn gather<T: Copy>(&self, rows: &[&Row], matrix: &mut [T], value: impl Fn(u32) -> T) {
        let bits = 32 / self.per_register as u32;
        for (number, places) in self.places.iter().enumerate() {
            let (row, shift) = (rows[number / self.per_register], (number % self.per_register) as u32 * bits);
            for lane in 0..LANES {
                matrix[usize::from(places[lane])] = value(row[lane] >> shift);
            }
        }
    }

    /// Puts a matrix into the rows of its registers.
    #[inline]
    pub(crate) fn scatter<T: Copy>(&self, matrix: &[T], bits_of: impl Fn(T) -> u32) -> Vec<Row> {
        let bits = 32 / self.per_register as u32;
        let mut rows = vec![[0; LANES]; self.registers()];
        for (number, places) in self.places.iter().enumerate() {
            let (row, shift) = (&mut rows[number / self.per_register], (number % self.per_register) as u32 * bits);
            for lane in 0..LANES {
                row[lane] |= bits_of(matrix[usize::from(places[lane])]) << shift;
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(shape: &str, part: Part, bits: usize) -> Fragment {
        Fragment::new(Shape::parse(shape).unwrap(), part, bits).unwrap()
    }

    /// The formulas of the PTX ISA, 9.7.14.5, word for word: `row = …`, `col = …` for element `i` of a lane.
    #[test]
    fn fragments_of_mma_are_those_of_the_reference() {
        for lane in 0..LANES {
            let (group, thread) = (lane >> 2, lane % 4);
            // m16n8k16, 16 bits.
            let (a, b) = (fragment("m16n8k16", Part::A, 16), fragment("m16n8k16", Part::B, 16));
            for i in 0..8 {
                let row = if (0..2).contains(&i) || (4..6).contains(&i) { group } else { group + 8 };
                let column = if i < 4 { thread * 2 + (i & 1) } else { thread * 2 + (i & 1) + 8 };
                assert_eq!(a.place(i / 2, i % 2, lane), (row, column), "a{i} of lane {lane}");
            }
            for i in 0..4 {
                let row = if i < 2 { thread * 2 + (i & 1) } else { thread * 2 + (i & 1) + 8 };
                assert_eq!(b.place(i / 2, i % 2, lane), (row, group), "b{i} of lane {lane}");
            }
            // m16n8k8, 16 bits.
            let (a, b) = (fragment("m16n8k8", Part::A, 16), fragment("m16n8k8", Part::B, 16));
            for i in 0..4 {
                let row = if i < 2 { group } else { group + 8 };
                assert_eq!(a.place(i / 2, i % 2, lane), (row, thread * 2 + (i & 1)));
            }
            (0..2).for_each(|i| assert_eq!(b.place(0, i, lane), (thread * 2 + i, group)));
            // m16n8k8, TF32.
            let (a, b) = (fragment("m16n8k8", Part::A, 32), fragment("m16n8k8", Part::B, 32));
            for i in 0..4 {
                let row = if i == 0 || i == 2 { group } else { group + 8 };
                let column = if i < 2 { thread } else { thread + 4 };
                assert_eq!(a.place(i, 0, lane), (row, column));
            }
            assert_eq!((b.place(0, 0, lane), b.place(1, 0, lane)), ((thread, group), (thread + 4, group)));
            // m16n8k4, TF32.
            let (a, b) = (fragment("m16n8k4", Part::A, 32), fragment("m16n8k4", Part::B, 32));
            assert_eq!((a.place(0, 0, lane), a.place(1, 0, lane)), ((group, thread), (group + 8, thread)));
            assert_eq!(b.place(0, 0, lane), (thread, group));
            // m16n8k32, 8 bits.
            let (a, b) = (fragment("m16n8k32", Part::A, 8), fragment("m16n8k32", Part::B, 8));
            for i in 0..16 {
                let row = if (0..4).contains(&i) || (8..12).contains(&i) { group } else { group + 8 };
                let column = if i < 8 { thread * 4 + (i & 3) } else { thread * 4 + (i & 3) + 16 };
                assert_eq!(a.place(i / 4, i % 4, lane), (row, column));
            }
            for i in 0..8 {
                let row = if i < 4 { thread * 4 + (i & 3) } else { thread * 4 + (i & 3) + 16 };
                assert_eq!(b.place(i / 4, i % 4, lane), (row, group));
            }
            // Accumulators: the same for all of them, in 32 bits and in 16.
            for shape in ["m16n8k16", "m16n8k8", "m16n8k32"] {
                let (whole, half) = (fragment(shape, Part::Accumulator, 32), fragment(shape, Part::Accumulator, 16));
                for i in 0..4 {
                    let row = if i < 2 { group } else { group + 8 };
                    assert_eq!(whole.place(i, 0, lane), (row, thread * 2 + (i & 1)));
                    assert_eq!(half.place(i / 2, i % 2, lane), (row, thread * 2 + (i & 1)));
                }
            }
        }
    }

    #[test]
    fn every_element_lies_in_one_place() {
        let shapes = [
            ("m16n8k16", 16),
            ("m16n8k8", 32),
            ("m16n16k16", 16),
            ("m32n8k16", 16),
            ("m8n32k16", 16),
            ("m16n16k8", 32),
            ("m16n16k16", 8),
        ];
        for (shape, bits) in shapes {
            for (part, bits) in [(Part::A, bits), (Part::B, bits), (Part::Accumulator, 32), (Part::Accumulator, 16)] {
                let fragment = fragment(shape, part, bits);
                let (rows, columns) = Shape::parse(shape).unwrap().of(part);
                let mut seen = vec![0; rows * columns];
                fragment.places.iter().flatten().for_each(|place| seen[usize::from(*place)] += 1);
                assert!(seen.iter().all(|count| *count == 1), "{shape} {part:?} {bits}");
            }
        }
    }

    #[test]
    fn what_is_scattered_is_gathered() {
        let fragment = fragment("m8n32k16", Part::B, 16);
        let matrix: Vec<u16> = (0..512).collect();
        let rows = fragment.scatter(&matrix, u32::from);
        let mut found = vec![0; matrix.len()];
        fragment.gather(&rows.iter().collect::<Vec<_>>(), &mut found, |bits| bits as u16);
        assert_eq!(found, matrix);
    }

    #[test]
    fn shapes_without_known_fragments_are_refused() {
        assert_eq!(Fragment::new(Shape::parse("m8n8k4").unwrap(), Part::A, 16), None);
        assert_eq!(Shape::parse("m16n8"), None);
    }
}
