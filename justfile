# Everyday recipes; run `just` to list them.

default:
    @just --list

# Build and run the main job on the bundled sample.
sample:
    cargo run --release -p pubtag -- run deploy/sample/pubmed-sample.xml.gz --output annotations

# Run all tests that need neither PyTorch nor a GPU.
test *ARGS:
    tests/run {{ARGS}}

# Run CI.
ci:
    .ci/run

# Format and lint.
lint:
    cargo fmt --all
    cargo clippy --release --workspace --all-targets -- -D warnings

# Type-check the CUDA backend; needs no CUDA.
check-cuda:
    cargo check --release -p pubtag --features cuda

# Test the CUDA backend with NVIDIA's compiler and a stub driver that computes nothing.
test-cuda *ARGS:
    tests/run --cuda-stub -- --test integration cuda:: {{ARGS}}

# Run the kernels of the CUDA backend on the CPU.
test-cuda-compute *ARGS:
    tests/run --cuda-compute -- --test integration cuda_compute:: {{ARGS}}

# Benchmark each stage separately.
stages *ARGS:
    cargo bench -p pubtag --bench stages {{ARGS}}

# Fuzz every target for SECONDS; needs cargo-fuzz.
fuzz SECONDS="600":
    tests/fuzz/run {{SECONDS}}

# Measure peak memory by input size.
memory *SIZES:
    python3 tests/bench/memory.py target/release/pubtag tests/fixtures/tiny-bert {{SIZES}}

# Build the Python wheel and test it.
wheel *ARGS:
    tests/run --wheel -- --test integration wheel:: {{ARGS}}
