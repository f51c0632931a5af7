//! Checks whether a CUDA device can be used, without a panic: the driver, NVRTC, the headers, and whether the driver
//! accepts what NVRTC compiles.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use burn_cubecl::cubecl::cuda::install::cuda_path;
use cudarc::driver::CudaContext;
use cudarc::driver::sys::CUresult;
use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};

use pubtag_stream::without_panic;

use super::loader;

/// A kernel with the includes of all kernels.
const TRIAL: &str = "#include <cuda_runtime.h>\n#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n#include <mma.h>\n\
                     extern \"C\" __global__ void pubtag_trial() {}\n";

/// A usable device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// The device number.
    pub(crate) number: usize,
    /// The product name.
    pub(crate) name: String,
    /// Compute capability: major, minor.
    pub(crate) capability: (i32, i32),
    /// Memory in bytes.
    pub(crate) memory: usize,
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.capability;
        write!(f, "{} (compute capability {major}.{minor}, {} MiB)", self.name, self.memory >> 20)
    }
}

/// Returns a device if it and everything that it needs works; tried once per device.
///
/// # Errors
/// What is missing, and a hint.
pub(crate) fn probe(number: usize) -> Result<Card, String> {
    static TRIED: Mutex<BTreeMap<usize, Result<Card, String>>> = Mutex::new(BTreeMap::new());
    let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    // The bindings panic where the driver lacks a function.
    tried.entry(number).or_insert_with(|| without_panic(|| try_card(number)).flatten()).clone()
}

/// The number of devices that the driver sees.
///
/// # Errors
/// If there is no driver, or it fails.
pub(crate) fn count() -> Result<usize, String> {
    without_panic(|| {
        require_driver()?;
        let count = CudaContext::device_count().map_err(driver_error)?;
        Ok(usize::try_from(count).unwrap_or(0))
    })
    .flatten()
}

fn try_card(number: usize) -> Result<Card, String> {
    require_driver()?;
    require_nvrtc()?;
    let headers = headers()?;
    let count = CudaContext::device_count().map_err(driver_error)?;
    if number >= usize::try_from(count).unwrap_or(0) {
        return Err(format!(
            "the driver sees {count} CUDA devices, numbered from 0; check nvidia-smi and CUDA_VISIBLE_DEVICES"
        ));
    }
    let context = CudaContext::new(number).map_err(driver_error)?;
    let card = Card {
        number,
        name: context.name().map_err(driver_error)?,
        capability: context.compute_capability().map_err(driver_error)?,
        memory: context.total_mem().map_err(driver_error)?,
    };
    let include_paths = vec![headers.display().to_string(), headers.join("cccl").display().to_string()];
    let ptx = compile_ptx_with_opts(TRIAL, CompileOptions { include_paths, ..CompileOptions::default() });
    context.load_module(ptx.map_err(|error| nvrtc_error(&error))?).map_err(driver_error)?;
    Ok(card)
}

/// The bindings panic if they cannot load the driver, and calling the loader would need unsafe code.
fn require_driver() -> Result<(), String> {
    if loader::is_installed("libcuda.so") {
        return Ok(());
    }
    Err("no CUDA driver (libcuda.so) found; install the NVIDIA driver, or use --device cpu".to_owned())
}

fn require_nvrtc() -> Result<(), String> {
    if loader::is_installed("libnvrtc.so") {
        return Ok(());
    }
    Err("NVRTC (libnvrtc.so), which compiles kernels, not found; install it (Debian package cuda-nvrtc-12-9, PyPI \
         package nvidia-cuda-nvrtc-cu12) and add its directory to LD_LIBRARY_PATH"
        .to_owned())
}

/// The directory of the CUDA headers.
fn headers() -> Result<PathBuf, String> {
    let hint = "install them (Debian packages cuda-cudart-dev-12-9, cuda-nvcc-12-9 and cuda-cccl-12-9) and set CUDA_PATH to \
                the directory that contains include/";
    let Some(path) = cuda_path() else { return Err(format!("CUDA headers not found; {hint}")) };
    let include = path.join("include");
    match ["cuda_runtime.h", "cuda_fp16.h", "mma.h"].iter().find(|header| !include.join(header).exists()) {
        Some(missing) => Err(format!("{missing} not found in {}; {hint}", include.display())),
        None => Ok(include),
    }
}

fn driver_error(error: cudarc::driver::DriverError) -> String {
    let hint = match error.0 {
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
            "the driver is older than NVRTC; update the driver, or install the NVRTC of the CUDA version that nvidia-smi shows"
        }
        CUresult::CUDA_ERROR_NO_DEVICE => "no device is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES",
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => "another program uses the device's memory; check nvidia-smi",
        _ => "check nvidia-smi",
    };
    format!("driver error {:?}: {hint}", error.0)
}

fn nvrtc_error(error: &CompileError) -> String {
    let log = match error {
        CompileError::CompileError { log, .. } => log.to_string_lossy().lines().take(3).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    };
    format!("NVRTC cannot compile a kernel: {log}; use headers and libraries of the same CUDA version (CUDA_PATH)")
}
