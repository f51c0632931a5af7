//! Floating-point formats and rounding that the host does not have.
//!
//! Values of every format up to `f32` are exact in `f64`. What is computed there is either exact, or rounded to odd
//! ([`sum_to_odd`]), so that rounding it again to the format asked for is as good as rounding the exact result once.

/// A rounding mode of PTX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// `.rn`
    NearestEven,
    /// `.rna`
    NearestAway,
    /// `.rz`
    Zero,
    /// `.rm`
    Down,
    /// `.rp`
    Up,
}

impl Rounding {
    /// The mode among the words of an opcode, with or without the `i` of rounding to an integer.
    pub(crate) fn of(words: &[&str]) -> Option<Self> {
        words.iter().find_map(|word| match *word {
            "rn" | "rni" => Some(Self::NearestEven),
            "rna" => Some(Self::NearestAway),
            "rz" | "rzi" => Some(Self::Zero),
            "rm" | "rmi" => Some(Self::Down),
            "rp" | "rpi" => Some(Self::Up),
            _ => None,
        })
    }

    /// Rounds to an integer.
    pub(crate) fn integer(self, value: f64) -> f64 {
        match self {
            Self::NearestEven => value.round_ties_even(),
            Self::NearestAway => value.round(),
            Self::Zero => value.trunc(),
            Self::Down => value.floor(),
            Self::Up => value.ceil(),
        }
    }

    /// Whether a magnitude between two neighbours goes to the larger one.
    fn goes_up(self, fraction: f64, odd: bool, negative: bool) -> bool {
        match self {
            Self::NearestEven => fraction > 0.5 || fraction == 0.5 && odd,
            Self::NearestAway => fraction >= 0.5,
            Self::Zero => false,
            Self::Down => negative && fraction > 0.0,
            Self::Up => !negative && fraction > 0.0,
        }
    }
}

/// A binary floating-point format of at most 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    exponent_bits: u32,
    mantissa_bits: u32,
    /// E4M3 has no infinity and one NaN: its largest exponent holds numbers.
    finite: bool,
}

impl Format {
    /// IEEE binary16.
    pub const F16: Self = Self { exponent_bits: 5, mantissa_bits: 10, finite: false };
    /// The upper half of binary32.
    pub const BF16: Self = Self { exponent_bits: 8, mantissa_bits: 7, finite: false };
    /// Binary32 with ten bits of mantissa, in the upper 19 of 32 bits.
    pub const TF32: Self = Self { exponent_bits: 8, mantissa_bits: 10, finite: false };
    /// IEEE binary32.
    pub const F32: Self = Self { exponent_bits: 8, mantissa_bits: 23, finite: false };
    /// Four bits of exponent, three of mantissa.
    pub const E4M3: Self = Self { exponent_bits: 4, mantissa_bits: 3, finite: true };
    /// Five bits of exponent, two of mantissa.
    pub const E5M2: Self = Self { exponent_bits: 5, mantissa_bits: 2, finite: false };

    /// The exponent of the least subnormal number.
    fn least(self) -> i32 {
        2 - (1 << (self.exponent_bits - 1)) - self.mantissa_bits as i32
    }

    fn infinity(self) -> u32 {
        ((1 << self.exponent_bits) - 1) << self.mantissa_bits
    }

    /// The bits of the largest finite number.
    fn largest(self) -> u32 {
        if self.finite { self.infinity() + (1 << self.mantissa_bits) - 2 } else { self.infinity() - 1 }
    }

    /// NaN as the hardware writes it: all ones but the sign.
    fn nan(self) -> u32 {
        self.infinity() | ((1 << self.mantissa_bits) - 1)
    }

    /// The bits of a value rounded to this format. TF32 is right-aligned here; `tf32` puts it in its place.
    pub fn round(self, value: f64, rounding: Rounding) -> u32 {
        let negative = value.is_sign_negative();
        let sign = u32::from(negative) << (self.exponent_bits + self.mantissa_bits);
        if value.is_nan() {
            return self.nan();
        }
        if value == 0.0 {
            return sign;
        }
        if value.is_infinite() {
            return sign | if self.finite { self.nan() } else { self.infinity() };
        }
        // A number is a whole multiple of its last place, which is bounded below for subnormal ones.
        let magnitude = value.abs();
        let exponent = ((magnitude.to_bits() >> 52) as i32).max(1) - 1023;
        let place = (exponent - self.mantissa_bits as i32).max(self.least());
        let scaled = magnitude * power_of_two(-place);
        let whole = scaled.floor();
        let up = rounding.goes_up(scaled - whole, whole as u64 & 1 == 1, negative);
        let units = whole as u32 + u32::from(up);
        let bits = (((place - self.least()) as u64) << self.mantissa_bits) + u64::from(units);
        if bits <= u64::from(self.largest()) {
            return sign | bits as u32;
        }
        let towards_zero = match rounding {
            Rounding::NearestEven | Rounding::NearestAway => false,
            Rounding::Zero => true,
            Rounding::Down => !negative,
            Rounding::Up => negative,
        };
        let beyond = if self.finite { self.nan() } else { self.infinity() };
        sign | if towards_zero { self.largest() } else { beyond }
    }

    /// As [`Format::round`], with the largest finite number in place of infinity.
    pub(crate) fn round_finite(self, value: f64, rounding: Rounding) -> u32 {
        let largest = self.value(self.largest());
        let clamped = if value.is_nan() { value } else { value.clamp(-largest, largest) };
        self.round(clamped, rounding)
    }

    /// The value of bits of this format.
    pub fn value(self, bits: u32) -> f64 {
        let mantissa = bits & ((1 << self.mantissa_bits) - 1);
        let exponent = (bits >> self.mantissa_bits & ((1 << self.exponent_bits) - 1)) as i32;
        let negative = bits >> (self.exponent_bits + self.mantissa_bits) & 1 == 1;
        let all_ones = exponent == (1 << self.exponent_bits) - 1;
        let magnitude = if all_ones && self.finite && mantissa == (1 << self.mantissa_bits) - 1 {
            f64::NAN
        } else if all_ones && !self.finite {
            if mantissa == 0 { f64::INFINITY } else { f64::NAN }
        } else if exponent == 0 {
            f64::from(mantissa) * power_of_two(self.least())
        } else {
            f64::from(mantissa | 1 << self.mantissa_bits) * power_of_two(self.least() + exponent - 1)
        };
        if negative { -magnitude } else { magnitude }
    }
}

/// 2 to the power of `exponent`, which a normal number can have.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// The value of binary16 bits.
#[inline]
pub(crate) fn f16_to_f32(bits: u16) -> f32 {
    let magnitude = u32::from(bits & 0x7fff) << 13;
    // Read as a binary32 it is smaller by the difference of the biases, subnormal or not.
    let scaled = (f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23)).to_bits();
    let special = if magnitude >= 0x1f << 23 { 0x7f80_0000 } else { 0 };
    f32::from_bits(scaled | special | u32::from(bits & 0x8000) << 16)
}

/// The value of bfloat16 bits.
#[inline]
pub(crate) fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// A value rounded to TF32, as the bits of a binary32.
pub(crate) fn tf32(value: f64, rounding: Rounding) -> u32 {
    Format::TF32.round(value, rounding) << 13
}

/// A subnormal number becomes a zero of its sign.
#[inline]
pub(crate) fn flush(value: f32) -> f32 {
    if value.is_subnormal() { 0.0_f32.copysign(value) } else { value }
}

/// A sum rounded to odd: where it is inexact, its last bit is one, which remembers on which side the exact sum lies.
pub(crate) fn sum_to_odd(one: f64, other: f64) -> f64 {
    let sum = one + other;
    if !sum.is_finite() {
        return sum;
    }
    let part = sum - one;
    let error = (one - (sum - part)) + (other - part);
    let bits = sum.to_bits();
    if error == 0.0 || bits & 1 == 1 {
        return sum;
    }
    f64::from_bits(if (error > 0.0) == (sum > 0.0) { bits + 1 } else { bits - 1 })
}

/// `one * other + addend`, where the product is exact in `f64`.
pub(crate) fn fma_to_odd(one: f64, other: f64, addend: f64) -> f64 {
    sum_to_odd(one * other, addend)
}

/// Rounds to `f32`.
pub(crate) fn to_f32(value: f64, rounding: Rounding) -> f32 {
    match rounding {
        Rounding::NearestEven => value as f32,
        _ => f32::from_bits(Format::F32.round(value, rounding)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    /// Numbers of every magnitude, and those next to ties.
    fn samples() -> impl Iterator<Item = f32> {
        (0..1_u32 << 20).map(|at| f32::from_bits(at.wrapping_mul(0x9e37_79b1))).filter(|value| !value.is_nan())
    }

    #[test]
    fn every_half_has_its_value() {
        for bits in 0..=u16::MAX {
            let (found, expected) = (f16_to_f32(bits), f16::from_bits(bits).to_f32());
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{bits:#x}");
            let slow = Format::F16.value(u32::from(bits)) as f32;
            assert!(slow == expected || slow.is_nan() && expected.is_nan(), "{bits:#x}");
            let (found, expected) = (bf16_to_f32(bits), bf16::from_bits(bits).to_f32());
            assert!(found == expected || found.is_nan() && expected.is_nan(), "{bits:#x}");
            let slow = Format::BF16.value(u32::from(bits)) as f32;
            assert!(slow == expected || slow.is_nan() && expected.is_nan(), "{bits:#x}");
        }
    }

    #[test]
    fn nearest_even_is_that_of_other_implementations() {
        for value in samples() {
            let wide = f64::from(value);
            let round = |format: Format| format.round(wide, Rounding::NearestEven);
            assert_eq!(round(Format::F16), u32::from(f16::from_f32(value).to_bits()), "{value:e}");
            assert_eq!(round(Format::BF16), u32::from(bf16::from_f32(value).to_bits()), "{value:e}");
            assert_eq!(round(Format::F32), value.to_bits(), "{value:e}");
        }
    }

    #[test]
    fn directed_rounding_brackets_a_value() {
        for value in samples().filter(|value| value.abs() < 60_000.0).map(f64::from) {
            for format in [Format::F16, Format::BF16, Format::TF32] {
                let by = |rounding| format.value(format.round(value, rounding));
                let (down, up, zero) = (by(Rounding::Down), by(Rounding::Up), by(Rounding::Zero));
                assert!(down <= value && value <= up && zero.abs() <= value.abs(), "{value:e} {format:?}");
                assert_eq!(zero, if value < 0.0 { up } else { down });
                let near = by(Rounding::NearestEven);
                assert!(near == down || near == up);
                assert!((near - value).abs() <= (down - value).abs().min((up - value).abs()), "{value:e}");
            }
        }
    }

    #[test]
    fn ties_and_ends_are_those_of_the_reference() {
        let f16 = |value, rounding| Format::F16.round(value, rounding);
        assert_eq!(f16(1.0 + 1.0 / 2048.0, Rounding::NearestEven), 0x3c00);
        assert_eq!(f16(1.0 + 1.0 / 2048.0, Rounding::NearestAway), 0x3c01);
        assert_eq!(f16(65_520.0, Rounding::NearestEven), 0x7c00);
        assert_eq!(f16(65_520.0, Rounding::Zero), 0x7bff);
        assert_eq!(f16(-1e-9, Rounding::Down), 0x8001);
        assert_eq!(f16(-1e-9, Rounding::Up), 0x8000);
        assert_eq!(f16(f64::NAN, Rounding::Zero), 0x7fff);
        assert_eq!(tf32(1.0 + 1.0 / 2048.0, Rounding::NearestAway), 0x3f80_2000);
        assert_eq!(Format::E4M3.round_finite(1e9, Rounding::NearestEven), 0x7e);
        assert_eq!(Format::E4M3.value(0x7e), 448.0);
        assert_eq!(Format::E5M2.round_finite(1e9, Rounding::NearestEven), 0x7b);
        assert_eq!(Format::E5M2.value(0x7b), 57_344.0);
        assert_eq!(Format::E4M3.round(0.001_953_125, Rounding::NearestEven), 1);
    }

    #[test]
    fn a_sum_is_rounded_once() {
        // 1 + 2⁻²⁴ + 2⁻⁷⁰ is above the tie, which an f64 cannot hold: rounding twice would end at 1.
        let sum = sum_to_odd(1.0 + f64::from(2.0_f32).powi(-24), 2.0_f64.powi(-70));
        assert_eq!(to_f32(sum, Rounding::NearestEven), 1.0 + f32::EPSILON);
        assert_eq!(to_f32(sum_to_odd(1.0, -2.0_f64.powi(-80)), Rounding::Down), 1.0 - f32::EPSILON / 2.0);
        assert_eq!(to_f32(sum_to_odd(1.0, 2.0_f64.powi(-80)), Rounding::Up), 1.0 + f32::EPSILON);
    }
}
