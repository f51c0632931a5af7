//! The names of a kernel: registers, constants, symbols and special registers, each with its rows.

use std::collections::HashMap;

use crate::registers::Slot;
use crate::special::Special;
use crate::types::Type;

/// A declared register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Register {
    pub(crate) slot: Slot,
    /// Whether it has 64 bits.
    pub(crate) wide: bool,
}

/// What names mean while a kernel is decoded, and the rows that have been given to them.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// A map for each open block; an inner name hides an outer one.
    registers: Vec<HashMap<String, Register>>,
    /// Addresses of variables and parameters, each within its space.
    symbols: HashMap<String, u64>,
    known_constants: HashMap<u64, Slot>,
    known_specials: HashMap<String, Slot>,
    pub(crate) constants: Vec<(Slot, u64)>,
    pub(crate) specials: Vec<(Slot, Special)>,
    pub(crate) rows: u32,
}

impl Scope {
    pub(crate) fn new(symbols: HashMap<String, u64>) -> Self {
        Self { registers: vec![HashMap::new()], symbols, ..Self::default() }
    }

    pub(crate) fn open(&mut self) {
        self.registers.push(HashMap::new());
    }

    /// Closes a block; whether it was an inner one.
    pub(crate) fn close(&mut self) -> bool {
        self.registers.pop();
        !self.registers.is_empty()
    }

    /// A register of 64 bits without a name.
    pub(crate) fn fresh(&mut self) -> Slot {
        self.rows += 2;
        Slot(self.rows - 2)
    }

    /// Declares the registers of a `.reg` statement: `.reg .b32 %r<3>` or `.reg .pred p, q`.
    pub(crate) fn declare(&mut self, statement: &str) -> Result<(), String> {
        let mut words = statement.trim_start_matches(".reg").split_whitespace();
        let kind = words.next().and_then(|word| Type::parse(word.trim_start_matches('.')));
        let kind = kind.filter(|kind| kind.bits() <= 64).ok_or("registers of an unknown type")?;
        for name in words.collect::<String>().split(',') {
            match name.split_once('<') {
                None => self.add(name, kind),
                Some((prefix, count)) => {
                    let count: u32 = count.trim_end_matches('>').parse().map_err(|_| "no number of registers")?;
                    (0..count).for_each(|number| self.add(&format!("{prefix}{number}"), kind));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, kind: Type) {
        let wide = kind.bits() == 64;
        let slot = Slot(self.rows);
        self.rows += 1 + u32::from(wide);
        if let Some(innermost) = self.registers.last_mut() {
            innermost.insert(name.to_owned(), Register { slot, wide });
        }
    }

    /// The register, special register or symbol of a name.
    pub(crate) fn find(&mut self, name: &str) -> Option<Register> {
        if let Some(found) = self.registers.iter().rev().find_map(|block| block.get(name)) {
            return Some(*found);
        }
        if let Some(&address) = self.symbols.get(name) {
            return Some(Register { slot: self.constant(address), wide: true });
        }
        if let Some(&slot) = self.known_specials.get(name) {
            return Some(Register { slot, wide: true });
        }
        let special = Special::parse(name)?;
        let slot = self.fresh();
        self.specials.push((slot, special));
        self.known_specials.insert(name.to_owned(), slot);
        Some(Register { slot, wide: true })
    }

    /// The address of a variable or parameter, within its space.
    pub(crate) fn constant_of(&self, symbol: &str) -> Option<u64> {
        self.symbols.get(symbol).copied()
    }

    /// A register that holds a constant in all lanes.
    pub(crate) fn constant(&mut self, value: u64) -> Slot {
        if let Some(&found) = self.known_constants.get(&value) {
            return found;
        }
        let slot = self.fresh();
        self.constants.push((slot, value));
        self.known_constants.insert(value, slot);
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_names_hide_outer_ones_until_their_block_ends() {
        let mut scope = Scope::new(HashMap::from([("table".to_owned(), 64)]));
        scope.declare(".reg .b64 %rd<2>").unwrap();
        scope.declare(".reg .pred p, q").unwrap();
        let outer = scope.find("p");
        assert_eq!(scope.find("%rd1"), Some(Register { slot: Slot(2), wide: true }));
        scope.open();
        scope.declare(".reg .pred p").unwrap();
        assert_ne!(scope.find("p"), outer);
        assert!(scope.close());
        assert_eq!(scope.find("p"), outer);
        assert_eq!(scope.find("%rd2"), None);
        let table = scope.find("table").unwrap().slot;
        assert_eq!(scope.constants, [(table, 64)]);
        assert!(scope.declare(".reg .b128 %x").is_err());
    }
}
