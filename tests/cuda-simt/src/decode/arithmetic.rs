//! Floating-point arithmetic.
//!
//! Results are the exact ones, rounded once. What a card approximates (`.approx`) is rounded to the nearest here, so the
//! two may differ in the last places.

use super::Opcode;
use super::lanes::{binary, ternary, unary};
use super::operands::Operands;
use crate::float::{Rounding, flush, fma_to_odd, sum_to_odd, to_f32};
use crate::registers::{Bf16, F16, Half, Pair};
use crate::step::Step;
use crate::types::Type;

const MODIFIERS: &[&str] = &["rn", "rz", "rm", "rp", "ftz", "sat", "approx", "full", "NaN", "relu"];

pub(super) fn decode(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let Some(&kind) = opcode.types.last() else { return Ok(None) };
    let name = opcode.words[0];
    let is_known =
        ["add", "sub", "mul", "fma", "mad", "div", "min", "max", "neg", "abs", "sqrt", "rsqrt", "rcp", "ex2"]
            .contains(&name)
            || ["lg2", "sin", "cos", "tanh", "copysign", "testp"].contains(&name);
    if !is_known || opcode.types.len() != 1 {
        return Ok(None);
    }
    if name == "testp" {
        return testp(opcode, kind, operands);
    }
    let step = match kind {
        Type::F32 => single(opcode, operands),
        Type::F64 => double(opcode, operands),
        Type::F16 => half::<F16>(opcode, kind, operands),
        Type::Bf16 => half::<Bf16>(opcode, kind, operands),
        Type::F16x2 => halves::<F16>(opcode, kind, operands),
        Type::Bf16x2 => halves::<Bf16>(opcode, kind, operands),
        _ => return Ok(None),
    };
    if step.is_ok() {
        opcode.allow(MODIFIERS)?;
    }
    step
}

/// How results in `f32` are finished.
#[derive(Clone, Copy)]
struct Finish {
    rounding: Rounding,
    flush: bool,
    saturate: bool,
}

impl Finish {
    fn of(opcode: &Opcode<'_>) -> Self {
        let rounding = Rounding::of(&opcode.words).unwrap_or(Rounding::NearestEven);
        Self { rounding, flush: opcode.has("ftz"), saturate: opcode.has("sat") }
    }

    /// An operand.
    fn input(self, value: f32) -> f64 {
        f64::from(if self.flush { flush(value) } else { value })
    }

    /// A result, which was exact or rounded to odd.
    fn output(self, value: f64) -> f32 {
        let rounded = to_f32(value, self.rounding);
        let rounded = if self.flush { flush(rounded) } else { rounded };
        if self.saturate { saturate(rounded) } else { rounded }
    }

    fn is_plain(self) -> bool {
        self.rounding == Rounding::NearestEven && !self.flush && !self.saturate
    }
}

/// Into the range from 0 to 1; a NaN becomes 0.
pub(super) fn saturate(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

fn single(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let finish = Finish::of(opcode);
    let kinds = [Type::F32; 3];
    let two = [Type::F32; 2];
    let nan = opcode.has("NaN");
    let function = |operands: &mut Operands<'_>, f: fn(f64) -> f64| {
        unary(operands, Type::F32, move |a: f32| finish.output(f(finish.input(a))))
    };
    match opcode.words[0] {
        "add" if finish.is_plain() => binary(operands, two, |a: f32, b: f32| a + b),
        "sub" if finish.is_plain() => binary(operands, two, |a: f32, b: f32| a - b),
        "mul" if finish.is_plain() => binary(operands, two, |a: f32, b: f32| a * b),
        "fma" | "mad" if finish.is_plain() => ternary(operands, kinds, |a: f32, b: f32, c: f32| a.mul_add(b, c)),
        "add" => binary(operands, two, move |a, b| finish.output(sum_to_odd(finish.input(a), finish.input(b)))),
        "sub" => binary(operands, two, move |a, b| finish.output(sum_to_odd(finish.input(a), -finish.input(b)))),
        "mul" => binary(operands, two, move |a, b| finish.output(finish.input(a) * finish.input(b))),
        "fma" | "mad" => ternary(operands, kinds, move |a, b, c| {
            finish.output(fma_to_odd(finish.input(a), finish.input(b), finish.input(c)))
        }),
        "div" => binary(operands, two, move |a, b| finish.output(quotient(finish.input(a), finish.input(b)))),
        "min" => binary(operands, two, move |a, b| minimum(finish.input(a), finish.input(b), nan) as f32),
        "max" => binary(operands, two, move |a, b| maximum(finish.input(a), finish.input(b), nan) as f32),
        "neg" => unary(operands, Type::F32, move |a: f32| if finish.flush { flush(-a) } else { -a }),
        "abs" => unary(operands, Type::F32, move |a: f32| if finish.flush { flush(a.abs()) } else { a.abs() }),
        "copysign" => binary(operands, two, |a: f32, b: f32| b.copysign(a)),
        "sqrt" => function(operands, root),
        "rsqrt" => function(operands, |a| 1.0 / a.sqrt()),
        "rcp" => function(operands, |a| quotient(1.0, a)),
        "ex2" => function(operands, f64::exp2),
        "lg2" => function(operands, f64::log2),
        "sin" => function(operands, f64::sin),
        "cos" => function(operands, f64::cos),
        "tanh" => function(operands, f64::tanh),
        _ => Ok(None),
    }
}

fn double(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    if Rounding::of(&opcode.words).is_some_and(|rounding| rounding != Rounding::NearestEven) {
        return Err("a rounding mode that is not known for f64".to_owned());
    }
    let (kinds, two) = ([Type::F64; 3], [Type::F64; 2]);
    let nan = opcode.has("NaN");
    match opcode.words[0] {
        "add" => binary(operands, two, |a: f64, b: f64| a + b),
        "sub" => binary(operands, two, |a: f64, b: f64| a - b),
        "mul" => binary(operands, two, |a: f64, b: f64| a * b),
        "fma" | "mad" => ternary(operands, kinds, |a: f64, b: f64, c: f64| a.mul_add(b, c)),
        "div" => binary(operands, two, |a: f64, b: f64| a / b),
        "min" => binary(operands, two, move |a, b| minimum(a, b, nan)),
        "max" => binary(operands, two, move |a, b| maximum(a, b, nan)),
        "neg" => unary(operands, Type::F64, |a: f64| -a),
        "abs" => unary(operands, Type::F64, f64::abs),
        "copysign" => binary(operands, two, |a: f64, b: f64| b.copysign(a)),
        "sqrt" => unary(operands, Type::F64, f64::sqrt),
        "rsqrt" => unary(operands, Type::F64, |a: f64| 1.0 / a.sqrt()),
        "rcp" => unary(operands, Type::F64, |a: f64| 1.0 / a),
        _ => Ok(None),
    }
}

/// A function of up to three numbers, whose result is exact in `f64`, rounded to odd, or approximate.
enum Function {
    One(fn(f64) -> f64),
    Two(fn(f64, f64) -> f64),
    Three(fn(f64, f64, f64) -> f64),
}

fn half_function(opcode: &Opcode<'_>) -> Result<Function, String> {
    if Rounding::of(&opcode.words).is_some_and(|rounding| rounding != Rounding::NearestEven) {
        return Err("a rounding mode that is not known for 16 bits".to_owned());
    }
    let nan = opcode.has("NaN");
    Ok(match opcode.words[0] {
        "add" => Function::Two(sum_to_odd),
        "sub" => Function::Two(|a, b| sum_to_odd(a, -b)),
        "mul" => Function::Two(|a, b| a * b),
        "fma" => Function::Three(fma_to_odd),
        "min" if nan => Function::Two(|a, b| minimum(a, b, true)),
        "min" => Function::Two(|a, b| minimum(a, b, false)),
        "max" if nan => Function::Two(|a, b| maximum(a, b, true)),
        "max" => Function::Two(|a, b| maximum(a, b, false)),
        "neg" => Function::One(|a| -a),
        "abs" => Function::One(f64::abs),
        "ex2" => Function::One(f64::exp2),
        "tanh" => Function::One(f64::tanh),
        _ => return Err("unknown instruction".to_owned()),
    })
}

/// What follows a function of 16-bit numbers.
fn half_finish<H: Half>(opcode: &Opcode<'_>) -> impl Fn(f64) -> H + Copy + Send + Sync + 'static {
    let (flushes, saturates, relu) = (opcode.has("ftz"), opcode.has("sat"), opcode.has("relu"));
    move |value| {
        let value = if saturates { if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) } } else { value };
        let value = if relu { if value.is_nan() { value } else { value.max(0.0) } } else { value };
        H::new(if flushes && value.abs() < H::LEAST_NORMAL { 0.0_f64.copysign(value) } else { value })
    }
}

fn half<H: Half + crate::registers::Lane>(
    opcode: &Opcode<'_>,
    kind: Type,
    operands: &mut Operands<'_>,
) -> Result<Option<Step>, String> {
    let finish = half_finish::<H>(opcode);
    match half_function(opcode)? {
        Function::One(f) => unary(operands, kind, move |a: H| finish(f(a.value()))),
        Function::Two(f) => binary(operands, [kind; 2], move |a: H, b: H| finish(f(a.value(), b.value()))),
        Function::Three(f) => {
            ternary(operands, [kind; 3], move |a: H, b: H, c: H| finish(f(a.value(), b.value(), c.value())))
        }
    }
}

fn halves<H: Half>(opcode: &Opcode<'_>, kind: Type, operands: &mut Operands<'_>) -> Result<Option<Step>, String>
where
    Pair<H>: crate::registers::Lane,
{
    let finish = half_finish::<H>(opcode);
    match half_function(opcode)? {
        Function::One(f) => {
            unary(operands, kind, move |Pair(a, b): Pair<H>| Pair(finish(f(a.value())), finish(f(b.value()))))
        }
        Function::Two(f) => binary(operands, [kind; 2], move |a: Pair<H>, b: Pair<H>| {
            Pair(finish(f(a.0.value(), b.0.value())), finish(f(a.1.value(), b.1.value())))
        }),
        Function::Three(f) => ternary(operands, [kind; 3], move |a: Pair<H>, b: Pair<H>, c: Pair<H>| {
            Pair(finish(f(a.0.value(), b.0.value(), c.0.value())), finish(f(a.1.value(), b.1.value(), c.1.value())))
        }),
    }
}

fn testp(opcode: &Opcode<'_>, kind: Type, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    if kind != Type::F32 {
        return Ok(None);
    }
    match opcode.words[1] {
        "finite" => unary(operands, kind, f32::is_finite),
        "infinite" => unary(operands, kind, f32::is_infinite),
        "number" => unary(operands, kind, |a: f32| !a.is_nan()),
        "notanumber" => unary(operands, kind, f32::is_nan),
        "normal" => unary(operands, kind, f32::is_normal),
        "subnormal" => unary(operands, kind, f32::is_subnormal),
        _ => Ok(None),
    }
}

/// The smaller number; -0 is smaller than +0, and a NaN gives way to a number unless `nan`.
pub(super) fn minimum(a: f64, b: f64, nan: bool) -> f64 {
    -maximum(-a, -b, nan)
}

/// The larger number, likewise.
pub(super) fn maximum(a: f64, b: f64, nan: bool) -> f64 {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if a == b => {
            if a.is_sign_negative() {
                b
            } else {
                a
            }
        }
        (false, false) => {
            if a > b {
                a
            } else {
                b
            }
        }
        (true, false) if !nan => b,
        (false, true) if !nan => a,
        _ => f64::NAN,
    }
}

/// A quotient of two `f32` rounded to odd in `f64`.
fn quotient(a: f64, b: f64) -> f64 {
    let near = a / b;
    nudge(near, if near.is_finite() && near != 0.0 { -near.mul_add(b, -a) * b.signum() } else { 0.0 })
}

/// A square root of an `f32` rounded to odd in `f64`.
fn root(a: f64) -> f64 {
    let near = a.sqrt();
    nudge(near, if near.is_finite() && near != 0.0 { -near.mul_add(near, -a) } else { 0.0 })
}

/// Rounds to odd what was rounded to the nearest with an error of this sign.
fn nudge(near: f64, error: f64) -> f64 {
    let bits = near.to_bits();
    if error == 0.0 || error.is_nan() || bits & 1 == 1 {
        return near;
    }
    f64::from_bits(if (error > 0.0) == (near > 0.0) { bits + 1 } else { bits - 1 })
}
