//! Tensor cores: `mma`, `wmma`, `ldmatrix`, `stmatrix` and `movmatrix`.
//!
//! Products of the factors are exact in `f32`; they are added to the accumulator one after the other along k, each
//! sum rounded to the nearest. A card adds some at a time and cuts off, so the last places may differ.

use super::Opcode;
use super::operands::Operands;
use crate::block::{Machine, shared_address};
use crate::float::{Format, Rounding, bf16_to_f32, f16_to_f32};
use crate::fragment::{Fragment, Part, Shape};
use crate::memory::Fault;
use crate::registers::{ALL, LANES, Registers, Row, Slot};
use crate::step::Step;
use crate::types::{Space, Type};

pub(super) fn decode(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    match (opcode.words[0], opcode.words.get(1).copied().unwrap_or_default()) {
        ("mma", "sync") => mma(opcode, operands),
        ("wmma", "load") => wmma_load(opcode, operands),
        ("wmma", "store") => wmma_store(opcode, operands),
        ("wmma", "mma") => mma(opcode, operands),
        ("ldmatrix", "sync") => move_matrices(opcode, operands, false),
        ("stmatrix", "sync") => move_matrices(opcode, operands, true),
        _ => Ok(None),
    }
}

/// The type of the elements of a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    F16,
    Bf16,
    Tf32,
    Signed,
    Unsigned,
}

impl Element {
    fn of(kind: Type) -> Option<Self> {
        Some(match kind {
            Type::F16 => Self::F16,
            Type::Bf16 => Self::Bf16,
            Type::Tf32 => Self::Tf32,
            Type::Signed(8) => Self::Signed,
            Type::Unsigned(8) => Self::Unsigned,
            _ => return None,
        })
    }

    fn bits(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 16,
            Self::Tf32 => 32,
            Self::Signed | Self::Unsigned => 8,
        }
    }

    fn is_integer(self) -> bool {
        matches!(self, Self::Signed | Self::Unsigned)
    }

    /// Registers of a `wmma` factor: `f16` has eight of whatever shape, so some come twice or four times.
    fn wmma_registers(self, fragment: &Fragment) -> usize {
        if self == Self::F16 { 8 } else { fragment.registers() }
    }
}

fn shape(opcode: &Opcode<'_>) -> Result<Shape, String> {
    opcode.words.iter().find_map(|word| Shape::parse(word)).ok_or_else(|| "no shape".to_owned())
}

fn fragment(shape: Shape, part: Part, bits: usize) -> Result<Fragment, String> {
    Fragment::new(shape, part, bits).ok_or_else(|| "a shape whose fragments are not known".to_owned())
}

/// `mma` and `wmma.mma`: `d = a · b + c`.
fn mma(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let is_wmma = opcode.words[0] == "wmma";
    let shape = shape(opcode)?;
    // `wmma` of f16 names the accumulators only.
    let [d_kind, a_kind, b_kind, c_kind] = match opcode.types[..] {
        [d, a, b, c] => [d, a, b, c],
        [d, c] if is_wmma => [d, Type::F16, Type::F16, c],
        _ => return Ok(None),
    };
    let (Some(a_element), Some(b_element)) = (Element::of(a_kind), Element::of(b_kind)) else { return Ok(None) };
    let known = ["sync", "aligned", "row", "col", "mma", "satfinite"];
    let odd = opcode.words[1..]
        .iter()
        .find(|word| Type::parse(word).is_none() && Shape::parse(word).is_none() && !known.contains(word));
    if odd.is_some() || !is_wmma && !opcode.text.contains(".row.col") {
        return Ok(None);
    }
    if opcode.has("satfinite") && !a_element.is_integer() {
        return Ok(None);
    }
    let fragments = Fragments {
        d: fragment(shape, Part::Accumulator, d_kind.bits().into())?,
        a: fragment(shape, Part::A, a_element.bits())?,
        b: fragment(shape, Part::B, b_element.bits())?,
        c: fragment(shape, Part::Accumulator, c_kind.bits().into())?,
    };
    let d: Vec<Slot> = operands.destinations(0)?.iter().map(|register| register.slot).collect();
    let word = Type::Bits(32);
    let (a, b, c) = (operands.sources(1, word)?, operands.sources(2, word)?, operands.sources(3, word)?);
    let counts = |element: Element, fragment: &Fragment| {
        if is_wmma { element.wmma_registers(fragment) } else { fragment.registers() }
    };
    let expected = [
        fragments.d.registers(),
        counts(a_element, &fragments.a),
        counts(b_element, &fragments.b),
        fragments.c.registers(),
    ];
    if [d.len(), a.len(), b.len(), c.len()] != expected {
        return Err(format!("registers are not {expected:?}, as the shape has them"));
    }
    if a_element.is_integer() {
        return integer_mma(shape, fragments, [d, a, b, c], [a_element, b_element], opcode.has("satfinite"));
    }
    if a_element != b_element {
        return Ok(None);
    }
    let read_c: fn(u32) -> f32 = if c_kind == Type::F16 { |bits| f16_to_f32(bits as u16) } else { f32::from_bits };
    let write_d: fn(f32) -> u32 = match d_kind {
        Type::F16 => |value| Format::F16.round(value.into(), Rounding::NearestEven),
        Type::F32 => f32::to_bits,
        _ => return Ok(None),
    };
    Ok(Some(Step::Aligned(Box::new(move |machine, _| {
        let registers = &mut *machine.registers;
        let mut factors = ([0.0_f32; 512], [0.0_f32; 512]);
        read_factor(registers, &fragments.a, &a, a_element, &mut factors.0);
        read_factor(registers, &fragments.b, &b, b_element, &mut factors.1);
        let mut sums = [0.0_f32; 512];
        fragments.c.gather(&rows(registers, &c), &mut sums, read_c);
        multiply(shape, &factors.0, &factors.1, &mut sums);
        let results = fragments.d.scatter(&sums, write_d);
        d.iter().zip(&results).for_each(|(slot, row)| registers.write_row(*slot, row, ALL));
        Ok(())
    }))))
}

/// Where the matrices of a product lie.
struct Fragments {
    d: Fragment,
    a: Fragment,
    b: Fragment,
    c: Fragment,
}

fn rows<'a>(registers: &'a Registers, slots: &[Slot]) -> Vec<&'a Row> {
    slots.iter().map(|slot| registers.row(*slot)).collect()
}

fn read_factor(registers: &Registers, fragment: &Fragment, slots: &[Slot], element: Element, matrix: &mut [f32]) {
    let rows = rows(registers, slots);
    match element {
        Element::F16 => fragment.gather(&rows, matrix, |bits| f16_to_f32(bits as u16)),
        Element::Bf16 => fragment.gather(&rows, matrix, |bits| bf16_to_f32(bits as u16)),
        // The tensor core reads 19 bits and leaves the others.
        _ => fragment.gather(&rows, matrix, |bits| f32::from_bits(bits & 0xffff_e000)),
    }
}

/// Adds a product of matrices that lie row by row.
#[inline]
fn multiply(shape: Shape, a: &[f32], b: &[f32], sums: &mut [f32]) {
    match shape.n {
        8 => multiply_by::<8>(shape, a, b, sums),
        16 => multiply_by::<16>(shape, a, b, sums),
        _ => multiply_by::<32>(shape, a, b, sums),
    }
}

#[inline]
fn multiply_by<const N: usize>(shape: Shape, a: &[f32], b: &[f32], sums: &mut [f32]) {
    for (sums, a) in sums.chunks_exact_mut(N).zip(a.chunks_exact(shape.k)).take(shape.m) {
        for (factor, b) in a.iter().zip(b.chunks_exact(N)) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum += factor * b;
            }
        }
    }
}

fn integer_mma(
    shape: Shape,
    fragments: Fragments,
    [d, a, b, c]: [Vec<Slot>; 4],
    elements: [Element; 2],
    saturates: bool,
) -> Result<Option<Step>, String> {
    let value = |element: Element| -> fn(u32) -> i64 {
        if element == Element::Signed { |bits| i64::from(bits as i8) } else { |bits| i64::from(bits as u8) }
    };
    let values = elements.map(value);
    Ok(Some(Step::Aligned(Box::new(move |machine, _| {
        let registers = &mut *machine.registers;
        let (mut left, mut right, mut sums) = ([0; 512], [0; 1024], [0_i64; 512]);
        fragments.a.gather(&rows(registers, &a), &mut left, values[0]);
        fragments.b.gather(&rows(registers, &b), &mut right, values[1]);
        fragments.c.gather(&rows(registers, &c), &mut sums, |bits| i64::from(bits as i32));
        for row in 0..shape.m {
            for column in 0..shape.n {
                let products = (0..shape.k).map(|at| left[row * shape.k + at] * right[at * shape.n + column]);
                sums[row * shape.n + column] += products.sum::<i64>();
            }
        }
        let narrow = |sum: i64| if saturates { sum.clamp(i32::MIN.into(), i32::MAX.into()) as u32 } else { sum as u32 };
        let results = fragments.d.scatter(&sums, narrow);
        d.iter().zip(&results).for_each(|(slot, row)| registers.write_row(*slot, row, ALL));
        Ok(())
    }))))
}

/// A matrix in memory, as `wmma.load` and `wmma.store` see it.
struct Matrix {
    fragment: Fragment,
    space: Space,
    by_column: bool,
    bytes: usize,
    /// Elements from one row, or column, to the next.
    stride: Option<Slot>,
    packed: usize,
    address: super::Address,
}

impl Matrix {
    fn parse(
        opcode: &Opcode<'_>,
        operands: &mut Operands<'_>,
        address_at: usize,
        stride_at: usize,
    ) -> Result<(Self, Part, Type), String> {
        let part = match opcode.words.get(2) {
            Some(&"a") => Part::A,
            Some(&"b") => Part::B,
            Some(&("c" | "d")) => Part::Accumulator,
            _ => return Err("no matrix".to_owned()),
        };
        let kind = opcode.kind()?;
        let shape = shape(opcode)?;
        let (rows, columns) = shape.of(part);
        let by_column = opcode.has("col");
        let stride = if operands.len() > stride_at { Some(operands.source(stride_at, Type::Bits(32))?) } else { None };
        let matrix = Self {
            fragment: fragment(shape, part, kind.bits().into())?,
            space: Space::of(&opcode.words),
            by_column,
            bytes: kind.bytes(),
            stride,
            packed: if by_column { rows } else { columns },
            address: operands.address(address_at)?,
        };
        Ok((matrix, part, kind))
    }

    /// Start and stride, which all lanes have in common.
    fn origin(&self, machine: &Machine<'_, '_>) -> Result<(u64, u64), Fault> {
        let start = machine.addresses(self.address)[0];
        let stride = self.stride.map_or(self.packed as u64, |stride| u64::from(machine.registers.row(stride)[0]));
        // The PTX ISA ("wmma.load") asks for 32 bytes where the matrix begins, but CubeK has kernels that keep only 16.
        if !(stride * self.bytes as u64).is_multiple_of(16) || !start.is_multiple_of(16) {
            return Err(Fault(format!("a matrix at {start:#x} with rows of {stride} elements is not aligned")));
        }
        Ok((start, stride))
    }

    fn address(&self, origin: (u64, u64), register: usize, at: usize, lane: usize) -> u64 {
        let (row, column) = self.fragment.place(register, at, lane);
        let (major, minor) = if self.by_column { (column, row) } else { (row, column) };
        origin.0 + (major as u64 * origin.1 + minor as u64) * self.bytes as u64
    }
}

fn wmma_load(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (matrix, part, kind) = Matrix::parse(opcode, operands, 1, 2)?;
    let parts: Vec<Slot> = operands.destinations(0)?.iter().map(|register| register.slot).collect();
    let own = matrix.fragment.registers();
    let expected = match Element::of(kind) {
        Some(element) if part != Part::Accumulator => element.wmma_registers(&matrix.fragment),
        _ => own,
    };
    if parts.len() != expected {
        return Err(format!("{} registers where the shape has {expected}", parts.len()));
    }
    let bits = 8 * matrix.bytes as u32;
    Ok(Some(Step::Aligned(Box::new(move |machine, _| {
        let origin = matrix.origin(machine)?;
        let mut rows = vec![[0; LANES]; own];
        for (register, row) in rows.iter_mut().enumerate() {
            for at in 0..matrix.fragment.per_register() {
                for (lane, cell) in row.iter_mut().enumerate() {
                    let address = matrix.address(origin, register, at, lane);
                    *cell |= (machine.load(matrix.space, lane, address, matrix.bytes)? as u32) << (at as u32 * bits);
                }
            }
        }
        parts.iter().zip(rows.iter().cycle()).for_each(|(slot, row)| machine.registers.write_row(*slot, row, ALL));
        Ok(())
    }))))
}

fn wmma_store(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (matrix, ..) = Matrix::parse(opcode, operands, 0, 2)?;
    let parts = operands.sources(1, Type::Bits(32))?;
    if parts.len() != matrix.fragment.registers() {
        return Err(format!("{} registers where the shape has {}", parts.len(), matrix.fragment.registers()));
    }
    let bits = 8 * matrix.bytes as u32;
    Ok(Some(Step::Aligned(Box::new(move |machine, _| {
        let origin = matrix.origin(machine)?;
        machine.block.progress += 1;
        for (register, slot) in parts.iter().enumerate() {
            let row = *machine.registers.row(*slot);
            for at in 0..matrix.fragment.per_register() {
                for (lane, cell) in row.iter().enumerate() {
                    let value = u64::from(cell >> (at as u32 * bits)) & ((1 << bits) - 1);
                    machine.store(
                        matrix.space,
                        lane,
                        matrix.address(origin, register, at, lane),
                        matrix.bytes,
                        value,
                    )?;
                }
            }
        }
        Ok(())
    }))))
}

/// Eight rows of eight 16-bit elements.
type Tile = [[u16; 8]; 8];

/// The element of a tile that a lane has in one half of its register.
fn tile_place(lane: usize, half: usize, transposed: bool) -> (usize, usize) {
    let (row, column) = (lane / 4, 2 * (lane % 4) + half);
    if transposed { (column, row) } else { (row, column) }
}

/// `ldmatrix` and `stmatrix`: the rows of matrix i are at the addresses of lanes 8i to 8i + 7.
fn move_matrices(opcode: &Opcode<'_>, operands: &mut Operands<'_>, stores: bool) -> Result<Option<Step>, String> {
    let count =
        [("x1", 1), ("x2", 2), ("x4", 4)].into_iter().find(|(word, _)| opcode.has(word)).map(|(_, count)| count);
    let Some(count) = count.filter(|_| opcode.has("m8n8") && opcode.has("b16")) else { return Ok(None) };
    let transposed = opcode.has("trans");
    let (list, address) = if stores { (1, operands.address(0)?) } else { (0, operands.address(1)?) };
    let slots = operands.sources(list, Type::Bits(32))?;
    if slots.len() != count {
        return Err("registers are not as many as matrices".to_owned());
    }
    Ok(Some(Step::Aligned(Box::new(move |machine, _| {
        let addresses = machine.addresses(address);
        for (number, slot) in slots.iter().enumerate() {
            let rows = &addresses[8 * number..8 * number + 8];
            if stores {
                let row = *machine.registers.row(*slot);
                let mut tile = Tile::default();
                for (lane, cell) in row.iter().enumerate() {
                    for half in 0..2 {
                        let (row, column) = tile_place(lane, half, transposed);
                        tile[row][column] = (cell >> (16 * half)) as u16;
                    }
                }
                store_tile(machine, rows, &tile)?;
            } else {
                let tile = load_tile(machine, rows)?;
                let value = |lane: usize, half: usize| {
                    let (row, column) = tile_place(lane, half, transposed);
                    u32::from(tile[row][column])
                };
                let row = std::array::from_fn(|lane| value(lane, 0) | value(lane, 1) << 16);
                machine.registers.write_row(*slot, &row, ALL);
            }
        }
        Ok(())
    }))))
}

fn row_address(address: u64) -> Result<u64, Fault> {
    let address = shared_address(address)?;
    if address.is_multiple_of(16) { Ok(address) } else { Err(crate::memory::misaligned("shared", address, 16)) }
}

fn load_tile(machine: &mut Machine<'_, '_>, addresses: &[u64]) -> Result<Tile, Fault> {
    let mut tile = Tile::default();
    for (row, address) in tile.iter_mut().zip(addresses) {
        let address = row_address(*address)?;
        for part in 0..2 {
            let word = machine.load(Space::Shared, 0, address + 8 * part as u64, 8)?;
            (0..4).for_each(|at| row[4 * part + at] = (word >> (16 * at)) as u16);
        }
    }
    Ok(tile)
}

fn store_tile(machine: &mut Machine<'_, '_>, addresses: &[u64], tile: &Tile) -> Result<(), Fault> {
    machine.block.progress += 1;
    for (row, address) in tile.iter().zip(addresses) {
        let address = row_address(*address)?;
        for part in 0..2 {
            let word = (0..4).fold(0, |word, at| word | u64::from(row[4 * part + at]) << (16 * at));
            machine.store(Space::Shared, 0, address + 8 * part as u64, 8, word)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_gives_each_lane_two_neighbours() {
        // PTX ISA, "ldmatrix": lane l gets row l / 4, columns 2 (l mod 4) and the next; transposed, rows and columns change places.
        assert_eq!((tile_place(0, 0, false), tile_place(0, 1, false)), ((0, 0), (0, 1)));
        assert_eq!((tile_place(6, 0, false), tile_place(31, 1, false)), ((1, 4), (7, 7)));
        assert_eq!(tile_place(6, 0, true), (4, 1));
    }

    #[test]
    fn a_product_is_added_to_what_is_there() {
        let shape = Shape { m: 16, n: 8, k: 4 };
        let a: Vec<f32> = (0..64).map(|at| at as f32).collect();
        let b: Vec<f32> = (0..32).map(|at| (at % 5) as f32 - 2.0).collect();
        let mut sums = vec![1.0; 128];
        multiply(shape, &a, &b, &mut sums);
        for row in 0..16 {
            for column in 0..8 {
                let product: f32 = (0..4).map(|at| a[row * 4 + at] * b[at * 8 + column]).sum();
                assert_eq!(sums[row * 8 + column], 1.0 + product);
            }
        }
    }
}
