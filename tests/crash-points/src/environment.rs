//! A director configured by environment variables, for whole programs.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::ObjectStore;
use pubtag_parquet::Liveness;

use crate::{Director, Point, PointLiveness, PointStore, Verdict};

/// What happens, and where: `POINT:NUMBER:MODE`, as in `put marker:0:abort`. The number counts the calls of that point,
/// from 0.
pub const CRASH: &str = "PUBTAG_CRASH";

/// A file to which the name of each point is appended, one per line, as calls are made.
pub const CRASH_LOG: &str = "PUBTAG_CRASH_LOG";

/// How long a call waits to be released.
const PATIENCE: Duration = Duration::from_secs(30);

/// What happens to a process at a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It dies before the call: `abort`.
    Abort,
    /// It dies after the call: `abort-after`.
    AbortAfter,
    /// The call fails: `error`.
    Error,
    /// The call takes effect and fails: `error-after`.
    ErrorAfter,
    /// The call makes the file `PATH.reached` and waits for `PATH.go`: `wait=PATH`.
    Wait(PathBuf),
}

/// A [`Mode`] and the call it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Name of the point.
    pub point: String,
    /// Number of the call among those of this point, from 0.
    pub number: usize,
    /// What happens.
    pub mode: Mode,
}

/// The text is not a [`Crash`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashError(String);

impl std::fmt::Display for CrashError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} is not POINT:NUMBER:MODE", self.0)
    }
}

impl std::error::Error for CrashError {}

impl FromStr for Crash {
    type Err = CrashError;

    fn from_str(text: &str) -> Result<Self, CrashError> {
        let error = || CrashError(text.to_owned());
        let mut fields = text.splitn(3, ':');
        let (point, number, mode) = (fields.next(), fields.next(), fields.next());
        let mode = match mode.ok_or_else(error)? {
            "abort" => Mode::Abort,
            "abort-after" => Mode::AbortAfter,
            "error" => Mode::Error,
            "error-after" => Mode::ErrorAfter,
            other => Mode::Wait(other.strip_prefix("wait=").ok_or_else(error)?.into()),
        };
        let number = number.and_then(|number| number.parse().ok()).ok_or_else(error)?;
        Ok(Self { point: point.unwrap_or_default().to_owned(), number, mode })
    }
}

/// Puts a store and its locks under the director that the environment configures, if any.
///
/// # Panics
/// If the configuration is invalid.
pub fn from_environment(
    (store, liveness): (Arc<dyn ObjectStore>, Arc<dyn Liveness>),
) -> (Arc<dyn ObjectStore>, Arc<dyn Liveness>) {
    let crash = std::env::var(CRASH).ok().map(|text| text.parse::<Crash>().unwrap_or_else(|error| panic!("{error}")));
    let log = std::env::var_os(CRASH_LOG).map(|path| File::create(path).expect("the log of calls can be written"));
    if crash.is_none() && log.is_none() {
        return (store, liveness);
    }
    let director: Arc<dyn Director> = Arc::new(Environment { crash, log, calls: Mutex::default() });
    (Arc::new(PointStore::new(store, director.clone())), Arc::new(PointLiveness::new(liveness, director)))
}

#[derive(Debug)]
struct Environment {
    crash: Option<Crash>,
    log: Option<File>,
    calls: Mutex<HashMap<String, usize>>,
}

impl Environment {
    /// Records a call and decides what happens to it.
    fn note(&self, point: Point) -> Option<&Mode> {
        let name = point.to_string();
        if let Some(mut log) = self.log.as_ref() {
            log.write_all(format!("{name}\n").as_bytes()).expect("the log of calls can be written");
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let number = calls.entry(name.clone()).or_default();
        let crash = self.crash.as_ref().filter(|crash| crash.point == name && crash.number == *number);
        *number += 1;
        crash.map(|crash| &crash.mode)
    }
}

#[async_trait]
impl Director for Environment {
    async fn before(&self, point: Point) -> Verdict {
        let failed = || io::Error::other("this call was to fail");
        match self.note(point) {
            None => Verdict::Proceed,
            Some(Mode::Abort) => std::process::abort(),
            Some(Mode::AbortAfter) => Verdict::DieAfter,
            Some(Mode::Error) => Verdict::Fail(failed()),
            Some(Mode::ErrorAfter) => Verdict::FailAfter(failed()),
            Some(Mode::Wait(path)) => {
                File::create(path.with_extension("reached")).expect("a call can say that it waits");
                let (go, started) = (path.with_extension("go"), Instant::now());
                while !go.exists() && started.elapsed() < PATIENCE {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Verdict::Proceed
            }
        }
    }

    async fn landing(&self) {}

    async fn die(&self) {
        std::process::abort()
    }
}
