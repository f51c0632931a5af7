//! Random numbers that are the same on every machine.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::SplitMix64;

/// The first number of SplitMix64 (Steele et al., 2014) for a seed.
#[inline]
pub(crate) fn mix(seed: u64) -> u64 {
    SplitMix64::seed_from_u64(seed).next_u64()
}

/// A seed for a part of a run: the number of SplitMix64 at that place.
pub(crate) fn part_seed(seed: u64, part: u64) -> u64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    mix(seed.wrapping_add(part.wrapping_mul(GAMMA)))
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
    use super::{mix, normal, part_seed};

    /// From the reference implementation with seed 1234567. Seeds of saved training runs depend on it.
    #[test]
    fn seeds_are_numbers_of_splitmix64() {
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(part_seed(1_234_567, 2), 9_817_491_932_198_370_423);
    }

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
