//! Running the program, and finding test data.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A call of the program.
#[derive(Debug)]
pub struct PubTag {
    command: Command,
}

/// How a call ended.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` if a signal killed the program.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl PubTag {
    /// A call with arguments; `program` is `env!("CARGO_BIN_EXE_pubtag-under-test")`, which is only set for tests.
    pub fn new<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_remove("PUBTAG_MODEL").env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// `pubtag run INPUT… --output OUTPUT` with the tiny model.
    pub fn run(program: &str, inputs: &[&Path], output: &Path) -> Self {
        let mut call = Self::new(program, ["run"]).on_cpu(output);
        call.command.args(inputs).arg("--model").arg(tiny_model());
        call
    }

    /// `pubtag run --output OUTPUT` without inputs or model yet.
    #[must_use]
    pub fn on_cpu(mut self, output: &Path) -> Self {
        self.command.args(["--device", "cpu", "--output"]).arg(output);
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn within(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Sets standard input.
    #[must_use]
    pub fn stdin(mut self, file: &Path) -> Self {
        let file = std::fs::File::open(file).expect("the file for standard input is there");
        self.command.stdin(file);
        self
    }

    /// Lets the test write standard input.
    #[must_use]
    pub fn with_stdin(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    /// Starts the program.
    pub fn start(mut self) -> Child {
        self.command.spawn().expect("the program starts")
    }

    /// Runs the program to its end.
    pub fn end(mut self) -> Outcome {
        let output = self.command.output().expect("the program starts");
        Outcome::of(&output)
    }

    /// Runs the program, which must exit with 0; returns its peak resident set in MiB.
    #[cfg(target_os = "linux")]
    pub fn peak_mebibytes(mut self) -> f64 {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = self.start();
        let status_file = format!("/proc/{}/status", child.id());
        let mut peak = 0.0;
        loop {
            // A process that has just ended has no memory.
            let text = std::fs::read_to_string(&status_file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
            peak = kilobytes.map_or(peak, |kilobytes| kilobytes / 1024.0);
            if let Some(status) = child.try_wait().expect("the program can be waited for") {
                assert!(status.success(), "the program ended with {status}");
                return peak;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Runs the program on a terminal created by `python`; returns its output on stdout and stderr.
    pub fn on_a_terminal(self, python: &Path) -> String {
        const PTY: &str = "import pty, sys; pty.spawn(sys.argv[1:])";
        let mut call = Command::new(python);
        call.args(["-c", PTY]).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => call.env(name, value),
                None => call.env_remove(name),
            };
        }
        let output = call.stdin(Stdio::null()).output().expect("Python starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs the program, which must exit with 0.
    pub fn succeed(self) -> Outcome {
        let outcome = self.end();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome
    }
}

impl Outcome {
    /// The outcome of a finished process.
    pub fn of(output: &std::process::Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Asserts that the program ended with a code, printed these words to stderr, and did not panic.
    pub fn assert_fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in stderr:\n{}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// A file of this crate's `fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The tiny random checkpoint.
pub fn tiny_model() -> PathBuf {
    fixture("tiny-bert")
}

/// The directory of reference data, or `None` after reporting a skip.
pub fn shared(test: &str) -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("PUBTAG_SHARED").map_or_else(default, PathBuf::from);
    found(test, folder.is_dir(), "reference data (PUBTAG_SHARED)").then_some(folder)
}

/// A Python with pyarrow, DuckDB, Polars and lxml, or `None` after reporting a skip.
pub fn python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("PUBTAG_PYTHON").map(PathBuf::from);
    found(test, python.is_some(), "Python environment (PUBTAG_PYTHON; tests/run sets it up)").then_some(python?)
}

/// A Python with torch, transformers and seqeval, or `None` after reporting a skip.
pub fn peers_python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("PUBTAG_PEERS_PYTHON").map(PathBuf::from);
    found(test, python.is_some(), "Python environment with peers (PUBTAG_PEERS_PYTHON; tests/run --peers sets it up)")
        .then_some(python?)
}

/// A Python with PySpark and DuckDB, or `None` after reporting a skip.
pub fn spark_python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("PUBTAG_SPARK_PYTHON").map(PathBuf::from);
    found(test, python.is_some(), "Python environment with Spark (PUBTAG_SPARK_PYTHON; tests/run --spark sets it up)")
        .then_some(python?)
}

/// A Python with Ray, pytest, DuckDB and the schemas of Kubernetes, or `None` after reporting a skip.
pub fn ray_python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("PUBTAG_RAY_PYTHON").map(PathBuf::from);
    found(test, python.is_some(), "Python environment with Ray (PUBTAG_RAY_PYTHON; tests/run --ray sets it up)")
        .then_some(python?)
}

/// A Python in which the wheel is installed, or `None` after reporting a skip.
pub fn wheel_python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("PUBTAG_WHEEL_PYTHON").map(PathBuf::from);
    found(
        test,
        python.is_some(),
        "Python environment with the wheel (PUBTAG_WHEEL_PYTHON; tests/run --wheel sets it up)",
    )
    .then_some(python?)
}

fn found(test: &str, is_there: bool, what: &str) -> bool {
    if !is_there {
        skipped(test, what);
    }
    is_there
}

/// Reports that a test is skipped because something is missing.
pub fn skipped(test: &str, what: &str) {
    tell(&format!("SKIPPED {test}: no {what}\n"));
}

/// Prints to stderr: `cargo test` captures print macros of passing tests.
pub fn tell(text: &str) {
    #[expect(clippy::disallowed_methods, reason = "the rule is the program's")]
    let mut stderr = std::io::stderr();
    let _ = std::io::Write::write_all(&mut stderr, text.as_bytes());
}
