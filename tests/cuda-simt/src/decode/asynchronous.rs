//! Asynchronous copies and mbarriers.

use super::Opcode;
use super::operands::{Address, Operands};
use crate::block::{Block, Machine, shared_address};
use crate::copies::{Bulk, Issuer};
use crate::mbarrier::{Change, phase};
use crate::memory::{Fault, from_generic};
use crate::registers::{LANES, Registers, Row, Slot, lanes};
use crate::step::Step;
use crate::tensor::{TENSOR_MAP_BYTES, TensorMap};
use crate::types::{Space, Type};

const WORD: Type = Type::Bits(32);

pub(super) fn decode(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    match opcode.words[0] {
        "mbarrier" => mbarrier(opcode, operands),
        "cp" => copy(opcode, operands),
        _ => Ok(None),
    }
}

/// Runs something for each lane with the address that it names in shared memory.
fn for_each_lane(
    address: Address,
    run: impl Fn(&mut Machine<'_, '_>, usize, u64) -> Result<(), Fault> + Send + Sync + 'static,
) -> Result<Option<Step>, String> {
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let addresses = machine.addresses(address);
        lanes(mask).try_for_each(|lane| run(machine, lane, shared_address(addresses[lane])?))
    }))))
}

fn mbarrier(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    match opcode.words[1] {
        "init" => {
            let (address, count) = (operands.address(0)?, operands.source(1, WORD)?);
            for_each_lane(address, move |machine, lane, address| {
                let count = machine.registers.row(count)[lane];
                machine.block.init_mbarrier(address, count.into())
            })
        }
        "inval" => {
            for_each_lane(operands.address(0)?, |machine, _, address| machine.block.invalidate_mbarrier(address))
        }
        "arrive" | "arrive_drop" => arrive(opcode, operands),
        "expect_tx" | "complete_tx" => {
            let (address, bytes) = (operands.address(0)?, operands.source(1, WORD)?);
            let sign = if opcode.words[1] == "expect_tx" { 1 } else { -1 };
            for_each_lane(address, move |machine, lane, address| {
                let bytes = sign * i64::from(machine.registers.row(bytes)[lane]);
                let change = Change { bytes, ..Change::default() };
                machine.block.change_mbarrier(machine.warp, address, change).map(drop)
            })
        }
        "test_wait" | "try_wait" => wait(opcode, operands),
        "pending_count" => {
            let (d, state) = (operands.destination(0)?, operands.source(1, Type::Bits(64))?);
            Ok(Some(Step::Lanes(Box::new(move |registers, mask| {
                let counts = registers.read::<u64>(state).map(|state| Block::pending_arrivals(state) as u32);
                registers.write_row(d, &counts, mask);
            }))))
        }
        _ => Ok(None),
    }
}

fn arrive(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let has_state = !matches!(operands.get(0), Some(super::Operand::Memory(..)));
    let first = usize::from(has_state);
    let state = if has_state { Some(operands.destination(0)?) } else { None };
    let address = operands.address(first)?;
    let number = if operands.len() > first + 1 { Some(operands.source(first + 1, WORD)?) } else { None };
    let (expects, drops) = (opcode.has("expect_tx"), opcode.words[1] == "arrive_drop");
    for_each_lane(address, move |machine, lane, address| {
        let number = number.map(|number| i64::from(machine.registers.row(number)[lane]));
        let arrivals = if expects { 1 } else { number.unwrap_or(1) };
        let change = Change {
            arrivals: arrivals as u64,
            bytes: if expects { number.unwrap_or(0) } else { 0 },
            dropped: if drops { arrivals as u64 } else { 0 },
            ..Change::default()
        };
        let old = machine.block.change_mbarrier(machine.warp, address, change)?;
        if let Some(state) = state {
            machine.registers.write(state, &[old; LANES], 1 << lane);
        }
        Ok(())
    })
}

fn wait(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (d, address) = (operands.destination(0)?, operands.address(1)?);
    let by_parity = opcode.has("parity");
    let asked = operands.source(2, if by_parity { WORD } else { Type::Bits(64) })?;
    let parity = move |registers: &Registers, lane: usize| {
        if by_parity { registers.row(asked)[lane] & 1 == 1 } else { phase(registers.read::<u64>(asked)[lane]) }
    };
    let run = Box::new(move |machine: &mut Machine<'_, '_>, mask: u32| {
        let addresses = machine.addresses(address);
        let mut over = 0;
        for lane in lanes(mask) {
            let (place, parity) = (shared_address(addresses[lane])?, parity(machine.registers, lane));
            over |= u32::from(machine.block.test_mbarrier(machine.warp, place, parity)?) << lane;
        }
        machine.registers.set_predicate(d, over, mask);
        Ok(())
    });
    Ok(Some(Step::Poll { run, found: d }))
}

fn copy(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    if opcode.starts("cp.async.commit_group") {
        return Ok(Some(Step::Effect(Box::new(|machine, mask| {
            machine.block.copies.commit(machine.warp, mask);
            Ok(())
        }))));
    }
    if opcode.starts("cp.async.wait_group") || opcode.starts("cp.async.wait_all") {
        let last = if opcode.has("wait_all") { None } else { Some(operands.source(0, WORD)?) };
        return Ok(Some(Step::Effect(Box::new(move |machine, mask| {
            let last = last.map(|last| machine.registers.row(last)[0]);
            machine.block.wait_for_copies(machine.warp, mask, last)
        }))));
    }
    if opcode.starts("cp.async.mbarrier.arrive") {
        let counts = opcode.has("noinc");
        return for_each_lane(operands.address(0)?, move |machine, lane, address| {
            if !counts {
                // The arrival that is to come is added to those that this phase waits for.
                let change = Change { added: 1, ..Change::default() };
                machine.block.change_mbarrier(machine.warp, address, change)?;
            }
            machine.block.arrive_after_copies(machine.warp, lane, address);
            Ok(())
        });
    }
    if opcode.starts("cp.async.bulk") {
        return bulk(opcode, operands);
    }
    if opcode.starts("cp.async.ca") || opcode.starts("cp.async.cg") {
        return small_copy(operands);
    }
    Ok(None)
}

fn small_copy(operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (to, from) = (operands.address(0)?, operands.address(1)?);
    let bytes = operands.source(2, WORD)?;
    let real = if operands.len() > 3 { operands.source(3, WORD)? } else { bytes };
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let (to, from) = (machine.addresses(to), machine.addresses(from));
        let (bytes, real): (Row, Row) = (*machine.registers.row(bytes), *machine.registers.row(real));
        let issuer = Issuer { warp: machine.warp, pc: machine.pc };
        for lane in lanes(mask) {
            let (bytes, real) = (bytes[lane] as usize, real[lane] as usize);
            if !matches!(bytes, 4 | 8 | 16) || real > bytes {
                return Err(Fault(format!("a copy of {bytes} bytes, {real} of them read")));
            }
            let (Space::Global, from) = from_generic(from[lane]) else {
                return Err(Fault(format!("{:#x} is not global memory", from[lane])));
            };
            machine.block.begin_copy(issuer, lane, shared_address(to[lane])?, from, [bytes, real])?;
        }
        Ok(())
    }))))
}

fn bulk(opcode: &Opcode<'_>, operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    if opcode.has("commit_group") {
        return Ok(Some(Step::Effect(Box::new(|machine, mask| {
            machine.block.copies.commit_bulk(machine.warp, mask);
            Ok(())
        }))));
    }
    if opcode.has("wait_group") {
        let last = operands.source(0, WORD)?;
        return Ok(Some(Step::Effect(Box::new(move |machine, mask| {
            let last = machine.registers.row(last)[0];
            machine.block.wait_for_bulk_stores(machine.warp, mask, last)
        }))));
    }
    if opcode.has("prefetch") {
        return Ok(Some(Step::Nothing));
    }
    if opcode.words.iter().any(|word| word.contains("multicast") || word.starts_with("im2col")) || opcode.has("reduce")
    {
        return Ok(None);
    }
    let loads = opcode.words.iter().any(|word| word.starts_with("mbarrier"));
    match (opcode.has("tensor"), loads) {
        (true, true) => tensor_load(operands),
        (true, false) => tensor_store(operands),
        (false, true) => bytes_load(operands),
        (false, false) => bytes_store(operands),
    }
}

/// The map at an address, in whichever space it lies.
fn tensor_map(machine: &mut Machine<'_, '_>, lane: usize, address: u64) -> Result<Box<TensorMap>, Fault> {
    let mut bytes = Vec::with_capacity(TENSOR_MAP_BYTES);
    for at in (0..TENSOR_MAP_BYTES as u64).step_by(8) {
        bytes.extend(machine.load(Space::Generic, lane, address + at, 8)?.to_le_bytes());
    }
    TensorMap::decode(&bytes).map(Box::new)
}

fn coordinates(machine: &Machine<'_, '_>, slots: &[Slot], lane: usize) -> Vec<i32> {
    slots.iter().map(|slot| machine.registers.row(*slot)[lane] as i32).collect()
}

fn tensor_load(operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (to, (map, start), barrier) = (operands.address(0)?, operands.tensor(1)?, operands.address(2)?);
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let (to, maps, barriers) = (machine.addresses(to), machine.addresses(map), machine.addresses(barrier));
        let issuer = Issuer { warp: machine.warp, pc: machine.pc };
        for lane in lanes(mask) {
            let map = tensor_map(machine, lane, maps[lane])?;
            let what = Bulk::Box { map, start: coordinates(machine, &start, lane), shared: shared_address(to[lane])? };
            machine.block.begin_bulk_load(issuer, shared_address(barriers[lane])?, what)?;
        }
        Ok(())
    }))))
}

fn tensor_store(operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let ((map, start), from) = (operands.tensor(0)?, operands.address(1)?);
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let (from, maps) = (machine.addresses(from), machine.addresses(map));
        let issuer = Issuer { warp: machine.warp, pc: machine.pc };
        for lane in lanes(mask) {
            let map = tensor_map(machine, lane, maps[lane])?;
            let what =
                Bulk::Box { map, start: coordinates(machine, &start, lane), shared: shared_address(from[lane])? };
            machine.block.begin_bulk_store(issuer, lane, what)?;
        }
        Ok(())
    }))))
}

fn bytes_load(operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (to, from, bytes) = (operands.address(0)?, operands.address(1)?, operands.source(2, WORD)?);
    let barrier = operands.address(3)?;
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let (to, from, barriers) = (machine.addresses(to), machine.addresses(from), machine.addresses(barrier));
        let bytes: Row = *machine.registers.row(bytes);
        let issuer = Issuer { warp: machine.warp, pc: machine.pc };
        for lane in lanes(mask) {
            let what = Bulk::Bytes { shared: shared_address(to[lane])?, global: from[lane], bytes: bytes[lane].into() };
            machine.block.begin_bulk_load(issuer, shared_address(barriers[lane])?, what)?;
        }
        Ok(())
    }))))
}

fn bytes_store(operands: &mut Operands<'_>) -> Result<Option<Step>, String> {
    let (to, from, bytes) = (operands.address(0)?, operands.address(1)?, operands.source(2, WORD)?);
    Ok(Some(Step::Effect(Box::new(move |machine, mask| {
        let (to, from) = (machine.addresses(to), machine.addresses(from));
        let bytes: Row = *machine.registers.row(bytes);
        let issuer = Issuer { warp: machine.warp, pc: machine.pc };
        for lane in lanes(mask) {
            let what = Bulk::Bytes { shared: shared_address(from[lane])?, global: to[lane], bytes: bytes[lane].into() };
            machine.block.begin_bulk_store(issuer, lane, what)?;
        }
        Ok(())
    }))))
}
