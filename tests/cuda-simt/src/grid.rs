//! A launch: the blocks of a grid, spread over the processors of the host.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::barriers::Barriers;
use crate::block::Block;
use crate::copies::Copies;
use crate::mbarrier::Mbarriers;
use crate::memory::{Fault, Global, Own, View};
use crate::module::Kernel;
use crate::races::Races;
use crate::registers::LANES;
use crate::special::Place;
use crate::warp::{Trap, Warp};

/// Rounds in which every warp waits in a loop for what does not come, before that counts as a deadlock.
const PATIENCE: u32 = 1_000;

/// Instructions of a block without any effect on another warp, before it counts as endless.
const ENDLESS: u64 = 200_000_000;

/// How a kernel is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Blocks along x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y and z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared_memory: u32,
    /// Threads of the host to use.
    pub workers: usize,
    /// Whether races in shared memory are looked for.
    pub detect_races: bool,
}

/// What a launch has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Instructions, each counted once for a warp.
    pub instructions: u64,
}

/// Why a launch was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchError {
    /// The kernel.
    pub kernel: String,
    /// The block's place in the grid.
    pub block: [u32; 3],
    /// What is wrong, and where.
    pub problem: String,
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} block {:?}: {}", self.kernel, self.block, self.problem)
    }
}

impl std::error::Error for LaunchError {}

impl Kernel {
    /// Runs a grid to its end. `parameters` are laid out as [`Kernel::parameters`] says.
    ///
    /// # Errors
    ///
    /// The first rule that a block breaks ends the launch: an access outside of what is allocated, a race, a
    /// deadlock … What other blocks have written by then stays.
    pub fn launch(&self, launch: &Launch, parameters: &[u8], memory: &Global) -> Result<Counts, LaunchError> {
        let [x, y, z] = launch.grid.map(u64::from);
        let run = Run {
            kernel: self,
            launch,
            parameters: &Own::new("parameter", parameters.to_vec()),
            memory,
            blocks: x * y * z,
            next: AtomicU64::new(0),
            instructions: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            failure: Mutex::new(None),
        };
        let workers = launch.workers.clamp(1, usize::try_from(run.blocks.max(1)).unwrap_or(usize::MAX));
        std::thread::scope(|scope| {
            (1..workers).for_each(|_| drop(scope.spawn(|| run.work())));
            run.work();
        });
        match run.failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(Counts { instructions: run.instructions.into_inner() }),
        }
    }
}

/// A grid that is being run.
struct Run<'a> {
    kernel: &'a Kernel,
    launch: &'a Launch,
    parameters: &'a Own,
    memory: &'a Global,
    blocks: u64,
    next: AtomicU64,
    instructions: AtomicU64,
    stopped: AtomicBool,
    failure: Mutex<Option<LaunchError>>,
}

impl Run<'_> {
    /// Takes one block after the other until there is none left.
    fn work(&self) {
        let threads = self.launch.block.iter().product::<u32>() as usize;
        let rows = self.kernel.rows;
        let mut warps: Vec<Warp> = (0..threads.div_ceil(LANES)).map(|number| Warp::new(number, rows)).collect();
        while !self.stopped.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.blocks {
                return;
            }
            let index = self.index(number);
            match self.block(index, threads, &mut warps) {
                Ok(instructions) => drop(self.instructions.fetch_add(instructions, Ordering::Relaxed)),
                Err(problem) => self.fail(LaunchError { kernel: self.kernel.name.clone(), block: index, problem }),
            }
        }
    }

    fn index(&self, number: u64) -> [u32; 3] {
        let [x, y, _] = self.launch.grid.map(u64::from);
        [number % x, number / x % y, number / x / y].map(|at| at as u32)
    }

    fn fail(&self, error: LaunchError) {
        self.stopped.store(true, Ordering::Relaxed);
        self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(error);
    }

    /// Runs a block; its instructions.
    fn block(&self, index: [u32; 3], threads: usize, warps: &mut [Warp]) -> Result<u64, String> {
        let kernel = self.kernel;
        let shared = kernel.shared_bytes(self.launch.shared_memory);
        let mut block = Block {
            kernel,
            global: View::new(self.memory),
            parameters: self.parameters,
            shared: Own::new("shared", poison(shared)),
            local: (0..warps.len() * LANES).map(|_| Own::new("local", poison(kernel.local_bytes))).collect(),
            races: Races::new(warps.len(), if self.launch.detect_races { shared } else { 0 }),
            barriers: Barriers::new(threads as u32),
            mbarriers: Mbarriers::default(),
            copies: Copies::new(warps.len()),
            instructions: 0,
            progress: 0,
        };
        for (number, warp) in warps.iter_mut().enumerate() {
            let place = Place {
                grid: self.launch.grid,
                block: self.launch.block,
                index,
                warp: number as u32,
                dynamic_shared: self.launch.shared_memory,
                total_shared: shared as u32,
            };
            warp.start(&block, &place, threads);
        }
        run_warps(&mut block, warps, &self.stopped)?;
        block.finish_copies().map_err(|Fault(problem)| problem)?;
        Ok(block.instructions)
    }
}

/// What memory holds that nobody has written: NaNs and large finite numbers, of whatever type they are read as.
///
/// Both are needed: `max` passes over a NaN, and a product with zero hides a finite number.
fn poison(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| crate::POISON[at % crate::POISON.len()]).collect()
}

/// Gives every warp its turn until all have ended.
fn run_warps(block: &mut Block<'_>, warps: &mut [Warp], stopped: &AtomicBool) -> Result<(), String> {
    let (mut patience, mut last_progress) = (PATIENCE, (0, 0));
    loop {
        let before = block.instructions;
        for at in 0..warps.len() {
            if !warps[at].is_done() {
                warps[at].run(block).map_err(|trap| describe(block, &trap))?;
                open_barriers(block, warps);
            }
        }
        if warps.iter().all(Warp::is_done) || stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        if block.progress != last_progress.0 {
            (patience, last_progress) = (PATIENCE, (block.progress, block.instructions));
            continue;
        }
        // Warps that only test an mbarrier run a few instructions a round.
        let are_waiting = block.instructions - before < 64 * warps.len() as u64;
        patience -= u32::from(are_waiting).min(patience);
        let endless = block.instructions - last_progress.1 > ENDLESS;
        if block.instructions == before || patience == 0 || endless {
            let kind = if endless { "endless loop" } else { "deadlock" };
            let places: Vec<String> = warps.iter().flat_map(|warp| warp.describe(&block.kernel.code)).collect();
            return Err(format!("{kind}:\n  {}", places.join("\n  ")));
        }
    }
}

fn open_barriers(block: &mut Block<'_>, warps: &mut [Warp]) {
    for release in std::mem::take(&mut block.barriers.released) {
        block.races.meet(release.warps);
        block.progress += 1;
        warps.iter_mut().for_each(|warp| warp.resume(&release, &block.kernel.code));
    }
}

fn describe(block: &Block<'_>, trap: &Trap) -> String {
    let Trap { fault: Fault(problem), warp, mask, pc } = trap;
    let (line, text) = block.kernel.code.get(*pc).map_or((0, ""), |at| (at.line, at.text.as_str()));
    format!("warp {warp} lanes {mask:#010x}: {problem}, at line {line}: `{text}`")
}
