//! The types and state spaces that PTX names.

/// A type of an instruction (PTX ISA, "Fundamental Types").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Pred,
    /// Untyped bits.
    Bits(u16),
    Unsigned(u16),
    Signed(u16),
    F16,
    F16x2,
    Bf16,
    Bf16x2,
    Tf32,
    F32,
    F64,
    E4m3x2,
    E5m2x2,
}

impl Type {
    /// Reads a type as an opcode spells it, without the dot.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "pred" => Self::Pred,
            "f16" => Self::F16,
            "f16x2" => Self::F16x2,
            "bf16" => Self::Bf16,
            "bf16x2" => Self::Bf16x2,
            "tf32" => Self::Tf32,
            "f32" => Self::F32,
            "f64" => Self::F64,
            "e4m3x2" => Self::E4m3x2,
            "e5m2x2" => Self::E5m2x2,
            _ => {
                let bits = word.get(1..)?.parse().ok()?;
                match (word.as_bytes()[0], bits) {
                    (b'b', 8 | 16 | 32 | 64 | 128) => Self::Bits(bits),
                    (b'u', 8 | 16 | 32 | 64) => Self::Unsigned(bits),
                    (b's', 8 | 16 | 32 | 64) => Self::Signed(bits),
                    _ => return None,
                }
            }
        })
    }

    /// Bits of a value; a predicate has one.
    pub(crate) fn bits(self) -> u16 {
        match self {
            Self::Pred => 1,
            Self::Bits(bits) | Self::Unsigned(bits) | Self::Signed(bits) => bits,
            Self::F16 | Self::Bf16 | Self::E4m3x2 | Self::E5m2x2 => 16,
            Self::F16x2 | Self::Bf16x2 | Self::Tf32 | Self::F32 => 32,
            Self::F64 => 64,
        }
    }

    /// Bytes of a value in memory.
    pub(crate) fn bytes(self) -> usize {
        usize::from(self.bits()).div_ceil(8)
    }

    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Self::Signed(_))
    }

    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::Bf16 | Self::Tf32 | Self::F32 | Self::F64)
    }
}

/// A state space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// An address says itself where it lies.
    Generic,
    /// Also `.const`: constants of a module lie in memory like its other variables.
    Global,
    Shared,
    Local,
    /// The parameters of the kernel.
    Param,
}

impl Space {
    /// The first space among the words of an opcode, or the generic one.
    pub(crate) fn of(words: &[&str]) -> Self {
        let known = words.iter().find_map(|word| match word.split("::").next().unwrap_or_default() {
            "global" | "const" => Some(Self::Global),
            "shared" => Some(Self::Shared),
            "local" => Some(Self::Local),
            "param" => Some(Self::Param),
            _ => None,
        });
        known.unwrap_or(Self::Generic)
    }
}
