//! A CUDA driver for tests, in place of `libcuda.so.1` on a machine without a card.
//!
//! Device memory is host memory. Modules must be PTX for the emulated card and driver; launches are checked against the
//! rules of the driver API (grid and block sizes, shared memory, pointers into live memory). By default they are not
//! executed: this tests that kernels compile, what is launched and copied, and what happens when a call fails. The program
//! reads back zeros.
//!
//! With `STUB_COMPUTE=1` it executes every launch on the CPU (`pubtag_cuda_simt`), and the program reads back what the
//! kernels computed. Fresh memory is poisoned, every access is checked against live allocations, and a kernel that breaks
//! a rule is reported (`bad` in the log, and on stderr); every later call fails. See `README.md`.
//!
//! Copy the library to a folder as `libcuda.so.1` and put that on `LD_LIBRARY_PATH`. Settings are environment variables:
//!
//! | variable | meaning |
//! |---|---|
//! | `STUB_LOG` | file to write a line to for each event: `module`, `launch`, `h2d`, `d2h`, `wait` and `waited`, `alloc`, `free`, `bad` … |
//! | `STUB_PTX` | folder to write every module to |
//! | `STUB_SM` | compute capability, 80 or 90, default: 90 |
//! | `STUB_DEVICES` | number of cards, default: 1 |
//! | `STUB_DRIVER` | the driver's CUDA version as `cuDriverGetVersion` gives it, default: 13000 |
//! | `STUB_MEMORY` | bytes of a card's memory, default: 80 GiB |
//! | `STUB_FREE` | bytes of it that are free, default: all |
//! | `STUB_FAIL_LAUNCH` | the number of a launch (from 1) that fails |
//! | `STUB_FAIL_FROM` | the number of a launch from which on all fail |
//! | `STUB_LAUNCH_MICROSECONDS` | how long a launch takes, default: 0; waiting for the card takes as long |
//! | `STUB_COMPUTE` | if 1, kernels are executed; the log has a line `computed` for each |
//! | `STUB_WORKERS` | threads that execute blocks, default: one per processor |
//! | `STUB_PLANT` | `OLD=>NEW`: in each module that is executed, the first `OLD` is replaced by `NEW`, so that tests can see errors noticed |
//! | `STUB_NAN` | if set, what is read back is all ones: not a number in every floating-point type |

mod driver;
mod ptx;
mod rules;

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::Mutex;
use std::time::Instant;

use driver::{DRIVER, Driver};
use ptx::{Function, Module};

/// A result of the driver API.
type Code = c_int;
/// An address on the device.
type Address = u64;

const SUCCESS: Code = 0;
const INVALID_VALUE: Code = 1;
const OUT_OF_MEMORY: Code = 2;
const INVALID_DEVICE: Code = 101;
const INVALID_PTX: Code = 218;
const UNSUPPORTED_PTX_VERSION: Code = 222;
const NOT_FOUND: Code = 500;
const NOT_READY: Code = 600;
const LAUNCH_FAILED: Code = 719;
const NOT_SUPPORTED: Code = 801;

/// A handle that is never dereferenced.
const TOKEN: *mut c_void = ptr::without_provenance_mut(0x10);

fn with<T>(act: impl FnOnce(&mut Driver) -> T) -> T {
    act(&mut DRIVER.lock().expect("no call panics while it holds the driver"))
}

/// Success, or what the rules say is wrong with a call, logged.
fn checked(verdict: Result<(), String>) -> Code {
    match verdict {
        Ok(()) => SUCCESS,
        Err(problem) => {
            with(|driver| driver.log(&format!("bad {problem}")));
            INVALID_VALUE
        }
    }
}

/// Like [`checked`], for a copy of `bytes` bytes, which is logged.
fn copied(kind: &str, bytes: usize, verdict: Result<(), String>) -> Code {
    with(|driver| driver.log(&format!("{kind} {bytes}")));
    checked(verdict)
}

fn put<T>(place: *mut T, value: T) -> Code {
    // SAFETY: the caller hands the place of an out parameter, as the driver API asks.
    unsafe { place.write(value) };
    SUCCESS
}

// ---- the driver and its devices

#[unsafe(no_mangle)]
extern "C" fn cuInit(_flags: c_uint) -> Code {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDriverGetVersion(version: *mut c_int) -> Code {
    put(version, with(|driver| driver.settings.version))
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetCount(count: *mut c_int) -> Code {
    put(count, with(|driver| driver.settings.devices))
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGet(device: *mut c_int, ordinal: c_int) -> Code {
    if (0..with(|driver| driver.settings.devices)).contains(&ordinal) { put(device, ordinal) } else { INVALID_DEVICE }
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetName(name: *mut c_char, length: c_int, _device: c_int) -> Code {
    let text = format!("Stub sm_{}\0", with(|driver| driver.settings.capability));
    let length = text.len().min(usize::try_from(length).unwrap_or(0));
    // SAFETY: the caller's buffer has `length` bytes at least.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), name, length) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int) -> Code {
    put(bytes, with(|driver| driver.settings.memory))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) -> Code {
    put(free, with(|driver| driver.free_bytes()));
    put(total, with(|driver| driver.settings.memory))
}

#[unsafe(no_mangle)]
extern "C" fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, _device: c_int) -> Code {
    put(value, with(|driver| rules::attribute(attribute, driver.settings.capability)))
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRetain(context: *mut *mut c_void, device: c_int) -> Code {
    put(context, TOKEN.with_addr(0x10 + device as usize))
}

#[unsafe(no_mangle)]
extern "C" fn cuDevicePrimaryCtxRelease_v2(_device: c_int) -> Code {
    SUCCESS
}

thread_local! {
    static CONTEXT: std::cell::Cell<*mut c_void> = const { std::cell::Cell::new(ptr::null_mut()) };
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSetCurrent(context: *mut c_void) -> Code {
    CONTEXT.set(context);
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxGetCurrent(context: *mut *mut c_void) -> Code {
    put(context, CONTEXT.get())
}

#[unsafe(no_mangle)]
extern "C" fn cuCtxSynchronize() -> Code {
    with(|driver| driver.health())
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorName(code: Code, name: *mut *const c_char) -> Code {
    put(name, error_name(code).as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn cuGetErrorString(code: Code, text: *mut *const c_char) -> Code {
    put(text, error_name(code).as_ptr())
}

fn error_name(code: Code) -> &'static CStr {
    match code {
        SUCCESS => c"CUDA_SUCCESS",
        INVALID_VALUE => c"CUDA_ERROR_INVALID_VALUE",
        OUT_OF_MEMORY => c"CUDA_ERROR_OUT_OF_MEMORY",
        INVALID_DEVICE => c"CUDA_ERROR_INVALID_DEVICE",
        INVALID_PTX => c"CUDA_ERROR_INVALID_PTX",
        UNSUPPORTED_PTX_VERSION => c"CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
        NOT_FOUND => c"CUDA_ERROR_NOT_FOUND",
        LAUNCH_FAILED => c"CUDA_ERROR_LAUNCH_FAILED",
        NOT_SUPPORTED => c"CUDA_ERROR_NOT_SUPPORTED",
        _ => c"CUDA_ERROR_UNKNOWN",
    }
}

/// NVRTC asks for private tables of the driver and goes on alone without them.
#[unsafe(no_mangle)]
extern "C" fn cuGetExportTable(table: *mut *const c_void, _id: *const c_void) -> Code {
    put(table, ptr::null());
    NOT_FOUND
}

// ---- streams and events: the card does one thing after another, whichever stream it comes from

/// A `CUevent`: when the card has done what came before it was recorded.
type Event = Mutex<Instant>;

/// Waits until the card has got so far. Nobody who holds the driver waits.
fn wait_until(done: Instant) -> Code {
    with(|driver| driver.log("wait"));
    std::thread::sleep(done.saturating_duration_since(Instant::now()));
    with(|driver| {
        driver.log("waited");
        driver.health()
    })
}

fn moment<'a>(event: *const Event) -> std::sync::MutexGuard<'a, Instant> {
    // SAFETY: events come from `cuEventCreate` and are used until `cuEventDestroy_v2`, as the driver API asks.
    unsafe { &*event }.lock().expect("no call panics while it holds an event")
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamCreate(stream: *mut *mut c_void, _flags: c_uint) -> Code {
    put(stream, TOKEN)
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamDestroy_v2(_stream: *mut c_void) -> Code {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamSynchronize(_stream: *mut c_void) -> Code {
    wait_until(with(|driver| driver.done()))
}

#[unsafe(no_mangle)]
extern "C" fn cuStreamWaitEvent(_stream: *mut c_void, _event: *const Event, _flags: c_uint) -> Code {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuEventCreate(event: *mut *mut Event, _flags: c_uint) -> Code {
    put(event, Box::into_raw(Box::new(Mutex::new(Instant::now()))))
}

#[unsafe(no_mangle)]
extern "C" fn cuEventRecord(event: *const Event, _stream: *mut c_void) -> Code {
    *moment(event) = with(|driver| driver.done());
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuEventQuery(event: *const Event) -> Code {
    if *moment(event) <= Instant::now() { SUCCESS } else { NOT_READY }
}

#[unsafe(no_mangle)]
extern "C" fn cuEventSynchronize(event: *const Event) -> Code {
    let done = *moment(event);
    wait_until(done)
}

#[unsafe(no_mangle)]
extern "C" fn cuEventDestroy_v2(event: *mut Event) -> Code {
    // SAFETY: it came from `cuEventCreate`, and nobody uses it any more.
    drop(unsafe { Box::from_raw(event) });
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuEventElapsedTime(milliseconds: *mut f32, _start: *const Event, _end: *const Event) -> Code {
    put(milliseconds, 0.01)
}

// ---- memory

#[unsafe(no_mangle)]
extern "C" fn cuMemAlloc_v2(address: *mut Address, bytes: usize) -> Code {
    with(|driver| driver.allocate(bytes)).map_or(OUT_OF_MEMORY, |found| put(address, found))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocAsync(address: *mut Address, bytes: usize, _stream: *mut c_void) -> Code {
    cuMemAlloc_v2(address, bytes)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFree_v2(address: Address) -> Code {
    checked(with(|driver| driver.release(address)))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeAsync(address: Address, _stream: *mut c_void) -> Code {
    cuMemFree_v2(address)
}

#[unsafe(no_mangle)]
extern "C" fn cuMemAllocHost_v2(memory: *mut *mut c_void, bytes: usize) -> Code {
    // SAFETY: any size may be asked for.
    put(memory, unsafe { libc::calloc(bytes.max(1), 1) })
}

#[unsafe(no_mangle)]
extern "C" fn cuMemFreeHost(memory: *mut c_void) -> Code {
    // SAFETY: it came from `cuMemAllocHost_v2`.
    unsafe { libc::free(memory) };
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyHtoDAsync_v2(to: Address, from: *const c_void, bytes: usize, _stream: *mut c_void) -> Code {
    copied("h2d", bytes, with(|driver| driver.write(to, from.cast(), bytes)))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: Address, bytes: usize, _stream: *mut c_void) -> Code {
    copied("d2h", bytes, with(|driver| driver.read(to.cast(), from, bytes)))
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpyDtoDAsync_v2(to: Address, from: Address, bytes: usize, _stream: *mut c_void) -> Code {
    copied("d2d", bytes, with(|driver| driver.copy(to, from, bytes)))
}

/// `CUDA_MEMCPY2D`.
#[repr(C)]
#[derive(Debug)]
struct Rectangle {
    source_x: usize,
    source_y: usize,
    source_kind: c_uint,
    source_host: *const u8,
    source_device: Address,
    source_array: *const c_void,
    source_pitch: usize,
    target_x: usize,
    target_y: usize,
    target_kind: c_uint,
    target_host: *mut u8,
    target_device: Address,
    target_array: *const c_void,
    target_pitch: usize,
    width: usize,
    height: usize,
}

#[unsafe(no_mangle)]
extern "C" fn cuMemcpy2DAsync_v2(rectangle: *const Rectangle, _stream: *mut c_void) -> Code {
    const DEVICE: c_uint = 2;
    // SAFETY: the caller hands a whole description.
    let copy = unsafe { &*rectangle };
    if copy.source_pitch < copy.width || copy.target_pitch < copy.width {
        return checked(Err(format!("a pitch is less than the width: {copy:?}")));
    }
    let row = |row: usize| {
        let (source, target) = (row * copy.source_pitch, row * copy.target_pitch);
        with(|driver| match (copy.source_kind, copy.target_kind) {
            (DEVICE, DEVICE) => {
                driver.copy(copy.target_device + target as u64, copy.source_device + source as u64, copy.width)
            }
            (DEVICE, _) => {
                driver.read(copy.target_host.wrapping_add(target), copy.source_device + source as u64, copy.width)
            }
            _ => driver.write(copy.target_device + target as u64, copy.source_host.wrapping_add(source), copy.width),
        })
    };
    let kind = match (copy.source_kind, copy.target_kind) {
        (DEVICE, DEVICE) => "d2d",
        (DEVICE, _) => "d2h",
        _ => "h2d",
    };
    copied(kind, copy.width * copy.height, (0..copy.height).try_for_each(row))
}

// ---- modules and launches

#[unsafe(no_mangle)]
extern "C" fn cuModuleLoadData(module: *mut *mut Module, image: *const c_char) -> Code {
    // SAFETY: an image is PTX, which ends in a zero.
    let text = unsafe { CStr::from_ptr(image) }.to_string_lossy();
    match with(|driver| driver.load(&text)) {
        // A module lives as long as the program: functions point into it.
        Ok(loaded) => put(module, Box::into_raw(Box::new(loaded))),
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleUnload(_module: *mut Module) -> Code {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuModuleGetFunction(function: *mut *const Function, module: *mut Module, name: *const c_char) -> Code {
    // SAFETY: both come from the caller's own calls: a live module, and a name that ends in a zero.
    let (module, name) = unsafe { (&*module, CStr::from_ptr(name)) };
    match module.functions.iter().find(|function| function.name.as_bytes() == name.to_bytes()) {
        Some(found) => put(function, found),
        None => NOT_FOUND,
    }
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncSetAttribute(function: *const Function, attribute: c_int, value: c_int) -> Code {
    const DYNAMIC_SHARED_MEMORY: c_int = 8;
    // SAFETY: functions come from `cuModuleGetFunction` and live as long as the program.
    let function = unsafe { &*function };
    if attribute == DYNAMIC_SHARED_MEMORY {
        let most = rules::most_shared_memory(with(|driver| driver.settings.capability));
        if value > most {
            return checked(Err(format!("{}: {value} bytes of shared memory, the card has {most}", function.name)));
        }
        function.allow_shared_memory(value);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn cuFuncGetAttribute(value: *mut c_int, _attribute: c_int, _function: *const Function) -> Code {
    put(value, 1024)
}

#[unsafe(no_mangle)]
extern "C" fn cuLaunchKernel(
    function: *const Function,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared_memory: c_uint,
    _stream: *mut c_void,
    parameters: *const *const c_void,
    _extra: *const *const c_void,
) -> Code {
    // SAFETY: functions come from `cuModuleGetFunction` and live as long as the program.
    let function = unsafe { &*function };
    let launch = rules::Launch { grid: [grid_x, grid_y, grid_z], block: [block_x, block_y, block_z], shared_memory };
    with(|driver| driver.log(&format!("launch {} {launch}", function.name)));
    if with(Driver::launch_fails) {
        return LAUNCH_FAILED;
    }
    let pointers = function.pointers(parameters);
    let verdict = launch.check(function).and_then(|()| {
        let dead = with(|driver| pointers.into_iter().find(|&(_, address)| !driver.is_live(address, 1)));
        let dead = dead
            .map(|(place, address)| format!("{}: parameter {place} is {address:#x}, no live memory", function.name));
        dead.map_or(Ok(()), Err)
    });
    if verdict.is_ok() && with(|driver| driver.settings.compute) {
        return with(|driver| driver.compute(function, &launch, parameters));
    }
    checked(verdict)
}

/// `cuuint64_t` arrays describe a tensor, `cuuint32_t` arrays the box that is copied at once.
#[unsafe(no_mangle)]
extern "C" fn cuTensorMapEncodeTiled(
    map: *mut [u8; 128],
    element: c_int,
    rank: c_uint,
    address: Address,
    dimensions: *const u64,
    strides: *const u64,
    box_dimensions: *const u32,
    element_strides: *const u32,
    interleave: c_int,
    swizzle: c_int,
    _promotion: c_int,
    fill: c_int,
) -> Code {
    // Callers probe for tensor maps; cards before sm_90 do not have them.
    if with(|driver| driver.settings.capability) < 90 {
        return NOT_SUPPORTED;
    }
    if !(1..=5).contains(&rank) {
        return checked(Err(format!("a tensor map of {rank} dimensions")));
    }
    let rank = rank as usize;
    // SAFETY: the arrays have as many elements as the tensor has dimensions, the strides one fewer.
    let tensor = unsafe {
        rules::TensorMap {
            element,
            address,
            dimensions: std::slice::from_raw_parts(dimensions, rank),
            strides: std::slice::from_raw_parts(strides, rank - 1),
            box_dimensions: std::slice::from_raw_parts(box_dimensions, rank),
            element_strides: std::slice::from_raw_parts(element_strides, rank),
            interleaved: interleave != 0,
            swizzle,
            fill,
        }
    };
    let computes = with(|driver| driver.settings.compute);
    match tensor.check().and_then(|()| if computes { tensor.encode() } else { Ok([0; 128]) }) {
        Ok(bytes) => put(map, bytes),
        Err(problem) => checked(Err(problem)),
    }
}
