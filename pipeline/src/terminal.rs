//! Output to stdout and stderr: text and file names from outside must not control the terminal.
//!
//! Everything that the program prints goes through here (enforced by `clippy.toml`). Stdout is data: piped or redirected
//! output is exact to the byte. On a terminal, control characters, and those that reorder or hide text, are escaped as
//! `\u001b`, as in JSON. Log messages are always escaped, and each is a single line.

#![expect(clippy::disallowed_methods, reason = "the only file that may use them")]

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::exit::{Exit, Failure};

/// Whether stdout is a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether stderr is a terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Standard output.
pub(crate) fn stdout() -> impl Write {
    Shown { exact: !stdout_is_terminal(), out: io::stdout().lock() }
}

/// Prints to standard output.
///
/// # Errors
/// It cannot be written.
pub(crate) fn print(text: &str) -> io::Result<()> {
    stdout().write_all(text.as_bytes())
}

/// What a failed print means: nothing if nobody reads any more (`| head`).
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn printed(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Transient, anyhow::Error::new(error).context("cannot write to standard output")))
        }
        _ => Ok(()),
    }
}

/// Prints text with colors; everything from outside in it must have gone through [`page`].
///
/// # Errors
/// It cannot be written.
pub(crate) fn print_colored(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

/// Prints to standard error; ignores errors, since nobody may be reading.
pub(crate) fn eprint(text: &str) {
    let _ = io::stderr().write_all(page(text).as_bytes());
}

/// The output of log lines; their [`fields`] are escaped, so that all colors are our own.
pub(crate) fn log() -> io::Stderr {
    io::stderr()
}

/// Formats the fields of a log line.
pub(crate) fn fields() -> impl for<'writer> FormatFields<'writer> + Send + Sync + 'static {
    let write = |writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        if field.name() != "message" {
            write!(writer, "{}=", field.name())?;
        }
        writer.write_str(&line(&format!("{value:?}")))
    };
    debug_fn(write).delimited(" ")
}

/// Escapes a text of several lines.
pub(crate) fn page(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unsafe(c) && c != '\n' && c != '\t')
}

/// Escapes a text, line breaks included.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unsafe)
}

fn escaped(text: &str, is_unsafe: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            // Writing to a string cannot fail.
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Whether a character controls a terminal (C0, DEL, C1), or reorders, breaks or hides text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// Writes exact bytes, or escapes them for a terminal. Each write must be of whole characters.
struct Shown<W> {
    exact: bool,
    out: W,
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.exact {
            return self.out.write(bytes);
        }
        self.out.write_all(page(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(exact: bool, text: &str) -> String {
        let mut shown = Shown { exact, out: Vec::new() };
        shown.write_all(text.as_bytes()).expect("memory can be written");
        String::from_utf8(shown.out).expect("whole characters")
    }

    #[test]
    fn control_characters_are_escaped_on_a_terminal_and_exact_in_a_file() {
        let hostile = "\x1b]0;owned\x07\u{9b}2J\x7f\r \u{202e}drow\u{2066}\u{2028}";
        assert_eq!(shown(true, hostile), hostile);
        let safe = "\\u001b]0;owned\\u0007\\u009b2J\\u007f\\u000d \\u202edrow\\u2066\\u2028";
        assert_eq!(shown(false, hostile), safe);
    }

    #[test]
    fn plain_text_is_not_escaped() {
        let plain = "β-ataxia\tEhlers–Danlos\n𝛽 中文 עברית\n";
        assert_eq!(shown(false, plain), plain);
        assert!(matches!(page(plain), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let value = serde_json::json!({"text": "a\u{9b}b\u{202e}\x7f\x1b\n"});
        let text = serde_json::to_string(&value).expect("a value");
        let back: serde_json::Value = serde_json::from_str(&shown(false, &text)).expect("still JSON");
        assert_eq!(back, value);
    }

    #[test]
    fn a_log_line_is_one_line_without_control_characters() {
        use std::sync::{Arc, Mutex};
        #[derive(Clone, Default)]
        struct Memory(Arc<Mutex<Vec<u8>>>);
        impl Write for Memory {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("no panic").extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).fmt_fields(fields());
        let subscriber = subscriber.with_ansi(false).without_time().with_target(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            let name = "a\nERROR forged\x1b[2J\u{202e}.xml";
            tracing::warn!(input = %name, reason = "b\u{9b}c", "cannot read {name}");
        });
        let text = String::from_utf8(memory.0.lock().expect("no panic").clone()).expect("UTF-8");
        let name = "a\\u000aERROR forged\\u001b[2J\\u202e.xml";
        assert_eq!(text, format!(" WARN cannot read {name} input={name} reason=\"b\\u{{9b}}c\"\n"));
    }
}
