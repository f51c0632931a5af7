//! gzip as found in practice: several members, zero padding, truncated, corrupt, followed by other data.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// A defect in the content of a stream, as opposed to an I/O error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Defect {
    /// The compressed data end in the middle of a member.
    #[error("truncated gzip data")]
    Truncated,
    /// The compressed data cannot be decoded, or their checksum is wrong.
    #[error("corrupt gzip data ({0})")]
    Corrupt(String),
    /// Other data follow the last member.
    #[error("other data after the gzip data")]
    Trailing,
}

/// The content of all members of a gzip stream, one after another (RFC 1952, section 2.2).
///
/// Zero bytes after a member are padding. Errors in the data contain a [`Defect`].
pub(crate) struct Gunzip<R> {
    member: Option<GzDecoder<R>>,
    failed: Option<Defect>,
}

impl<R: BufRead> Gunzip<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { member: Some(GzDecoder::new(input)), failed: None }
    }

    fn read_member(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            match member.read(buffer).map_err(as_defect)? {
                0 if !buffer.is_empty() => self.advance()?,
                count => return Ok(count),
            }
        }
        Ok(0)
    }

    /// Opens the next member, if there is one.
    fn advance(&mut self) -> io::Result<()> {
        let Some(member) = self.member.take() else { return Ok(()) };
        let mut input = member.into_inner();
        loop {
            let available = input.fill_buf()?;
            let padding = available.iter().take_while(|&&byte| byte == 0).count();
            match available.get(padding) {
                Some(0x1F) => break,
                Some(_) => return Err(defect(Defect::Trailing)),
                None if available.is_empty() => return Ok(()),
                None => input.consume(padding),
            }
        }
        let padding = input.fill_buf()?.iter().take_while(|&&byte| byte == 0).count();
        input.consume(padding);
        self.member = Some(GzDecoder::new(input));
        Ok(())
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(failed) = &self.failed {
            return Err(defect(failed.clone()));
        }
        self.read_member(buffer).inspect_err(|error| self.failed = defect_of(error))
    }
}

/// The defect in an error; `None` for I/O errors.
pub(crate) fn defect_of(error: &io::Error) -> Option<Defect> {
    error.get_ref()?.downcast_ref::<Defect>().cloned()
}

fn defect(defect: Defect) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, defect)
}

/// flate2 reports defects with these kinds, which I/O errors do not use.
fn as_defect(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => defect(Defect::Truncated),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => defect(Defect::Corrupt(error.to_string())),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gz(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(data: &[u8]) -> (Vec<u8>, Option<Defect>) {
        let mut content = Vec::new();
        let result = Gunzip::new(data).read_to_end(&mut content);
        (content, result.err().map(|error| defect_of(&error).expect("a slice has no I/O errors")))
    }

    #[test]
    fn members_are_concatenated_and_padding_is_ignored() {
        let data = [gz(b"one "), gz(b""), gz(b"two"), vec![0; 700]].concat();
        assert_eq!(gunzip(&data), (b"one two".to_vec(), None));
        let padded_between = [gz(b"one "), vec![0; 5], gz(b"two")].concat();
        assert_eq!(gunzip(&padded_between), (b"one two".to_vec(), None));
    }

    #[test]
    fn data_cut_anywhere_are_truncated() {
        let data = gz(b"some content that is long enough to be cut");
        for cut in 1..data.len() {
            assert_eq!(gunzip(&data[..cut]).1, Some(Defect::Truncated), "cut at {cut}");
        }
    }

    #[test]
    fn a_wrong_checksum_is_corruption() {
        let mut data = gz(b"content");
        let checksum = data.len() - 8;
        data[checksum] ^= 1;
        assert!(matches!(gunzip(&data).1, Some(Defect::Corrupt(_))));
    }

    #[test]
    fn other_data_after_the_last_member_are_reported() {
        let data = [gz(b"content"), b"junk".to_vec()].concat();
        assert_eq!(gunzip(&data), (b"content".to_vec(), Some(Defect::Trailing)));
    }
}
