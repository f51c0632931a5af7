//! Numbered lines of a text file, with a limit on their length.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use crate::CorpusError;

/// The maximum length of a line or record, in bytes.
pub(crate) const MAX_RECORD_BYTES: usize = 64 << 20;

/// The lines of a file, without line breaks (LF or CRLF) and without a byte order mark.
pub(crate) struct Lines<R> {
    reader: R,
    file: Arc<str>,
    number: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R, file: &Arc<str>) -> Self {
        Self { reader, file: Arc::clone(file), number: 0, buffer: Vec::new() }
    }

    /// The file's name.
    pub(crate) fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The number of the last line read, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end of the file.
    pub(crate) fn next_line(&mut self) -> Result<Option<&str>, CorpusError> {
        self.buffer.clear();
        let limit = MAX_RECORD_BYTES as u64 + 1;
        let read = (&mut self.reader).take(limit).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|source| CorpusError::Read { file: Arc::clone(&self.file), source })?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.buffer.len() > MAX_RECORD_BYTES {
            let file = Arc::clone(&self.file);
            return Err(CorpusError::TooLarge { file, line: self.number, limit: MAX_RECORD_BYTES });
        }
        let line = std::str::from_utf8(&self.buffer)
            .map_err(|_| CorpusError::Encoding { file: Arc::clone(&self.file), line: self.number })?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let mark = if self.number == 1 { line.strip_prefix('\u{feff}') } else { None };
        Ok(Some(mark.unwrap_or(line)))
    }
}

/// A reader that counts lines.
pub(crate) struct Counted<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> Counted<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, line: 1 }
    }

    /// The line of the next byte, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // The buffer is filled already, so this reads nothing.
        if let Ok(buffer) = self.input.fill_buf() {
            self.line += buffer.iter().take(amount).filter(|&&byte| byte == b'\n').count() as u64;
        }
        self.input.consume(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Result<Vec<String>, CorpusError> {
        let mut lines = Lines::new(bytes, &Arc::from("f"));
        let mut all = Vec::new();
        while let Some(line) = lines.next_line()? {
            all.push(line.to_owned());
        }
        Ok(all)
    }

    #[test]
    fn byte_order_marks_and_carriage_returns_are_not_part_of_a_line() {
        assert_eq!(lines("\u{feff}a\r\n\nb\rc".as_bytes()).unwrap(), ["a", "", "b\rc"]);
        assert_eq!(lines(b"").unwrap(), [""; 0]);
    }

    #[test]
    fn an_encoding_error_names_its_line() {
        let error = lines(b"fine\nna\xefve\n").unwrap_err();
        assert!(error.to_string().starts_with("f:2: not UTF-8"), "{error}");
    }
}
