//! Snapshots of made outputs against a model in memory, with crashes at every call to the store.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic, in its helpers too")]

mod buckets;
mod crash_points;
mod generations;
mod histories;
mod made;
mod published;
mod verified;
