//! Instructions by which lanes of a warp, or warps of a block, work together.

use super::Opcode;
use super::operands::{Operand, Operands};
use crate::memory::Fault;
use crate::registers::{LANES, Slot, lanes};
use crate::step::{Barrier, BarrierKind, Collective, Finish, Offer, Reduction, Step};
use crate::types::Type;

pub(super) fn decode(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    if opcode.starts("bar.warp.sync") {
        let members = operands.source(0, Type::Bits(32))?;
        return collective(opcode, members, None, Box::new(|_, _, _, _| Ok(())));
    }
    match opcode.words[0] {
        "bar" | "barrier" if opcode.words.get(1) != Some(&"cluster") => barrier(opcode, operands),
        "shfl" => shuffle(opcode, operands),
        "vote" => vote(opcode, operands),
        "match" => match_any(opcode, operands),
        "redux" => reduce(opcode, operands),
        "elect" => elect(opcode, operands),
        "activemask" => {
            let d = operands.destination(0)?;
            Ok(Some(Step::Lanes(Box::new(move |registers, mask| registers.write(d, &[mask; LANES], mask)))))
        }
        _ => Ok(None),
    }
}

fn collective(
    opcode: &Opcode<'_>,
    members: Slot,
    offer: Option<Offer>,
    finish: Finish,
) -> Result<Option<Step>, String> {
    Ok(Some(Step::Collective(Collective { key: opcode.text.to_owned(), members, offer, finish })))
}

fn barrier(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let aligned = opcode.words[0] == "bar" || opcode.has("aligned");
    let number = Type::Unsigned(32);
    let (kind, first) = if opcode.has("red") {
        let reduction = match opcode {
            _ if opcode.has("popc") => Reduction::Count,
            _ if opcode.has("and") => Reduction::All,
            _ if opcode.has("or") => Reduction::Any,
            _ => return Ok(None),
        };
        let condition = operands.condition(operands.len() - 1)?;
        (BarrierKind::Reduce { result: operands.destination(0)?, condition, reduction }, 1)
    } else if opcode.has("arrive") {
        (BarrierKind::Arrive, 0)
    } else if opcode.has("sync") {
        (BarrierKind::Sync, 0)
    } else {
        return Ok(None);
    };
    let last = operands.len() - usize::from(matches!(kind, BarrierKind::Reduce { .. }));
    let id = operands.source(first, number)?;
    let threads = if last > first + 1 { Some(operands.source(first + 1, number)?) } else { None };
    Ok(Some(Step::Barrier(Barrier { id, threads, kind, aligned })))
}

/// How `shfl` picks the lane to read from.
#[derive(Clone, Copy, Debug)]
enum Shuffle {
    Up,
    Down,
    Butterfly,
    Index,
}

impl Shuffle {
    /// The lane that a lane reads, and whether it lies in its segment (PTX ISA, "shfl.sync").
    fn source(self, lane: u32, b: u32, c: u32) -> (u32, bool) {
        let (b, segment, clamp) = (b & 0x1f, c >> 8 & 0x1f, c & 0x1f);
        let most = lane & segment | clamp & !segment;
        let least = lane & segment;
        let (from, within) = match self {
            Self::Up => (lane.wrapping_sub(b), lane as i32 - b as i32 >= most as i32),
            Self::Down => (lane + b, lane + b <= most),
            Self::Butterfly => (lane ^ b, lane ^ b <= most),
            Self::Index => (least | b & !segment, least | b & !segment <= most),
        };
        if within { (from, true) } else { (lane, false) }
    }
}

fn shuffle(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let how = match opcode.words.get(2) {
        Some(&"up") => Shuffle::Up,
        Some(&"down") => Shuffle::Down,
        Some(&"bfly") => Shuffle::Butterfly,
        Some(&"idx") => Shuffle::Index,
        _ => return Ok(None),
    };
    let word = Type::Bits(32);
    let (d, within) = operands.destination_pair(0)?;
    let (a, b, c) = (operands.source(1, word)?, operands.source(2, word)?, operands.source(3, word)?);
    let members = operands.source(4, word)?;
    let finish: Finish = Box::new(move |registers, offered, together, own| {
        let (b, c) = (*registers.row(b), *registers.row(c));
        let (mut values, mut inside) = ([0; LANES], 0);
        for lane in lanes(own) {
            let (from, is_inside) = how.source(lane as u32, b[lane], c[lane]);
            if together >> from & 1 == 0 {
                return Err(Fault(format!("lane {lane} reads from lane {from}, which takes no part")));
            }
            values[lane] = offered[from as usize];
            inside |= u32::from(is_inside) << lane;
        }
        registers.write_row(d, &values, own);
        if let Some(within) = within {
            registers.set_predicate(within, inside, own);
        }
        Ok(())
    });
    collective(opcode, members, Some(Offer::Value(a)), finish)
}

fn vote(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    if opcode.words.get(1) != Some(&"sync") {
        return Ok(None);
    }
    let d = operands.destination(0)?;
    let condition = operands.condition(1)?;
    let members = operands.source(2, Type::Bits(32))?;
    let ballot = opcode.has("ballot");
    let decide: fn(u32, u32) -> bool = match opcode.words.get(2) {
        Some(&"all") => |yes, all| yes == all,
        Some(&"any") => |yes, _| yes != 0,
        Some(&"uni") => |yes, all| yes == 0 || yes == all,
        Some(&"ballot") => |_, _| false,
        _ => return Ok(None),
    };
    let finish: Finish = Box::new(move |registers, offered, together, own| {
        let yes = lanes(together).filter(|lane| offered[*lane] != 0).fold(0_u32, |yes, lane| yes | 1 << lane);
        if ballot {
            registers.write(d, &[yes; LANES], own);
        } else {
            registers.write(d, &[decide(yes, together); LANES], own);
        }
        Ok(())
    });
    collective(opcode, members, Some(Offer::Predicate(condition)), finish)
}

/// `match.any.sync.b32`: the lanes that have the same value.
fn match_any(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    if opcode.words.get(1) != Some(&"any") || opcode.kind()? != Type::Bits(32) {
        return Ok(None);
    }
    let (d, a) = (operands.destination(0)?, operands.source(1, Type::Bits(32))?);
    let members = operands.source(2, Type::Bits(32))?;
    let finish: Finish = Box::new(move |registers, offered, together, own| {
        let same =
            |value: u32| lanes(together).filter(|lane| offered[*lane] == value).fold(0, |same, lane| same | 1 << lane);
        let values = std::array::from_fn(|lane| same(offered[lane]));
        registers.write_row(d, &values, own);
        Ok(())
    });
    collective(opcode, members, Some(Offer::Value(a)), finish)
}

fn reduce(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let combine: fn(u32, u32) -> u32 = match (opcode.words.get(2).copied().unwrap_or_default(), opcode.kind()?) {
        ("add", _) => u32::wrapping_add,
        ("and", _) => |a, b| a & b,
        ("or", _) => |a, b| a | b,
        ("xor", _) => |a, b| a ^ b,
        ("min", Type::Signed(32)) => |a, b| (a as i32).min(b as i32) as u32,
        ("max", Type::Signed(32)) => |a, b| (a as i32).max(b as i32) as u32,
        ("min", Type::Unsigned(32)) => u32::min,
        ("max", Type::Unsigned(32)) => u32::max,
        _ => return Ok(None),
    };
    let (d, a) = (operands.destination(0)?, operands.source(1, Type::Bits(32))?);
    let members = operands.source(2, Type::Bits(32))?;
    let finish: Finish = Box::new(move |registers, offered, together, own| {
        let total = lanes(together).map(|lane| offered[lane]).reduce(combine).unwrap_or_default();
        registers.write(d, &[total; LANES], own);
        Ok(())
    });
    collective(opcode, members, Some(Offer::Value(a)), finish)
}

/// `elect.sync d|p, members`: the lowest of the lanes is the leader.
fn elect(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let Some(Operand::Pair(..)) = operands.get(0) else { return Ok(None) };
    let (leader, is_leader) = operands.destination_pair(0)?;
    let members = operands.source(1, Type::Bits(32))?;
    let finish: Finish = Box::new(move |registers, _, together, own| {
        let lowest = together.trailing_zeros();
        registers.write(leader, &[lowest; LANES], own);
        if let Some(is_leader) = is_leader {
            registers.set_predicate(is_leader, 1 << lowest, own);
        }
        Ok(())
    });
    collective(opcode, members, None, finish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_read_within_their_segment() {
        // As `__shfl_*_sync` compiles them for a width of 32: c is 0 for up and 31 for the others.
        assert_eq!(Shuffle::Up.source(5, 2, 0), (3, true));
        assert_eq!(Shuffle::Up.source(1, 2, 0), (1, false));
        assert_eq!(Shuffle::Down.source(30, 1, 31), (31, true));
        assert_eq!(Shuffle::Down.source(31, 1, 31), (31, false));
        assert_eq!(Shuffle::Butterfly.source(5, 16, 31), (21, true));
        assert_eq!(Shuffle::Index.source(5, 9, 31), (9, true));
        // For a width of 8: the segment mask is 24, so c is 24·256 + 31, or 24·256 for up.
        assert_eq!(Shuffle::Index.source(13, 2, 0x181f), (10, true));
        assert_eq!(Shuffle::Down.source(14, 3, 0x181f), (14, false));
        assert_eq!(Shuffle::Up.source(9, 2, 0x1800), (9, false));
    }
}
