//! Integer arithmetic and bit fields.

use super::Opcode;
use super::lanes::{binary, ternary, unary};
use super::operands::Operands;
use crate::registers::Pair;
use crate::step::Step;
use crate::types::Type;

/// Runs a body with `$t` as the host's type of an integer type.
macro_rules! with_integer {
    ($kind:expr, $t:ident => $body:expr) => {
        match $kind {
            Type::Unsigned(16) | Type::Bits(16) => {
                type $t = u16;
                $body
            }
            Type::Signed(16) => {
                type $t = i16;
                $body
            }
            Type::Unsigned(32) | Type::Bits(32) => {
                type $t = u32;
                $body
            }
            Type::Signed(32) => {
                type $t = i32;
                $body
            }
            Type::Unsigned(64) | Type::Bits(64) => {
                type $t = u64;
                $body
            }
            Type::Signed(64) => {
                type $t = i64;
                $body
            }
            _ => Ok(None),
        }
    };
}

pub(super) fn decode(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let Some(&kind) = opcode.types.last() else { return Ok(None) };
    let (two, three) = ([kind; 2], [kind; 3]);
    let second = opcode.words.get(1).copied().unwrap_or_default();
    match (opcode.words[0], second) {
        ("add", "sat") if kind == Type::Signed(32) => binary(operands, two, i32::saturating_add),
        ("sub", "sat") if kind == Type::Signed(32) => binary(operands, two, i32::saturating_sub),
        ("add", "u16x2" | "s16x2") => packed(operands, u16::wrapping_add),
        ("min", "u16x2") => packed(operands, u16::min),
        ("max", "u16x2") => packed(operands, u16::max),
        ("min", "s16x2") => packed_signed(operands, i16::min),
        ("max", "s16x2") => packed_signed(operands, i16::max),
        ("add", _) if opcode.words.len() == 2 => with_integer!(kind, T => binary(operands, two, T::wrapping_add)),
        ("sub", _) if opcode.words.len() == 2 => with_integer!(kind, T => binary(operands, two, T::wrapping_sub)),
        ("mul", "lo") => with_integer!(kind, T => binary(operands, two, T::wrapping_mul)),
        ("mul", "hi") => {
            with_integer!(kind, T => binary(operands, two, |a: T, b: T| high(a.into(), b.into(), T::BITS) as T))
        }
        ("mad", "lo") => {
            with_integer!(kind, T => ternary(operands, three, |a: T, b: T, c: T| a.wrapping_mul(b).wrapping_add(c)))
        }
        ("mad", "hi") => with_integer!(kind, T => {
            ternary(operands, three, |a: T, b: T, c: T| (high(a.into(), b.into(), T::BITS) as T).wrapping_add(c))
        }),
        ("mul", "wide") => match kind {
            Type::Unsigned(16) => binary(operands, two, |a: u16, b: u16| u32::from(a) * u32::from(b)),
            Type::Signed(16) => binary(operands, two, |a: i16, b: i16| i32::from(a) * i32::from(b)),
            Type::Unsigned(32) => binary(operands, two, |a: u32, b: u32| u64::from(a) * u64::from(b)),
            Type::Signed(32) => binary(operands, two, |a: i32, b: i32| i64::from(a) * i64::from(b)),
            _ => Ok(None),
        },
        ("mad", "wide") => match kind {
            Type::Unsigned(16) => ternary(operands, [kind, kind, Type::Bits(32)], |a: u16, b: u16, c: u32| {
                (u32::from(a) * u32::from(b)).wrapping_add(c)
            }),
            Type::Signed(16) => ternary(operands, [kind, kind, Type::Bits(32)], |a: i16, b: i16, c: i32| {
                (i32::from(a) * i32::from(b)).wrapping_add(c)
            }),
            Type::Unsigned(32) => ternary(operands, [kind, kind, Type::Bits(64)], |a: u32, b: u32, c: u64| {
                (u64::from(a) * u64::from(b)).wrapping_add(c)
            }),
            Type::Signed(32) => ternary(operands, [kind, kind, Type::Bits(64)], |a: i32, b: i32, c: i64| {
                (i64::from(a) * i64::from(b)).wrapping_add(c)
            }),
            _ => Ok(None),
        },
        // Division by zero is undefined; a card gives all ones.
        ("div", _) => {
            with_integer!(kind, T => binary(operands, two, |a: T, b: T| if b == 0 { !0 } else { a.wrapping_div(b) }))
        }
        ("rem", _) => {
            with_integer!(kind, T => binary(operands, two, |a: T, b: T| if b == 0 { a } else { a.wrapping_rem(b) }))
        }
        ("min", _) if opcode.words.len() == 2 => with_integer!(kind, T => binary(operands, two, |a: T, b: T| a.min(b))),
        ("max", _) if opcode.words.len() == 2 => with_integer!(kind, T => binary(operands, two, |a: T, b: T| a.max(b))),
        ("neg", _) => with_integer!(kind, T => unary(operands, kind, |a: T| (0 as T).wrapping_sub(a))),
        ("abs", _) => match kind {
            Type::Signed(16) => unary(operands, kind, i16::wrapping_abs),
            Type::Signed(32) => unary(operands, kind, i32::wrapping_abs),
            Type::Signed(64) => unary(operands, kind, i64::wrapping_abs),
            _ => Ok(None),
        },
        ("sad", _) if kind == Type::Unsigned(32) => {
            ternary(operands, three, |a: u32, b: u32, c: u32| a.abs_diff(b).wrapping_add(c))
        }
        ("popc", _) => with_integer!(kind, T => unary(operands, kind, |a: T| a.count_ones())),
        ("clz", _) => with_integer!(kind, T => unary(operands, kind, |a: T| a.leading_zeros())),
        ("brev", _) => with_integer!(kind, T => unary(operands, kind, |a: T| a.reverse_bits())),
        ("bfind", _) => {
            let shift_amount = second == "shiftamt";
            match kind {
                Type::Unsigned(32) => unary(operands, kind, move |a: u32| bfind(a.into(), 32, shift_amount)),
                Type::Signed(32) => {
                    unary(operands, kind, move |a: i32| bfind(u64::from((a ^ a >> 31) as u32), 32, shift_amount))
                }
                Type::Unsigned(64) => unary(operands, kind, move |a: u64| bfind(a, 64, shift_amount)),
                Type::Signed(64) => unary(operands, kind, move |a: i64| bfind((a ^ a >> 63) as u64, 64, shift_amount)),
                _ => Ok(None),
            }
        }
        ("bfe", _) => {
            let kinds = [kind, Type::Bits(32), Type::Bits(32)];
            match kind {
                Type::Unsigned(32) => {
                    ternary(operands, kinds, |a: u32, b: u32, c: u32| bfe(a.into(), b, c, 32, false) as u32)
                }
                Type::Signed(32) => {
                    ternary(operands, kinds, |a: i32, b: u32, c: u32| bfe(a as u32 as u64, b, c, 32, true) as u32)
                }
                Type::Unsigned(64) => ternary(operands, kinds, |a: u64, b: u32, c: u32| bfe(a, b, c, 64, false)),
                Type::Signed(64) => ternary(operands, kinds, |a: u64, b: u32, c: u32| bfe(a, b, c, 64, true)),
                _ => Ok(None),
            }
        }
        ("bfi", _) => bit_field_insert(kind, operands),
        ("dp4a", _) => dot_of_bytes(opcode, operands),
        _ => Ok(None),
    }
}

fn packed(operands: &mut Operands<'_>, f: fn(u16, u16) -> u16) -> Result<Option<Step>, String> {
    binary(operands, [Type::Bits(32); 2], move |a: Pair<u16>, b: Pair<u16>| Pair(f(a.0, b.0), f(a.1, b.1)))
}

fn packed_signed(operands: &mut Operands<'_>, f: fn(i16, i16) -> i16) -> Result<Option<Step>, String> {
    binary(operands, [Type::Bits(32); 2], move |a: Pair<i16>, b: Pair<i16>| Pair(f(a.0, b.0), f(a.1, b.1)))
}

/// The upper half of a product.
fn high(a: i128, b: i128, bits: u32) -> i128 {
    // Products of unsigned 64-bit numbers need 128 bits, so they wrap here; shifting as unsigned keeps the upper half.
    (a.wrapping_mul(b) as u128 >> bits) as i128
}

/// The place of the highest bit that is set, or how far it is from the top; all ones for zero.
fn bfind(value: u64, bits: u32, shift_amount: bool) -> u32 {
    match value {
        0 => u32::MAX,
        _ if shift_amount => bits - 1 - value.ilog2(),
        _ => value.ilog2(),
    }
}

/// A bit field, extended by its sign if signed; the sign is that of the highest bit there is.
fn bfe(value: u64, position: u32, length: u32, bits: u32, signed: bool) -> u64 {
    let (position, length) = (position & 0xff, length & 0xff);
    let top = (position + length).min(bits).wrapping_sub(1).min(bits - 1);
    let sign = if signed && length > 0 { value >> top & 1 } else { 0 };
    let mut field = 0;
    for at in 0..bits {
        let bit = if at < length && position + at < bits { value >> (position + at) & 1 } else { sign };
        field |= bit << at;
    }
    field
}

fn bit_field_insert(kind: Type, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let d = operands.destination(0)?;
    let sources = [
        operands.source(1, kind)?,
        operands.source(2, kind)?,
        operands.source(3, Type::Bits(32))?,
        operands.source(4, Type::Bits(32))?,
    ];
    let [a, b, position, length] = sources;
    match kind {
        Type::Bits(32) => Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
            let (a, b) = (registers.read::<u32>(a), registers.read::<u32>(b));
            let (position, length) = (registers.read::<u32>(position), registers.read::<u32>(length));
            let insert = |lane: usize| bfi(a[lane].into(), b[lane].into(), position[lane], length[lane], 32) as u32;
            registers.write(d, &std::array::from_fn(insert), mask);
        })))),
        Type::Bits(64) => Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
            let (a, b) = (registers.read::<u64>(a), registers.read::<u64>(b));
            let (position, length) = (registers.read::<u32>(position), registers.read::<u32>(length));
            let insert = |lane: usize| bfi(a[lane], b[lane], position[lane], length[lane], 64);
            registers.write(d, &std::array::from_fn(insert), mask);
        })))),
        _ => Ok(None),
    }
}

/// `b` with a bit field replaced by the lowest bits of `a`.
fn bfi(a: u64, b: u64, position: u32, length: u32, bits: u32) -> u64 {
    let (position, length) = (position & 0xff, (length & 0xff).min(bits));
    if position >= bits || length == 0 {
        return b;
    }
    let field = if length == 64 { u64::MAX } else { (1 << length) - 1 };
    (b & !(field << position)) | (a & field) << position
}

/// Products of four bytes each, added up.
fn dot_of_bytes(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let [a_signed, b_signed] = match opcode.types[..] {
        [a, b] => [a.is_signed(), b.is_signed()],
        _ => return Ok(None),
    };
    let byte = |word: u32, at: u32, signed: bool| {
        let byte = (word >> (8 * at)) as u8;
        if signed { i64::from(byte as i8) } else { i64::from(byte) }
    };
    ternary(operands, [Type::Bits(32); 3], move |a: u32, b: u32, c: u32| {
        let sum: i64 = (0..4).map(|at| byte(a, at, a_signed) * byte(b, at, b_signed)).sum();
        c.wrapping_add(sum as u32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_fields_are_those_of_the_reference() {
        assert_eq!(bfe(0xabcd_1234, 8, 8, 32, false), 0x12);
        assert_eq!(bfe(0xabcd_1234, 24, 4, 32, true), 0xffff_fffb);
        assert_eq!(bfe(0x8000_0000, 28, 16, 32, true), 0xffff_fff8, "the field ends with the number");
        assert_eq!(bfe(0xffff_ffff, 40, 8, 32, false), 0);
        assert_eq!(bfe(0xff, 0, 0, 32, true), 0);
        assert_eq!(bfi(0xff, 0, 4, 4, 32), 0xf0);
        assert_eq!(bfi(0xff, 0x1234_5678, 32, 4, 32), 0x1234_5678);
        assert_eq!(bfi(7, 0, 0, 64, 64), 7);
        assert_eq!(
            (bfind(0x0001_0000, 32, false), bfind(0x0001_0000, 32, true), bfind(0, 32, false)),
            (16, 15, u32::MAX)
        );
    }

    #[test]
    fn the_upper_half_of_a_product_has_its_sign() {
        assert_eq!(high(-1, 1, 32) as i32, -1);
        assert_eq!(high(u64::MAX.into(), u64::MAX.into(), 64) as u64, u64::MAX - 1);
        assert_eq!(high(i64::MIN.into(), 2, 64) as i64, -1);
        assert_eq!(high(0x8000_0000, 4, 32) as u32, 2);
    }
}
