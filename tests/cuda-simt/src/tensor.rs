//! Tensor maps: the boxes that `cp.async.bulk.tensor` copies, where each byte lies on both sides.

use crate::memory::Fault;

/// Bytes of an encoded map, as `CUtensorMap` has them.
pub const TENSOR_MAP_BYTES: usize = 128;

/// Marks 128 bytes as a map that [`TensorMap::encode`] made.
const MARK: u64 = 0x7065_6e73_6f72_6d70;

/// A tensor in global memory, and the box of it that is copied at once. The first dimension is the innermost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorMap {
    /// Bytes of an element.
    pub element_bytes: u32,
    /// Address of the first element.
    pub address: u64,
    /// Elements along each dimension.
    pub dimensions: Vec<u64>,
    /// Bytes from one element to the next, along each dimension but the first.
    pub strides: Vec<u64>,
    /// Elements of the box along each dimension.
    pub box_dimensions: Vec<u32>,
    /// Of how many elements one is copied, along each dimension.
    pub element_strides: Vec<u32>,
    /// `CUtensorMapSwizzle`: 0 for none, 1 to 3 for 32, 64 and 128 bytes.
    pub swizzle: u32,
    /// Whether elements outside of the tensor are NaNs rather than zeros.
    pub fill_nan: bool,
}

/// An element of a box: whether it lies inside of the tensor, and where on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    /// Address in global memory, if inside.
    pub(crate) global: Option<u64>,
    /// Address in shared memory.
    pub(crate) shared: u64,
}

impl TensorMap {
    /// The map as 128 bytes, which only this crate understands.
    pub fn encode(&self) -> [u8; TENSOR_MAP_BYTES] {
        let flags = u64::from(self.swizzle) | u64::from(self.fill_nan) << 8 | u64::from(self.element_bytes) << 16;
        let mut words = vec![MARK ^ self.dimensions.len() as u64, self.address, flags];
        words.extend(&self.dimensions);
        words.extend(&self.strides);
        // Boxes have at most 256 elements along a side, strides of elements are at most 8.
        let sides = self.box_dimensions.iter().zip(&self.element_strides);
        words.extend(sides.map(|(side, stride)| u64::from(*side) | u64::from(*stride) << 32));
        let mut bytes = [0; TENSOR_MAP_BYTES];
        // Three words, and for five dimensions 14 more, are one too many: the first of the strides is not needed twice.
        for (place, word) in bytes.chunks_exact_mut(8).zip(pack(words, self.dimensions.len())) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let words: Vec<u64> = bytes.chunks_exact(8).map(crate::memory::little_endian).collect();
        let rank = (words[0] ^ MARK) as usize;
        if !(1..=5).contains(&rank) {
            return Err("what is used as a tensor map was not made by cuTensorMapEncodeTiled".into());
        }
        let words = unpack(words, rank);
        let (flags, rest) = (words[2], &words[3..]);
        let (dimensions, rest) = rest.split_at(rank);
        let (strides, sides) = rest.split_at(rank - 1);
        Ok(Self {
            element_bytes: (flags >> 16) as u32,
            address: words[1],
            dimensions: dimensions.to_vec(),
            strides: strides.to_vec(),
            box_dimensions: sides[..rank].iter().map(|side| *side as u32).collect(),
            element_strides: sides[..rank].iter().map(|side| (side >> 32) as u32).collect(),
            swizzle: flags as u32 & 0xff,
            fill_nan: flags >> 8 & 1 == 1,
        })
    }

    /// Bytes that a copy of a box is counted as, elements outside of the tensor included.
    pub(crate) fn box_bytes(&self) -> u64 {
        self.box_dimensions.iter().map(|side| u64::from(*side)).product::<u64>() * u64::from(self.element_bytes)
    }

    /// The elements of the box that begins at some coordinates and is laid out from an address of shared memory on.
    pub(crate) fn elements(&self, start: &[i32], shared: u64) -> impl Iterator<Item = Element> {
        let total: u64 = self.box_dimensions.iter().map(|side| u64::from(*side)).product();
        (0..total).map(move |number| {
            let (mut rest, mut global) = (number, Some(self.address));
            for (axis, &side) in self.box_dimensions.iter().enumerate() {
                let step = rest % u64::from(side) * u64::from(self.element_strides[axis]);
                rest /= u64::from(side);
                let stride = if axis == 0 { u64::from(self.element_bytes) } else { self.strides[axis - 1] };
                let at = i64::from(start[axis]) + step as i64;
                let inside = u64::try_from(at).ok().filter(|at| *at < self.dimensions[axis]);
                global = global.zip(inside).map(|(address, at)| address + at * stride);
            }
            Element { global, shared: self.swizzled(shared + number * u64::from(self.element_bytes)) }
        })
    }

    /// Mixes bits 4 to 6 of an address with those three places above them, as far as the pattern reaches.
    fn swizzled(&self, address: u64) -> u64 {
        let mixed = (1_u64 << self.swizzle.min(3)) - 1;
        address ^ (address >> 7 & mixed) << 4
    }
}

/// Five dimensions need 17 words where there are 16: the last two, pairs of small numbers, are put into one.
fn pack(mut words: Vec<u64>, rank: usize) -> Vec<u64> {
    if rank == 5 {
        let last = words.pop().unwrap_or_default();
        if let Some(word) = words.last_mut() {
            *word |= (last & 0xffff) << 16 | (last >> 32) << 48;
        }
    }
    words
}

fn unpack(mut words: Vec<u64>, rank: usize) -> Vec<u64> {
    if rank == 5 {
        let both = words[15];
        words[15] = both & 0xffff | (both >> 32 & 0xffff) << 32;
        words.push(both >> 16 & 0xffff | (both >> 48) << 32);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows_of_128_bytes(swizzle: u32) -> TensorMap {
        TensorMap {
            element_bytes: 2,
            address: 0x1000,
            dimensions: vec![100, 10],
            strides: vec![256],
            box_dimensions: vec![64, 8],
            element_strides: vec![1, 1],
            swizzle,
            fill_nan: false,
        }
    }

    #[test]
    fn a_map_survives_its_128_bytes() {
        let map = rows_of_128_bytes(3);
        assert_eq!(TensorMap::decode(&map.encode()), Ok(map));
        let large = TensorMap {
            element_bytes: 4,
            address: 1 << 46,
            dimensions: vec![1 << 32, 2, 3, 4, 5],
            strides: vec![16, 32, 48, (1 << 40) - 16],
            box_dimensions: vec![256, 1, 2, 3, 4],
            element_strides: vec![1, 2, 3, 4, 8],
            swizzle: 1,
            fill_nan: true,
        };
        assert_eq!(TensorMap::decode(&large.encode()), Ok(large));
        assert!(TensorMap::decode(&[0xff; TENSOR_MAP_BYTES]).is_err());
    }

    #[test]
    fn a_box_lies_row_by_row_and_ends_with_the_tensor() {
        let elements: Vec<_> = rows_of_128_bytes(0).elements(&[64, -1], 0).collect();
        assert_eq!(elements[0].global, None, "row -1");
        assert_eq!(elements[64], Element { global: Some(0x1000 + 64 * 2), shared: 128 });
        assert_eq!(elements[64 + 35].global, Some(0x1000 + 99 * 2));
        assert_eq!(elements[64 + 36].global, None, "column 100");
        assert_eq!(elements[7 * 64].global, Some(0x1000 + 6 * 256 + 128));
    }

    #[test]
    fn a_swizzle_permutes_16_bytes_within_its_span() {
        // CUDA programming guide, "TMA swizzle": in row r of 128 bytes, chunk c lies at c xor r.
        let elements: Vec<_> = rows_of_128_bytes(3).elements(&[0, 0], 1024).collect();
        for row in 0..8_u64 {
            for chunk in 0..8_u64 {
                let found = elements[(row * 64 + chunk * 8) as usize].shared;
                assert_eq!(found, 1024 + row * 128 + (chunk ^ row) * 16);
            }
        }
        // 64 bytes: four chunks, and the pattern changes every second row of 64 bytes.
        let map = TensorMap { swizzle: 2, box_dimensions: vec![32, 8], ..rows_of_128_bytes(0) };
        let elements: Vec<_> = map.elements(&[0, 0], 0).collect();
        assert_eq!(elements[2 * 32].shared, 2 * 64 + 16);
        assert_eq!(elements[3 * 32 + 8].shared, 3 * 64);
        let map = TensorMap { swizzle: 1, box_dimensions: vec![16, 8], ..rows_of_128_bytes(0) };
        assert_eq!(map.elements(&[0, 0], 0).nth(4 * 16).map(|element| element.shared), Some(4 * 32 + 16));
    }
}
