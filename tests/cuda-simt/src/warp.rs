//! A warp: groups of lanes that are at the same instruction, which diverge and meet again.
//!
//! The group that is furthest behind runs first, and groups that are at the same instruction become one. Where a
//! program is laid out as compilers do it, they meet at the end of a branch. Where instructions need lanes to be together
//! (`.aligned`, `.sync`) a group waits until they are.

use crate::barriers::{Arrival, Release};
use crate::block::{Block, Machine};
use crate::memory::Fault;
use crate::registers::{ALL, LANES, Registers};
use crate::special::Place;
use crate::step::{Barrier, BarrierKind, Collective, Instruction, Reduction, Step};

/// Instructions that a warp runs before the next one has its turn.
const TURN: u32 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// Waits for other lanes of its warp.
    Gathering,
    /// Waits at a barrier of its block.
    AtBarrier(usize),
}

/// Lanes at an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    pc: usize,
    mask: u32,
    state: State,
}

/// A warp.
#[derive(Debug)]
pub(crate) struct Warp {
    number: usize,
    registers: Registers,
    groups: Vec<Group>,
    live: u32,
    /// Ready groups to pass over, after one that waits in a loop.
    skip: usize,
}

/// A fault, and where the warp was.
#[derive(Clone, Debug)]
pub(crate) struct Trap {
    pub(crate) fault: Fault,
    pub(crate) warp: usize,
    pub(crate) mask: u32,
    pub(crate) pc: usize,
}

/// Why a group stops.
enum Stop {
    /// The groups have changed.
    Regroup,
    /// It is somebody else's turn.
    Yield,
}

impl Warp {
    pub(crate) fn new(number: usize, rows: usize) -> Self {
        Self { number, registers: Registers::new(rows), groups: Vec::new(), live: 0, skip: 0 }
    }

    /// Puts the warp at the start of a kernel.
    pub(crate) fn start(&mut self, block: &Block<'_>, place: &Place, threads: usize) {
        let lanes = threads.saturating_sub(self.number * LANES).min(LANES);
        self.live = if lanes == LANES { ALL } else { (1 << lanes) - 1 };
        self.groups = vec![Group { pc: 0, mask: self.live, state: State::Ready }];
        self.skip = 0;
        let kernel = block.kernel;
        kernel.constants.iter().for_each(|&(slot, value)| self.registers.fill(slot, value));
        for &(slot, special) in &kernel.specials {
            self.registers.fill(slot, 0);
            *self.registers.row_mut(slot) = special.row(place);
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.live == 0
    }

    /// Runs until all lanes wait or have ended, or for a turn.
    pub(crate) fn run(&mut self, block: &mut Block<'_>) -> Result<(), Trap> {
        let mut budget = TURN;
        loop {
            self.merge();
            let Some(current) = self.choose() else { return Ok(()) };
            match self.advance(current, block, &mut budget)? {
                Stop::Regroup => {}
                Stop::Yield => {
                    self.skip += 1;
                    return Ok(());
                }
            }
        }
    }

    /// Joins groups that are at the same instruction and do not wait for a barrier there.
    fn merge(&mut self) {
        if self.groups.len() < 2 {
            return;
        }
        let is_waiting = |group: &Group| matches!(group.state, State::AtBarrier(_));
        self.groups.sort_by_key(|group| (group.pc, is_waiting(group)));
        self.groups.dedup_by(|group, before| {
            let joins = group.pc == before.pc && !is_waiting(group) && !is_waiting(before);
            if joins {
                *before = Group { mask: before.mask | group.mask, state: State::Ready, ..*before };
            }
            joins
        });
    }

    /// The group that is furthest behind, unless it has just had its turn in vain.
    fn choose(&mut self) -> Option<usize> {
        let ready = |(_, group): &(usize, &Group)| group.state == State::Ready;
        let count = self.groups.iter().enumerate().filter(ready).count();
        let skip = std::mem::take(&mut self.skip) % count.max(1);
        self.groups.iter().enumerate().filter(ready).nth(skip).map(|(at, _)| at)
    }

    /// Runs a group until it meets another, waits, diverges or ends.
    fn advance(&mut self, current: usize, block: &mut Block<'_>, budget: &mut u32) -> Result<Stop, Trap> {
        let Group { mut pc, mask, .. } = self.groups[current];
        let is_alone = self.groups.len() == 1;
        let limit = self.groups.iter().map(|group| group.pc).filter(|other| *other > pc).min().unwrap_or(usize::MAX);
        let kernel = block.kernel;
        loop {
            if pc >= limit || *budget == 0 {
                self.groups[current].pc = pc;
                return Ok(if *budget == 0 { Stop::Yield } else { Stop::Regroup });
            }
            let trap = |fault: Fault| Trap { fault, warp: self.number, mask, pc };
            let Some(instruction) = kernel.code.get(pc) else { return Err(trap("the kernel does not end".into())) };
            *budget -= 1;
            block.instructions += 1;
            let active = mask & instruction.guard.map_or(ALL, |guard| guard.of(&self.registers));
            if active == 0 {
                pc += 1;
                continue;
            }
            match &instruction.step {
                Step::Lanes(run) => run(&mut self.registers, active),
                Step::Branch(target) if active == mask && is_alone => {
                    pc = *target;
                    continue;
                }
                Step::Effect(run) => {
                    let mut machine = Machine { registers: &mut self.registers, block, warp: self.number, pc };
                    run(&mut machine, active).map_err(|fault| Trap { fault, warp: self.number, mask: active, pc })?;
                }
                Step::Nothing => {}
                _ => {
                    self.groups[current].pc = pc;
                    if let Some(stop) = self.special(current, active, instruction, block)? {
                        return Ok(stop);
                    }
                }
            }
            pc += 1;
        }
    }

    /// Instructions by which groups change. `None` if the group, whole as it was, goes on behind it.
    fn special(
        &mut self,
        current: usize,
        active: u32,
        instruction: &Instruction,
        block: &mut Block<'_>,
    ) -> Result<Option<Stop>, Trap> {
        let Group { pc, mask, .. } = self.groups[current];
        let number = self.number;
        let trap = |fault: Fault| Trap { fault, warp: number, mask: active, pc };
        match &instruction.step {
            Step::Branch(target) => {
                self.go(current, active, *target);
                Ok(Some(Stop::Regroup))
            }
            Step::BranchIndexed { index, targets } => {
                let chosen = self.registers.row(*index)[active.trailing_zeros() as usize];
                let row = self.registers.row(*index);
                let same = crate::registers::lanes(active).filter(|lane| row[*lane] == chosen);
                let same = same.fold(0, |mask, lane| mask | 1 << lane);
                let target = targets.get(chosen as usize).ok_or_else(|| trap(format!("no target {chosen}").into()))?;
                if same == active {
                    self.go(current, active, *target);
                } else {
                    // The others come back to this instruction.
                    self.groups[current].mask &= !same;
                    self.groups.push(Group { pc: *target, mask: same, state: State::Ready });
                }
                Ok(Some(Stop::Regroup))
            }
            Step::Exit => {
                self.exit(current, active, block).map_err(trap)?;
                Ok(Some(Stop::Regroup))
            }
            Step::Trap => Err(trap("the kernel traps".into())),
            Step::Aligned(run) => {
                if active != ALL {
                    if self.live != ALL {
                        return Err(trap("a whole warp is needed, but some of its lanes have ended".into()));
                    }
                    self.groups[current].state = State::Gathering;
                    return Ok(Some(Stop::Regroup));
                }
                let mut machine = Machine { registers: &mut self.registers, block, warp: number, pc };
                run(&mut machine, active).map_err(trap)?;
                Ok(None)
            }
            Step::Poll { run, found } => {
                let mut machine = Machine { registers: &mut self.registers, block, warp: number, pc };
                run(&mut machine, active).map_err(trap)?;
                if self.registers.predicate(*found) & active == active {
                    return Ok(None);
                }
                self.groups[current].pc = pc + 1;
                Ok(Some(Stop::Yield))
            }
            Step::Barrier(barrier) => self.arrive(current, active, barrier, block).map_err(trap),
            Step::Collective(collective) => {
                if active != mask {
                    self.leave_behind(current, active);
                    return Ok(Some(Stop::Regroup));
                }
                self.collect(current, collective, block).map_err(trap)
            }
            Step::Nothing | Step::Lanes(_) | Step::Effect(_) => Ok(None),
        }
    }

    /// Sends the active lanes of a group to a target and the others behind the branch.
    fn go(&mut self, current: usize, active: u32, target: usize) {
        let Group { pc, mask, .. } = self.groups[current];
        self.groups[current] = Group { pc: target, mask: active, state: State::Ready };
        if mask != active {
            self.groups.push(Group { pc: pc + 1, mask: mask & !active, state: State::Ready });
        }
    }

    /// Sends the inactive lanes of a group behind its instruction, which the others are about to run.
    fn leave_behind(&mut self, current: usize, active: u32) {
        let Group { pc, mask, .. } = self.groups[current];
        self.groups[current].mask = active;
        self.groups.push(Group { pc: pc + 1, mask: mask & !active, state: State::Ready });
    }

    fn exit(&mut self, current: usize, active: u32, block: &mut Block<'_>) -> Result<(), Fault> {
        self.live &= !active;
        self.groups[current].mask &= !active;
        self.groups[current].pc += 1;
        if self.groups[current].mask == 0 {
            self.groups.remove(current);
        }
        // Lanes that have ended need not be waited for.
        for group in self.groups.iter_mut().filter(|group| group.state == State::Gathering) {
            group.state = State::Ready;
        }
        block.progress += 1;
        block.barriers.exit(active.count_ones())
    }

    /// Lanes of a group arrive at a barrier of the block.
    fn arrive(
        &mut self,
        current: usize,
        active: u32,
        barrier: &Barrier,
        block: &mut Block<'_>,
    ) -> Result<Option<Stop>, Fault> {
        if barrier.aligned && active != self.live {
            self.groups[current].state = State::Gathering;
            return Ok(Some(Stop::Regroup));
        }
        if active != self.groups[current].mask {
            self.leave_behind(current, active);
            return Ok(Some(Stop::Regroup));
        }
        let first = active.trailing_zeros() as usize;
        let id = self.registers.row(barrier.id)[first] as usize;
        let expected = barrier.threads.map(|threads| self.registers.row(threads)[first]);
        let yes = match barrier.kind {
            BarrierKind::Reduce { condition, .. } => (condition.of(&self.registers) & active).count_ones(),
            _ => 0,
        };
        let waits = !matches!(barrier.kind, BarrierKind::Arrive);
        if waits {
            self.groups[current].state = State::AtBarrier(id);
        } else {
            self.groups[current].pc += 1;
        }
        block.progress += 1;
        block.barriers.arrive(Arrival { id, warp: self.number, threads: active.count_ones(), yes, expected })?;
        // Whoever completes a barrier lets the block open it before anybody can come to it again.
        Ok(Some(if block.barriers.released.is_empty() { Stop::Regroup } else { Stop::Yield }))
    }

    /// Lets go who waits at a barrier that is complete.
    pub(crate) fn resume(&mut self, release: &Release, code: &[Instruction]) {
        for group in self.groups.iter_mut().filter(|group| group.state == State::AtBarrier(release.id)) {
            if let Step::Barrier(Barrier { kind: BarrierKind::Reduce { result, reduction, .. }, .. }) =
                &code[group.pc].step
            {
                let votes = release.votes;
                match reduction {
                    Reduction::Count => self.registers.write(*result, &[votes.yes; LANES], group.mask),
                    Reduction::All => self.registers.write(*result, &[votes.yes == votes.threads; LANES], group.mask),
                    Reduction::Any => self.registers.write(*result, &[votes.yes > 0; LANES], group.mask),
                }
            }
            group.state = State::Ready;
            group.pc += 1;
        }
    }

    /// Runs a collective if all of its lanes are here, or waits for them.
    fn collect(&mut self, current: usize, collective: &Collective, block: &Block<'_>) -> Result<Option<Stop>, Fault> {
        let Group { mask, .. } = self.groups[current];
        // Lanes may be together and still name different members, such as the two halves of a warp.
        let mut rest = mask;
        let mut complete = true;
        while rest != 0 {
            let (members, same) = self.members(collective, rest);
            if same & !members != 0 {
                return Err(Fault(format!("lanes {same:#x} are not among the members {members:#x} that they name")));
            }
            complete &= members & self.live & !same == 0;
            rest &= !same;
        }
        if complete {
            let mut rest = mask;
            while rest != 0 {
                let (_, same) = self.members(collective, rest);
                let mut offered = [0; LANES];
                if let Some(offer) = collective.offer {
                    offer.collect(&self.registers, same, &mut offered);
                }
                (collective.finish)(&mut self.registers, &offered, same, same)?;
                rest &= !same;
            }
            return Ok(None);
        }
        self.groups[current].state = State::Gathering;
        self.meet(current, collective, block)?;
        Ok(Some(Stop::Regroup))
    }

    /// The member mask of the first of some lanes, and those lanes that name the same one.
    fn members(&self, collective: &Collective, mask: u32) -> (u32, u32) {
        let row = self.registers.row(collective.members);
        let members = row[mask.trailing_zeros() as usize];
        (
            members,
            crate::registers::lanes(mask).filter(|lane| row[*lane] == members).fold(0, |same, lane| same | 1 << lane),
        )
    }

    /// Completes a collective whose lanes have come to it at different instructions.
    fn meet(&mut self, current: usize, collective: &Collective, block: &Block<'_>) -> Result<(), Fault> {
        let (members, _) = self.members(collective, self.groups[current].mask);
        let parts: Vec<(usize, &Collective)> = (0..self.groups.len())
            .filter(|at| self.groups[*at].state == State::Gathering)
            .filter_map(|at| match &block.kernel.code[self.groups[at].pc].step {
                Step::Collective(other) if other.key == collective.key => Some((at, other)),
                _ => None,
            })
            .filter(|&(at, other)| self.members(other, self.groups[at].mask) == (members, self.groups[at].mask))
            .collect();
        let together = parts.iter().fold(0, |mask, &(at, _)| mask | self.groups[at].mask);
        if members & self.live & !together != 0 {
            return Ok(());
        }
        let mut offered = [0; LANES];
        for &(at, part) in &parts {
            if let Some(offer) = part.offer {
                offer.collect(&self.registers, self.groups[at].mask, &mut offered);
            }
        }
        for &(at, part) in &parts {
            (part.finish)(&mut self.registers, &offered, together, self.groups[at].mask)?;
            self.groups[at].state = State::Ready;
            self.groups[at].pc += 1;
        }
        Ok(())
    }

    /// Where its lanes are and what they wait for, for the report of a deadlock.
    pub(crate) fn describe(&self, code: &[Instruction]) -> Vec<String> {
        let describe = |group: &Group| {
            let (line, text) = code.get(group.pc).map_or((0, ""), |at| (at.line, at.text.as_str()));
            let waits = match group.state {
                State::Ready => "can run".to_owned(),
                State::Gathering => "waits for other lanes".to_owned(),
                State::AtBarrier(id) => format!("waits at barrier {id}"),
            };
            format!("warp {} lanes {:#010x} {waits}, line {line}: `{text}`", self.number, group.mask)
        };
        self.groups.iter().map(describe).collect()
    }
}
