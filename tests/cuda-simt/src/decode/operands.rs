//! Operands: registers, literals, addresses and lists of them.

use crate::registers::Slot;
use crate::scope::{Register, Scope};
use crate::step::Condition;
use crate::text;
use crate::types::Type;

/// An operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    Register {
        register: Register,
        negated: bool,
    },
    /// A number, whose bits depend on the type that it is used as.
    Literal(String),
    /// `{a, b}`
    List(Vec<Operand>),
    /// `p|q`
    Pair(Box<Operand>, Box<Operand>),
    /// `[a+4]`, or `[a, {x, y}]` with what follows the address.
    Memory(Address, Vec<Operand>),
    /// A name that means nothing yet: a label.
    Symbol(String),
    /// `_`
    Sink,
    /// `%clock64`, `%globaltimer` …
    Clock,
}

/// An address: a register and an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) slot: Slot,
    /// Whether the register has 64 bits.
    pub(crate) wide: bool,
    pub(crate) offset: i64,
}

/// The operands of an instruction, and the scope that their names are looked up in.
#[derive(Debug)]
pub(crate) struct Operands<'a> {
    list: Vec<Operand>,
    scope: &'a mut Scope,
}

impl<'a> Operands<'a> {
    pub(crate) fn parse(text: &str, scope: &'a mut Scope) -> Result<Self, String> {
        let list = text::operands(text).iter().map(|part| parse(part, scope)).collect::<Result<_, _>>()?;
        Ok(Self { list, scope })
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&Operand> {
        self.list.get(at)
    }

    fn at(&self, at: usize) -> Result<Operand, String> {
        self.list.get(at).cloned().ok_or_else(|| format!("no operand {at}"))
    }

    /// The register that an operand names as a destination.
    pub(crate) fn destination(&mut self, at: usize) -> Result<Slot, String> {
        Ok(self.destination_register(at)?.slot)
    }

    pub(crate) fn destination_register(&mut self, at: usize) -> Result<Register, String> {
        let operand = self.at(at)?;
        self.register(&operand)
    }

    fn register(&mut self, operand: &Operand) -> Result<Register, String> {
        match operand {
            Operand::Register { register, negated: false } => Ok(*register),
            Operand::Sink => Ok(Register { slot: self.scope.fresh(), wide: true }),
            Operand::Symbol(name) => Err(format!("there is no register {name}")),
            other => Err(format!("not a register: {other:?}")),
        }
    }

    /// Both destinations of `d|p`, or the one there is.
    pub(crate) fn destination_pair(&mut self, at: usize) -> Result<(Slot, Option<Slot>), String> {
        match self.at(at)? {
            Operand::Pair(one, other) => Ok((self.register(&one)?.slot, Some(self.register(&other)?.slot))),
            operand => Ok((self.register(&operand)?.slot, None)),
        }
    }

    /// The registers of a list, or the one register there is.
    pub(crate) fn destinations(&mut self, at: usize) -> Result<Vec<Register>, String> {
        match self.at(at)? {
            Operand::List(list) => list.iter().map(|operand| self.register(operand)).collect(),
            operand => Ok(vec![self.register(&operand)?]),
        }
    }

    /// A register that holds an operand of a type.
    pub(crate) fn source(&mut self, at: usize, kind: Type) -> Result<Slot, String> {
        let operand = self.at(at)?;
        self.value(&operand, kind)
    }

    fn value(&mut self, operand: &Operand, kind: Type) -> Result<Slot, String> {
        match operand {
            Operand::Register { register, negated: false } => {
                if kind.bits() == 64 && !register.wide {
                    return Err("a register of 32 bits where 64 are needed".to_owned());
                }
                Ok(register.slot)
            }
            Operand::Literal(text) => {
                let value = literal(text, kind).ok_or_else(|| format!("not a number: {text}"))?;
                Ok(self.scope.constant(value))
            }
            Operand::Symbol(name) => Err(format!("there is no register or variable {name}")),
            other => Err(format!("not a value: {other:?}")),
        }
    }

    /// The values of a list, or the one value there is.
    pub(crate) fn sources(&mut self, at: usize, kind: Type) -> Result<Vec<Slot>, String> {
        match self.at(at)? {
            Operand::List(list) => list.iter().map(|operand| self.value(operand, kind)).collect(),
            operand => Ok(vec![self.value(&operand, kind)?]),
        }
    }

    pub(crate) fn condition(&mut self, at: usize) -> Result<Condition, String> {
        match self.at(at)? {
            Operand::Register { register, negated } => Ok(Condition { slot: register.slot, negated }),
            Operand::Literal(text) => {
                let value = literal(&text, Type::Bits(32)).ok_or("not a predicate")?;
                let slot = self.scope.constant(if value == 0 { 0 } else { u64::MAX });
                Ok(Condition { slot, negated: false })
            }
            other => Err(format!("not a predicate: {other:?}")),
        }
    }

    pub(crate) fn address(&mut self, at: usize) -> Result<Address, String> {
        match self.at(at)? {
            Operand::Memory(address, rest) if rest.is_empty() => Ok(address),
            other => Err(format!("not an address: {other:?}")),
        }
    }

    /// `[map, {x, y}]`: the address of a tensor map, and coordinates.
    pub(crate) fn tensor(&mut self, at: usize) -> Result<(Address, Vec<Slot>), String> {
        match self.at(at)? {
            Operand::Memory(address, rest) if rest.len() == 1 => match &rest[0] {
                Operand::List(list) => {
                    let list = list.iter().map(|operand| self.value(operand, Type::Signed(32)));
                    Ok((address, list.collect::<Result<_, _>>()?))
                }
                other => Err(format!("not coordinates: {other:?}")),
            },
            other => Err(format!("not a place in a tensor: {other:?}")),
        }
    }

    /// A register of 64 bits without a name.
    pub(crate) fn fresh(&mut self) -> Slot {
        self.scope.fresh()
    }
}

fn parse(text: &str, scope: &mut Scope) -> Result<Operand, String> {
    let text = text.trim();
    if text == "_" {
        return Ok(Operand::Sink);
    }
    if let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let list = text::operands(inner).iter().map(|part| parse(part, scope)).collect::<Result<_, _>>()?;
        return Ok(Operand::List(list));
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return memory(inner, scope);
    }
    if let Some((one, other)) = text.split_once('|') {
        return Ok(Operand::Pair(Box::new(parse(one, scope)?), Box::new(parse(other, scope)?)));
    }
    if matches!(text, "%clock" | "%clock64" | "%globaltimer" | "%globaltimer_lo") {
        return Ok(Operand::Clock);
    }
    let (negated, name) = text.strip_prefix('!').map_or((false, text), |name| (true, name));
    if let Some(register) = scope.find(name) {
        return Ok(Operand::Register { register, negated });
    }
    if text == "WARP_SZ" {
        return Ok(Operand::Literal("32".to_owned()));
    }
    let is_number = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    if is_number {
        return Ok(Operand::Literal(text.to_owned()));
    }
    // The address of a part of a variable: `table+8`.
    if let Some((name, offset)) = text.split_once('+')
        && let (Some(base), Ok(offset)) = (scope.constant_of(name.trim()), offset.trim().parse::<u64>())
    {
        return Ok(Operand::Register {
            register: Register { slot: scope.constant(base + offset), wide: true },
            negated: false,
        });
    }
    Ok(Operand::Symbol(text.to_owned()))
}

fn memory(inner: &str, scope: &mut Scope) -> Result<Operand, String> {
    let parts = text::operands(inner);
    let (base, rest) = parts.split_first().ok_or("an empty address")?;
    let cut = base.find('+').or_else(|| base.rfind('-').filter(|at| *at > 0));
    let (name, offset) = cut.map_or((base.as_str(), ""), |cut| base.split_at(cut));
    let offset = match offset.trim_start_matches('+').replace(' ', "").as_str() {
        "" => 0,
        text => text.parse().map_err(|_| format!("not an offset: {text}"))?,
    };
    let (slot, wide) = match parse(name, scope)? {
        Operand::Register { register, negated: false } => (register.slot, register.wide),
        Operand::Literal(text) => {
            let value = literal(&text, Type::Bits(64)).ok_or_else(|| format!("not an address: {text}"))?;
            (scope.constant(value), true)
        }
        other => return Err(format!("not an address: {other:?}")),
    };
    let rest = rest.iter().map(|part| parse(part, scope)).collect::<Result<_, _>>()?;
    Ok(Operand::Memory(Address { slot, wide, offset }, rest))
}

/// The bits of a number written as `0f3F800000`, `0d…`, `0x1F`, `-7`, `7U` or `1.5`, as a type.
pub(crate) fn literal(text: &str, kind: Type) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0f").or_else(|| text.strip_prefix("0F")) {
        let bits = u32::from_str_radix(hex, 16).ok()?;
        let is_double = kind == Type::F64;
        return Some(if is_double { f64::from(f32::from_bits(bits)).to_bits() } else { u64::from(bits) });
    }
    if let Some(hex) = text.strip_prefix("0d").or_else(|| text.strip_prefix("0D")) {
        let bits = u64::from_str_radix(hex, 16).ok()?;
        let is_single = kind == Type::F32;
        return Some(if is_single { u64::from((f64::from_bits(bits) as f32).to_bits()) } else { bits });
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let digits = digits.trim_end_matches(['U', 'u']);
    let value = match digits.get(..2) {
        Some("0x" | "0X") => u64::from_str_radix(&digits[2..], 16).ok(),
        Some("0b" | "0B") => u64::from_str_radix(&digits[2..], 2).ok(),
        _ => digits.parse().ok(),
    };
    if let Some(value) = value {
        let value = if negative { value.wrapping_neg() } else { value };
        return Some(match kind {
            Type::F32 => u64::from((value as i64 as f32).to_bits()),
            Type::F64 => (value as i64 as f64).to_bits(),
            _ => value,
        });
    }
    let number: f64 = text.parse().ok()?;
    match kind {
        Type::F32 => Some(u64::from((number as f32).to_bits())),
        Type::F64 => Some(number.to_bits()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn numbers_have_the_bits_of_their_type() {
        assert_eq!(literal("0f3F800000", Type::F32), Some(0x3f80_0000));
        assert_eq!(literal("0f3F800000", Type::F64), Some(1.0_f64.to_bits()));
        assert_eq!(literal("0d3FF0000000000000", Type::F32), Some(0x3f80_0000));
        assert_eq!(literal("-1", Type::Signed(32)), Some(u64::MAX));
        assert_eq!(literal("0x1FU", Type::Bits(32)), Some(31));
        assert_eq!(literal("1.5", Type::F32), Some(u64::from(1.5_f32.to_bits())));
        assert_eq!(literal("x", Type::F32), None);
    }

    #[test]
    fn operands_are_what_they_look_like() {
        let mut scope = Scope::new(HashMap::from([("tile".to_owned(), 256)]));
        scope.declare(".reg .b64 %rd<3>").unwrap();
        scope.declare(".reg .pred %p<3>").unwrap();
        let mut operands =
            Operands::parse("%p1|%p2, !%p1, [%rd1+-8], [tile+4], {%rd1, _}, [%rd2, {7, 8}], 5, L_1", &mut scope)
                .unwrap();
        assert_eq!(operands.len(), 8);
        assert!(operands.destination_pair(0).unwrap().1.is_some());
        assert!(operands.condition(1).unwrap().negated);
        assert_eq!(operands.address(2).unwrap().offset, -8);
        let tile = operands.address(3).unwrap();
        assert_eq!((tile.wide, tile.offset), (true, 4));
        assert_eq!(operands.destinations(4).unwrap().len(), 2);
        assert_eq!(operands.tensor(5).unwrap().1.len(), 2);
        assert!(operands.source(6, Type::Bits(32)).is_ok());
        assert_eq!(operands.get(7), Some(&Operand::Symbol("L_1".to_owned())));
        assert!(operands.source(7, Type::Bits(32)).is_err());
    }
}
