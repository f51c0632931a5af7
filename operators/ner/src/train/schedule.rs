//! The learning rate over time.

/// Linear warm-up from 0, then linear decay to 0, as `transformers.get_linear_schedule_with_warmup`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    peak: f64,
    warmup: usize,
    total: usize,
}

impl Schedule {
    pub(crate) fn new(peak: f64, warmup_share: f64, total: usize) -> Self {
        Self { peak, warmup: (total as f64 * warmup_share).ceil() as usize, total }
    }

    /// The learning rate of a step, counted from 0.
    pub(crate) fn at(self, step: usize) -> f64 {
        let share = if step < self.warmup {
            step as f64 / self.warmup as f64
        } else {
            self.total.saturating_sub(step) as f64 / (self.total - self.warmup).max(1) as f64
        };
        self.peak * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_zero() {
        let schedule = Schedule::new(2.0, 0.2, 10);
        let rates: Vec<f64> = (0..11).map(|step| schedule.at(step)).collect();
        assert_eq!(rates, [0.0, 1.0, 2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25, 0.0]);
    }

    #[test]
    fn a_schedule_without_warmup_starts_at_its_peak() {
        assert_eq!(Schedule::new(1.0, 0.0, 4).at(0), 1.0);
        assert_eq!(Schedule::new(1.0, 1.0, 4).at(4), 0.0);
    }
}
