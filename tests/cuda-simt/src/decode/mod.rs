//! One instruction of text into one [`Step`], with all decisions that do not depend on data taken.
//!
//! Each file decodes a family of instructions and holds what they do.

mod arithmetic;
mod asynchronous;
mod collective;
mod convert;
mod integer;
mod lanes;
mod logic;
mod matrix;
mod memory;
mod operands;

use crate::registers::Slot;
use crate::scope::Scope;
use crate::step::{Condition, Step};
use crate::types::Type;

pub(crate) use operands::{Address, literal};
use operands::{Operand, Operands};

/// A decoded instruction; a branch names its target.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) guard: Option<Condition>,
    pub(crate) step: Step,
    pub(crate) target: Option<Target>,
}

/// Where a branch goes, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Label(String),
    List { index: Slot, list: String },
}

/// An opcode, split at its dots.
#[derive(Debug)]
pub(crate) struct Opcode<'a> {
    pub(crate) text: &'a str,
    pub(crate) words: Vec<&'a str>,
    /// The types among the words, in their order.
    pub(crate) types: Vec<Type>,
}

impl<'a> Opcode<'a> {
    fn new(text: &'a str) -> Self {
        let words: Vec<&str> = text.split('.').collect();
        let types = words[1..].iter().filter_map(|word| Type::parse(word)).collect();
        Self { text, words, types }
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// Whether the opcode begins with these words.
    pub(crate) fn starts(&self, words: &str) -> bool {
        self.text.strip_prefix(words).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':']))
    }

    /// The type of the instruction, which ends it.
    pub(crate) fn kind(&self) -> Result<Type, String> {
        self.types.last().copied().ok_or_else(|| "no type".to_owned())
    }

    /// Refuses an opcode that has a word which its family does not know.
    pub(crate) fn allow(&self, known: &[&str]) -> Result<(), String> {
        let odd = self.words[1..].iter().find(|word| Type::parse(word).is_none() && !known.contains(word));
        odd.map_or(Ok(()), |word| Err(format!("unknown modifier .{word}")))
    }
}

/// A family's answer: the step, or `None` if the opcode belongs to another one.
pub(crate) type Family = fn(&Opcode<'_>, &mut Operands<'_>) -> Result<Option<Step>, String>;

const FAMILIES: [Family; 8] = [
    arithmetic::decode,
    integer::decode,
    logic::decode,
    convert::decode,
    memory::decode,
    collective::decode,
    asynchronous::decode,
    matrix::decode,
];

/// Decodes an instruction.
pub(crate) fn instruction(text: &str, scope: &mut Scope) -> Result<Decoded, String> {
    decode(text, scope).map_err(|problem| format!("{problem}: `{text}`"))
}

fn decode(text: &str, scope: &mut Scope) -> Result<Decoded, String> {
    let (guard, rest) = match text.strip_prefix('@') {
        Some(rest) => {
            let (name, rest) = rest.split_once(' ').ok_or("no instruction behind a guard")?;
            (Some(guard(name, scope)?), rest)
        }
        None => (None, text),
    };
    let (name, list) = rest.split_once(' ').unwrap_or((rest, ""));
    let opcode = Opcode::new(name);
    let mut operands = Operands::parse(list, scope)?;
    if let Some(target) = target(&opcode, list, &mut operands)? {
        return Ok(Decoded { guard, step: Step::Nothing, target: Some(target) });
    }
    for family in FAMILIES {
        if let Some(step) = family(&opcode, &mut operands)? {
            return Ok(Decoded { guard, step, target: None });
        }
    }
    Err("unknown instruction".to_owned())
}

fn guard(name: &str, scope: &mut Scope) -> Result<Condition, String> {
    let (negated, name) = name.strip_prefix('!').map_or((false, name), |name| (true, name));
    let register = scope.find(name).ok_or_else(|| format!("there is no register {name}"))?;
    Ok(Condition { slot: register.slot, negated })
}

fn target(opcode: &Opcode<'_>, list: &str, operands: &mut Operands<'_>) -> Result<Option<Target>, String> {
    Ok(match opcode.text {
        "bra" | "bra.uni" => Some(Target::Label(list.trim().to_owned())),
        "brx.idx" | "brx.idx.uni" => {
            let Some(Operand::Symbol(list)) = operands.get(1) else { return Err("no list of targets".to_owned()) };
            let list = list.clone();
            Some(Target::List { index: operands.source(0, Type::Unsigned(32))?, list })
        }
        _ => None,
    })
}
