//! Kernels are cached by the version of the library that makes them.

use std::fs;
use std::path::Path;

#[test]
fn the_kernel_cache_is_keyed_by_the_locked_version_of_burn() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lock = fs::read_to_string(package.join("../../Cargo.lock")).unwrap();
    let locked = lock.split("name = \"burn\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    // Source text, because the module is part of builds with CUDA only.
    let cache = fs::read_to_string(package.join("src/cuda/cache.rs")).unwrap();
    assert!(cache.contains(&format!("\"burn-{locked}\"")), "the kernel cache is not keyed by burn {locked}");
}
