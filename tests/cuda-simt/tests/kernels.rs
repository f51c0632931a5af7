//! Kernels that NVRTC has compiled (`kernels/*.cu`) against the same computation on the CPU, and kernels with planted
//! errors, which must not go unnoticed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, in its helpers too")]

use std::sync::atomic::{AtomicU64, Ordering};

use half::{bf16, f16};
use pubtag_cuda_simt::{Global, Kernel, Launch, Module, POISON, TensorMap};

const LANES: &str = include_str!("kernels/lanes.ptx");
const TENSOR_CORES: &str = include_str!("kernels/tensor_cores.ptx");
const HOPPER: &str = include_str!("kernels/hopper.ptx");
const BARRIERS: &str = include_str!("kernels/barriers.ptx");

/// Memory of a device, whose buffers end where they end.
#[derive(Default)]
struct Device {
    buffers: Vec<(u64, u64, Box<[AtomicU64]>)>,
}

/// A value of a kernel's parameters or buffers.
trait Value: Copy {
    fn bytes(self) -> Vec<u8>;
    fn of(bytes: &[u8]) -> Self;
}

macro_rules! value {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }

            fn of(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap())
            }
        }
    )*};
}

value!(u16, u32, u64, f32, f16, bf16);

impl Device {
    /// A buffer with some values; its address.
    fn buffer<T: Value>(&mut self, values: &[T]) -> u64 {
        let mut bytes: Vec<u8> = values.iter().flat_map(|value| value.bytes()).collect();
        let length = bytes.len() as u64;
        bytes.resize(bytes.len().next_multiple_of(256) + 256, 0);
        let words = bytes.chunks_exact(8).map(|word| AtomicU64::new(u64::from_le_bytes(word.try_into().unwrap())));
        let words: Box<[AtomicU64]> = words.chain((0..32).map(|_| AtomicU64::new(0))).collect();
        // Aligned as an allocation of the driver is.
        let start = words.as_ptr().expose_provenance() as u64;
        let shift = (start.next_multiple_of(256) - start) as usize / 8;
        for at in (shift..words.len()).rev() {
            words[at].store(words[at - shift].load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let address = start.next_multiple_of(256);
        self.buffers.push((address, address + length, words));
        address
    }

    /// A buffer that nobody has written.
    fn poisoned(&mut self, bytes: usize) -> u64 {
        let bytes: Vec<u8> = POISON.iter().copied().cycle().take(bytes).collect();
        self.buffer(&bytes.chunks_exact(2).map(u16::of).collect::<Vec<_>>())
    }

    fn read<T: Value>(&self, address: u64) -> Vec<T> {
        let (start, end, words) = self.buffers.iter().find(|(start, ..)| *start == address).unwrap();
        let skipped = (*start - words.as_ptr().addr() as u64) as usize;
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        let bytes = &bytes[skipped..skipped + (end - start) as usize];
        bytes.chunks_exact(size_of::<T>()).map(T::of).collect()
    }

    fn global(&self, module: &Module) -> Global {
        let own = self.buffers.iter().map(|(start, end, _)| (*start, *end));
        #[expect(unsafe_code, reason = "the device keeps what it promises")]
        // SAFETY: the buffers are atomic words that live as long as the device, and so do the module's variables.
        unsafe {
            Global::new(own.chain(module.regions()).collect())
        }
    }
}

/// Bytes of a parameter.
enum Argument {
    Word(u32),
    Address(u64),
    Single(f32),
    Map(TensorMap),
}

use Argument::{Address, Map, Single, Word};

fn parameters(kernel: &Kernel, arguments: &[Argument]) -> Vec<u8> {
    assert_eq!(kernel.parameters.len(), arguments.len(), "{}", kernel.name);
    let mut all = vec![0; kernel.parameter_bytes()];
    for (parameter, argument) in kernel.parameters.iter().zip(arguments) {
        let bytes = match argument {
            Word(value) => value.bytes(),
            Address(value) => value.bytes(),
            Single(value) => value.bytes(),
            Map(map) => map.encode().to_vec(),
        };
        assert_eq!(bytes.len(), parameter.bytes, "{}", kernel.name);
        all[parameter.offset..parameter.offset + bytes.len()].copy_from_slice(&bytes);
    }
    all
}

/// Runs a kernel of a module; the message of the fault, if it ends in one.
fn run(
    text: &str,
    name: &str,
    [grid, block]: [[u32; 3]; 2],
    device: &Device,
    arguments: &[Argument],
) -> Result<u64, String> {
    let module = Module::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let kernel = module.kernels.iter().find(|kernel| kernel.name == name).unwrap_or_else(|| panic!("no kernel {name}"));
    let launch = Launch { grid, block, shared_memory: 0, workers: 2, detect_races: true };
    let counts = kernel.launch(&launch, &parameters(kernel, arguments), &device.global(&module));
    counts.map(|counts| counts.instructions).map_err(|error| error.to_string())
}

fn line(blocks: u32, threads: u32) -> [[u32; 3]; 2] {
    [[blocks, 1, 1], [threads, 1, 1]]
}

/// Numbers from -1 to 1, the same at every call.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(step).collect()
}

fn farthest(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).fold(0.0, |most, (a, b)| if (a - b).abs() <= most { most } else { (a - b).abs() })
}

#[test]
fn a_guarded_thread_does_nothing_beyond_the_end() {
    let mut device = Device::default();
    let (x, y) = (noise(1000, 1), noise(1000, 2));
    let (at_x, at_y) = (device.buffer(&x), device.buffer(&y));
    let arguments = [Single(2.5), Address(at_x), Address(at_y), Word(1000)];
    run(LANES, "saxpy", line(8, 128), &device, &arguments).unwrap();
    let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 2.5_f32.mul_add(*x, *y)).collect();
    assert_eq!(device.read::<f32>(at_y), expected);
    // With a count that is too large, the first access behind the end is a fault.
    let arguments = [Single(2.5), Address(at_x), Address(at_y), Word(1001)];
    let fault = run(LANES, "saxpy", line(8, 128), &device, &arguments).unwrap_err();
    assert!(
        fault.contains("saxpy block [7, 0, 0]") && fault.contains("not allocated") && fault.contains("ld.global"),
        "{fault}"
    );
}

#[test]
fn lanes_leave_a_loop_one_by_one() {
    let mut device = Device::default();
    let starts: Vec<u32> = (1..=500).collect();
    let (from, to) = (device.buffer(&starts), device.buffer(&vec![0_u32; 500]));
    run(LANES, "collatz", line(4, 128), &device, &[Address(from), Address(to), Word(500)]).unwrap();
    let steps = |start: u32| {
        std::iter::successors(Some(start), |&value| match value {
            1 => None,
            _ if value % 2 == 1 => Some(3 * value + 1),
            _ => Some(value / 2),
        })
    };
    let expected: Vec<u32> = starts.iter().map(|start| steps(*start).count() as u32 - 1).collect();
    assert_eq!(device.read::<u32>(to), expected);
}

#[test]
fn a_block_reduces_rows_through_shared_memory() {
    let (rows, columns) = (3, 300);
    let mut device = Device::default();
    let values: Vec<f32> = noise(rows * columns, 3).iter().map(|value| 8.0 * value).collect();
    let (from, to) = (device.buffer(&values), device.poisoned(4 * rows * columns));
    run(LANES, "softmax", line(3, 128), &device, &[Address(from), Address(to), Word(300)]).unwrap();
    let expected: Vec<f32> = values
        .chunks(columns)
        .flat_map(|row| {
            let most = row.iter().copied().fold(f32::MIN, f32::max);
            let sum: f32 = row.iter().map(|value| (value - most).exp()).sum();
            row.iter().map(move |value| (value - most).exp() / sum).collect::<Vec<_>>()
        })
        .collect();
    let off = farthest(&device.read(to), &expected);
    assert!(off < 1e-6, "{off}");
}

#[test]
fn lanes_learn_of_each_other() {
    let mut device = Device::default();
    let out = device.buffer(&vec![0_u32; 320]);
    run(LANES, "lanes_together", line(1, 32), &device, &[Address(out)]).unwrap();
    for (lane, row) in device.read::<u32>(out).chunks(10).enumerate() {
        let lane = lane as u32;
        let thirds = (0..32).filter(|lane| lane % 3 == 0).fold(0, |mask, lane| mask | 1 << lane);
        let fives = (0..32).filter(|other| other / 5 == lane / 5).fold(0, |mask, other| mask | 1 << other);
        let expected = [
            thirds,
            2,
            if lane < 3 { lane } else { lane - 3 },
            if lane % 8 < 3 { lane + 5 } else { lane },
            (lane ^ 1) * 7,
            31 * 16,
            fives,
            if lane < 16 { lane ^ 1 } else { (lane ^ 1) + 100 },
            if lane < 16 { 0xffff } else { 0 },
            if lane % 2 == 1 { 31 } else { 30 },
        ];
        assert_eq!(row, expected, "lane {lane}");
    }
}

#[test]
fn a_block_votes() {
    let mut device = Device::default();
    let out = device.buffer(&[0_u32; 128]);
    run(LANES, "votes_of_a_block", line(1, 128), &device, &[Address(out)]).unwrap();
    assert_eq!(device.read::<u32>(out), [26 | 1 << 17; 128]);
}

#[test]
fn atomic_sums_are_complete() {
    let mut device = Device::default();
    let values: Vec<u32> = (0..5000_u32).map(|at| at.wrapping_mul(0x9e37_79b9) >> 11).collect();
    let (from, counts) = (device.buffer(&values), device.buffer(&[0_u32; 16]));
    run(LANES, "histogram", line(7, 64), &device, &[Address(from), Address(counts), Word(5000)]).unwrap();
    let mut expected = [0; 16];
    values.iter().for_each(|value| expected[(value % 16) as usize] += 1);
    assert_eq!(device.read::<u32>(counts), expected);
}

#[test]
fn constants_local_memory_and_jump_tables_work() {
    let mut device = Device::default();
    let out = device.buffer(&[7_u32; 64]);
    run(LANES, "spaces", line(1, 32), &device, &[Address(out)]).unwrap();
    let table = [3, 1, 4, 1, 5, 9, 2, 6_u32];
    let expected: Vec<u32> = (0..32)
        .map(|thread| {
            let mut own = [0; 8];
            (0..8).for_each(|at| own[(at * 3 + thread as usize) % 8] = table[at] + thread);
            let value = own[thread as usize % 8];
            match thread % 6 {
                0 => value + 7,
                1 => value * 11,
                2 => value ^ 0x55,
                3 => value << 3 | 1,
                4 => value.reverse_bits(),
                _ => value.count_ones() + value.leading_zeros(),
            }
        })
        .collect();
    assert_eq!(device.read::<u32>(out)[32..], expected);
}

#[test]
fn arithmetic_is_that_of_the_host() {
    let mut device = Device::default();
    let mut values = noise(64, 5);
    values.iter_mut().enumerate().for_each(|(at, value)| *value *= 1.0 + at as f32 % 7.0);
    let (from, out) = (device.buffer(&values), device.buffer(&vec![0_f32; 640]));
    let words = device.buffer(&vec![0_u32; 384]);
    run(LANES, "arithmetic", line(1, 32), &device, &[Address(from), Address(out), Address(words)]).unwrap();
    let (out, words) = (device.read::<f32>(out), device.read::<u32>(words));
    for at in 0..32 {
        let (a, b) = (values[at], values[at + 32]);
        let row = &out[20 * at..];
        let exact = [a + b, a - b, a * b, a / b, a.mul_add(b, 1.5)];
        assert_eq!(row[..5], exact, "{a} {b}");
        let (wide_a, wide_b) = (f64::from(a), f64::from(b));
        let sum = wide_a + wide_b;
        assert!(
            f64::from(row[5]).abs() <= sum.abs()
                && (f64::from(row[5]) - sum).abs() < f64::from(f32::EPSILON) * sum.abs()
        );
        assert!(f64::from(row[6]) <= wide_a * wide_b && f64::from(row[6].next_up()) > wide_a * wide_b);
        assert!(f64::from(row[7]) >= wide_a / wide_b && f64::from(row[7].next_down()) < wide_a / wide_b);
        let close = [a.abs().sqrt(), 1.0 / a.abs().sqrt(), a.exp(), a.abs().ln(), a.sin(), a.tanh()];
        for (found, expected) in [8, 9, 10, 11, 12, 13].iter().map(|at| row[*at]).zip(close) {
            assert!((found - expected).abs() <= 4e-6 * expected.abs().max(0.1), "{a}: {found} {expected}");
        }
        assert_eq!(row[15..19], [a.min(b), a.max(b), a.floor(), a.round_ties_even()]);
        assert_eq!(row[19], (wide_a.mul_add(wide_b, 1e-3)) as f32);
        let row = &words[12 * at..];
        let (ha, hb) = (f16::from_f32(a), f16::from_f32(b));
        let (ba, bb) = (bf16::from_f32(a), bf16::from_f32(b));
        let number = at as u32;
        let fused = |a: f64, b: f64| a.mul_add(b, a);
        assert_eq!(row[0], u32::from((ha + hb).to_bits()));
        assert_eq!(row[1], u32::from(f16::from_f64(fused(ha.to_f64(), hb.to_f64())).to_bits()));
        assert_eq!(row[2], u32::from((ha * ha).to_bits()) | u32::from((hb * hb).to_bits()) << 16);
        assert_eq!(row[3], u32::from((ba * bb).to_bits()));
        assert!(f16::from_bits(row[4] as u16).to_f32().abs() <= a.abs());
        assert_eq!(row[5], u32::from(bf16::from_f64(fused(ba.to_f64(), bb.to_f64())).to_bits()));
        assert_eq!(row[6], a.round_ties_even() as i32 as u32);
        assert_eq!(row[7], b as u32);
        let integer = number.wrapping_mul(123_456_789) as i32;
        assert!((f64::from(f32::from_bits(row[8])) - f64::from(integer)).abs() < 128.0);
        assert!(f64::from(f32::from_bits(row[8])).abs() <= f64::from(integer).abs());
        assert_eq!(row[10], ((u64::from(number.wrapping_mul(0x9e37_79b9)) * 0x1234_5678) >> 32) as u32);
        let shifted = ((u64::from(number * 7) << 32 | u64::from(number)) << 5 >> 32) as u32;
        assert_eq!(row[11], (((number as i32 - 16) / 3) as u32).wrapping_add(shifted));
    }
}

/// `a` by rows times `b` by rows, plus `c`, in `f64`.
fn product(a: &[f32], b: &[f32], c: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    let at = |row: usize, column: usize| {
        let sum: f64 = (0..k).map(|at| f64::from(a[row * k + at]) * f64::from(b[at * n + column])).sum();
        (sum + f64::from(c[row * n + column])) as f32
    };
    (0..m * n).map(|number| at(number / n, number % n)).collect()
}

fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..matrix.len())
        .map(|at| matrix[at % (matrix.len() / columns) * columns + at / (matrix.len() / columns)])
        .collect()
}

/// A 16-bit type of factors.
trait Factor: Value {
    fn round(value: f32) -> Self;
    fn wide(self) -> f32;
}

impl Factor for f16 {
    fn round(value: f32) -> Self {
        Self::from_f32(value)
    }

    fn wide(self) -> f32 {
        self.to_f32()
    }
}

impl Factor for bf16 {
    fn round(value: f32) -> Self {
        Self::from_f32(value)
    }

    fn wide(self) -> f32 {
        self.to_f32()
    }
}

fn wmma<T: Factor>(name: &str, [m, n, k]: [usize; 3]) {
    let mut device = Device::default();
    let round = |values: Vec<f32>| values.into_iter().map(T::round).collect::<Vec<T>>();
    let (a, b, c) = (round(noise(m * k, 1)), round(noise(k * n, 2)), noise(m * n, 3));
    let wide = |values: &[T]| values.iter().map(|value| value.wide()).collect::<Vec<_>>();
    let (at_a, at_b, at_c, at_d) =
        (device.buffer(&a), device.buffer(&b), device.buffer(&c), device.poisoned(4 * m * n));
    let arguments = [at_a, at_b, at_c, at_d].map(Address);
    run(TENSOR_CORES, name, line(1, 32), &device, &arguments).unwrap();
    // `b` lies by columns.
    let expected = product(&wide(&a), &transposed(&wide(&b), k), &c, [m, n, k]);
    let off = farthest(&device.read(at_d), &expected);
    assert!(off < 2e-6, "{name}: {off}");
}

#[test]
fn every_shape_of_wmma_multiplies() {
    for (name, shape) in [("", [16, 16, 16]), ("_tall", [32, 8, 16]), ("_wide", [8, 32, 16])] {
        wmma::<f16>(&format!("wmma_f16{name}"), shape);
        wmma::<bf16>(&format!("wmma_bf16{name}"), shape);
    }
}

#[test]
fn accumulators_of_16_bits_are_rounded() {
    let mut device = Device::default();
    let round = |values: Vec<f32>| values.into_iter().map(f16::from_f32).collect::<Vec<_>>();
    let wide = |values: &[f16]| values.iter().map(|value| value.to_f32()).collect::<Vec<_>>();
    let (a, b, c) = (round(noise(256, 1)), round(noise(256, 2)), round(noise(256, 3)));
    let (at_a, at_b, at_c, at_d) = (device.buffer(&a), device.buffer(&b), device.buffer(&c), device.poisoned(512));
    run(TENSOR_CORES, "wmma_f16_sum", line(1, 32), &device, &[at_a, at_b, at_c, at_d].map(Address)).unwrap();
    let expected = product(&wide(&a), &transposed(&wide(&b), 16), &wide(&c), [16; 3]);
    let off = farthest(&wide(&device.read(at_d)), &expected);
    assert!(off < 2e-3, "{off}");

    let at_d = device.poisoned(512);
    run(TENSOR_CORES, "wmma_cast", line(1, 32), &device, &[at_a, at_b, at_d].map(Address)).unwrap();
    let expected = product(&wide(&a), &wide(&b), &[0.5; 256], [16; 3]);
    let off = farthest(&wide(&device.read(at_d)), &expected);
    assert!(off < 2e-3, "elements of both accumulators lie in the same places: {off}");
}

/// Ten bits of mantissa, ties away from zero.
fn tf32(value: f32) -> f32 {
    f32::from_bits((value.to_bits() + 0x1000) & 0xffff_e000)
}

#[test]
fn tf32_factors_are_rounded_and_their_products_are_not() {
    let mut device = Device::default();
    let (a, b, c) = (noise(128, 1), noise(128, 2), noise(256, 3));
    let (at_a, at_b, at_c, at_d) = (device.buffer(&a), device.buffer(&b), device.buffer(&c), device.poisoned(1024));
    run(TENSOR_CORES, "wmma_tf32", line(1, 32), &device, &[at_a, at_b, at_c, at_d].map(Address)).unwrap();
    let rounded = |values: &[f32]| values.iter().map(|value| tf32(*value)).collect::<Vec<_>>();
    let sum = product(&rounded(&a), &rounded(&transposed(&b, 8)), &transposed(&c, 16), [16, 16, 8]);
    let off = farthest(&transposed(&device.read::<f32>(at_d), 16), &sum);
    assert!(off < 1e-6, "{off}");

    let (at_a, at_b, at_c) = (device.buffer(&a), device.buffer(&b[..64]), device.poisoned(512));
    run(TENSOR_CORES, "mma_tf32", line(1, 32), &device, &[at_a, at_b, at_c].map(Address)).unwrap();
    let expected = product(&rounded(&a), &rounded(&b[..64]), &[0.0; 128], [16, 8, 8]);
    let off = farthest(&device.read(at_c), &expected);
    assert!(off < 1e-6, "{off}");
}

#[test]
fn fragments_filled_by_hand_are_those_of_the_reference() {
    let mut device = Device::default();
    let round = |values: Vec<f32>| values.into_iter().map(f16::from_f32).collect::<Vec<_>>();
    let wide = |values: &[f16]| values.iter().map(|value| value.to_f32()).collect::<Vec<_>>();
    let (a, b) = (round(noise(256, 1)), round(noise(128, 2)));
    let (at_a, at_b, at_c) = (device.buffer(&a), device.buffer(&b), device.poisoned(512));
    run(TENSOR_CORES, "mma_f16", line(1, 32), &device, &[at_a, at_b, at_c].map(Address)).unwrap();
    let expected = product(&wide(&a), &transposed(&wide(&b), 16), &[0.0; 128], [16, 8, 16]);
    let off = farthest(&device.read(at_c), &expected);
    assert!(off < 1e-6, "{off}");
}

/// Runs a variant of the product of matrices with edges; how far it is off, or its fault.
fn gemm(name: &str) -> Result<f32, String> {
    let [m, n, k] = [70, 56, 72];
    let mut device = Device::default();
    let round = |values: Vec<f32>| values.into_iter().map(f16::from_f32).collect::<Vec<_>>();
    let wide = |values: &[f16]| values.iter().map(|value| value.to_f32()).collect::<Vec<_>>();
    let (a, b) = (round(noise(m * k, 1)), round(noise(k * n, 2)));
    let (at_a, at_b, at_c) = (device.buffer(&a), device.buffer(&b), device.poisoned(4 * m * n));
    let arguments = [Address(at_a), Address(at_b), Address(at_c), Word(m as u32), Word(n as u32), Word(k as u32)];
    run(TENSOR_CORES, name, [[2, 3, 1], [128, 1, 1]], &device, &arguments)?;
    Ok(farthest(&device.read(at_c), &product(&wide(&a), &wide(&b), &vec![0.0; m * n], [m, n, k])))
}

#[test]
fn a_product_in_tiles_is_right() {
    assert!(gemm("gemm_right").unwrap() < 1e-5);
}

#[test]
fn planted_errors_are_noticed() {
    let is_wrong = |name: &str| gemm(name).is_ok_and(|off| off.is_nan() || off > 1e-3);
    assert!(is_wrong("gemm_without_wait"), "{:?}", gemm("gemm_without_wait"));
    assert!(is_wrong("gemm_shifted"), "{:?}", gemm("gemm_shifted"));
    let fault = gemm("gemm_without_mask").unwrap_err();
    assert!(fault.contains("not allocated") && fault.contains("cp.async"), "{fault}");
    let fault = gemm("gemm_wrong_stride").unwrap_err();
    assert!(fault.contains("not allocated") && fault.contains("st.global"), "{fault}");
}

#[test]
fn a_missing_barrier_is_a_race() {
    let mut device = Device::default();
    let (from, to) = (device.buffer(&noise(64, 1)), device.buffer(&[0_f32; 64]));
    let fault =
        run(TENSOR_CORES, "sums_without_barrier", line(1, 64), &device, &[Address(from), Address(to)]).unwrap_err();
    assert!(fault.contains("race in shared memory") && fault.contains("st.shared"), "{fault}");
}

#[test]
fn a_deadlock_is_reported_with_every_warp() {
    let mut device = Device::default();
    let out = device.buffer(&[0_f32; 64]);
    let fault = run(TENSOR_CORES, "barrier_that_half_reach", line(1, 64), &device, &[Address(out)]).unwrap_err();
    assert!(fault.contains("deadlock") && fault.contains("warp 0") && fault.contains("`bar.sync 2, 64`"), "{fault}");
    let fault = run(HOPPER, "waits_for_ever", line(1, 64), &device, &[Address(out)]).unwrap_err();
    assert!(fault.contains("deadlock") && fault.contains("warp 1"), "{fault}");
}

#[test]
fn boxes_of_a_tensor_arrive_through_mbarriers() {
    let mut device = Device::default();
    // Five boxes of 32 × 8 from row 3 on: of 150 columns and 9 rows, so that the last ones lie partly outside.
    let (columns, rows, count) = (152, 9, 5);
    let values = noise(columns * rows, 4);
    let (from, to) = (device.buffer(&values), device.poisoned(1024));
    let map = TensorMap {
        element_bytes: 4,
        address: from,
        dimensions: vec![150, rows as u64, 1],
        strides: vec![4 * columns as u64, 4 * (columns * rows) as u64],
        box_dimensions: vec![32, 8, 1],
        element_strides: vec![1; 3],
        swizzle: 0,
        fill_nan: false,
    };
    run(HOPPER, "boxes", line(1, 256), &device, &[Map(map), Address(to), Word(count), Word(3)]).unwrap();
    let value =
        |row: usize, column: usize| if row < rows && column < 150 { values[row * columns + column] } else { 0.0 };
    let expected: Vec<f32> = (0..256)
        .map(|thread| (0..count as usize).map(|number| value(3 + thread / 32, number * 32 + thread % 32)).sum())
        .collect();
    let off = farthest(&device.read(to), &expected);
    assert!(off < 1e-6, "{off}");
}

#[test]
fn a_swizzled_box_lies_as_the_guide_says() {
    let mut device = Device::default();
    let values: Vec<u32> = (0..256).collect();
    let (from, to) = (device.buffer(&values), device.poisoned(1024));
    let map = TensorMap {
        element_bytes: 4,
        address: from,
        dimensions: vec![32, 8],
        strides: vec![128],
        box_dimensions: vec![32, 8],
        element_strides: vec![1; 2],
        swizzle: 3,
        fill_nan: false,
    };
    run(HOPPER, "swizzled_box", line(1, 32), &device, &[Map(map), Address(to)]).unwrap();
    let expected: Vec<u32> = (0..256)
        .map(|at: u32| {
            let (row, chunk, within) = (at / 32, at / 4 % 8, at % 4);
            row * 32 + (chunk ^ row) * 4 + within
        })
        .collect();
    assert_eq!(device.read::<u32>(to), expected);
}

#[test]
fn a_box_is_stored_where_it_fits() {
    let mut device = Device::default();
    let to = device.buffer(&[-1_f32; 32 * 8]);
    let map = TensorMap {
        element_bytes: 4,
        address: to,
        dimensions: vec![32, 8],
        strides: vec![128],
        box_dimensions: vec![32, 8],
        element_strides: vec![1; 2],
        swizzle: 0,
        fill_nan: false,
    };
    run(HOPPER, "store_box", line(1, 32), &device, &[Map(map)]).unwrap();
    let expected: Vec<f32> = (0..256)
        .map(|at: i32| {
            let (row, column) = (at / 32 - 2, at % 32 - 4);
            if row < 0 || column < 0 { -1.0 } else { (row * 100 + column) as f32 }
        })
        .collect();
    assert_eq!(device.read::<f32>(to), expected);
}

#[test]
fn copies_of_threads_arrive_at_an_mbarrier() {
    let mut device = Device::default();
    let values = noise(256, 6);
    let (from, to) = (device.buffer(&values), device.poisoned(1024));
    run(HOPPER, "copies_with_mbarrier", line(1, 64), &device, &[Address(from), Address(to)]).unwrap();
    assert_eq!(device.read::<f32>(to), values.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn tiles_are_stored_transposed() {
    let mut device = Device::default();
    // Of fragments, as lanes hold them: element (row, column) of a tile is its number.
    let pair = |tile: u32, row: u32, column: u32| tile * 64 + row * 8 + column;
    let fragments: Vec<u32> = (0..128)
        .map(|at| {
            let (tile, lane) = (at / 32, at % 32);
            let (row, column) = (lane / 4, lane % 4 * 2);
            pair(tile, row, column) | pair(tile, row, column + 1) << 16
        })
        .collect();
    let (from, to) = (device.buffer(&fragments), device.poisoned(512));
    run(HOPPER, "transpose", line(1, 32), &device, &[Address(from), Address(to)]).unwrap();
    let found = device.read::<u16>(to);
    for (at, value) in found.iter().enumerate() {
        let (tile, row, column) = (at as u32 / 64, at as u32 / 8 % 8, at as u32 % 8);
        assert_eq!(u32::from(*value), pair(tile, column, row));
    }
}

#[test]
fn barriers_and_copies_of_the_library_work() {
    let mut device = Device::default();
    let values = noise(512, 7);
    let reversed = |values: &[f32]| values.iter().rev().copied().collect::<Vec<_>>();
    let (from, to) = (device.buffer(&values), device.poisoned(2048));
    run(BARRIERS, "copy_by_block", line(1, 128), &device, &[Address(from), Address(to), Word(4)]).unwrap();
    let expected: Vec<f32> = values.chunks(128).flat_map(reversed).collect();
    assert_eq!(device.read::<f32>(to), expected);

    let to = device.poisoned(1024);
    run(BARRIERS, "copy_by_thread", line(1, 64), &device, &[Address(from), Address(to)]).unwrap();
    let expected: Vec<f32> = reversed(&values[..256]).iter().map(|value| value + 45.0).collect();
    assert_eq!(device.read::<f32>(to), expected);

    let to = device.poisoned(1024);
    run(BARRIERS, "bytes_by_library", line(1, 64), &device, &[Address(from), Address(to)]).unwrap();
    assert_eq!(device.read::<f32>(to), reversed(&values[..256]));
}

#[test]
fn boxes_of_the_library_are_loaded_and_stored() {
    let mut device = Device::default();
    let values = noise(64 * 16, 8);
    let (from, to) = (device.buffer(&values), device.buffer(&vec![0.5_f32; 64 * 16]));
    let map = |address| TensorMap {
        element_bytes: 4,
        address,
        dimensions: vec![64, 16],
        strides: vec![256],
        box_dimensions: vec![32, 8],
        element_strides: vec![1; 2],
        swizzle: 0,
        fill_nan: false,
    };
    run(BARRIERS, "box_by_library", line(1, 256), &device, &[Map(map(from)), Map(map(to))]).unwrap();
    let expected: Vec<f32> =
        (0..64 * 16).map(|at| if at % 64 >= 32 && at / 64 >= 8 { 2.0 * values[at] } else { 0.5 }).collect();
    assert_eq!(device.read::<f32>(to), expected);
}
