//! Conversions (`cvt`).

use super::Opcode;
use super::arithmetic::saturate;
use super::lanes::unary;
use super::operands::Operands;
use crate::float::{Format, Rounding, f16_to_f32, flush, sum_to_odd, tf32};
use crate::registers::{LANES, Registers, Row, Slot};
use crate::step::Step;
use crate::types::Type;

const MODIFIERS: &[&str] =
    &["rn", "rna", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi", "ftz", "sat", "satfinite", "relu"];

pub(super) fn decode(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let ("cvt", &[to, from]) = (opcode.words[0], &opcode.types[..]) else { return Ok(None) };
    opcode.allow(MODIFIERS)?;
    if operands.len() == 3 {
        return two_into_one(opcode, to, operands);
    }
    if let Type::E4m3x2 | Type::E5m2x2 = from {
        return one_into_two(opcode, [to, from], operands);
    }
    // The commonest ones, by their shortest way.
    match (to, from) {
        (Type::F32, Type::F16) if opcode.words.len() == 3 => {
            return unary(operands, Type::Bits(16), |a: u16| f16_to_f32(a));
        }
        (Type::F32, Type::Signed(32)) if opcode.has("rn") => return unary(operands, from, |a: i32| a as f32),
        (Type::F32, Type::Unsigned(32)) if opcode.has("rn") => return unary(operands, from, |a: u32| a as f32),
        _ => {}
    }
    let d = operands.destination_register(0)?;
    let a = operands.source(1, from)?;
    let read = reader(from)?;
    let write = writer(opcode, to, from)?;
    let wide_result = to.bits() == 64;
    // A narrower result fills a wider register: with its sign, if it has one.
    let extend = d.wide && !wide_result;
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let values = read(registers, a).map(&write);
        if wide_result || extend {
            registers.write(d.slot, &values, mask);
        } else {
            registers.write_row(d.slot, &values.map(|bits| bits as u32), mask);
        }
    }))))
}

/// A number on its way from one type to another: exact.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Integer(i128),
    Float(f64),
}

type Reader = fn(&Registers, Slot) -> [Number; LANES];

fn reader(kind: Type) -> Result<Reader, String> {
    Ok(match kind {
        Type::Unsigned(8) | Type::Bits(8) => |r, a| r.read::<u8>(a).map(|value| Number::Integer(value.into())),
        Type::Signed(8) => |r, a| r.read::<i8>(a).map(|value| Number::Integer(value.into())),
        Type::Unsigned(16) | Type::Bits(16) => |r, a| r.read::<u16>(a).map(|value| Number::Integer(value.into())),
        Type::Signed(16) => |r, a| r.read::<i16>(a).map(|value| Number::Integer(value.into())),
        Type::Unsigned(32) | Type::Bits(32) => |r, a| r.read::<u32>(a).map(|value| Number::Integer(value.into())),
        Type::Signed(32) => |r, a| r.read::<i32>(a).map(|value| Number::Integer(value.into())),
        Type::Unsigned(64) | Type::Bits(64) => |r, a| r.read::<u64>(a).map(|value| Number::Integer(value.into())),
        Type::Signed(64) => |r, a| r.read::<i64>(a).map(|value| Number::Integer(value.into())),
        Type::F16 => |r, a| r.row(a).map(|bits| Number::Float(Format::F16.value(bits & 0xffff))),
        Type::Bf16 => |r, a| r.row(a).map(|bits| Number::Float(Format::BF16.value(bits & 0xffff))),
        Type::F32 => |r, a| r.read::<f32>(a).map(|value| Number::Float(value.into())),
        Type::F64 => |r, a| r.read::<f64>(a).map(Number::Float),
        _ => return Err("a conversion from an unknown type".to_owned()),
    })
}

type Writer = Box<dyn Fn(Number) -> u64 + Send + Sync>;

fn writer(opcode: &Opcode<'_>, to: Type, from: Type) -> Result<Writer, String> {
    let rounding = Rounding::of(&opcode.words);
    let to_integer = opcode.words.iter().any(|word| matches!(*word, "rni" | "rzi" | "rmi" | "rpi"));
    let (saturates, flushes, relu) = (opcode.has("sat"), opcode.has("ftz"), opcode.has("relu"));
    let finite = opcode.has("satfinite");
    if to.is_float() {
        let narrows = to.bits() < from.bits()
            || to == Type::Tf32
            || !from.is_float()
            || matches!((to, from), (Type::F16, Type::Bf16) | (Type::Bf16, Type::F16));
        if narrows && rounding.is_none() {
            return Err("a conversion without a rounding mode".to_owned());
        }
        let rounding = rounding.unwrap_or(Rounding::NearestEven);
        return Ok(Box::new(move |number| {
            let mut value = match number {
                Number::Integer(value) => integer_to_odd(value),
                Number::Float(value) if flushes => flush_single(value),
                Number::Float(value) => value,
            };
            value = if to_integer { rounding.integer(value) } else { value };
            value = if relu && !value.is_nan() { value.max(0.0) } else { value };
            value = if saturates {
                f64::from(saturate(1.0)).min(if value.is_nan() { 0.0 } else { value.max(0.0) })
            } else {
                value
            };
            let bits = float_bits(to, value, rounding, finite);
            if flushes && to == Type::F32 { u64::from(flush(f32::from_bits(bits as u32)).to_bits()) } else { bits }
        }));
    }
    let bits = u32::from(to.bits());
    let signed = to.is_signed();
    let (least, most) = if signed { (-(1_i128 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) };
    if !from.is_float() {
        return Ok(Box::new(move |number| {
            let Number::Integer(value) = number else { return 0 };
            wrapped(if saturates { value.clamp(least, most) } else { value }, bits, signed)
        }));
    }
    let rounding = rounding.filter(|_| to_integer).ok_or("a conversion to an integer without a rounding mode")?;
    // PTX ISA, "cvt": a NaN becomes 0, or the highest bit if either side has 64 bits.
    let of_nan = if bits == 64 || from == Type::F64 { 1 << (bits - 1) } else { 0 };
    Ok(Box::new(move |number| {
        let Number::Float(value) = number else { return 0 };
        let value = if flushes { flush_single(value) } else { value };
        if value.is_nan() {
            return wrapped(of_nan, bits, signed);
        }
        // Conversions of the host saturate, as those to integers always do.
        wrapped((rounding.integer(value) as i128).clamp(least, most), bits, signed)
    }))
}

/// The lowest bits of a number, extended to 64.
fn wrapped(value: i128, bits: u32, signed: bool) -> u64 {
    let shift = 64 - bits;
    let bits = (value as u64) << shift;
    if signed { (bits as i64 >> shift) as u64 } else { bits >> shift }
}

/// An integer rounded to odd.
fn integer_to_odd(value: i128) -> f64 {
    let low = value & 0xffff_ffff;
    sum_to_odd((value - low) as f64, low as f64)
}

fn flush_single(value: f64) -> f64 {
    if value != 0.0 && value.abs() < f64::from(f32::MIN_POSITIVE) { 0.0_f64.copysign(value) } else { value }
}

fn float_bits(to: Type, value: f64, rounding: Rounding, finite: bool) -> u64 {
    let round = |format: Format| {
        u64::from(if finite { format.round_finite(value, rounding) } else { format.round(value, rounding) })
    };
    match to {
        Type::F16 => round(Format::F16),
        Type::Bf16 => round(Format::BF16),
        Type::Tf32 => u64::from(tf32(value, rounding)),
        Type::F32 => round(Format::F32),
        _ => value.to_bits(),
    }
}

/// `cvt.rn.f16x2.f32 d, a, b`: the second operand is the lower half.
fn two_into_one(opcode: &Opcode<'_>, to: Type, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let rounding = Rounding::of(&opcode.words).ok_or("a conversion without a rounding mode")?;
    let (format, bits) = match to {
        Type::F16x2 => (Format::F16, 16),
        Type::Bf16x2 => (Format::BF16, 16),
        Type::E4m3x2 => (Format::E4M3, 8),
        Type::E5m2x2 => (Format::E5M2, 8),
        _ => return Ok(None),
    };
    let d = operands.destination(0)?;
    let (high, low) = (operands.source(1, Type::F32)?, operands.source(2, Type::F32)?);
    let (relu, finite) = (opcode.has("relu"), opcode.has("satfinite"));
    let convert = move |value: f32| {
        let value = f64::from(if relu && !value.is_nan() { value.max(0.0) } else { value });
        if finite { format.round_finite(value, rounding) } else { format.round(value, rounding) }
    };
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let (high, low) = (registers.read::<f32>(high), registers.read::<f32>(low));
        let values: Row = std::array::from_fn(|lane| convert(high[lane]) << bits | convert(low[lane]));
        registers.write_row(d, &values, mask);
    }))))
}

/// `cvt.rn.f16x2.e4m3x2 d, a`
fn one_into_two(
    opcode: &Opcode<'_>,
    [to, from]: [Type; 2],
    operands: &mut Operands<'_>,
) -> Result<Option<Step>, String> {
    if to != Type::F16x2 {
        return Ok(None);
    }
    let format = if from == Type::E4m3x2 { Format::E4M3 } else { Format::E5M2 };
    let (d, a, relu) = (operands.destination(0)?, operands.source(1, Type::Bits(16))?, opcode.has("relu"));
    let convert = move |bits: u32| {
        let value = format.value(bits & 0xff);
        Format::F16.round(if relu && !value.is_nan() { value.max(0.0) } else { value }, Rounding::NearestEven)
    };
    Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
        let values = registers.row(a).map(|bits| convert(bits >> 8) << 16 | convert(bits));
        registers.write_row(d, &values, mask);
    }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(text: &str, number: Number) -> u64 {
        let opcode = Opcode::new(text);
        writer(&opcode, opcode.types[0], opcode.types[1]).unwrap()(number)
    }

    #[test]
    fn numbers_become_integers_as_the_reference_says() {
        let from = |text: &str, value: f64| convert(text, Number::Float(value));
        assert_eq!(from("cvt.rzi.s32.f32", -1.9) as i32, -1);
        assert_eq!(from("cvt.rni.s32.f32", 2.5) as i32, 2);
        assert_eq!(from("cvt.rmi.s32.f32", -1.1) as i32, -2);
        assert_eq!(from("cvt.rpi.u32.f32", 1.1) as u32, 2);
        assert_eq!(from("cvt.rzi.u32.f32", -5.0), 0);
        assert_eq!(from("cvt.rzi.s32.f32", 1e20) as i32, i32::MAX);
        assert_eq!(from("cvt.rzi.s32.f32", f64::NAN), 0);
        assert_eq!(from("cvt.rzi.s64.f64", f64::NAN), 1 << 63);
        assert_eq!(from("cvt.rzi.u8.f32", 300.0), 255);
    }

    #[test]
    fn integers_are_cut_extended_or_saturated() {
        let from = |text: &str, value: i128| convert(text, Number::Integer(value));
        assert_eq!(from("cvt.u16.u32", 0x1_2345), 0x2345);
        assert_eq!(from("cvt.s8.s32", 200) as i64, -56);
        assert_eq!(from("cvt.sat.s8.s32", 200), 127);
        assert_eq!(from("cvt.sat.u8.s32", -3), 0);
        assert_eq!(from("cvt.s64.s32", -3) as i64, -3);
        assert_eq!(from("cvt.u64.s32", -3), u64::MAX - 2);
    }

    #[test]
    fn integers_become_numbers_rounded_once() {
        let from = |text: &str, value: i128| f32::from_bits(convert(text, Number::Integer(value)) as u32);
        assert_eq!(from("cvt.rn.f32.s32", 16_777_217), 16_777_216.0);
        assert_eq!(from("cvt.rp.f32.s32", 16_777_217), 16_777_218.0);
        assert_eq!(from("cvt.rz.f32.s32", -16_777_217), -16_777_216.0);
        // Above a tie by one part in 2⁶³, which f64 does not hold.
        assert_eq!(from("cvt.rn.f32.u64", (1 << 63) + (1 << 39) + 1), 9.223_373e18);
        assert_eq!(convert("cvt.rn.f16.s32", Number::Integer(-2)), 0xc000);
    }

    #[test]
    fn numbers_are_rounded_within_their_type() {
        let from = |text: &str, value: f64| convert(text, Number::Float(value));
        let single = |text: &str, value: f64| f32::from_bits(from(text, value) as u32);
        assert_eq!(single("cvt.rmi.f32.f32", -0.5), -1.0);
        assert_eq!(single("cvt.rni.f32.f32", 3.5), 4.0);
        assert_eq!(single("cvt.sat.f32.f32", 3.5), 1.0);
        assert_eq!(single("cvt.sat.f32.f32", f64::NAN), 0.0);
        assert_eq!(single("cvt.ftz.f32.f32", 1e-40), 0.0);
        assert_eq!(from("cvt.rz.f16.f32", 1.999_99), 0x3fff);
        assert_eq!(from("cvt.rn.relu.f16.f32", -4.0), 0);
        assert_eq!(from("cvt.rna.tf32.f32", 1.0 + 1.0 / 2048.0), 0x3f80_2000);
        assert_eq!(from("cvt.rn.bf16.f32", 1.0 + 3.0 / 256.0), 0x3f82);
        assert!(writer(&Opcode::new("cvt.f16.f32"), Type::F16, Type::F32).is_err());
    }
}
