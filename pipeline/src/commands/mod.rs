//! The subcommands, one file each.

pub mod cache;
pub mod config;
pub mod convert;
pub mod corpus;
pub mod evaluate;
pub mod inspect;
pub mod nightly;
pub mod plan;
pub mod pretrain;
pub mod run;
pub mod schema;
pub mod self_test;
pub mod show;
pub mod snapshot;
pub mod sync;
pub mod train;
pub mod vacuum;
pub mod verify;
pub mod warm_up;
pub mod worker;
