//! The nightly job: steps in order under one lock, and what each of them did.

mod live;
mod plan;
mod report;
mod signal;

pub(crate) use live::LiveSet;
pub(crate) use plan::Plan;
pub(crate) use report::{NightReport, StepEnd};
pub(crate) use signal::OutsideOfRun;
