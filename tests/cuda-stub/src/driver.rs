//! What the driver remembers: memory, launches, and what its environment asks of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::ptr;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use pubtag_cuda_simt::{Global, POISON};

use crate::ptx::{Function, Module};
use crate::rules::Launch;
use crate::{Code, INVALID_PTX, LAUNCH_FAILED, SUCCESS, UNSUPPORTED_PTX_VERSION};

/// The one driver of the process.
pub(crate) static DRIVER: LazyLock<Mutex<Driver>> =
    LazyLock::new(|| Mutex::new(Driver::new(Settings::from_environment())));

/// Memory is handed out in pages of this size, as the driver aligns it.
const PAGE: usize = 2 << 20;

/// What the environment asks for; see the crate's documentation.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) version: i32,
    pub(crate) devices: i32,
    pub(crate) capability: i32,
    pub(crate) memory: usize,
    free: usize,
    failing_launch: Option<u64>,
    failing_from: Option<u64>,
    launch_time: Duration,
    nan: bool,
    /// Whether kernels are executed.
    pub(crate) compute: bool,
    workers: usize,
    /// Text of modules to replace, and what by.
    planted: Option<(String, String)>,
    log: Option<File>,
    modules: Option<PathBuf>,
}

impl Settings {
    fn from_environment() -> Self {
        fn number<T: FromStr>(name: &str) -> Option<T> {
            std::env::var(name).ok().and_then(|text| text.parse().ok())
        }
        let memory = number("STUB_MEMORY").unwrap_or(80 << 30);
        Self {
            version: number("STUB_DRIVER").unwrap_or(13_000),
            devices: number("STUB_DEVICES").unwrap_or(1),
            capability: number("STUB_SM").unwrap_or(90),
            memory,
            free: number("STUB_FREE").unwrap_or(memory),
            failing_launch: number("STUB_FAIL_LAUNCH"),
            failing_from: number("STUB_FAIL_FROM"),
            launch_time: Duration::from_micros(number("STUB_LAUNCH_MICROSECONDS").unwrap_or(0)),
            nan: std::env::var_os("STUB_NAN").is_some(),
            compute: std::env::var_os("STUB_COMPUTE").is_some_and(|value| value == "1"),
            workers: number("STUB_WORKERS")
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            planted: std::env::var("STUB_PLANT")
                .ok()
                .and_then(|text| text.split_once("=>").map(|(from, to)| (from.to_owned(), to.to_owned()))),
            log: std::env::var_os("STUB_LOG")
                .and_then(|path| File::options().create(true).append(true).open(path).ok()),
            modules: std::env::var_os("STUB_PTX").map(PathBuf::from),
        }
    }

    /// The newest PTX that a driver of this CUDA version takes (PTX ISA reference, release history).
    fn newest_ptx(&self) -> i32 {
        match self.version {
            13_000.. => 90 + (self.version - 13_000) / 10,
            12_090.. => 88,
            12_080.. => 87,
            12_060.. => 85,
            12_000.. => 80 + (self.version - 12_000) / 10,
            _ => 78,
        }
    }
}

/// The driver.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) settings: Settings,
    /// Bytes of each live allocation, by its address.
    live: BTreeMap<u64, usize>,
    launches: u64,
    /// When the card has done all that was launched.
    done: Instant,
    modules: u64,
    /// A file of poison, which fresh memory is mapped from.
    poison: Option<Poison>,
    /// Whether a kernel has broken a rule: as on a card, nothing works from then on.
    broken: bool,
}

impl Driver {
    fn new(settings: Settings) -> Self {
        let poison = settings.compute.then(Poison::new).flatten();
        let done = Instant::now();
        Self { settings, live: BTreeMap::new(), launches: 0, done, modules: 0, poison, broken: false }
    }

    /// Writes a line to the log.
    pub(crate) fn log(&mut self, line: &str) {
        if let Some(log) = &mut self.settings.log {
            // A line in one call, so that threads and processes do not tear it; a full disk is not the driver's matter.
            let _ = log.write_all(format!("{line}\n").as_bytes());
        }
    }

    pub(crate) fn free_bytes(&self) -> usize {
        self.settings.free.saturating_sub(self.live.values().sum())
    }

    /// Hands out memory, or none if there is not so much. It is zeroed, or poisoned if kernels are executed.
    pub(crate) fn allocate(&mut self, bytes: usize) -> Option<u64> {
        if bytes == 0 || bytes > self.free_bytes() {
            self.log(&format!("oom {bytes}"));
            return None;
        }
        let length = bytes.next_multiple_of(PAGE) + PAGE;
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        // SAFETY: a new private mapping touches nothing that exists. It is never unmapped while anything points into it.
        let mapped = unsafe { libc::mmap(ptr::null_mut(), length, access, kind, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return None;
        }
        // The part before the first boundary is left alone: it is never touched, so it costs nothing.
        let start = mapped.map_addr(|address| address.next_multiple_of(PAGE));
        if let Some(poison) = &self.poison {
            poison.cover(start, bytes.next_multiple_of(PAGE));
        }
        let address = start.expose_provenance() as u64;
        self.live.insert(address, bytes);
        self.log(&format!("alloc {bytes}"));
        Some(address)
    }

    pub(crate) fn release(&mut self, address: u64) -> Result<(), String> {
        let bytes = self.live.remove(&address).ok_or_else(|| format!("{address:#x} is freed but not live"))?;
        self.log(&format!("free {bytes}"));
        // SAFETY: the range came from `allocate` and has just left the list of what is live.
        unsafe { libc::munmap(ptr::without_provenance_mut(address as usize), bytes.next_multiple_of(PAGE)) };
        Ok(())
    }

    /// Whether `bytes` bytes from an address lie in one live allocation.
    pub(crate) fn is_live(&self, address: u64, bytes: usize) -> bool {
        let before = self.live.range(..=address).next_back();
        before.is_some_and(|(start, length)| address + bytes as u64 <= start + *length as u64)
    }

    fn live(&self, address: u64, bytes: usize) -> Result<*mut u8, String> {
        let problem = || format!("{bytes} bytes from {address:#x} on are not in one live allocation");
        self.is_live(address, bytes).then(|| ptr::with_exposed_provenance_mut(address as usize)).ok_or_else(problem)
    }

    /// Host to device.
    pub(crate) fn write(&mut self, to: u64, from: *const u8, bytes: usize) -> Result<(), String> {
        let to = self.live(to, bytes)?;
        // SAFETY: the target is live device memory; the caller says that the source has `bytes` bytes.
        unsafe { ptr::copy(from, to, bytes) };
        Ok(())
    }

    /// Device to host. Where nothing is computed, it is not what lies there, which may be the remains of something else.
    pub(crate) fn read(&mut self, to: *mut u8, from: u64, bytes: usize) -> Result<(), String> {
        let from = self.live(from, bytes)?;
        if self.settings.compute && !self.settings.nan {
            // SAFETY: the source is live device memory; the target is the caller's, who says that it has room.
            unsafe { ptr::copy(from, to, bytes) };
            return Ok(());
        }
        // SAFETY: the target is the caller's, who says that it has room.
        unsafe { ptr::write_bytes(to, if self.settings.nan { 0xff } else { 0 }, bytes) };
        Ok(())
    }

    /// Device to device.
    pub(crate) fn copy(&mut self, to: u64, from: u64, bytes: usize) -> Result<(), String> {
        let (to, from) = (self.live(to, bytes)?, self.live(from, bytes)?);
        // SAFETY: both are live device memory.
        unsafe { ptr::copy(from, to, bytes) };
        Ok(())
    }

    /// Takes a module that this card and this driver can run.
    pub(crate) fn load(&mut self, text: &str) -> Result<Module, Code> {
        let Some(module) = Module::parse(text) else {
            self.log("bad image: not PTX");
            return Err(INVALID_PTX);
        };
        if module.version > self.settings.newest_ptx() {
            return Err(UNSUPPORTED_PTX_VERSION);
        }
        let card = self.settings.capability;
        if module.target > card || module.exact && module.target != card {
            self.log(&format!("bad a module for sm_{} on sm_{card}", module.target));
            return Err(INVALID_PTX);
        }
        let mut module = module;
        if self.settings.compute {
            let text = self.planted(text);
            if let Err(error) = module.decode(&text) {
                self.refuse(&format!("cannot decode a module: {error}"));
                return Err(INVALID_PTX);
            }
        }
        let name = module.functions.first().map_or("none", |function| function.name.as_str());
        self.log(&format!("module {name} sm_{}", module.target));
        if let Some(folder) = &self.settings.modules {
            let short: String = name.chars().take(80).collect();
            let path = folder.join(format!("{}-{:04}-{short}.ptx", std::process::id(), self.modules));
            if let Err(error) = std::fs::write(&path, text) {
                self.log(&format!("bad cannot write {}: {error}", path.display()));
            }
        }
        self.modules += 1;
        Ok(module)
    }

    /// The text of a module with the error that is to be planted, once.
    fn planted<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        match &self.settings.planted {
            Some((from, to)) if text.contains(from.as_str()) => {
                let changed = text.replacen(from, to, 1);
                self.log("planted");
                Cow::Owned(changed)
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Says what is wrong, in the log and where nobody overlooks it: callers may swallow the error.
    fn refuse(&mut self, problem: &str) {
        self.log(&format!("bad {problem}"));
        eprintln!("cuda-stub: {problem}");
    }

    /// Executes a launch that follows the rules. Streams, and threads that launch, take their turns.
    pub(crate) fn compute(&mut self, function: &Function, launch: &Launch, parameters: *const *const c_void) -> Code {
        if self.broken {
            return LAUNCH_FAILED;
        }
        let Some((module, kernel)) = function.kernel() else {
            self.refuse(&format!("{} was not decoded", function.name));
            return LAUNCH_FAILED;
        };
        let live = self.live.iter().map(|(start, bytes)| (*start, start + *bytes as u64));
        // SAFETY: nobody frees or writes these while the driver is held, which is until the launch has ended.
        let memory = unsafe { Global::new(live.chain(module.regions()).collect()) };
        let launch = pubtag_cuda_simt::Launch {
            grid: launch.grid,
            block: launch.block,
            shared_memory: launch.shared_memory,
            workers: self.settings.workers,
            detect_races: true,
        };
        let start = Instant::now();
        match kernel.launch(&launch, &function.parameter_bytes(kernel, parameters), &memory) {
            Ok(counts) => {
                let micros = start.elapsed().as_micros();
                self.log(&format!("computed {} {} instructions in {micros} us", function.name, counts.instructions));
                SUCCESS
            }
            Err(error) => {
                self.broken = true;
                self.refuse(&error.to_string());
                LAUNCH_FAILED
            }
        }
    }

    /// What every call answers once a kernel has broken a rule.
    pub(crate) fn health(&self) -> Code {
        if self.broken { LAUNCH_FAILED } else { SUCCESS }
    }

    /// When the card has done all that was launched.
    pub(crate) fn done(&self) -> Instant {
        self.done
    }

    /// Counts a launch and says whether it is one that has to fail.
    pub(crate) fn launch_fails(&mut self) -> bool {
        self.launches += 1;
        self.done = self.done.max(Instant::now()) + self.settings.launch_time;
        let fails = self.settings.failing_launch == Some(self.launches)
            || self.settings.failing_from.is_some_and(|first| self.launches >= first);
        if fails {
            self.log(&format!("failing launch {}", self.launches));
        }
        fails
    }
}

/// A file of poison in memory, to be mapped as often as needed: it costs nothing until it is written over.
#[derive(Debug)]
struct Poison {
    file: OwnedFd,
}

/// Size of that file; large, because the number of mappings of a process is limited.
const POISON_FILE: usize = 16 * PAGE;

impl Poison {
    fn new() -> Option<Self> {
        // SAFETY: the name ends in a zero, and nothing else is passed.
        let number = unsafe { libc::memfd_create(c"poison".as_ptr(), libc::MFD_CLOEXEC) };
        if number < 0 {
            return None;
        }
        // SAFETY: the descriptor is new and belongs to nobody else.
        let file = unsafe { OwnedFd::from_raw_fd(number) };
        let bytes: Vec<u8> = POISON.iter().copied().cycle().take(POISON_FILE).collect();
        File::from(file.try_clone().ok()?).write_all(&bytes).ok()?;
        Some(Self { file })
    }

    /// Maps poison over whole pages of a mapping that nobody uses yet.
    fn cover(&self, start: *mut c_void, bytes: usize) {
        for offset in (0..bytes).step_by(POISON_FILE) {
            let length = POISON_FILE.min(bytes - offset);
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
            let place = start.wrapping_byte_add(offset);
            // SAFETY: the pages belong to a new mapping, which nothing points into.
            let mapped = unsafe { libc::mmap(place, length, access, kind, self.file.as_raw_fd(), 0) };
            assert!(mapped == place, "a page of poison cannot be mapped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubles what its first parameter points to, in each of some threads.
    const DOUBLE: &str = "//
.version 8.5
.target sm_80
.address_size 64

.visible .entry double(
	.param .u64 double_param_0,
	.param .u32 double_param_1
)
{
	.reg .pred %p<2>;
	.reg .f32 %f<3>;
	.reg .b32 %r<3>;
	.reg .b64 %rd<4>;
	ld.param.u64 %rd1, [double_param_0];
	ld.param.u32 %r1, [double_param_1];
	mov.u32 %r2, %tid.x;
	setp.ge.u32 %p1, %r2, %r1;
	@%p1 bra L_end;
	mul.wide.u32 %rd2, %r2, 4;
	add.s64 %rd3, %rd1, %rd2;
	ld.global.f32 %f1, [%rd3];
	add.f32 %f2, %f1, %f1;
	st.global.f32 [%rd3], %f2;
L_end:
	ret;
}
";

    fn driver(planted: Option<(&str, &str)>) -> Driver {
        let mut settings = Settings::from_environment();
        settings.compute = true;
        settings.capability = 80;
        settings.planted = planted.map(|(from, to)| (from.to_owned(), to.to_owned()));
        Driver::new(settings)
    }

    /// Doubles ten numbers in memory that has room for as many, with a count of some; what lies there then.
    fn double(driver: &mut Driver, count: u32) -> Result<Vec<f32>, Code> {
        let module = driver.load(DOUBLE)?;
        let address = driver.allocate(40).unwrap();
        let numbers: Vec<f32> = (0..10_u8).map(f32::from).collect();
        driver.write(address, numbers.as_ptr().cast(), 40).unwrap();
        let launch = Launch { grid: [1; 3], block: [32, 1, 1], shared_memory: 0 };
        let parameters: [*const c_void; 2] = [ptr::from_ref(&address).cast(), ptr::from_ref(&count).cast()];
        match driver.compute(&module.functions[0], &launch, parameters.as_ptr()) {
            SUCCESS => {}
            code => return Err(code),
        }
        let mut found = vec![0.0_f32; 10];
        driver.read(found.as_mut_ptr().cast(), address, 40).unwrap();
        driver.release(address).unwrap();
        Ok(found)
    }

    #[test]
    fn a_launch_is_executed() {
        let expected: Vec<f32> = (0..10_u8).map(|number| 2.0 * f32::from(number)).collect();
        assert_eq!(double(&mut driver(None), 10), Ok(expected));
    }

    #[test]
    fn a_planted_error_changes_what_comes_back() {
        let mut changed = driver(Some(("add.f32 %f2, %f1, %f1", "mul.f32 %f2, %f1, %f1")));
        let expected: Vec<f32> = (0..10_u8).map(|number| f32::from(number).powi(2)).collect();
        assert_eq!(double(&mut changed, 10), Ok(expected));
    }

    #[test]
    fn an_access_behind_an_allocation_breaks_the_card_for_good() {
        let mut driver = driver(None);
        assert_eq!(double(&mut driver, 11), Err(LAUNCH_FAILED));
        assert_eq!(driver.health(), LAUNCH_FAILED);
        assert_eq!(double(&mut driver, 10), Err(LAUNCH_FAILED));
    }

    #[test]
    fn an_instruction_that_is_not_known_is_refused() {
        let mut driver = driver(Some(("add.f32", "frobnicate.f32")));
        assert_eq!(double(&mut driver, 10), Err(INVALID_PTX));
    }

    #[test]
    fn fresh_memory_is_poison_up_to_its_end() {
        let mut driver = driver(None);
        let bytes = PAGE + 100;
        let address = driver.allocate(bytes).unwrap();
        let mut found = vec![0_u8; bytes];
        driver.read(found.as_mut_ptr(), address, bytes).unwrap();
        assert!(found.iter().zip(POISON.iter().cycle()).all(|(found, poison)| found == poison));
        assert!(driver.read(found.as_mut_ptr(), address, bytes + 1).is_err());
        driver.release(address).unwrap();
    }
}
