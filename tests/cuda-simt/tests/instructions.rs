//! One instruction at a time, against values worked out by hand or by the host.
//!
//! Each is run by one thread with `%d1` to `%d3` (64 bits), `%r1` to `%r3` (32) and `%h1` to `%h3` (16) holding the same three
//! inputs, `%p1` to `%p3` whether these are odd; what it leaves in `%d9`, `%r9`, `%h9` or `%p9` is the result. With
//! `PUBTAG_PTX_OUT=DIR` the modules are written there, so that ptxas can be asked whether they are PTX.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, in its helpers too")]

use std::sync::atomic::{AtomicU64, Ordering};

use half::{bf16, f16};
use pubtag_cuda_simt::{Global, Launch, Module};

fn module(text: &str) -> String {
    let target = if text.contains("elect") { "sm_90" } else { "sm_80" };
    let mut head = format!(
        ".version 8.5\n.target {target}\n.address_size 64\n.visible .entry k(\n.param .u64 k_param_0\n)\n{{\n\
         .reg .b16 %h<10>;\n.reg .b32 %r<12>;\n.reg .b64 %d<12>;\n.reg .pred %p<10>;\n\
         .shared .align 16 .b8 shared_bytes[64];\n.local .align 8 .b8 local_bytes[64];\nld.param.u64 %d10, [k_param_0];\n"
    );
    for at in 1..4 {
        let offset = 8 * (at - 1);
        head += &format!(
            "ld.global.u64 %d{at}, [%d10+{offset}];\ncvt.u32.u64 %r{at}, %d{at};\ncvt.u16.u64 %h{at}, %d{at};\n"
        );
        head += &format!("and.b32 %r10, %r{at}, 1;\nsetp.ne.u32 %p{at}, %r10, 0;\n");
    }
    head += "mov.u64 %d9, 0;\nmov.u32 %r9, 0;\nmov.u16 %h9, 0;\nsetp.ne.u32 %p9, 0, 0;\n";
    format!(
        "{head}{text}\nst.global.u64 [%d10+24], %d9;\nst.global.u32 [%d10+32], %r9;\nst.global.u16 [%d10+40], %h9;\n\
         selp.u32 %r10, 1, 0, %p9;\nst.global.u32 [%d10+48], %r10;\nret;\n}}\n"
    )
}

/// Runs a text with three inputs; its result.
fn run(text: &str, inputs: [u64; 3]) -> u64 {
    let module_text = module(text);
    if let Some(directory) = std::env::var_os("PUBTAG_PTX_OUT") {
        let name: String =
            text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).take(60).collect();
        std::fs::write(std::path::Path::new(&directory).join(format!("{name}.ptx")), &module_text).unwrap();
    }
    let words: Vec<AtomicU64> = inputs.into_iter().chain([0; 4]).map(AtomicU64::new).collect();
    launch(&module_text, 1, &words);
    let result = ["%d9", "%r9", "%h9", "%p9"].iter().position(|name| text.contains(name)).unwrap();
    words[3 + result].load(Ordering::Relaxed)
}

/// Runs a kernel that is given the address of words.
fn launch(module: &str, threads: u32, words: &[AtomicU64]) {
    let module = Module::parse(module).unwrap_or_else(|error| panic!("{error}"));
    let start = words.as_ptr().expose_provenance() as u64;
    #[expect(unsafe_code, reason = "the words live until the launch has ended")]
    // SAFETY: the words are atomic and outlive the memory.
    let memory = unsafe { Global::new(vec![(start, start + size_of_val(words) as u64)]) };
    let launch = Launch { grid: [1; 3], block: [threads, 1, 1], shared_memory: 0, workers: 1, detect_races: true };
    module.kernels[0].launch(&launch, &start.to_le_bytes(), &memory).unwrap_or_else(|error| panic!("{error}"));
}

fn check(rows: &[(&str, [u64; 3], u64)]) {
    for (text, inputs, expected) in rows {
        let found = run(&format!("{text};"), *inputs);
        assert_eq!(found, *expected, "{text} of {inputs:x?}: {found:#x}, not {expected:#x}");
    }
}

/// Bits of numbers.
fn s(value: f32) -> u64 {
    value.to_bits().into()
}

fn w(value: f64) -> u64 {
    value.to_bits()
}

fn h(value: f32) -> u64 {
    f16::from_f32(value).to_bits().into()
}

fn b(value: f32) -> u64 {
    bf16::from_f32(value).to_bits().into()
}

fn hh(low: f32, high: f32) -> u64 {
    h(low) | h(high) << 16
}

fn bb(low: f32, high: f32) -> u64 {
    b(low) | b(high) << 16
}

const NAN: f32 = f32::NAN;

/// A negative number in 32 bits.
fn n(value: i32) -> u64 {
    u64::from(value as u32)
}

fn n16(value: i16) -> u64 {
    u64::from(value as u16)
}

fn n64(value: i64) -> u64 {
    value as u64
}

#[test]
fn integers() {
    check(&[
        ("add.u32 %r9, %r1, %r2", [n(-1), 2, 0], 1),
        ("add.s32 %r9, %r1, -5", [3, 0, 0], n(-2)),
        ("add.s16 %h9, %h1, %h2", [n16(-1), 3, 0], 2),
        ("add.u16 %h9, %h1, %h2", [0xffff, 2, 0], 1),
        ("add.s64 %d9, %d1, %d2", [n64(-1), 5, 0], 4),
        ("add.u64 %d9, %d1, 16", [1 << 40, 0, 0], (1 << 40) + 16),
        ("add.sat.s32 %r9, %r1, %r2", [0x7fff_ffff, 9, 0], 0x7fff_ffff),
        ("sub.s32 %r9, %r1, %r2", [3, 5, 0], n(-2)),
        ("sub.u32 %r9, %r1, %r2", [3, 5, 0], n(-2)),
        ("sub.s16 %h9, %h1, %h2", [3, 5, 0], n16(-2)),
        ("sub.u16 %h9, %h1, %h2", [5, 3, 0], 2),
        ("sub.s64 %d9, %d1, %d2", [3, 5, 0], n64(-2)),
        ("sub.u64 %d9, %d1, %d2", [5, 3, 0], 2),
        ("mul.lo.s32 %r9, %r1, %r2", [n(-3), 5, 0], n(-15)),
        ("mul.lo.u32 %r9, %r1, %r2", [0x8000_0001, 2, 0], 2),
        ("mul.lo.s16 %h9, %h1, %h2", [n16(-3), 5, 0], n16(-15)),
        ("mul.lo.u16 %h9, %h1, %h2", [0x8001, 2, 0], 2),
        ("mul.lo.s64 %d9, %d1, %d2", [n64(-3), 5, 0], n64(-15)),
        ("mul.lo.u64 %d9, %d1, %d2", [1 << 63 | 1, 2, 0], 2),
        ("mul.hi.s32 %r9, %r1, %r2", [n(-1), 1, 0], n(-1)),
        ("mul.hi.u32 %r9, %r1, %r2", [n(-1), n(-1), 0], 0xffff_fffe),
        ("mul.hi.u64 %d9, %d1, %d2", [u64::MAX, u64::MAX, 0], u64::MAX - 1),
        ("mul.hi.s64 %d9, %d1, %d2", [n64(-1), 1, 0], u64::MAX),
        ("mul.wide.s32 %d9, %r1, %r2", [n(-3), 5, 0], n64(-15)),
        ("mul.wide.u32 %d9, %r1, %r2", [n(-1), 2, 0], 0x1_ffff_fffe),
        ("mul.wide.u16 %r9, %h1, %h2", [0xffff, 0xffff, 0], 0xfffe_0001),
        ("mul.wide.s16 %r9, %h1, %h2", [n16(-2), 3, 0], n(-6)),
        ("mad.lo.s32 %r9, %r1, %r2, %r3", [n(-3), 5, 20], 5),
        ("mad.lo.u32 %r9, %r1, %r2, %r3", [3, 5, 20], 35),
        ("mad.lo.s64 %d9, %d1, %d2, %d3", [n64(-3), 5, 20], 5),
        ("mad.lo.u64 %d9, %d1, %d2, %d3", [1 << 32, 4, 1], (1 << 34) + 1),
        ("mad.wide.s32 %d9, %r1, %r2, %d3", [n(-3), 4, 1 << 40], (1 << 40) - 12),
        ("mad.wide.u32 %d9, %r1, %r2, %d3", [n(-1), 4, 1], 0x3_ffff_fffd),
        ("mad.hi.u32 %r9, %r1, %r2, %r3", [1 << 31, 4, 7], 9),
        ("div.s32 %r9, %r1, %r2", [n(-7), 2, 0], n(-3)),
        ("div.u32 %r9, %r1, %r2", [n(-7), 2, 0], 0x7fff_fffc),
        ("div.s64 %d9, %d1, %d2", [n64(-7), 2, 0], n64(-3)),
        ("div.u64 %d9, %d1, %d2", [1 << 40, 3, 0], (1 << 40) / 3),
        ("rem.s32 %r9, %r1, %r2", [n(-7), 3, 0], n(-1)),
        ("rem.u32 %r9, %r1, %r2", [17, 5, 0], 2),
        ("rem.u64 %d9, %d1, %d2", [(1 << 40) + 3, 1 << 20, 0], 3),
        ("min.s32 %r9, %r1, %r2", [n(-7), 2, 0], n(-7)),
        ("min.u32 %r9, %r1, %r2", [n(-7), 2, 0], 2),
        ("max.s32 %r9, %r1, %r2", [n(-7), 2, 0], 2),
        ("max.u32 %r9, %r1, %r2", [n(-7), 2, 0], n(-7)),
        ("min.s64 %d9, %d1, %d2", [n64(-7), 2, 0], n64(-7)),
        ("min.u64 %d9, %d1, %d2", [n64(-7), 2, 0], 2),
        ("max.s64 %d9, %d1, %d2", [n64(-7), 2, 0], 2),
        ("max.u64 %d9, %d1, %d2", [n64(-7), 2, 0], n64(-7)),
        ("abs.s32 %r9, %r1", [n(-7), 0, 0], 7),
        ("neg.s32 %r9, %r1", [7, 0, 0], n(-7)),
        ("neg.s64 %d9, %d1", [7, 0, 0], n64(-7)),
        ("sad.u32 %r9, %r1, %r2, %r3", [3, 10, 1], 8),
        ("popc.b32 %r9, %r1", [0xf0f1, 0, 0], 9),
        ("popc.b64 %r9, %d1", [u64::MAX, 0, 0], 64),
        ("clz.b32 %r9, %r1", [1, 0, 0], 31),
        ("clz.b64 %r9, %d1", [1, 0, 0], 63),
        ("brev.b32 %r9, %r1", [1, 0, 0], 1 << 31),
        ("bfind.u32 %r9, %r1", [0x1_0000, 0, 0], 16),
        ("bfind.u32 %r9, %r1", [0, 0, 0], 0xffff_ffff),
        ("bfind.s32 %r9, %r1", [n(-1), 0, 0], 0xffff_ffff),
        ("bfind.shiftamt.u32 %r9, %r1", [0x1_0000, 0, 0], 15),
        ("bfe.u32 %r9, %r1, %r2, %r3", [0xabcd_1234, 8, 8], 0x12),
        ("bfe.s32 %r9, %r1, %r2, %r3", [0xabcd_1234, 24, 4], 0xffff_fffb),
        ("bfi.b32 %r9, %r1, %r2, %r3, 4", [0xff, 0, 4], 0xf0),
        ("bfi.b64 %d9, %d1, %d2, %r3, 8", [0xff, 0, 40], 0xff << 40),
        ("dp4a.s32.s32 %r9, %r1, %r2, %r3", [0xff02_0304, 0x0101_0101, 10], 18),
        ("dp4a.u32.u32 %r9, %r1, %r2, %r3", [0xff02_0304, 0x0101_0101, 10], 274),
    ]);
}

#[test]
fn bits_and_selections() {
    check(&[
        ("and.b32 %r9, %r1, %r2", [0xff0f, 0x0ff0, 0], 0x0f00),
        ("and.b16 %h9, %h1, %h2", [0xff0f, 0x0ff0, 0], 0x0f00),
        ("and.b64 %d9, %d1, %d2", [0xf << 40 | 3, 0x6 << 40 | 2, 0], 0x6 << 40 | 2),
        ("or.b32 %r9, %r1, %r2", [0xf000, 0x000f, 0], 0xf00f),
        ("or.b16 %h9, %h1, %h2", [0xf000, 0x000f, 0], 0xf00f),
        ("or.b64 %d9, %d1, %d2", [1 << 63, 1, 0], 1 << 63 | 1),
        ("xor.b32 %r9, %r1, %r2", [0xff00, 0x0ff0, 0], 0xf0f0),
        ("xor.b16 %h9, %h1, %h2", [0xff00, 0x0ff0, 0], 0xf0f0),
        ("xor.b64 %d9, %d1, -1", [1 << 63, 0, 0], !(1 << 63)),
        ("not.b32 %r9, %r1", [0xff, 0, 0], 0xffff_ff00),
        ("not.b16 %h9, %h1", [0xff, 0, 0], 0xff00),
        ("not.b64 %d9, %d1", [0xff, 0, 0], !0xff),
        ("shl.b32 %r9, %r1, %r2", [3, 31, 0], 1 << 31),
        ("shl.b32 %r9, %r1, 32", [3, 0, 0], 0),
        ("shl.b16 %h9, %h1, %r2", [3, 15, 0], 0x8000),
        ("shl.b64 %d9, %d1, %r2", [3, 40, 0], 3 << 40),
        ("shr.u32 %r9, %r1, %r2", [1 << 31, 31, 0], 1),
        ("shr.b32 %r9, %r1, 40", [1 << 31, 0, 0], 0),
        ("shr.s32 %r9, %r1, 40", [1 << 31, 0, 0], 0xffff_ffff),
        ("shr.s32 %r9, %r1, %r2", [n(-8), 1, 0], n(-4)),
        ("shr.u16 %h9, %h1, %r2", [0x8000, 15, 0], 1),
        ("shr.b16 %h9, %h1, 3", [0x80, 0, 0], 0x10),
        ("shr.s16 %h9, %h1, %r2", [0x8000, 15, 0], 0xffff),
        ("shr.u64 %d9, %d1, %r2", [1 << 63, 60, 0], 8),
        ("shr.b64 %d9, %d1, 64", [1 << 63, 0, 0], 0),
        ("shr.s64 %d9, %d1, %r2", [1 << 63, 60, 0], n64(-8)),
        ("shf.l.wrap.b32 %r9, %r1, %r2, %r3", [0x8000_0000, 1, 33], 3),
        ("shf.r.wrap.b32 %r9, %r1, %r2, %r3", [0x10, 1, 36], 0x1000_0001),
        ("shf.l.clamp.b32 %r9, %r1, %r2, 40", [7, 1, 0], 7),
        ("shf.r.clamp.b32 %r9, %r1, %r2, 40", [7, 1, 0], 1),
        ("lop3.b32 %r9, %r1, %r2, %r3, 0x96", [0xff00, 0x0ff0, 0x00ff], 0xff00 ^ 0x0ff0 ^ 0x00ff),
        ("prmt.b32 %r9, %r1, %r2, 0x5410", [0xdead_1234, 0xbeef_5678, 0], 0x5678_1234),
        ("mov.u32 %r9, %r1", [7, 0, 0], 7),
        ("mov.b16 %h9, %h1", [7, 0, 0], 7),
        ("mov.f64 %d9, 0d3FF0000000000000", [0; 3], w(1.0)),
        ("mov.f32 %r9, 0f3F800000", [0; 3], s(1.0)),
        ("mov.b64 %d9, {%r1, %r2}", [1, 2, 0], 2 << 32 | 1),
        ("mov.b32 %r9, {%h1, %h2}", [1, 2, 0], 2 << 16 | 1),
        ("mov.b64 %d9, {%h1, %h2, %h3, %h1}", [1, 2, 3], 1 << 48 | 3 << 32 | 2 << 16 | 1),
        ("mov.b64 {%r8, %r9}, %d1", [7 << 32 | 5, 0, 0], 7),
        ("mov.b32 {%h8, %h9}, %r1", [7 << 16 | 5, 0, 0], 7),
        ("mov.pred %p9, %p1", [1, 0, 0], 1),
        ("selp.b32 %r9, %r1, %r2, %p3", [5, 6, 1], 5),
        ("selp.u32 %r9, %r1, %r2, %p3", [5, 6, 0], 6),
        ("selp.s32 %r9, 7, -1, %p3", [5, 6, 0], n(-1)),
        ("selp.f32 %r9, %r1, 0f00000000, %p3", [s(1.5), 6, 1], s(1.5)),
        ("selp.b16 %h9, %h1, %h2, %p3", [5, 6, 1], 5),
        ("selp.u16 %h9, %h1, %h2, %p3", [5, 6, 0], 6),
        ("selp.s16 %h9, %h1, %h2, %p3", [5, 6, 0], 6),
        ("selp.b64 %d9, %d1, %d2, %p3", [1 << 40, 6, 1], 1 << 40),
        ("selp.u64 %d9, %d1, %d2, %p3", [1 << 40, 6, 0], 6),
        ("selp.s64 %d9, %d1, %d2, %p3", [1 << 40, 6, 0], 6),
        ("selp.f64 %d9, %d1, %d2, %p3", [1 << 40, 6, 0], 6),
        ("slct.u32.s32 %r9, %r1, %r2, %r3", [5, 6, n(-1)], 6),
        ("and.pred %p9, %p1, %p2", [1, 1, 0], 1),
        ("or.pred %p9, %p1, %p2", [0, 1, 0], 1),
        ("xor.pred %p9, %p1, %p2", [1, 1, 0], 0),
        ("not.pred %p9, %p1", [0, 0, 0], 1),
        ("@%p1 mov.u32 %r9, 5", [0, 0, 0], 0),
        ("@!%p1 mov.u32 %r9, 5", [0, 0, 0], 5),
    ]);
}

#[test]
fn comparisons() {
    check(&[
        ("setp.lt.s32 %p9, %r1, %r2", [n(-1), 1, 0], 1),
        ("setp.lt.u32 %p9, %r1, %r2", [n(-1), 1, 0], 0),
        ("setp.lo.u32 %p9, %r1, %r2", [1, n(-1), 0], 1),
        ("setp.hs.u32 %p9, %r1, %r2", [1, 1, 0], 1),
        ("setp.ge.s16 %p9, %h1, %h2", [n16(-1), 1, 0], 0),
        ("setp.gt.u16 %p9, %h1, %h2", [0xffff, 1, 0], 1),
        ("setp.eq.b64 %p9, %d1, %d2", [1 << 40, 1 << 40, 0], 1),
        ("setp.ne.s64 %p9, %d1, 0", [1 << 40, 0, 0], 1),
        ("setp.le.f32 %p9, %r1, %r2", [s(1.0), s(1.0), 0], 1),
        ("setp.ne.f32 %p9, %r1, %r2", [s(NAN), s(1.0), 0], 0),
        ("setp.neu.f32 %p9, %r1, %r2", [s(NAN), s(1.0), 0], 1),
        ("setp.ltu.f32 %p9, %r1, %r2", [s(NAN), s(1.0), 0], 1),
        ("setp.geu.f32 %p9, %r1, %r2", [s(0.5), s(1.0), 0], 0),
        ("setp.equ.f32 %p9, %r1, %r2", [s(NAN), s(1.0), 0], 1),
        ("setp.num.f32 %p9, %r1, %r2", [s(NAN), s(1.0), 0], 0),
        ("setp.nan.f32 %p9, %r1, %r1", [s(NAN), 0, 0], 1),
        ("setp.eq.ftz.f32 %p9, %r1, %r2", [1, 0, 0], 1),
        ("setp.gt.f64 %p9, %d1, %d2", [w(2.0), w(-2.0), 0], 1),
        ("setp.lt.f16 %p9, %h1, %h2", [h(-2.0), h(1.0), 0], 1),
        ("setp.ge.bf16 %p9, %h1, %h2", [b(-2.0), b(-2.0), 0], 1),
        ("setp.lt.and.s32 %p9, %r1, %r2, %p3", [1, 2, 0], 0),
        ("setp.lt.or.s32 %p9, %r1, %r2, !%p3", [3, 2, 0], 1),
        ("setp.lt.xor.s32 %p8|%p9, %r1, %r2, %p3", [1, 2, 1], 1),
        ("set.gt.f32.f32 %r9, %r1, %r2", [s(2.0), s(1.0), 0], s(1.0)),
        ("set.lt.u32.f32 %r9, %r1, %r2", [s(0.5), s(1.0), 0], 0xffff_ffff),
        ("set.eq.f16x2.f16x2 %r9, %r1, %r2", [hh(1.0, 2.0), hh(3.0, 2.0), 0], hh(0.0, 1.0)),
        ("set.eq.bf16x2.bf16x2 %r9, %r1, %r2", [bb(1.0, 2.0), bb(1.0, 3.0), 0], bb(1.0, 0.0)),
        ("testp.infinite.f32 %p9, %r1", [s(f32::INFINITY), 0, 0], 1),
    ]);
}

#[test]
fn single_precision() {
    let tiny = f32::from_bits(3);
    let third = 1.0_f32 / 3.0;
    check(&[
        ("add.f32 %r9, %r1, %r2", [s(1.5), s(2.25), 0], s(3.75)),
        ("add.rn.f32 %r9, %r1, %r2", [s(1.0), s(6e-8), 0], s(1.0 + f32::EPSILON)),
        ("add.rz.f32 %r9, %r1, %r2", [s(1.0), s(1e-7), 0], s(1.0)),
        ("add.rp.f32 %r9, %r1, %r2", [s(1.0), s(1e-30), 0], s(1.0 + f32::EPSILON)),
        ("add.rm.f32 %r9, %r1, %r2", [s(1.0), s(-1e-30), 0], s(1.0 - f32::EPSILON / 2.0)),
        ("add.ftz.f32 %r9, %r1, %r2", [s(tiny), s(tiny), 0], 0),
        ("add.sat.f32 %r9, %r1, %r2", [s(1.0), s(3.0), 0], s(1.0)),
        ("sub.f32 %r9, %r1, %r2", [s(1.5), s(2.25), 0], s(-0.75)),
        ("sub.rn.f32 %r9, %r1, %r2", [s(1.5), s(2.25), 0], s(-0.75)),
        ("mul.f32 %r9, %r1, %r2", [s(1.5), s(-2.0), 0], s(-3.0)),
        ("mul.rn.f32 %r9, %r1, %r2", [s(third), s(third), 0], s(third * third)),
        ("mul.rz.f32 %r9, %r1, %r2", [s(third), s(3.0), 0], s(1.0)),
        ("mul.ftz.f32 %r9, %r1, %r2", [s(1e-30), s(1e-10), 0], 0),
        ("fma.rn.f32 %r9, %r1, %r2, %r3", [s(third), s(3.0), s(-1.0)], s(third.mul_add(3.0, -1.0))),
        // 1 · (1 − 2⁻²⁴) − 2⁻⁸⁰ lies just below a number of f32: down is the one before, to the nearest is the number.
        ("fma.rm.f32 %r9, %r1, %r2, %r3", [s(1.0), s(1.0 - f32::EPSILON / 2.0), s(-8.3e-25)], s(1.0 - f32::EPSILON)),
        (
            "fma.rn.f32 %r9, %r1, %r2, %r3",
            [s(1.0), s(1.0 - f32::EPSILON / 2.0), s(-8.3e-25)],
            s(1.0 - f32::EPSILON / 2.0),
        ),
        ("fma.rz.f32 %r9, %r1, %r2, %r3", [s(1.0), s(-1.0), s(1e-30)], s(-1.0 + f32::EPSILON / 2.0)),
        ("div.rn.f32 %r9, %r1, %r2", [s(1.0), s(3.0), 0], s(third)),
        ("div.rp.f32 %r9, %r1, %r2", [s(1.0), s(3.0), 0], 0x3eaa_aaab),
        ("div.rm.f32 %r9, %r1, %r2", [s(1.0), s(3.0), 0], 0x3eaa_aaaa),
        ("div.rz.f32 %r9, %r1, %r2", [s(-1.0), s(3.0), 0], 0xbeaa_aaaa),
        ("div.full.f32 %r9, %r1, %r2", [s(1.0), s(4.0), 0], s(0.25)),
        ("div.approx.f32 %r9, %r1, %r2", [s(1.0), s(0.0), 0], s(f32::INFINITY)),
        ("div.approx.ftz.f32 %r9, %r1, %r2", [s(8.0), s(4.0), 0], s(2.0)),
        ("min.f32 %r9, %r1, %r2", [s(NAN), s(4.0), 0], s(4.0)),
        ("max.f32 %r9, %r1, %r2", [s(-0.0), s(0.0), 0], s(0.0)),
        ("min.f32 %r9, %r1, %r2", [s(0.0), s(-0.0), 0], s(-0.0)),
        ("neg.f32 %r9, %r1", [s(0.0), 0, 0], s(-0.0)),
        ("abs.f32 %r9, %r1", [s(-2.0), 0, 0], s(2.0)),
        ("abs.ftz.f32 %r9, %r1", [s(-tiny), 0, 0], 0),
        ("copysign.f32 %r9, %r1, %r2", [s(-1.0), s(2.0), 0], s(-2.0)),
        ("sqrt.rn.f32 %r9, %r1", [s(2.0), 0, 0], s(2.0_f32.sqrt())),
        ("sqrt.rp.f32 %r9, %r1", [s(2.0), 0, 0], 0x3fb5_04f4),
        ("sqrt.rm.f32 %r9, %r1", [s(2.0), 0, 0], 0x3fb5_04f3),
        ("sqrt.approx.f32 %r9, %r1", [s(9.0), 0, 0], s(3.0)),
        ("sqrt.approx.ftz.f32 %r9, %r1", [s(tiny), 0, 0], 0),
        ("rsqrt.approx.f32 %r9, %r1", [s(4.0), 0, 0], s(0.5)),
        ("rsqrt.approx.ftz.f32 %r9, %r1", [s(tiny), 0, 0], s(f32::INFINITY)),
        ("rcp.rn.f32 %r9, %r1", [s(3.0), 0, 0], s(third)),
        ("rcp.approx.f32 %r9, %r1", [s(-0.0), 0, 0], s(f32::NEG_INFINITY)),
        ("rcp.approx.ftz.f32 %r9, %r1", [s(8.0), 0, 0], s(0.125)),
        ("ex2.approx.f32 %r9, %r1", [s(0.5), 0, 0], s(2.0_f64.sqrt() as f32)),
        ("ex2.approx.ftz.f32 %r9, %r1", [s(-140.0), 0, 0], 0),
        ("ex2.approx.f32 %r9, %r1", [s(-140.0), 0, 0], 1 << 9),
        ("ex2.approx.f32 %r9, %r1", [s(f32::NEG_INFINITY), 0, 0], 0),
        ("lg2.approx.f32 %r9, %r1", [s(8.0), 0, 0], s(3.0)),
        ("lg2.approx.ftz.f32 %r9, %r1", [s(0.0), 0, 0], s(f32::NEG_INFINITY)),
        ("tanh.approx.f32 %r9, %r1", [s(0.5), 0, 0], s(0.5_f64.tanh() as f32)),
        ("sin.approx.f32 %r9, %r1", [s(0.5), 0, 0], s(0.5_f64.sin() as f32)),
        ("cos.approx.f32 %r9, %r1", [s(0.5), 0, 0], s(0.5_f64.cos() as f32)),
    ]);
    for (text, inputs) in [
        ("max.NaN.f32 %r9, %r1, %r2;", [s(NAN), s(4.0), 0]),
        ("min.NaN.f32 %r9, %r1, %r2;", [s(3.0), s(NAN), 0]),
        ("sqrt.rn.f32 %r9, %r1;", [s(-1.0), 0, 0]),
        ("add.f32 %r9, %r1, %r2;", [s(f32::INFINITY), s(f32::NEG_INFINITY), 0]),
    ] {
        assert!(f32::from_bits(run(text, inputs) as u32).is_nan(), "{text}");
    }
}

#[test]
fn double_and_half_precision() {
    check(&[
        ("add.f64 %d9, %d1, %d2", [w(1.5), w(2.0), 0], w(3.5)),
        ("sub.f64 %d9, %d1, %d2", [w(1.5), w(2.0), 0], w(-0.5)),
        ("mul.f64 %d9, %d1, %d2", [w(1.5), w(2.0), 0], w(3.0)),
        ("fma.rn.f64 %d9, %d1, %d2, %d3", [w(0.1), w(0.2), w(0.3)], w(0.1_f64.mul_add(0.2, 0.3))),
        ("div.rn.f64 %d9, %d1, %d2", [w(1.0), w(3.0), 0], w(1.0 / 3.0)),
        ("add.f16 %h9, %h1, %h2", [h(1.5), h(2.0), 0], h(3.5)),
        ("add.rn.f16 %h9, %h1, %h2", [h(2048.0), h(3.0), 0], h(2052.0)),
        ("sub.f16 %h9, %h1, %h2", [h(1.5), h(2.0), 0], h(-0.5)),
        ("sub.rn.f16 %h9, %h1, %h2", [h(1.5), h(2.0), 0], h(-0.5)),
        ("mul.f16 %h9, %h1, %h2", [h(300.0), h(300.0), 0], h(f32::INFINITY)),
        ("mul.rn.f16 %h9, %h1, %h2", [h(1.5), h(2.0), 0], h(3.0)),
        // 1.0009765625² + 2⁻²⁴ is above a tie of the product alone: rounding once goes up.
        ("fma.rn.f16 %h9, %h1, %h2, %h3", [h(1.5), h(1.000_976_6), 1], 0x3e02),
        ("fma.rn.f16 %h9, %h1, %h2, %h3", [h(1.5), h(1.000_976_6), 0x8001], 0x3e01),
        ("neg.f16 %h9, %h1", [h(1.5), 0, 0], h(-1.5)),
        ("abs.f16 %h9, %h1", [h(-1.5), 0, 0], h(1.5)),
        ("min.f16 %h9, %h1, %h2", [h(NAN), h(1.0), 0], h(1.0)),
        ("max.f16 %h9, %h1, %h2", [h(-1.0), h(1.0), 0], h(1.0)),
        ("ex2.approx.f16 %h9, %h1", [h(-1.0), 0, 0], h(0.5)),
        ("tanh.approx.f16 %h9, %h1", [h(0.0), 0, 0], 0),
        ("add.f16x2 %r9, %r1, %r2", [hh(1.0, 2.0), hh(0.5, -2.0), 0], hh(1.5, 0.0)),
        ("add.rn.f16x2 %r9, %r1, %r2", [hh(1.0, 2.0), hh(0.5, -4.0), 0], hh(1.5, -2.0)),
        ("sub.f16x2 %r9, %r1, %r2", [hh(1.0, 2.0), hh(0.5, -2.0), 0], hh(0.5, 4.0)),
        ("sub.rn.f16x2 %r9, %r1, %r2", [hh(1.0, 2.0), hh(0.5, -2.0), 0], hh(0.5, 4.0)),
        ("mul.f16x2 %r9, %r1, %r2", [hh(1.0, 2.0), hh(0.5, -2.0), 0], hh(0.5, -4.0)),
        ("mul.rn.f16x2 %r9, %r1, %r2", [hh(1.0, 2.0), hh(0.5, -2.0), 0], hh(0.5, -4.0)),
        ("fma.rn.f16x2 %r9, %r1, %r2, %r3", [hh(1.0, 2.0), hh(0.5, -2.0), hh(1.0, 1.0)], hh(1.5, -3.0)),
        ("min.f16x2 %r9, %r1, %r2", [hh(1.0, 2.0), hh(0.5, 4.0), 0], hh(0.5, 2.0)),
        ("max.f16x2 %r9, %r1, %r2", [hh(1.0, 2.0), hh(0.5, 4.0), 0], hh(1.0, 4.0)),
        ("neg.f16x2 %r9, %r1", [hh(1.0, -2.0), 0, 0], hh(-1.0, 2.0)),
        ("abs.f16x2 %r9, %r1", [hh(-1.0, -2.0), 0, 0], hh(1.0, 2.0)),
        ("fma.rn.bf16 %h9, %h1, %h2, %h3", [b(1.5), b(2.0), b(1.0)], b(4.0)),
        ("neg.bf16 %h9, %h1", [b(1.5), 0, 0], b(-1.5)),
        ("abs.bf16 %h9, %h1", [b(-1.5), 0, 0], b(1.5)),
        ("min.bf16 %h9, %h1, %h2", [b(-1.5), b(1.0), 0], b(-1.5)),
        ("max.bf16 %h9, %h1, %h2", [b(-1.5), b(NAN), 0], b(-1.5)),
        ("fma.rn.bf16x2 %r9, %r1, %r2, %r3", [bb(1.0, 2.0), bb(0.5, -2.0), bb(1.0, 1.0)], bb(1.5, -3.0)),
        ("max.bf16x2 %r9, %r1, %r2", [bb(1.0, 2.0), bb(0.5, 4.0), 0], bb(1.0, 4.0)),
        ("neg.bf16x2 %r9, %r1", [bb(1.0, -2.0), 0, 0], bb(-1.0, 2.0)),
        ("abs.bf16x2 %r9, %r1", [bb(-1.0, -2.0), 0, 0], bb(1.0, 2.0)),
    ]);
}

/// What a card of compute capability 9.0 knows beyond 8.0.
#[test]
fn newer_arithmetic() {
    check(&[
        ("add.rn.bf16 %h9, %h1, %h2", [b(256.0), b(1.0), 0], b(256.0)),
        ("add.bf16 %h9, %h1, %h2", [b(1.0), b(1.5), 0], b(2.5)),
        ("sub.rn.bf16 %h9, %h1, %h2", [b(1.0), b(1.5), 0], b(-0.5)),
        ("sub.bf16 %h9, %h1, %h2", [b(1.0), b(1.5), 0], b(-0.5)),
        ("mul.rn.bf16 %h9, %h1, %h2", [b(3.0), b(1.5), 0], b(4.5)),
        ("mul.bf16 %h9, %h1, %h2", [b(3.0), b(1.5), 0], b(4.5)),
        ("add.rn.bf16x2 %r9, %r1, %r2", [bb(1.0, 2.0), bb(3.0, 4.0), 0], bb(4.0, 6.0)),
        ("add.bf16x2 %r9, %r1, %r2", [bb(1.0, 2.0), bb(3.0, 4.0), 0], bb(4.0, 6.0)),
        ("sub.rn.bf16x2 %r9, %r1, %r2", [bb(1.0, 2.0), bb(3.0, 4.0), 0], bb(-2.0, -2.0)),
        ("sub.bf16x2 %r9, %r1, %r2", [bb(1.0, 2.0), bb(3.0, 4.0), 0], bb(-2.0, -2.0)),
        ("mul.rn.bf16x2 %r9, %r1, %r2", [bb(1.0, 2.0), bb(3.0, 4.0), 0], bb(3.0, 8.0)),
        ("mul.bf16x2 %r9, %r1, %r2", [bb(1.0, 2.0), bb(3.0, 4.0), 0], bb(3.0, 8.0)),
        ("ex2.approx.ftz.bf16 %h9, %h1", [b(-1.0), 0, 0], b(0.5)),
        ("tanh.approx.bf16 %h9, %h1", [b(f32::INFINITY), 0, 0], b(1.0)),
        ("cvt.rn.bf16.s32 %h9, %r1", [n(-2), 0, 0], b(-2.0)),
        ("cvt.rn.bf16.u32 %h9, %r1", [257, 0, 0], b(256.0)),
        ("cvt.rn.bf16.s16 %h9, %h1", [n16(-2), 0, 0], b(-2.0)),
        ("cvt.rn.bf16.u16 %h9, %h1", [0xffff, 0, 0], b(65_536.0)),
        ("cvt.rn.bf16.f64 %h9, %d1", [w(1.0 + 3.0 / 256.0), 0, 0], 0x3f82),
        ("cvt.f64.bf16 %d9, %h1", [b(1.5), 0, 0], w(1.5)),
        ("cvt.f32.bf16 %r9, %h1", [b(1.5), 0, 0], s(1.5)),
        ("elect.sync %r9|%p8, 1", [0; 3], 0),
        ("cvt.rn.satfinite.e4m3x2.f32 %h9, %r1, %r2", [s(1.0), s(1e9), 0], 0x387e),
        ("cvt.rn.f16x2.e4m3x2 %r9, %h1", [0x387e, 0, 0], hh(448.0, 1.0)),
        ("cvt.rn.satfinite.e5m2x2.f32 %h9, %r1, %r2", [s(-1.0), s(2.0), 0], 0xbc40),
    ]);
}

#[test]
fn conversions() {
    check(&[
        ("cvt.f32.f16 %r9, %h1", [h(-1.5), 0, 0], s(-1.5)),
        ("cvt.rn.f16.f32 %h9, %r1", [s(1.0 + 3.0 / 2048.0), 0, 0], 0x3c02),
        ("cvt.rz.f16.f32 %h9, %r1", [s(1.0 + 3.0 / 2048.0), 0, 0], 0x3c01),
        ("cvt.rn.bf16.f32 %h9, %r1", [s(1.0 + 3.0 / 256.0), 0, 0], 0x3f82),
        ("cvt.rz.bf16.f32 %h9, %r1", [s(1.0 + 3.0 / 256.0), 0, 0], 0x3f81),
        ("cvt.rn.relu.f16.f32 %h9, %r1", [s(-1.0), 0, 0], 0),
        ("cvt.rn.f16x2.f32 %r9, %r1, %r2", [s(1.0), s(2.0), 0], hh(2.0, 1.0)),
        ("cvt.rn.bf16x2.f32 %r9, %r1, %r2", [s(1.0), s(2.0), 0], bb(2.0, 1.0)),
        ("cvt.rna.tf32.f32 %r9, %r1", [s(1.0 + 1.0 / 2048.0), 0, 0], 0x3f80_2000),
        ("cvt.f64.f32 %d9, %r1", [s(1.5), 0, 0], w(1.5)),
        ("cvt.f64.f16 %d9, %h1", [h(1.5), 0, 0], w(1.5)),
        ("cvt.rn.f32.f64 %r9, %d1", [w(0.1), 0, 0], s(0.1)),
        ("cvt.rp.f32.f64 %r9, %d1", [w(1.0 + 1e-12), 0, 0], s(1.0 + f32::EPSILON)),
        ("cvt.rn.f16.f64 %h9, %d1", [w(0.1), 0, 0], h(0.1)),
        ("cvt.rn.f32.s32 %r9, %r1", [n(-3), 0, 0], s(-3.0)),
        ("cvt.rn.f32.u32 %r9, %r1", [n(-1), 0, 0], s(4_294_967_296.0)),
        ("cvt.rn.f32.s16 %r9, %h1", [n16(-3), 0, 0], s(-3.0)),
        ("cvt.rn.f32.u16 %r9, %h1", [0xffff, 0, 0], s(65_535.0)),
        ("cvt.rn.f32.u64 %r9, %d1", [u64::MAX, 0, 0], s(18_446_744_073_709_551_616.0)),
        ("cvt.rz.f32.s32 %r9, %r1", [16_777_219, 0, 0], s(16_777_218.0)),
        ("cvt.rm.f32.s32 %r9, %r1", [n(-16_777_217), 0, 0], s(-16_777_218.0)),
        ("cvt.rp.f32.s32 %r9, %r1", [16_777_217, 0, 0], s(16_777_218.0)),
        ("cvt.rn.f16.s32 %h9, %r1", [n(-3), 0, 0], h(-3.0)),
        ("cvt.rn.f16.u32 %h9, %r1", [70_000, 0, 0], h(f32::INFINITY)),
        ("cvt.rn.f16.s16 %h9, %h1", [n16(-3), 0, 0], h(-3.0)),
        ("cvt.rn.f16.u16 %h9, %h1", [2049, 0, 0], h(2048.0)),
        ("cvt.rn.f64.s32 %d9, %r1", [n(-3), 0, 0], w(-3.0)),
        ("cvt.rn.f64.u32 %d9, %r1", [n(-1), 0, 0], w(4_294_967_295.0)),
        ("cvt.rzi.s32.f32 %r9, %r1", [s(-2.9), 0, 0], n(-2)),
        ("cvt.rni.s32.f32 %r9, %r1", [s(2.5), 0, 0], 2),
        ("cvt.rzi.u32.f32 %r9, %r1", [s(-2.9), 0, 0], 0),
        ("cvt.rzi.s64.f32 %d9, %r1", [s(-3e12), 0, 0], n64(-3e12_f32 as i64)),
        ("cvt.rzi.u16.f32 %h9, %r1", [s(70_000.0), 0, 0], 0xffff),
        ("cvt.rzi.s32.f16 %r9, %h1", [h(-2.5), 0, 0], n(-2)),
        ("cvt.rmi.f32.f32 %r9, %r1", [s(-0.5), 0, 0], s(-1.0)),
        ("cvt.rpi.f32.f32 %r9, %r1", [s(0.5), 0, 0], s(1.0)),
        ("cvt.rni.f32.f32 %r9, %r1", [s(2.5), 0, 0], s(2.0)),
        ("cvt.rzi.f32.f32 %r9, %r1", [s(-2.5), 0, 0], s(-2.0)),
        ("cvt.rni.f16.f16 %h9, %h1", [h(2.5), 0, 0], h(2.0)),
        ("cvt.sat.f32.f32 %r9, %r1", [s(7.0), 0, 0], s(1.0)),
        ("cvt.u64.u32 %d9, %r1", [n(-1), 0, 0], 0xffff_ffff),
        ("cvt.s64.s32 %d9, %r1", [n(-1), 0, 0], u64::MAX),
        ("cvt.u64.s32 %d9, %r1", [n(-1), 0, 0], u64::MAX),
        ("cvt.s64.u32 %d9, %r1", [n(-1), 0, 0], 0xffff_ffff),
        ("cvt.u32.u64 %r9, %d1", [7 << 32 | 5, 0, 0], 5),
        ("cvt.u64.u64 %d9, %d1", [7 << 32, 0, 0], 7 << 32),
        ("cvt.s64.s64 %d9, %d1", [7 << 32, 0, 0], 7 << 32),
        ("cvt.u64.s64 %d9, %d1", [7 << 32, 0, 0], 7 << 32),
        ("cvt.u32.u32 %r9, %r1", [7, 0, 0], 7),
        ("cvt.s32.u32 %r9, %r1", [7, 0, 0], 7),
        ("cvt.u16.u32 %h9, %r1", [0x1_2345, 0, 0], 0x2345),
        ("cvt.u16.u64 %h9, %d1", [0x1_2345, 0, 0], 0x2345),
        ("cvt.u32.u16 %r9, %h1", [0xffff, 0, 0], 0xffff),
        ("cvt.u64.u16 %d9, %h1", [0xffff, 0, 0], 0xffff),
        ("cvt.s32.u16 %r9, %h1", [0xffff, 0, 0], 0xffff),
        ("cvt.s16.s32 %h9, %r1", [n(-2), 0, 0], 0xfffe),
        ("cvt.s32.s16 %r9, %h1", [n16(-2), 0, 0], n(-2)),
        ("cvt.u32.s16 %r9, %h1", [n16(-2), 0, 0], n(-2)),
        ("cvt.s32.s8 %r9, %r1", [0x80, 0, 0], n(-128)),
        ("cvt.s16.s8 %h9, %h1", [0x1ff, 0, 0], 0xffff),
        ("cvt.u16.u8 %h9, %h1", [0x1ff, 0, 0], 0xff),
        ("cvt.u32.u8 %r9, %r1", [0x1ff, 0, 0], 0xff),
        ("cvt.u64.u8 %d9, %d1", [0x1ff, 0, 0], 0xff),
        ("cvt.sat.u8.s32 %r9, %r1", [300, 0, 0], 255),
    ]);
}

#[test]
fn memory() {
    check(&[
        ("st.global.u32 [%d10+8], %r1; ld.global.u64 %d9, [%d10+8]", [5, 7 << 32, 0], 7 << 32 | 5),
        ("ld.global.u8 %r9, [%d10+1]", [0xab00, 0, 0], 0xab),
        ("ld.global.s8 %r9, [%d10+1]", [0xab00, 0, 0], n(-0x55)),
        ("ld.global.s16 %d9, [%d10]", [0xffee, 0, 0], n64(-0x12)),
        ("ld.global.u16 %h9, [%d10+2]", [0x1234_5678, 0, 0], 0x1234),
        ("ld.global.nc.v2.u32 {%r8, %r9}, [%d10]", [3 << 32, 0, 0], 3),
        ("ld.volatile.global.u32 %r9, [%d10]", [3, 0, 0], 3),
        ("st.shared.v2.b32 [shared_bytes+8], {%r1, %r2}; ld.shared.b64 %d9, [shared_bytes+8]", [1, 2, 0], 2 << 32 | 1),
        ("st.local.b16 [local_bytes+2], %h1; ld.local.b32 %r9, [local_bytes]", [0x1234, 0, 0], 0x1234_ffff),
        (
            "mov.u64 %d8, shared_bytes; cvta.shared.u64 %d8, %d8; st.u32 [%d8+4], %r1; ld.shared.u32 %r9, [shared_bytes+4]",
            [9, 0, 0],
            9,
        ),
        ("mov.u64 %d8, shared_bytes; cvta.shared.u64 %d8, %d8; isspacep.shared %p9, %d8", [0; 3], 1),
        (
            "mov.u64 %d8, local_bytes; cvta.local.u64 %d8, %d8; st.u32 [%d8], %r1; ld.local.u32 %r9, [local_bytes]",
            [9, 0, 0],
            9,
        ),
        ("cvta.to.global.u64 %d8, %d10; ld.global.u32 %r9, [%d8]", [9, 0, 0], 9),
        ("atom.global.add.u32 %r9, [%d10], 5; ld.global.u32 %r8, [%d10]; add.u32 %r9, %r9, %r8", [9, 0, 0], 23),
        ("atom.global.cas.b32 %r8, [%d10], 9, 4; ld.global.u32 %r9, [%d10]", [9, 0, 0], 4),
        ("atom.global.exch.b64 %d9, [%d10], %d2", [9, 4, 0], 9),
        ("red.global.max.s32 [%d10], %r2; ld.global.u32 %r9, [%d10]", [n(-9), 4, 0], 4),
        (
            "atom.shared.add.f32 %r9, [shared_bytes], %r1; ld.shared.b32 %r9, [shared_bytes+16]",
            [s(1.0), 0, 0],
            0x7bff_7bff,
        ),
        ("prefetch.global.L2 [%d10]; membar.gl; fence.acq_rel.gpu; membar.cta; mov.u32 %r9, 3", [0; 3], 3),
        ("nanosleep.u32 20; activemask.b32 %r9", [0; 3], 1),
        ("shfl.sync.idx.b32 %r9|%p8, %r1, 0, 31, 1", [7, 0, 0], 7),
        ("shfl.sync.bfly.b32 %r9, %r1, 0, 31, 1", [7, 0, 0], 7),
        ("vote.sync.ballot.b32 %r9, %p1, 1", [1, 0, 0], 1),
        ("vote.sync.any.pred %p9, !%p1, 1", [0, 0, 0], 1),
        ("vote.sync.all.pred %p9, %p1, 1", [0, 0, 0], 0),
        ("bar.warp.sync 1; bar.sync 0; barrier.sync 1; mov.u32 %r9, %ntid.x", [0; 3], 1),
        ("bar.red.popc.u32 %r9, 0, %p1", [1, 0, 0], 1),
        ("{ .reg .b32 inner; mov.u32 inner, 4; add.u32 %r9, inner, %r1; } mov.u32 %r8, 0", [1, 0, 0], 5),
        ("mov.u32 %r9, 0; L_again: add.u32 %r9, %r9, 3; setp.lt.u32 %p8, %r9, 10; @%p8 bra L_again", [0; 3], 12),
    ]);
}

#[test]
fn what_is_not_aligned_or_not_there_is_a_fault() {
    let fails = |text: &str| {
        let outcome = std::panic::catch_unwind(|| run(&format!("{text}; mov.u32 %r9, 0;"), [0; 3]));
        *outcome.unwrap_err().downcast::<String>().unwrap()
    };
    assert!(fails("ld.global.u32 %r8, [%d10+2]").contains("multiple of 4"));
    assert!(fails("ld.global.v2.u32 {%r8, %r9}, [%d10+4]").contains("multiple of 8"));
    assert!(fails("ld.global.u64 %d8, [%d10+56]").contains("not allocated"));
    assert!(fails("ld.shared.u32 %r8, [shared_bytes+64]").contains("shared memory at 0x40"));
    assert!(fails("st.local.u32 [local_bytes+64], %r1").contains("local memory"));
    assert!(fails("trap").contains("traps"));
    assert!(fails("bar.sync 16").contains("no barrier 16"));
    assert!(fails("shfl.sync.idx.b32 %r8, %r1, 0, 31, 2").contains("not among the members"));
    assert!(fails("mma.sync.aligned.m8n8k4.row.col.f16.f16.f16.f16 {%r4}, {%r4}, {%r4}, {%r4}").contains("not known"));
}

/// As the CUDA C++ programming guide says of intrinsics with masks: those of their lanes that have not exited take part.
#[test]
fn lanes_that_end_are_not_waited_for() {
    for wait in
        ["elect.sync %r2|%p2, 0xffffffff", "bar.warp.sync 0xffffffff", "vote.sync.all.pred %p2, %p3, 0xffffffff"]
    {
        let words = [AtomicU64::new(0)];
        let kernel = format!(
            ".version 8.5\n.target sm_90\n.address_size 64\n.visible .entry k(\n.param .u64 k_param_0\n)\n{{\n\
             .reg .b32 %r<4>;\n.reg .b64 %d<2>;\n.reg .pred %p<4>;\nld.param.u64 %d1, [k_param_0];\n\
             mov.u32 %r1, %tid.x;\nsetp.ne.u32 %p1, %r1, 0;\n@%p1 bra L_end;\n\
             setp.eq.u32 %p3, %r1, 0;\n{wait};\nmov.u32 %r3, 7;\nst.global.u32 [%d1], %r3;\nL_end:\nret;\n}}\n"
        );
        launch(&kernel, 32, &words);
        assert_eq!(words[0].load(Ordering::Relaxed), 7, "{wait}");
    }
}
