//! The subcommands, one file each.

pub mod convert;
pub mod corpus;
pub mod run;
pub mod schema;
