//! `pubtag-ray` on clusters of several nodes, and the Kubernetes manifests, tested with pytest.

use std::path::Path;
use std::process::Command;

use pubtag_tests::{Outcome, ray_python};

use crate::PROGRAM;

#[test]
fn a_cluster_writes_what_one_machine_writes() {
    let Some(python) = ray_python("a_cluster_writes_what_one_machine_writes") else { return };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("ray");
    let mut call = Command::new(python);
    call.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).arg(tests).env("PUBTAG_PROGRAM", PROGRAM);
    let outcome = Outcome::of(&call.output().unwrap());
    assert_eq!(outcome.code, Some(0), "{}\n{}", outcome.stdout, outcome.stderr);
}
