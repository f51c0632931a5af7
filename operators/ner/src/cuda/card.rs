//! What a card needs before it can be used, found out without a panic: a driver, NVRTC, headers, and that the driver
//! takes what NVRTC makes.

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

/// A kernel that needs what all kernels need.
const TRIAL: &str = "#include <cuda_runtime.h>\n#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n#include <mma.h>\n\
                     extern \"C\" __global__ void pubtag_trial() {}\n";

/// A card that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// Its number.
    pub(crate) number: usize,
    /// What its maker calls it.
    pub(crate) name: String,
    /// Major and minor.
    pub(crate) capability: (i32, i32),
    /// Bytes of memory.
    pub(crate) memory: usize,
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.capability;
        write!(f, "{} (compute capability {major}.{minor}, {} MiB)", self.name, self.memory >> 20)
    }
}

/// The card of a number, if it and everything around it works; tried once for each card.
///
/// # Errors
/// What is missing, and what to do about it.
pub(crate) fn probe(number: usize) -> Result<Card, String> {
    static TRIED: Mutex<BTreeMap<usize, Result<Card, String>>> = Mutex::new(BTreeMap::new());
    let mut tried = TRIED.lock().unwrap_or_else(PoisonError::into_inner);
    // The bindings panic where the driver lacks a function.
    tried.entry(number).or_insert_with(|| without_panic(|| try_card(number)).flatten()).clone()
}

/// How many cards the driver knows.
///
/// # Errors
/// If there is no driver, or it gives an error.
pub(crate) fn count() -> Result<usize, String> {
    without_panic(|| {
        require_driver()?;
        let count = CudaContext::device_count().map_err(driver_says)?;
        Ok(usize::try_from(count).unwrap_or(0))
    })
    .flatten()
}

fn try_card(number: usize) -> Result<Card, String> {
    require_driver()?;
    require_nvrtc()?;
    let headers = headers()?;
    let count = CudaContext::device_count().map_err(driver_says)?;
    if number >= usize::try_from(count).unwrap_or(0) {
        return Err(format!("there are {count} CUDA cards, numbered from 0; see nvidia-smi and CUDA_VISIBLE_DEVICES"));
    }
    let context = CudaContext::new(number).map_err(driver_says)?;
    let card = Card {
        number,
        name: context.name().map_err(driver_says)?,
        capability: context.compute_capability().map_err(driver_says)?,
        memory: context.total_mem().map_err(driver_says)?,
    };
    let include_paths = vec![headers.display().to_string(), headers.join("cccl").display().to_string()];
    let ptx = compile_ptx_with_opts(TRIAL, CompileOptions { include_paths, ..CompileOptions::default() });
    context.load_module(ptx.map_err(|error| nvrtc_says(&error))?).map_err(driver_says)?;
    Ok(card)
}

/// The bindings panic if they cannot load the driver, and asking the loader itself takes unsafe code.
fn require_driver() -> Result<(), String> {
    if loader::is_installed("libcuda.so") {
        return Ok(());
    }
    Err("there is no CUDA driver (libcuda.so) on this machine; use --device cpu, or install NVIDIA's driver".to_owned())
}

fn require_nvrtc() -> Result<(), String> {
    if loader::is_installed("libnvrtc.so") {
        return Ok(());
    }
    Err("NVRTC (libnvrtc.so), which compiles kernels, is not found; install it (Debian package cuda-nvrtc-12-9, PyPI \
         package nvidia-cuda-nvrtc-cu12) and put its folder on LD_LIBRARY_PATH"
        .to_owned())
}

/// The folder of CUDA's headers.
fn headers() -> Result<PathBuf, String> {
    let way_out = "install them (Debian packages cuda-cudart-dev-12-9, cuda-nvcc-12-9 and cuda-cccl-12-9) and let \
                   CUDA_PATH name the folder above include/";
    let Some(path) = cuda_path() else { return Err(format!("CUDA's headers are not found; {way_out}")) };
    let include = path.join("include");
    match ["cuda_runtime.h", "cuda_fp16.h", "mma.h"].iter().find(|header| !include.join(header).exists()) {
        Some(missing) => Err(format!("{missing} is not in {}; {way_out}", include.display())),
        None => Ok(include),
    }
}

fn driver_says(error: cudarc::driver::DriverError) -> String {
    let hint = match error.0 {
        CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => {
            "the driver is older than NVRTC: update the driver, or install the NVRTC of the CUDA version that nvidia-smi shows"
        }
        CUresult::CUDA_ERROR_NO_DEVICE => "no card is visible: see nvidia-smi and CUDA_VISIBLE_DEVICES",
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => "another program holds the card's memory: see nvidia-smi",
        _ => "see what nvidia-smi says",
    };
    format!("the driver refuses it ({:?}): {hint}", error.0)
}

fn nvrtc_says(error: &CompileError) -> String {
    let log = match error {
        CompileError::CompileError { log, .. } => log.to_string_lossy().lines().take(3).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    };
    format!("NVRTC cannot compile a kernel: {log}; its headers and libraries must be of one CUDA version (CUDA_PATH)")
}
