//! Random numbers that are the same on every machine.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// One step of SplitMix64 (Steele et al., 2014).
pub(crate) fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(GOLDEN_GAMMA);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A seed for a part of a run.
pub(crate) fn part_seed(seed: u64, part: u64) -> u64 {
    mix(seed.wrapping_add(part.wrapping_mul(GOLDEN_GAMMA)))
}

/// Samples of a normal distribution around 0 (Box and Muller, 1958).
pub(crate) fn normal(count: usize, deviation: f64, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut sample = || {
        let (radius, angle): (f64, f64) = (random.random(), random.random());
        (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    };
    (0..count).map(|_| (deviation * sample()) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn samples_have_the_requested_deviation_and_follow_from_the_seed() {
        let values = normal(20_000, 0.02, 7);
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.001 && (variance.sqrt() - 0.02).abs() < 0.001, "{mean} ± {}", variance.sqrt());
        assert_eq!(values, normal(20_000, 0.02, 7));
        assert_ne!(values, normal(20_000, 0.02, 8));
    }
}
