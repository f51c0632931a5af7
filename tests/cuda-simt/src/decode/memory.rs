//! Loads, stores, atomic operations, addresses and fences.

use super::Opcode;
use super::lanes::unary;
use super::operands::{Address, Operand, Operands};
use crate::memory::{from_generic, to_generic};
use crate::registers::{LANES, Slot, lanes};
use crate::scope::Register;
use crate::step::Step;
use crate::types::{Space, Type};

pub(super) fn decode(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    match opcode.words[0] {
        "ld" | "ldu" => load(opcode, operands),
        "st" => store(opcode, operands),
        "atom" => atomic(opcode, operands, true),
        "red" if opcode.words.get(1) != Some(&"async") => atomic(opcode, operands, false),
        "cvta" => cvta(opcode, operands),
        "mapa" => unary(operands, Type::Bits(32), |address: u32| address),
        "isspacep" => {
            let space = Space::of(&opcode.words);
            unary(operands, Type::Bits(64), move |address: u64| from_generic(address).0 == space)
        }
        // One thing happens after another here, so fences have nothing to do.
        "membar" | "fence" | "prefetch" | "prefetchu" | "discard" | "applypriority" | "griddepcontrol"
        | "nanosleep" | "setmaxnreg" | "pmevent" => Ok(Some(Step::Nothing)),
        "ret" | "exit" => Ok(Some(Step::Exit)),
        "trap" | "brkpt" => Ok(Some(Step::Trap)),
        _ => Ok(None),
    }
}

/// How many values an access moves.
fn count(opcode: &Opcode<'_>) -> usize {
    let vectors = [("v2", 2), ("v4", 4), ("v8", 8)];
    vectors.iter().find(|(word, _)| opcode.has(word)).map_or(1, |(_, count)| *count)
}

/// A vector lies at a multiple of its whole size.
fn check_vector(address: u64, bytes: usize) -> Result<(), crate::memory::Fault> {
    if address.is_multiple_of(bytes as u64) { Ok(()) } else { Err(crate::memory::misaligned("vector", address, bytes)) }
}

fn load(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (kind, space) = (opcode.kind()?, Space::of(&opcode.words));
    let (bytes, signed) = (kind.bytes(), kind.is_signed());
    let parts = operands.destinations(0)?;
    let address = operands.address(1)?;
    if parts.len() != count(opcode) || bytes > 8 {
        return Err("a load whose registers are not those of its type".to_owned());
    }
    if parts.iter().any(|part| bytes == 8 && !part.wide) {
        return Err("a load of 64 bits into a register of 32".to_owned());
    }
    if space == Space::Param {
        return load_parameter(kind, &parts, address);
    }
    let shift = 64 - 8 * bytes as u32;
    let extend = move |value: u64| if signed { ((value << shift) as i64 >> shift) as u64 } else { value };
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let addresses = machine.addresses(address);
        let mut values = [[0_u64; LANES]; 8];
        for lane in lanes(mask) {
            let first = addresses[lane];
            check_vector(first, bytes * parts.len())?;
            for (at, values) in values.iter_mut().enumerate().take(parts.len()) {
                let value = machine.load(space, lane, first.wrapping_add((at * bytes) as u64), bytes)?;
                values[lane] = extend(value);
            }
        }
        for (part, values) in parts.iter().zip(&values) {
            if part.wide {
                machine.registers.write(part.slot, values, mask);
            } else {
                machine.registers.write_row(part.slot, &values.map(|value| value as u32), mask);
            }
        }
        Ok(())
    }))))
}

/// Parameters are the same for all lanes, unless the address is computed.
fn load_parameter(kind: Type, parts: &[Register], address: Address) -> Result<Option<Step>, String> {
    let (bytes, parts) = (kind.bytes(), parts.to_vec());
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let addresses = machine.addresses(address);
        for (at, part) in parts.iter().enumerate() {
            let mut values = [0_u64; LANES];
            for lane in lanes(mask) {
                values[lane] = machine.block.parameters.load(addresses[lane] + (at * bytes) as u64, bytes)?;
            }
            if kind.is_signed() {
                let shift = 64 - 8 * bytes as u32;
                values = values.map(|value| ((value << shift) as i64 >> shift) as u64);
            }
            if part.wide {
                machine.registers.write(part.slot, &values, mask);
            } else {
                machine.registers.write_row(part.slot, &values.map(|value| value as u32), mask);
            }
        }
        Ok(())
    }))))
}

fn store(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (kind, space) = (opcode.kind()?, Space::of(&opcode.words));
    let bytes = kind.bytes();
    let address = operands.address(0)?;
    let parts = operands.sources(1, kind)?;
    if parts.len() != count(opcode) || bytes > 8 {
        return Err("a store whose registers are not those of its type".to_owned());
    }
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let addresses = machine.addresses(address);
        machine.block.progress += 1;
        for (at, part) in parts.iter().enumerate() {
            let values = if bytes == 8 {
                machine.registers.read::<u64>(*part)
            } else {
                machine.registers.row(*part).map(u64::from)
            };
            for lane in lanes(mask) {
                if at == 0 {
                    check_vector(addresses[lane], bytes * parts.len())?;
                }
                let place = addresses[lane].wrapping_add((at * bytes) as u64);
                machine.store(space, lane, place, bytes, values[lane])?;
            }
        }
        Ok(())
    }))))
}

/// What an atomic operation makes of the old value and its operands.
type Update = fn(u64, u64, u64) -> u64;

fn update(name: &str, kind: Type) -> Option<Update> {
    fn single(f: fn(f32, f32) -> f32, a: u64, b: u64) -> u64 {
        u64::from(f(f32::from_bits(a as u32), f32::from_bits(b as u32)).to_bits())
    }
    Some(match (name, kind) {
        ("add", Type::Unsigned(32) | Type::Signed(32)) => |a, b, _| u64::from((a as u32).wrapping_add(b as u32)),
        ("add", Type::Unsigned(64)) => |a, b, _| a.wrapping_add(b),
        ("add", Type::F32) => |a, b, _| single(|a, b| a + b, a, b),
        ("add", Type::F64) => |a, b, _| (f64::from_bits(a) + f64::from_bits(b)).to_bits(),
        ("and", _) => |a, b, _| a & b,
        ("or", _) => |a, b, _| a | b,
        ("xor", _) => |a, b, _| a ^ b,
        ("exch", _) => |_, b, _| b,
        ("cas", _) => |a, b, c| if a == b { c } else { a },
        ("min", Type::Signed(32)) => |a, b, _| u64::from((a as i32).min(b as i32) as u32),
        ("max", Type::Signed(32)) => |a, b, _| u64::from((a as i32).max(b as i32) as u32),
        ("min", Type::Signed(64)) => |a, b, _| (a as i64).min(b as i64) as u64,
        ("max", Type::Signed(64)) => |a, b, _| (a as i64).max(b as i64) as u64,
        ("min", Type::Unsigned(_)) => |a, b, _| a.min(b),
        ("max", Type::Unsigned(_)) => |a, b, _| a.max(b),
        ("inc", Type::Unsigned(32)) => |a, b, _| if a >= b { 0 } else { a + 1 },
        ("dec", Type::Unsigned(32)) => |a, b, _| if a == 0 || a > b { b } else { a - 1 },
        _ => return None,
    })
}

fn atomic(opcode: &Opcode<'_>, operands: &mut Operands<'_>, returns: bool) -> Result<Option<Step>, String> {
    let (kind, space) = (opcode.kind()?, Space::of(&opcode.words));
    let names = ["add", "and", "or", "xor", "exch", "cas", "min", "max", "inc", "dec"];
    let name = names.into_iter().find(|name| opcode.has(name)).ok_or("unknown atomic operation")?;
    let update = update(name, kind).ok_or("unknown atomic operation")?;
    let first = usize::from(returns);
    let result = if returns { Some(operands.destination_register(0)?) } else { None };
    let address = operands.address(first)?;
    let b = operands.source(first + 1, kind)?;
    let c = if name == "cas" { operands.source(first + 2, kind)? } else { b };
    let bytes = kind.bytes();
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let addresses = machine.addresses(address);
        let read = |slot: Slot| {
            if bytes == 8 { machine.registers.read::<u64>(slot) } else { machine.registers.row(slot).map(u64::from) }
        };
        let (b, c) = (read(b), read(c));
        let mut old = [0; LANES];
        for lane in lanes(mask) {
            old[lane] = machine.update(space, addresses[lane], bytes, |value| update(value, b[lane], c[lane]))?;
        }
        machine.block.progress += 1;
        match result {
            Some(result) if bytes == 8 => machine.registers.write(result.slot, &old, mask),
            Some(result) => machine.registers.write_row(result.slot, &old.map(|value| value as u32), mask),
            None => {}
        }
        Ok(())
    }))))
}

fn cvta(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let space = Space::of(&opcode.words);
    if let Some(Operand::Memory(..)) = operands.get(1) {
        return Ok(None);
    }
    if opcode.has("to") {
        unary(
            operands,
            Type::Bits(64),
            move |address: u64| if space == Space::Global { address } else { from_generic(address).1 },
        )
    } else {
        unary(operands, Type::Bits(64), move |address: u64| to_generic(space, address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atomic_operations_are_those_of_the_reference() {
        let apply = |name: &str, kind: Type, a: u64, b: u64| update(name, kind).unwrap()(a, b, 9);
        assert_eq!(apply("add", Type::Unsigned(32), u64::from(u32::MAX), 2), 1);
        assert_eq!(apply("min", Type::Signed(32), u64::from(-5_i32 as u32), 3), u64::from(-5_i32 as u32));
        assert_eq!(apply("inc", Type::Unsigned(32), 4, 4), 0);
        assert_eq!(apply("dec", Type::Unsigned(32), 0, 4), 4);
        assert_eq!((apply("cas", Type::Bits(32), 7, 7), apply("cas", Type::Bits(32), 6, 7)), (9, 6));
        assert_eq!(
            apply("add", Type::F32, u64::from(1.5_f32.to_bits()), u64::from(2.0_f32.to_bits())),
            u64::from(3.5_f32.to_bits())
        );
        assert!(update("add", Type::F16).is_none());
    }
}
