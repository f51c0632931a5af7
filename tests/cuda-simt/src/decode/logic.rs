//! Bits, moves, selections and comparisons.

use std::cmp::Ordering;

use super::Opcode;
use super::lanes::{binary, ternary, unary};
use super::operands::{Operand, Operands};
use crate::float::{bf16_to_f32, f16_to_f32, flush};
use crate::registers::{LANES, Lane, Registers, Row, Slot, lanes};
use crate::step::{Condition, Step};
use crate::types::Type;

pub(super) fn decode(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let name = opcode.words[0];
    if name == "setp" {
        return setp(opcode, operands);
    }
    if name == "set" {
        return set(opcode, operands);
    }
    let Some(&kind) = opcode.types.last() else { return Ok(None) };
    let count = Type::Unsigned(32);
    match (name, kind.bits()) {
        ("and" | "or" | "xor" | "not", 1) => predicates(name, operands),
        ("and", 16 | 32) => binary(operands, [kind; 2], |a: u32, b: u32| a & b),
        ("and", _) => binary(operands, [kind; 2], |a: u64, b: u64| a & b),
        ("or", 16 | 32) => binary(operands, [kind; 2], |a: u32, b: u32| a | b),
        ("or", _) => binary(operands, [kind; 2], |a: u64, b: u64| a | b),
        ("xor", 16) => binary(operands, [kind; 2], |a: u16, b: u16| a ^ b),
        ("xor", 32) => binary(operands, [kind; 2], |a: u32, b: u32| a ^ b),
        ("xor", _) => binary(operands, [kind; 2], |a: u64, b: u64| a ^ b),
        ("not", 16) => unary(operands, kind, |a: u16| !a),
        ("not", 32) => unary(operands, kind, |a: u32| !a),
        ("not", _) => unary(operands, kind, |a: u64| !a),
        ("cnot", 32) => unary(operands, kind, |a: u32| u32::from(a == 0)),
        ("shl", 16) => binary(operands, [kind, count], |a: u16, n: u32| a.checked_shl(n).unwrap_or(0)),
        ("shl", 32) => binary(operands, [kind, count], |a: u32, n: u32| a.checked_shl(n).unwrap_or(0)),
        ("shl", 64) => binary(operands, [kind, count], |a: u64, n: u32| a.checked_shl(n).unwrap_or(0)),
        ("shr", 16) if kind.is_signed() => binary(operands, [kind, count], |a: i16, n: u32| a >> n.min(15)),
        ("shr", 32) if kind.is_signed() => binary(operands, [kind, count], |a: i32, n: u32| a >> n.min(31)),
        ("shr", 64) if kind.is_signed() => binary(operands, [kind, count], |a: i64, n: u32| a >> n.min(63)),
        ("shr", 16) => binary(operands, [kind, count], |a: u16, n: u32| a.checked_shr(n).unwrap_or(0)),
        ("shr", 32) => binary(operands, [kind, count], |a: u32, n: u32| a.checked_shr(n).unwrap_or(0)),
        ("shr", 64) => binary(operands, [kind, count], |a: u64, n: u32| a.checked_shr(n).unwrap_or(0)),
        ("shf", 32) => funnel_shift(opcode, operands),
        ("lop3", 32) => lop3(operands),
        ("prmt", 32) if opcode.words.len() == 2 => ternary(operands, [kind; 3], prmt),
        ("mov", _) => mov(kind, operands),
        ("selp", 16 | 32) => selp::<u32>(kind, operands),
        ("selp", 64) => selp::<u64>(kind, operands),
        ("slct", 32) if opcode.types.len() == 2 => slct(opcode, operands),
        _ => Ok(None),
    }
}

fn predicates(name: &str, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (d, a) = (operands.destination(0)?, operands.condition(1)?);
    if name == "not" {
        return Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
            let value = !a.of(registers);
            registers.set_predicate(d, value, mask);
        }))));
    }
    let b = operands.condition(2)?;
    let combine = Combine::of(name)?;
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let value = combine.apply(a.of(registers), b.of(registers));
        registers.set_predicate(d, value, mask);
    }))))
}

/// How two predicates become one.
#[derive(Clone, Copy, Debug)]
enum Combine {
    And,
    Or,
    Xor,
}

impl Combine {
    fn of(word: &str) -> Result<Self, String> {
        match word {
            "and" => Ok(Self::And),
            "or" => Ok(Self::Or),
            "xor" => Ok(Self::Xor),
            _ => Err(format!("unknown modifier .{word}")),
        }
    }

    fn apply(self, a: u32, b: u32) -> u32 {
        match self {
            Self::And => a & b,
            Self::Or => a | b,
            Self::Xor => a ^ b,
        }
    }
}

fn funnel_shift(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let kinds = [Type::Bits(32); 3];
    let both = |a: u32, b: u32| u64::from(b) << 32 | u64::from(a);
    match (opcode.words[1], opcode.words[2]) {
        ("l", "wrap") => ternary(operands, kinds, move |a, b, n: u32| (both(a, b) << (n & 31) >> 32) as u32),
        ("l", "clamp") => ternary(operands, kinds, move |a, b, n: u32| (both(a, b) << n.min(32) >> 32) as u32),
        ("r", "wrap") => ternary(operands, kinds, move |a, b, n: u32| (both(a, b) >> (n & 31)) as u32),
        ("r", "clamp") => ternary(operands, kinds, move |a, b, n: u32| (both(a, b) >> n.min(32)) as u32),
        _ => Ok(None),
    }
}

fn lop3(operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let d = operands.destination(0)?;
    let kind = Type::Bits(32);
    let [a, b, c, table] =
        [operands.source(1, kind)?, operands.source(2, kind)?, operands.source(3, kind)?, operands.source(4, kind)?];
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let (a, b, c) = (*registers.row(a), *registers.row(b), *registers.row(c));
        let table = registers.row(table)[0];
        let values = std::array::from_fn(|lane| look_up(a[lane], b[lane], c[lane], table));
        registers.write_row(d, &values, mask);
    }))))
}

/// Three bits are the number of a bit in a table, in each place.
fn look_up(a: u32, b: u32, c: u32, table: u32) -> u32 {
    let mut found = 0;
    for number in 0..8 {
        let pick = |value: u32, bit: u32| if number & bit != 0 { value } else { !value };
        let chosen = 0_u32.wrapping_sub(table >> number & 1);
        found |= chosen & pick(a, 4) & pick(b, 2) & pick(c, 1);
    }
    found
}

/// Four bytes out of eight; the top bit of a selector repeats the sign of its byte.
fn prmt(a: u32, b: u32, selectors: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    let pick = |at: u32| {
        let selector = selectors >> (4 * at);
        let byte = (bytes >> (8 * (selector & 7))) as u8;
        u32::from(if selector & 8 == 0 { byte } else { (byte as i8 >> 7) as u8 })
    };
    (0..4).fold(0, |word, at| word | pick(at) << (8 * at))
}

fn mov(kind: Type, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    match (operands.get(0), operands.get(1)) {
        (Some(Operand::List(_)), _) => return unpack(kind, operands),
        (_, Some(Operand::List(_))) => return pack(kind, operands),
        (_, Some(Operand::Clock)) => return clock(kind, operands),
        _ => {}
    }
    match kind.bits() {
        1 => {
            let (d, a) = (operands.destination(0)?, operands.condition(1)?);
            Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
                let value = a.of(registers);
                registers.set_predicate(d, value, mask);
            }))))
        }
        16 => unary(operands, kind, |a: u16| a),
        32 => unary(operands, kind, |a: u32| a),
        64 => unary(operands, kind, |a: u64| a),
        _ => Ok(None),
    }
}

/// A clock that ticks with the instructions of the block: runs are the same each time.
fn clock(kind: Type, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let d = operands.destination(0)?;
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let now = machine.block.instructions;
        match kind.bits() {
            64 => machine.registers.write(d, &[now; LANES], mask),
            _ => machine.registers.write(d, &[now as u32; LANES], mask),
        }
        Ok(())
    }))))
}

/// `mov.b64 {a, b}, d`: the lowest bits go to the first.
fn unpack(kind: Type, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let parts: Vec<Slot> = operands.destinations(0)?.iter().map(|register| register.slot).collect();
    let whole = operands.source(1, kind)?;
    let bits = u32::from(kind.bits()) / parts.len() as u32;
    let keep = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let values = read_up_to_64(registers, whole, kind);
        for (at, part) in parts.iter().enumerate() {
            registers.write_row(*part, &values.map(|value| (value >> (at as u32 * bits) & keep) as u32), mask);
        }
    }))))
}

fn pack(kind: Type, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let d = operands.destination_register(0)?;
    let part_bits = kind.bits() / operands.sources(1, Type::Bits(8))?.len() as u16;
    let parts = operands.sources(1, Type::Bits(part_bits))?;
    let bits = u32::from(part_bits);
    let keep = if bits == 32 { u32::MAX } else { (1 << bits) - 1 };
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let mut values = [0_u64; LANES];
        for (at, part) in parts.iter().enumerate() {
            let row = registers.row(*part);
            for (value, part) in values.iter_mut().zip(row) {
                *value |= u64::from(part & keep) << (at as u32 * bits);
            }
        }
        if d.wide {
            registers.write(d.slot, &values, mask);
        } else {
            registers.write_row(d.slot, &values.map(|value| value as u32), mask);
        }
    }))))
}

fn read_up_to_64(registers: &Registers, slot: Slot, kind: Type) -> [u64; LANES] {
    if kind.bits() == 64 { registers.read(slot) } else { registers.row(slot).map(u64::from) }
}

fn selp<T: Lane + 'static>(kind: Type, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let d = operands.destination(0)?;
    let (a, b, condition) = (operands.source(1, kind)?, operands.source(2, kind)?, operands.condition(3)?);
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let (a, b) = (registers.read::<T>(a), registers.read::<T>(b));
        let set = condition.of(registers);
        let values: [T; LANES] = std::array::from_fn(|lane| if set >> lane & 1 == 1 { a[lane] } else { b[lane] });
        registers.write(d, &values, mask);
    }))))
}

fn slct(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let kinds = [opcode.types[0], opcode.types[0], opcode.types[1]];
    match opcode.types[1] {
        Type::Signed(32) => ternary(operands, kinds, |a: u32, b: u32, c: i32| if c >= 0 { a } else { b }),
        Type::F32 => ternary(operands, kinds, |a: u32, b: u32, c: f32| if c >= 0.0 { a } else { b }),
        _ => Ok(None),
    }
}

/// The lanes in which a comparison holds.
type Test = Box<dyn Fn(&Registers) -> u32 + Send + Sync>;

/// A comparison of lanes of one type.
fn compare<T: Lane + PartialOrd + 'static>(
    word: &str,
    a: Slot,
    b: Slot,
    prepare: impl Fn(T) -> T + Copy + Send + Sync + 'static,
) -> Option<Test> {
    fn test<T: Lane + 'static>(
        a: Slot,
        b: Slot,
        prepare: impl Fn(T) -> T + Copy + Send + Sync + 'static,
        holds: impl Fn(T, T) -> bool + Send + Sync + 'static,
    ) -> Option<Test> {
        Some(Box::new(move |registers| {
            let (a, b) = (registers.read::<T>(a), registers.read::<T>(b));
            let mut set = 0;
            for lane in 0..LANES {
                set |= u32::from(holds(prepare(a[lane]), prepare(b[lane]))) << lane;
            }
            set
        }))
    }
    // Those that end in u hold for a NaN too.
    match word {
        "eq" => test(a, b, prepare, |a: T, b| a == b),
        "ne" => test(a, b, prepare, |a: T, b| a.partial_cmp(&b).is_some_and(Ordering::is_ne)),
        "lt" | "lo" => test(a, b, prepare, |a: T, b| a < b),
        "le" | "ls" => test(a, b, prepare, |a: T, b| a <= b),
        "gt" | "hi" => test(a, b, prepare, |a: T, b| a > b),
        "ge" | "hs" => test(a, b, prepare, |a: T, b| a >= b),
        "equ" => test(a, b, prepare, |a: T, b| a.partial_cmp(&b).is_none_or(Ordering::is_eq)),
        "neu" => test(a, b, prepare, |a: T, b| a != b),
        "ltu" => test(a, b, prepare, |a: T, b| a.partial_cmp(&b).is_none_or(Ordering::is_lt)),
        "leu" => test(a, b, prepare, |a: T, b| a.partial_cmp(&b).is_none_or(Ordering::is_le)),
        "gtu" => test(a, b, prepare, |a: T, b| a.partial_cmp(&b).is_none_or(Ordering::is_gt)),
        "geu" => test(a, b, prepare, |a: T, b| a.partial_cmp(&b).is_none_or(Ordering::is_ge)),
        "num" => test(a, b, prepare, |a: T, b| a.partial_cmp(&b).is_some()),
        "nan" => test(a, b, prepare, |a: T, b| a.partial_cmp(&b).is_none()),
        _ => None,
    }
}

/// A 16-bit number that is compared by value.
macro_rules! comparable {
    ($name:ident, $value:ident) => {
        #[derive(Clone, Copy, PartialEq, PartialOrd)]
        struct $name(f32);

        impl Lane for $name {
            fn read(registers: &Registers, slot: Slot) -> [Self; LANES] {
                registers.row(slot).map(|bits| Self($value(bits as u16)))
            }

            fn write(_: &mut Registers, _: Slot, _: &[Self; LANES], _: u32) {
                unreachable!("a number to compare is never written")
            }
        }
    };
}

comparable!(ComparedF16, f16_to_f32);
comparable!(ComparedBf16, bf16_to_f32);

fn comparison(opcode: &Opcode<'_>, kind: Type, a: Slot, b: Slot) -> Result<Test, String> {
    let word = opcode.words[1];
    let flushes = opcode.has("ftz");
    let test = match kind {
        Type::Unsigned(16) | Type::Bits(16) => compare(word, a, b, |a: u16| a),
        Type::Signed(16) => compare(word, a, b, |a: i16| a),
        Type::Unsigned(32) | Type::Bits(32) => compare(word, a, b, |a: u32| a),
        Type::Signed(32) => compare(word, a, b, |a: i32| a),
        Type::Unsigned(64) | Type::Bits(64) => compare(word, a, b, |a: u64| a),
        Type::Signed(64) => compare(word, a, b, |a: i64| a),
        Type::F32 if flushes => compare(word, a, b, flush),
        Type::F32 => compare(word, a, b, |a: f32| a),
        Type::F64 => compare(word, a, b, |a: f64| a),
        Type::F16 => compare(word, a, b, |a: ComparedF16| a),
        Type::Bf16 => compare(word, a, b, |a: ComparedBf16| a),
        _ => None,
    };
    test.ok_or_else(|| "unknown comparison".to_owned())
}

fn setp(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let kind = opcode.kind()?;
    let (d, inverse) = operands.destination_pair(0)?;
    let test = comparison(opcode, kind, operands.source(1, kind)?, operands.source(2, kind)?)?;
    let combine = if operands.len() > 3 { Some((Combine::of(opcode.words[2])?, operands.condition(3)?)) } else { None };
    let finish = move |registers: &Registers, set: u32| {
        combine.map_or(set, |(combine, other): (Combine, Condition)| combine.apply(set, other.of(registers)))
    };
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let set = test(registers);
        let (holds, not) = (finish(registers, set), finish(registers, !set));
        registers.set_predicate(d, holds, mask);
        if let Some(inverse) = inverse {
            registers.set_predicate(inverse, not, mask);
        }
    }))))
}

/// `set.eq.u32.f32`, `set.eq.f16x2.f16x2` …: a comparison as a number.
fn set(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let [to, from] = opcode.types[..] else { return Ok(None) };
    let d = operands.destination(0)?;
    let (a, b) = (operands.source(1, from)?, operands.source(2, from)?);
    let one = match to {
        Type::Unsigned(32) | Type::Signed(32) => u32::MAX,
        Type::F32 => 1.0_f32.to_bits(),
        Type::F16 | Type::F16x2 => 0x3c00,
        Type::Bf16 | Type::Bf16x2 => 0x3f80,
        _ => return Ok(None),
    };
    if matches!(from, Type::F16x2 | Type::Bf16x2) {
        if to != from {
            return Ok(None);
        }
        let element = if from == Type::F16x2 { Type::F16 } else { Type::Bf16 };
        // Both halves are compared in rows of their own, behind those of the operands.
        let [a_high, b_high] = [operands.fresh(), operands.fresh()];
        let (low, high) = (comparison(opcode, element, a, b)?, comparison(opcode, element, a_high, b_high)?);
        return Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
            for (from, to) in [(a, a_high), (b, b_high)] {
                let upper = registers.row(from).map(|bits| bits >> 16);
                registers.write_row(to, &upper, u32::MAX);
            }
            let (low, high) = (low(registers), high(registers));
            let half = |set: u32, lane: usize| if set >> lane & 1 == 1 { one & 0xffff } else { 0 };
            let values: Row = std::array::from_fn(|lane| half(low, lane) | half(high, lane) << 16);
            registers.write_row(d, &values, mask);
        }))));
    }
    let test = comparison(opcode, from, a, b)?;
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let set = test(registers);
        let mut values = [0; LANES];
        lanes(set).for_each(|lane| values[lane] = one);
        registers.write_row(d, &values, mask);
    }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_eight_bits_is_any_function_of_three() {
        let (a, b, c) = (0xf0f0_1234, 0xcccc_9876, 0xaaaa_5555);
        assert_eq!(look_up(a, b, c, 0x80), a & b & c);
        assert_eq!(look_up(a, b, c, 0xfe), a | b | c);
        assert_eq!(look_up(a, b, c, 0x96), a ^ b ^ c);
        assert_eq!(look_up(a, b, c, 0xca), (a & b) | (!a & c));
    }

    #[test]
    fn bytes_are_permuted_with_their_signs() {
        assert_eq!(prmt(0x3322_1100, 0x7766_5544, 0x0123), 0x0011_2233);
        assert_eq!(prmt(0x3322_1100, 0x7766_5544, 0x7531), 0x7755_3311);
        assert_eq!(prmt(0x0000_0080, 0, 0x8888), 0xffff_ffff);
        assert_eq!(prmt(0x0000_0070, 0, 0x8880), 0x0000_0070);
    }
}
