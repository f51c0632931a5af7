//! The registers of a warp: a row of 32 lanes for each, two rows for 64 bits.

use crate::float::{Format, Rounding, bf16_to_f32, f16_to_f32};

/// Lanes of a warp.
pub(crate) const LANES: usize = 32;

/// A mask of all lanes.
pub(crate) const ALL: u32 = u32::MAX;

/// 32 bits of every lane.
pub(crate) type Row = [u32; LANES];

/// The place of a register: its first row. A 64-bit register has its upper half in the row behind it.
/// A predicate is a mask of lanes, in the first cell of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    fn at(self) -> usize {
        self.0 as usize
    }
}

/// The lanes of a mask, from the lowest.
pub(crate) fn lanes(mask: u32) -> impl Iterator<Item = usize> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        let lane = rest.trailing_zeros();
        rest &= rest.wrapping_sub(1);
        (lane < LANES as u32).then_some(lane as usize)
    })
}

/// The registers of a warp.
#[derive(Debug)]
pub(crate) struct Registers {
    rows: Vec<Row>,
}

impl Registers {
    /// So many rows, which hold NaNs: no program reads what it has not written.
    pub(crate) fn new(rows: usize) -> Self {
        Self { rows: vec![[u32::MAX; LANES]; rows] }
    }

    #[inline]
    pub(crate) fn row(&self, slot: Slot) -> &Row {
        &self.rows[slot.at()]
    }

    #[inline]
    pub(crate) fn row_mut(&mut self, slot: Slot) -> &mut Row {
        &mut self.rows[slot.at()]
    }

    /// The lanes in which a predicate is true.
    #[inline]
    pub(crate) fn predicate(&self, slot: Slot) -> u32 {
        self.rows[slot.at()][0]
    }

    #[inline]
    pub(crate) fn set_predicate(&mut self, slot: Slot, value: u32, mask: u32) {
        let cell = &mut self.rows[slot.at()][0];
        *cell = *cell & !mask | value & mask;
    }

    /// Fills both rows of a register with one value, in all lanes.
    pub(crate) fn fill(&mut self, slot: Slot, value: u64) {
        self.rows[slot.at()] = [value as u32; LANES];
        self.rows[slot.at() + 1] = [(value >> 32) as u32; LANES];
    }

    /// Writes 32 bits to the lanes of a mask.
    #[inline]
    pub(crate) fn write_row(&mut self, slot: Slot, values: &Row, mask: u32) {
        let row = &mut self.rows[slot.at()];
        if mask == ALL {
            *row = *values;
        } else {
            for lane in lanes(mask) {
                row[lane] = values[lane];
            }
        }
    }

    /// The values of a register, one for each lane.
    #[inline]
    pub(crate) fn read<T: Lane>(&self, slot: Slot) -> [T; LANES] {
        T::read(self, slot)
    }

    /// Writes values to the lanes of a mask.
    #[inline]
    pub(crate) fn write<T: Lane>(&mut self, slot: Slot, values: &[T; LANES], mask: u32) {
        T::write(self, slot, values, mask);
    }
}

/// A type whose values a register can hold.
pub(crate) trait Lane: Copy {
    fn read(registers: &Registers, slot: Slot) -> [Self; LANES];
    fn write(registers: &mut Registers, slot: Slot, values: &[Self; LANES], mask: u32);
}

/// A binary16 number, as the `f64` that it equals; a result is rounded to the nearest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct F16(pub(crate) f64);

/// A bfloat16 number, likewise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bf16(pub(crate) f64);

/// Two numbers in a register, the lower first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<T>(pub(crate) T, pub(crate) T);

/// Types that 32 bits hold, with their conversions from and to them.
macro_rules! cell {
    ($type:ty, $bits:ident => $from:expr, $value:ident => $to:expr) => {
        impl Lane for $type {
            #[inline]
            fn read(registers: &Registers, slot: Slot) -> [Self; LANES] {
                registers.row(slot).map(|$bits| $from)
            }

            #[inline]
            fn write(registers: &mut Registers, slot: Slot, values: &[Self; LANES], mask: u32) {
                registers.write_row(slot, &values.map(|$value| $to), mask);
            }
        }
    };
}

cell!(u8, bits => bits as u8, value => u32::from(value));
cell!(i8, bits => bits as i8, value => u32::from(value as u8));
cell!(u16, bits => bits as u16, value => u32::from(value));
cell!(i16, bits => bits as i16, value => u32::from(value as u16));
cell!(u32, bits => bits, value => value);
cell!(i32, bits => bits as i32, value => value as u32);
cell!(f32, bits => f32::from_bits(bits), value => value.to_bits());
cell!(F16, bits => F16::of(bits), value => value.bits());
cell!(Bf16, bits => Bf16::of(bits), value => value.bits());
cell!(Pair<F16>, bits => Pair(F16::of(bits), F16::of(bits >> 16)), value => value.0.bits() | value.1.bits() << 16);
cell!(Pair<Bf16>, bits => Pair(Bf16::of(bits), Bf16::of(bits >> 16)), value => value.0.bits() | value.1.bits() << 16);
cell!(Pair<u16>, bits => Pair(bits as u16, (bits >> 16) as u16), value => u32::from(value.0) | u32::from(value.1) << 16);
cell!(Pair<i16>, bits => Pair(bits as i16, (bits >> 16) as i16), value => u32::from(value.0 as u16) | u32::from(value.1 as u16) << 16);

/// A floating-point type of 16 bits.
pub(crate) trait Half: Copy + Send + Sync + 'static {
    const LEAST_NORMAL: f64;
    fn of(bits: u32) -> Self;
    fn bits(self) -> u32;
    fn new(value: f64) -> Self;
    fn value(self) -> f64;
}

impl Half for F16 {
    const LEAST_NORMAL: f64 = 1.0 / 16_384.0;

    fn of(bits: u32) -> Self {
        Self(f64::from(f16_to_f32(bits as u16)))
    }

    fn bits(self) -> u32 {
        Format::F16.round(self.0, Rounding::NearestEven)
    }

    fn new(value: f64) -> Self {
        Self(value)
    }

    fn value(self) -> f64 {
        self.0
    }
}

impl Half for Bf16 {
    const LEAST_NORMAL: f64 = f32::MIN_POSITIVE as f64;

    fn of(bits: u32) -> Self {
        Self(f64::from(bf16_to_f32(bits as u16)))
    }

    fn bits(self) -> u32 {
        Format::BF16.round(self.0, Rounding::NearestEven)
    }

    fn new(value: f64) -> Self {
        Self(value)
    }

    fn value(self) -> f64 {
        self.0
    }
}

/// Types of 64 bits, in two rows.
macro_rules! wide {
    ($type:ty, $bits:ident => $from:expr, $value:ident => $to:expr) => {
        impl Lane for $type {
            #[inline]
            fn read(registers: &Registers, slot: Slot) -> [Self; LANES] {
                let (low, high) = (registers.row(slot), registers.row(Slot(slot.0 + 1)));
                std::array::from_fn(|lane| {
                    let $bits = u64::from(low[lane]) | u64::from(high[lane]) << 32;
                    $from
                })
            }

            #[inline]
            fn write(registers: &mut Registers, slot: Slot, values: &[Self; LANES], mask: u32) {
                let values = values.map(|$value| $to);
                registers.write_row(slot, &values.map(|value: u64| value as u32), mask);
                registers.write_row(Slot(slot.0 + 1), &values.map(|value: u64| (value >> 32) as u32), mask);
            }
        }
    };
}

wide!(u64, bits => bits, value => value);
wide!(i64, bits => bits as i64, value => value as u64);
wide!(f64, bits => f64::from_bits(bits), value => value.to_bits());

impl Lane for bool {
    #[inline]
    fn read(registers: &Registers, slot: Slot) -> [Self; LANES] {
        let mask = registers.predicate(slot);
        std::array::from_fn(|lane| mask >> lane & 1 == 1)
    }

    #[inline]
    fn write(registers: &mut Registers, slot: Slot, values: &[Self; LANES], mask: u32) {
        let mut set = 0;
        for (lane, value) in values.iter().enumerate() {
            set |= u32::from(*value) << lane;
        }
        registers.set_predicate(slot, set, mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_write_leaves_other_lanes() {
        let mut registers = Registers::new(4);
        registers.write(Slot(0), &[1_u64 << 40 | 7; LANES], ALL);
        registers.write(Slot(0), &[2_u64; LANES], 0b101);
        let found = registers.read::<u64>(Slot(0));
        assert_eq!(found[..4], [2, 1 << 40 | 7, 2, 1 << 40 | 7]);
        assert_eq!(registers.read::<u32>(Slot(1))[..2], [0, 256]);
    }

    #[test]
    fn predicates_are_masks() {
        let mut registers = Registers::new(1);
        registers.set_predicate(Slot(0), 0, ALL);
        registers.write(Slot(0), &std::array::from_fn(|lane| lane % 2 == 0), 0xff);
        assert_eq!(registers.predicate(Slot(0)), 0x55);
        assert_eq!(lanes(0x8000_0001).collect::<Vec<_>>(), [0, 31]);
    }

    #[test]
    fn halves_round_to_nearest_even() {
        let mut registers = Registers::new(1);
        registers.write(Slot(0), &[Pair(F16(1.0 + 3.0 / 2048.0), F16(-2.0)); LANES], ALL);
        assert_eq!(registers.row(Slot(0))[5], 0xc000_3c02);
    }
}
