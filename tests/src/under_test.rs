//! `pubtag`, built where the integration tests can find it.

use std::process::ExitCode;

fn main() -> ExitCode {
    pubtag::main()
}
