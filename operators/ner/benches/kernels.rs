//! Speed of the kernels, relative to the machine's limit.
//!
//! Prints the machine's limit (products and sums in registers), large matrix products, whole encoders over abstracts of
//! realistic lengths, and the time of an encoder's parts. Every number is the best of several runs. On a shared machine,
//! trust the ratios: the limit is measured again between sections. `CPU` counts only the time that the threads actually
//! ran, scaled to all threads, as on an idle machine. Arguments select sections: `products`, `small`, `base`, `parts`.
#![allow(clippy::print_stdout)] // a benchmark prints

use std::time::{Duration, Instant};

use pubtag_ner::kernels::{
    Activation, Encoder, EncoderConfig, Epilogue, HeadRows, Heads, Isa, LayerNorm, LayerWeights, Layout, LinearWeights,
    NormWeights, PackedLinear, Precision, Scratch, attention, register_flops,
};

/// Tokens per abstract: 60 to 500, 356 on average.
const LENGTHS: [usize; 16] = [500, 340, 280, 460, 60, 390, 420, 310, 370, 430, 250, 480, 350, 400, 330, 320];

#[derive(Clone, Copy)]
struct Model {
    layers: usize,
    hidden: usize,
    heads: usize,
    budgets: &'static [usize],
}

fn main() {
    let isa = Isa::detect();
    let threads = rayon::current_num_threads();
    println!("{isa:?}, {threads} threads");
    println!("limit of one thread {:.0} GFLOP/s, of all {:.0}", limit(isa, 1).wall, limit(isa, threads).wall);
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wants = |section: &str| wanted.is_empty() || wanted.iter().any(|name| name == section);
    let small = Model { layers: 6, hidden: 384, heads: 12, budgets: &[2048, 4096, 8192] };
    let base = Model { layers: 12, hidden: 768, heads: 12, budgets: &[2048, 4096] };
    if wants("products") {
        large_products(isa);
    }
    for (section, model) in [("small", small), ("base", base)] {
        for precision in isa.precisions().filter(|_| wants(section)) {
            encoders(isa, model, precision);
        }
    }
    for precision in isa.precisions().filter(|_| wants("parts")) {
        parts(isa, small, precision);
    }
}

/// Billions of operations per second, by wall time and by CPU time.
#[derive(Clone, Copy, Default)]
struct Rate {
    wall: f64,
    cpu: f64,
}

/// The best of several runs of `work`, with this many operations each.
fn best(runs: usize, operations: f64, mut work: impl FnMut()) -> Rate {
    let threads = rayon::current_num_threads() as f64;
    let mut rate = Rate::default();
    work();
    for _ in 0..runs {
        let (start, busy) = (Instant::now(), cpu_time());
        work();
        let (wall, busy) = (start.elapsed(), cpu_time() - busy);
        rate.wall = rate.wall.max(operations / wall.as_secs_f64() / 1e9);
        if !busy.is_zero() {
            rate.cpu = rate.cpu.max(operations / busy.as_secs_f64() * threads / 1e9);
        }
    }
    rate
}

/// CPU time of this process, in steps of 10 ms; zero without `/proc`.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn limit(isa: Isa, threads: usize) -> Rate {
    const ROUNDS: usize = 20_000_000;
    let operations = (threads * register_flops(isa, 1) * ROUNDS) as f64;
    best(3, operations, || {
        rayon::scope(|scope| (0..threads).for_each(|_| scope.spawn(|_| _ = register_flops(isa, ROUNDS))));
    })
}

fn values(n: usize) -> Vec<f32> {
    let mut state = 88172645463325252u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        0.1 * ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0)
    };
    (0..n).map(|_| next()).collect()
}

fn linear(weight: &[f32], inputs: usize) -> LinearWeights<'_> {
    static BIAS: [f32; 4096] = [0.01; 4096];
    LinearWeights { weight, layout: Layout::OutIn, bias: &BIAS[..weight.len() / inputs], inputs }
}

fn large_products(isa: Isa) {
    println!("\nlarge products               GFLOP/s   of limit (CPU)");
    for precision in isa.precisions() {
        for size in [384, 1536] {
            let (rows, weight) = (4096, values(size * size));
            let layer = PackedLinear::new(isa, precision, &linear(&weight, size)).expect("shapes fit");
            let (x, mut out, mut scratch) = (values(rows * size), vec![0.0; rows * size], Scratch::new());
            let times = 6 * 1536 / size;
            let rate = best(4, (times * 2 * rows * size * size) as f64, || {
                for _ in 0..times {
                    layer.forward(&x, Epilogue::Bias, &mut out, &mut scratch).expect("shapes fit");
                }
            });
            let share = 100.0 * rate.cpu / limit(isa, rayon::current_num_threads()).cpu;
            println!("{rows} × {size:4} × {size:4} {:>6} {:12.0} {share:10.0} %", name(precision), rate.wall);
        }
    }
}

fn name(precision: Precision) -> String {
    format!("{precision:?}").to_lowercase()
}

/// Abstracts grouped into micro-batches of at most `budget` tokens, as boundaries.
fn micro_batches(budget: usize, abstracts: usize) -> Vec<Vec<u32>> {
    let mut batches = vec![vec![0]];
    for length in LENGTHS.iter().cycle().take(abstracts) {
        let last = batches.last_mut().expect("never empty");
        let end = *last.last().expect("never empty") as usize + length;
        if end > budget { batches.push(vec![0, *length as u32]) } else { last.push(end as u32) }
    }
    batches
}

fn encoders(isa: Isa, Model { layers, hidden, heads, budgets }: Model, precision: Precision) {
    let weight = values(4 * hidden * hidden);
    let (gamma, beta) = (vec![1.0; hidden], vec![0.0; hidden]);
    let norm = NormWeights { gamma: &gamma, beta: &beta };
    let layer = LayerWeights {
        query_key_value: linear(&weight[..3 * hidden * hidden], hidden),
        attention_output: linear(&weight[..hidden * hidden], hidden),
        attention_norm: norm,
        up: linear(&weight, hidden),
        down: linear(&weight, 4 * hidden),
        output_norm: norm,
    };
    let config = EncoderConfig { heads, activation: Activation::Gelu, layer_norm_epsilon: 1e-12, precision };
    let start = Instant::now();
    let encoder = Encoder::new(isa, &config, &vec![layer; layers]).expect("shapes fit");
    println!("\n{layers} × {hidden} {}, packed in {:.0} ms", name(precision), start.elapsed().as_secs_f64() * 1e3);
    println!("token budget   tokens/s   tokens/s (CPU)   GFLOP/s   of limit (CPU)");
    let mut scratch = Scratch::new();
    for &budget in budgets {
        let batches = micro_batches(budget, 2 * budget / 356);
        let lengths = || batches.iter().flat_map(|batch| batch.windows(2).map(|pair| (pair[1] - pair[0]) as f64));
        let tokens: f64 = lengths().sum();
        let wide = hidden as f64;
        let flops = layers as f64 * (24.0 * wide * wide * tokens + lengths().map(|n| 4.0 * n * n * wide).sum::<f64>());
        let input = values(budget * hidden);
        let mut states = input.clone();
        let rate = best(if hidden < 768 { 6 } else { 3 }, flops, || {
            for batch in &batches {
                let states = &mut states[..batch[batch.len() - 1] as usize * hidden];
                states.copy_from_slice(&input[..states.len()]);
                encoder.forward(states, batch, &mut scratch).expect("shapes fit");
            }
        });
        let limit = limit(isa, rayon::current_num_threads());
        let tokens_per_second = |rate: f64| rate * 1e9 / flops * tokens;
        println!(
            "{budget:12} {:10.0} {:16.0} {:9.0} {:12.0} %",
            tokens_per_second(rate.wall),
            tokens_per_second(rate.cpu),
            rate.wall,
            100.0 * rate.cpu / limit.cpu
        );
    }
}

/// Times the parts of one layer separately, on the same abstracts.
fn parts(isa: Isa, Model { hidden, heads, .. }: Model, precision: Precision) {
    let batch = micro_batches(4096, 11).swap_remove(0);
    let tokens = batch[batch.len() - 1] as usize;
    let weight = values(4 * hidden * hidden);
    let pack = |outputs: usize, inputs: usize| {
        PackedLinear::new(isa, precision, &linear(&weight[..outputs * inputs], inputs)).expect("shapes fit")
    };
    let norm = LayerNorm::new(isa, &vec![1.0; hidden], &vec![0.0; hidden], 1e-12).expect("shapes fit");
    let (x, mut out) = (values(tokens * 4 * hidden), vec![0.0; tokens * 4 * hidden]);
    let mut scratch = Scratch::new();
    let mut times = Vec::new();
    // Nanoseconds per token, over all threads; the rate is in tokens.
    let mut time = |part: &'static str, work: &mut dyn FnMut(&mut [f32], &mut Scratch)| {
        let rate = best(4, (10 * tokens) as f64, || (0..10).for_each(|_| work(&mut out, &mut scratch)));
        times.push((part, 1.0 / rate.cpu));
    };
    let wide = tokens * hidden;
    for (part, outputs, inputs, epilogue) in [
        ("query, key, value", 3 * hidden, hidden, Epilogue::Bias),
        ("attention output + residual", hidden, hidden, Epilogue::Residual(&x[..wide])),
        ("up", 4 * hidden, hidden, Epilogue::Bias),
        ("up + GELU", 4 * hidden, hidden, Epilogue::Activation(Activation::Gelu)),
        ("down + residual", hidden, 4 * hidden, Epilogue::Residual(&x[..wide])),
    ] {
        let layer = pack(outputs, inputs);
        time(part, &mut |out, scratch| {
            let out = &mut out[..tokens * outputs];
            layer.forward(&x[..tokens * inputs], epilogue, out, scratch).expect("shapes fit");
        });
    }
    time("attention", &mut |out, scratch| {
        let rows = [0, 1, 2].map(|part| HeadRows { values: &x[part * hidden..], stride: 3 * hidden });
        let heads = Heads { count: heads, size: hidden / heads };
        attention(isa, precision, heads, rows, &batch, &mut out[..wide], scratch).expect("shapes fit");
    });
    time("two layer norms", &mut |out, _| {
        norm.forward(&x[..wide], &mut out[..wide]).expect("shapes fit");
        norm.forward(&x[..wide], &mut out[..wide]).expect("shapes fit");
    });
    let total: f64 = times.iter().filter(|(part, _)| *part != "up").map(|(_, time)| time).sum();
    println!("\none layer of {hidden}, {}: ns per token (all threads), share", name(precision));
    for (part, time) in times {
        let share = if part == "up" { String::new() } else { format!("{:5.1} %", 100.0 * time / total) };
        println!("{part:28} {time:8.0} {share}");
    }
}
