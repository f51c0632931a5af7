# Recipes for everyday work; `just` lists them.

default:
    @just --list

# Build and run the main job on the bundled sample.
sample:
    cargo run --release -p pubtag -- run deploy/sample/pubmed-sample.xml.gz --output annotations

# Every test that needs neither torch nor a GPU.
test *ARGS:
    tests/run {{ARGS}}

# What CI runs.
ci:
    .ci/run

# Formatting and lints.
lint:
    cargo fmt --all
    cargo clippy --release --workspace --all-targets -- -D warnings

# Type check of the CUDA backend; needs no CUDA.
check-cuda:
    cargo check --release -p pubtag --features cuda

# The CUDA backend with NVIDIA's compiler, under a driver that computes nothing.
test-cuda *ARGS:
    tests/run --cuda-stub -- --test integration cuda:: {{ARGS}}

# How fast each stage is by itself.
stages *ARGS:
    cargo bench -p pubtag --bench stages {{ARGS}}

# Fuzz every target for so many seconds; needs cargo-fuzz.
fuzz SECONDS="600":
    tests/fuzz/run {{SECONDS}}

# Peak memory by the length of the input.
memory *SIZES:
    python3 tests/bench/memory.py target/release/pubtag tests/fixtures/tiny-bert {{SIZES}}
