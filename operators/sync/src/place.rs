//! Where a mirror is kept: a directory, or a prefix in an object store.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use md5::{Digest, Md5};
use pubtag_schemas::{hex, md5_in};
use pubtag_store::Address;

use crate::bucket::Bucket;
use crate::directory::Directory;
use crate::error::SyncError;
use crate::lock::Lock;
use crate::name::Role;
use crate::{Folder, PubmedFile, SyncConfig};

/// Bytes that are read at once.
const BLOCK: usize = 256 * 1024;

/// The files of a mirror, by their paths in it, which are those on the server: `baseline/pubmed26n0001.xml.gz`. A file that
/// has its name was verified before it got it.
pub(crate) trait Place: Sync {
    /// How messages name a file.
    fn full_name(&self, path: &str) -> String;

    /// Makes the place ready to be written to, and keeps other syncs away.
    fn hold(&self) -> Result<Lock, SyncError>;

    /// The files of a folder; none if it does not exist.
    fn list(&self, folder: Folder) -> Result<BTreeMap<PubmedFile, HeldFile>, SyncError>;

    /// Opens a file, if it exists.
    fn open(&self, path: &str) -> Result<Option<Box<dyn Read + '_>>, SyncError>;

    /// Writes a small file as a whole.
    fn write(&self, path: &str, content: &[u8]) -> Result<(), SyncError>;

    /// Moves a finished download, which has this MD5, to its place.
    fn take(&self, download: &Path, path: &str, md5: &str) -> Result<(), SyncError>;

    /// Removes a file if it exists.
    fn remove(&self, path: &str) -> Result<(), SyncError>;

    /// The local directory of unfinished downloads, which has the folders of a mirror.
    fn downloads(&self) -> &Path;

    /// Whether finished downloads stay in that file system.
    fn keeps_downloads(&self) -> bool;
}

/// Opens the place of a mirror; nothing is written yet.
pub(crate) fn open(config: &SyncConfig) -> Result<Box<dyn Place>, SyncError> {
    Ok(match &config.into {
        Address::Local(root) => Box::new(Directory::open(root)?),
        address => Box::new(Bucket::open(address, config)?),
    })
}

/// A file of a mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldFile {
    /// Its length.
    pub(crate) bytes: u64,
    /// Whether its checksum is there, and was written for it.
    pub(crate) has_checksum: bool,
    /// Whether its statistics are there.
    pub(crate) has_stats: bool,
}

/// A name in a folder, with the length of the file, and in an object store when it was written.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) written: Option<i64>,
}

/// The files among the entries of a folder.
///
/// A checksum is written after its file, so an older one belongs to a former issue: nothing keeps two syncs into one bucket
/// apart.
pub(crate) fn files_among(entries: impl IntoIterator<Item = Entry>) -> BTreeMap<PubmedFile, HeldFile> {
    let (mut files, mut written) = (BTreeMap::<PubmedFile, HeldFile>::new(), BTreeMap::new());
    let mut others = Vec::new();
    for entry in entries {
        match PubmedFile::and_role(&entry.name) {
            Some((file, Role::Data)) => {
                written.insert(file, entry.written);
                files.insert(file, HeldFile { bytes: entry.bytes, ..HeldFile::default() });
            }
            Some((file, role)) => others.push((file, role, entry.written)),
            None => {}
        }
    }
    for (file, role, when) in others {
        let Some(held) = files.get_mut(&file) else { continue };
        match role {
            Role::Checksum => held.has_checksum = when >= written[&file],
            _ => held.has_stats = true,
        }
    }
    files
}

/// MD5 of a file, in lower-case hex; `None` if it does not exist.
pub(crate) fn md5_of(place: &dyn Place, path: &str) -> Result<Option<String>, SyncError> {
    let Some(file) = place.open(path)? else { return Ok(None) };
    md5_of_bytes(file).map(Some).map_err(|source| failed_read(place, path, source))
}

/// MD5 of what a reader reads, in lower-case hex.
pub(crate) fn md5_of_bytes(mut file: impl Read) -> io::Result<String> {
    let (mut md5, mut block) = (Md5::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(md5.finalize())),
            read => md5.update(&block[..read]),
        }
    }
}

/// The MD5 that the checksum of a file records.
pub(crate) fn recorded_md5(place: &dyn Place, folder: Folder, file: PubmedFile) -> Result<Option<String>, SyncError> {
    let path = format!("{folder}/{}", file.checksum_name());
    let Some(mut content) = place.open(&path)? else { return Ok(None) };
    let mut text = Vec::new();
    content.read_to_end(&mut text).map_err(|source| failed_read(place, &path, source))?;
    Ok(md5_in(&String::from_utf8_lossy(&text), &file.to_string()))
}

/// Reads a gzip file to its end; false if it is damaged or does not exist.
pub(crate) fn is_whole_gzip(place: &dyn Place, path: &str) -> Result<bool, SyncError> {
    Ok(place.open(path)?.is_some_and(|file| check_gzip(file).is_ok()))
}

/// Reads gzip to its end.
pub(crate) fn check_gzip(file: impl Read) -> io::Result<()> {
    io::copy(&mut MultiGzDecoder::new(BufReader::with_capacity(BLOCK, file)), &mut io::sink()).map(drop)
}

fn failed_read(place: &dyn Place, path: &str, source: io::Error) -> SyncError {
    SyncError::disk("read", &PathBuf::from(place.full_name(path)), source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(entries: &[(&str, Option<i64>)]) -> (bool, bool) {
        let entries =
            entries.iter().map(|(name, written)| Entry { name: (*name).to_owned(), bytes: 1, written: *written });
        let files = files_among(entries);
        assert_eq!(files.len(), 1);
        files.values().map(|held| (held.has_checksum, held.has_stats)).next().unwrap()
    }

    #[test]
    fn a_checksum_that_is_older_than_its_file_was_written_for_another_issue() {
        let (data, checksum) = ("pubmed26n0001.xml.gz", "pubmed26n0001.xml.gz.md5");
        assert_eq!(among(&[(data, None)]), (false, false));
        assert_eq!(among(&[(checksum, None), (data, None), ("pubmed26n0001_stats.html", None)]), (true, true));
        assert_eq!(
            among(&[(checksum, Some(7)), (data, Some(7)), ("pubmed26n0002.xml.gz.md5", Some(9))]),
            (true, false)
        );
        assert_eq!(among(&[(data, Some(8)), (checksum, Some(7)), ("other", Some(9))]), (false, false));
    }
}
