//! Measures how long the interpreter takes for an instruction of a warp, by kernels of its tests.
//!
//! ```sh
//! cargo run --release -p pubtag-cuda-simt --example speed
//! ```

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement that a person reads")]

use std::sync::atomic::AtomicU64;

use pubtag_cuda_simt::{Global, Launch, Module};

fn main() {
    let size = 256_u32;
    let words: Vec<AtomicU64> = (0..1 << 18).map(|_| AtomicU64::new(0x3c00_3800_3c00_3800)).collect();
    let start = (words.as_ptr().expose_provenance() as u64).next_multiple_of(256);
    #[expect(unsafe_code, reason = "the words live until the end")]
    // SAFETY: the words are atomic and outlive the memory.
    let memory = unsafe { Global::new(vec![(start, start + (1 << 20))]) };
    let addresses = [start, start + (1 << 17), start + (1 << 18)];

    let mut product: Vec<u8> = addresses.iter().flat_map(|address| address.to_le_bytes()).collect();
    product.extend([size; 3].iter().flat_map(|size| size.to_le_bytes()));
    let mut softmax: Vec<u8> = addresses[..2].iter().flat_map(|address| address.to_le_bytes()).collect();
    softmax.extend(512_u32.to_le_bytes());
    let mut collatz = softmax[..16].to_vec();
    collatz.extend(16_384_u32.to_le_bytes());

    let tensor_cores = Module::parse(include_str!("../tests/kernels/tensor_cores.ptx")).unwrap();
    let lanes = Module::parse(include_str!("../tests/kernels/lanes.ptx")).unwrap();
    for detect_races in [true, false] {
        let launch =
            |grid, threads| Launch { grid, block: [threads, 1, 1], shared_memory: 0, workers: 1, detect_races };
        measure(&tensor_cores, "gemm_right", &launch([size / 32, size / 32, 1], 128), &product, &memory);
        measure(&lanes, "softmax", &launch([64, 1, 1], 128), &softmax, &memory);
        measure(&lanes, "collatz", &launch([128, 1, 1], 128), &collatz, &memory);
    }
    let start = busy();
    for _ in 0..10 {
        Module::parse(include_str!("../tests/kernels/tensor_cores.ptx")).unwrap();
    }
    println!("parse: {:.1} ms for 100 KB", (busy() - start) as f64 / 1e7);
}

fn measure(module: &Module, name: &str, launch: &Launch, parameters: &[u8], memory: &Global) {
    let kernel = module.kernels.iter().find(|kernel| kernel.name == name).unwrap();
    let start = busy();
    let instructions = kernel.launch(launch, parameters, memory).unwrap().instructions;
    let took = busy() - start;
    let each = took as f64 / instructions as f64;
    println!(
        "{name}: {instructions} instructions in {:.1} ms, {each:.0} ns each (races {})",
        took as f64 / 1e6,
        launch.detect_races
    );
}

/// Nanoseconds for which this thread has had a processor: other work on the machine does not count.
fn busy() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
