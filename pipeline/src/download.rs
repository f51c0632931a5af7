//! `pubtag corpus download`: public corpora, fetched over HTTP, resumed where a try broke off, verified by checksum.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use ureq::Agent;
use ureq::http::{StatusCode, header};
use zip::ZipArchive;

use crate::digest::sha256;
use crate::exit::Exit;

/// A corpus that can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Release {
    /// NCBI Disease (Doğan et al., 2014), PubTator format: three files.
    NcbiDisease,
}

/// A file inside an archive of a release.
#[derive(Clone, Copy, Debug)]
struct Part {
    archive: &'static str,
    file: &'static str,
    /// Of the file, not of the archive: a packer's date changes no text.
    sha256: &'static str,
}

const NCBI_DISEASE: [Part; 3] = [
    Part {
        archive: "NCBItrainset_corpus.zip",
        file: "NCBItrainset_corpus.txt",
        sha256: "f311381b28a6d0f641f57f4a963bb83619c2bdec5cd9caabb1381f894d5db817",
    },
    Part {
        archive: "NCBIdevelopset_corpus.zip",
        file: "NCBIdevelopset_corpus.txt",
        sha256: "02db559974624ae9cbe6cd95d64d953e6926bb63afb6b25b63e53bd8b41a4b55",
    },
    Part {
        archive: "NCBItestset_corpus.zip",
        file: "NCBItestset_corpus.txt",
        sha256: "61c8050bf6979ef7b943ec1158dfc03b651ea3367d4c37356f9de4841e85c9a3",
    },
];

impl Release {
    /// The folder of the web that its archives are in.
    pub fn base_url(self) -> &'static str {
        match self {
            Self::NcbiDisease => "https://www.ncbi.nlm.nih.gov/CBBresearch/Dogan/DISEASE",
        }
    }

    fn parts(self) -> &'static [Part] {
        match self {
            Self::NcbiDisease => &NCBI_DISEASE,
        }
    }
}

/// Why a corpus could not be fetched.
#[derive(Debug, Error)]
pub(crate) enum DownloadError {
    #[error("cannot write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot fetch {url}; what has come is kept, run the same command again to go on")]
    Fetch { url: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("{url} answers {status}; name where the corpus is now with --base-url")]
    Status { url: String, status: StatusCode },
    #[error("{url} is no archive with {file} in it; the download is removed")]
    Archive { url: String, file: &'static str, source: zip::result::ZipError },
    #[error(
        "{file} from {url} has the SHA-256 {found}, expected {expected}: the release has changed or the download is \
         damaged; it is removed"
    )]
    Checksum { url: String, file: &'static str, found: String, expected: &'static str },
}

impl DownloadError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Write { .. } | Self::Fetch { .. } => Exit::Transient,
            Self::Status { status, .. } if status.is_server_error() => Exit::Transient,
            Self::Status { .. } => Exit::Configuration,
            Self::Archive { .. } | Self::Checksum { .. } => Exit::Data,
        }
    }
}

/// How often a broken transfer is taken up again.
const TRIES: u32 = 4;

/// Fetches what is not yet there, and yields the files.
///
/// # Errors
/// See [`DownloadError`]. A file is in the folder whole and verified, or not at all.
pub(crate) fn fetch(release: Release, base_url: &str, folder: &Path) -> Result<Vec<PathBuf>, DownloadError> {
    let agent: Agent = Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .http_status_as_error(false)
        .build()
        .into();
    fs::create_dir_all(folder).map_err(|source| DownloadError::Write { path: folder.to_owned(), source })?;
    let one = |part: &Part| {
        let target = folder.join(part.file);
        if fs::read(&target).is_ok_and(|bytes| sha256(&bytes) == part.sha256) {
            tracing::info!("{} is there already", target.display());
            return Ok(target);
        }
        let url = format!("{}/{}", base_url.trim_end_matches('/'), part.archive);
        let partial = folder.join(format!("{}.partial", part.archive));
        transfer_with_patience(&agent, &url, &partial)?;
        let unpacked = unpack(part, &url, &partial, &target);
        // A download that is damaged must not be gone on from; one that found no room may.
        if !matches!(unpacked, Err(DownloadError::Write { .. })) {
            let _ = fs::remove_file(&partial);
        }
        unpacked.map(|()| target)
    };
    release.parts().iter().map(one).collect()
}

/// Transfers, and takes a broken transfer up again after a pause that doubles.
fn transfer_with_patience(agent: &Agent, url: &str, partial: &Path) -> Result<(), DownloadError> {
    let mut tried = 1;
    loop {
        match transfer(agent, url, partial) {
            Err(error) if error.exit() == Exit::Transient && tried < TRIES => {
                let pause = Duration::from_millis(250 << tried);
                tracing::warn!("{error}; again in {} ms", pause.as_millis());
                std::thread::sleep(pause);
                tried += 1;
            }
            ended => return ended,
        }
    }
}

/// Fetches the rest of a file that has come in part, or all of it where the server cannot give parts.
fn transfer(agent: &Agent, url: &str, partial: &Path) -> Result<(), DownloadError> {
    let write_error = |source| DownloadError::Write { path: partial.to_owned(), source };
    let mut file = OpenOptions::new().create(true).append(true).open(partial).map_err(write_error)?;
    let have = file.seek(SeekFrom::End(0)).map_err(write_error)?;
    let fetch_error =
        |source: Box<dyn std::error::Error + Send + Sync>| DownloadError::Fetch { url: url.to_owned(), source };
    let request = agent.get(url).header(header::RANGE, format!("bytes={have}-"));
    let response = request.call().map_err(|error| fetch_error(error.into()))?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => tracing::info!("fetching {url} from byte {have} on"),
        StatusCode::OK => {
            tracing::info!("fetching {url}");
            file.set_len(0).map_err(write_error)?;
        }
        // Nothing after what is there: it is whole, and its checksum will tell.
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => return Ok(()),
        status => return Err(DownloadError::Status { url: url.to_owned(), status }),
    }
    let mut body = response.into_body().into_reader();
    let mut buffer = [0; 64 * 1024];
    loop {
        match body.read(&mut buffer).map_err(|error| fetch_error(error.into()))? {
            0 => return file.sync_all().map_err(write_error),
            got => file.write_all(&buffer[..got]).map_err(write_error)?,
        }
    }
}

/// Takes the file out of its archive, verifies it and puts it in its place.
fn unpack(part: &Part, url: &str, archive: &Path, target: &Path) -> Result<(), DownloadError> {
    let archive_error = |source| DownloadError::Archive { url: url.to_owned(), file: part.file, source };
    let opened = File::open(archive).map_err(|source| DownloadError::Write { path: archive.to_owned(), source })?;
    let mut archive = ZipArchive::new(opened).map_err(archive_error)?;
    let mut bytes = Vec::new();
    let mut entry = archive.by_name(part.file).map_err(archive_error)?;
    entry.read_to_end(&mut bytes).map_err(|error| archive_error(error.into()))?;
    let found = sha256(&bytes);
    if found != part.sha256 {
        return Err(DownloadError::Checksum { url: url.to_owned(), file: part.file, found, expected: part.sha256 });
    }
    let draft = target.with_extension("draft");
    let written = fs::write(&draft, &bytes).and_then(|()| fs::rename(&draft, target));
    written.map_err(|source| DownloadError::Write { path: target.to_owned(), source })
}
