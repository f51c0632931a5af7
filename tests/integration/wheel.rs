//! The Python package, installed from its wheel: `tests/wheel` compares it with the program.

use std::path::Path;
use std::process::Command;

use pubtag_tests::wheel_python;

use crate::PROGRAM;

#[test]
fn the_wheel_finds_what_the_program_finds() {
    let Some(python) = wheel_python("the_wheel_finds_what_the_program_finds") else { return };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("wheel");
    let mut command = Command::new(python);
    command.args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"]).arg(tests).env("PUBTAG_PROGRAM", PROGRAM);
    let status = command.env_remove("PUBTAG_MODEL").env_remove("RUST_LOG").status().unwrap();
    assert!(status.success(), "{status}");
}
