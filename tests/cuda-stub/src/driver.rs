//! What the driver remembers: memory, launches, and what its environment asks of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::ptr;
use std::str::FromStr;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use crate::ptx::Module;
use crate::{Code, INVALID_PTX, UNSUPPORTED_PTX_VERSION};

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
}

impl Driver {
    fn new(settings: Settings) -> Self {
        Self { settings, live: BTreeMap::new(), launches: 0, done: Instant::now(), modules: 0 }
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

    /// Hands out zeroed memory, or none if there is not so much.
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
        let address = (mapped.addr().next_multiple_of(PAGE)) as u64;
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

    /// Whether so many bytes from an address on lie in one live allocation.
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
        // SAFETY: the target is live device memory; the source is the caller's, who says that it has so many bytes.
        unsafe { ptr::copy(from, to, bytes) };
        Ok(())
    }

    /// Device to host: not what lies there, which nothing has computed and which may be the remains of something else.
    pub(crate) fn read(&mut self, to: *mut u8, from: u64, bytes: usize) -> Result<(), String> {
        self.live(from, bytes)?;
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
            self.log("bad an image that is no PTX");
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
