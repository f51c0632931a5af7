//! Decoded instructions.

use crate::block::Machine;
use crate::memory::Fault;
use crate::registers::{Registers, Row, Slot};

/// Works on registers alone, in the lanes of a mask.
pub(crate) type LaneStep = Box<dyn Fn(&mut Registers, u32) + Send + Sync>;

/// Works on memory too.
pub(crate) type EffectStep = Box<dyn Fn(&mut Machine<'_, '_>, u32) -> Result<(), Fault> + Send + Sync>;

/// What an instruction does.
pub(crate) enum Step {
    /// Nothing that could be seen from outside, such as a hint or a fence.
    Nothing,
    Lanes(LaneStep),
    Effect(EffectStep),
    /// As an effect, by a whole warp at one instruction (`.aligned`).
    Aligned(EffectStep),
    /// As an effect; a warp in which `found` is not true for all lanes lets others go on.
    Poll {
        run: EffectStep,
        found: Slot,
    },
    Collective(Collective),
    Barrier(Barrier),
    Branch(usize),
    BranchIndexed {
        index: Slot,
        targets: Vec<usize>,
    },
    Exit,
    Trap,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Lanes(_) => "Lanes",
            Self::Effect(_) => "Effect",
            Self::Aligned(_) => "Aligned",
            Self::Poll { .. } => "Poll",
            Self::Collective(_) => "Collective",
            Self::Barrier(_) => "Barrier",
            Self::Branch(_) | Self::BranchIndexed { .. } => "Branch",
            Self::Exit => "Exit",
            Self::Trap => "Trap",
        })
    }
}

/// An instruction at which the lanes of a member mask meet, also from different places of a program (`.sync`).
pub(crate) struct Collective {
    /// The opcode: lanes meet at instructions with the same one.
    pub(crate) key: String,
    pub(crate) members: Slot,
    /// What a lane contributes; a predicate is contributed as a mask.
    pub(crate) offer: Option<Offer>,
    /// Takes what all have contributed; gets the mask of all, and that of the lanes whose results it writes.
    pub(crate) finish: Finish,
}

/// The end of a collective: registers, contributions, lanes that met, lanes to write.
pub(crate) type Finish = Box<dyn Fn(&mut Registers, &Row, u32, u32) -> Result<(), Fault> + Send + Sync>;

/// What a lane contributes to a collective.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Offer {
    Value(Slot),
    Predicate(Condition),
}

impl Offer {
    /// Puts the contributions of some lanes in their places.
    pub(crate) fn collect(self, registers: &Registers, mask: u32, offered: &mut Row) {
        let predicate;
        let row = match self {
            Self::Value(slot) => registers.row(slot),
            Self::Predicate(condition) => {
                let set = condition.of(registers);
                predicate = std::array::from_fn(|lane| set >> lane & 1);
                &predicate
            }
        };
        crate::registers::lanes(mask).for_each(|lane| offered[lane] = row[lane]);
    }
}

/// A predicate, perhaps negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) slot: Slot,
    pub(crate) negated: bool,
}

impl Condition {
    /// The lanes in which it holds.
    #[inline]
    pub(crate) fn of(self, registers: &Registers) -> u32 {
        let set = registers.predicate(self.slot);
        if self.negated { !set } else { set }
    }
}

/// `bar` and `barrier`.
#[derive(Debug)]
pub(crate) struct Barrier {
    pub(crate) id: Slot,
    pub(crate) threads: Option<Slot>,
    pub(crate) kind: BarrierKind,
    /// Whether a whole warp arrives at once.
    pub(crate) aligned: bool,
}

/// What a thread does at a barrier.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BarrierKind {
    Sync,
    Arrive,
    /// Waits, and learns how many predicates were true.
    Reduce {
        result: Slot,
        condition: Condition,
        reduction: Reduction,
    },
}

/// A reduction of predicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    Count,
    All,
    Any,
}

/// An instruction.
#[derive(Debug)]
pub(crate) struct Instruction {
    pub(crate) guard: Option<Condition>,
    pub(crate) step: Step,
    pub(crate) line: u32,
    pub(crate) text: String,
}
