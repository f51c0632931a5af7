//! Memory aligned to cache lines.

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; LINE]);

const LINE: usize = 16;

/// A growing array of 32-bit words that starts on a cache line, read as `u32` or as `f32`.
#[derive(Clone, Default)]
pub struct Buffer {
    lines: Vec<Line>,
}

impl Buffer {
    /// The first `len` words, of any value; grows if necessary and never shrinks.
    pub(super) fn words(&mut self, len: usize) -> &mut [u32] {
        let lines = len.div_ceil(LINE);
        if lines > self.lines.len() {
            self.lines.resize(lines, Line([0; LINE]));
        }
        // SAFETY: the lines are initialised and `len` words long or longer; `u32` needs no more alignment than `Line`.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }

    /// The first `len` words as `f32`.
    pub fn floats(&mut self, len: usize) -> &mut [f32] {
        let words = self.words(len);
        // SAFETY: every pattern of bits is a valid `f32`, and size and alignment are those of `u32`.
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), len) }
    }

    /// A pointer to the first word.
    pub(super) fn as_ptr(&self) -> *const u32 {
        self.lines.as_ptr().cast()
    }
}

/// A block of input rows, converted to a precision.
#[derive(Default)]
pub(super) struct Converted {
    pub(super) words: Buffer,
    /// The scale of each row, if rows are quantized.
    pub(super) scales: Vec<f32>,
}
