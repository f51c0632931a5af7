//! The server: requests with a limit for everything, retried within reason.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pubtag_schemas::md5_in;
use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, HeaderName, Response, StatusCode, header};
use ureq::{Agent, Body};

use crate::error::SyncError;
use crate::listing::{Listing, Listings, last_of_baseline, parse_listing};
use crate::retries::{Patience, Retries};
use crate::{Folder, MOST_CONNECTIONS, PubmedFile};

/// Most bytes of a listing, a README, a checksum or a page of statistics.
const MOST_TEXT: u64 = 16 << 20;

/// A PubMed server, by the folder that `baseline/` and `updatefiles/` are in.
pub(crate) struct Server {
    agent: Agent,
    /// With a slash at its end.
    base: String,
    retries: Retries,
    /// How long it may be silent.
    pub(crate) timeout: Duration,
    /// Set once the sync cannot go on.
    pub(crate) stop: AtomicBool,
    /// Bytes of files that have arrived.
    pub(crate) received: AtomicU64,
}

/// A checksum file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checksum {
    /// The MD5, in lower-case hex.
    pub(crate) md5: String,
    /// The file's own bytes.
    pub(crate) content: Vec<u8>,
}

impl Server {
    pub(crate) fn new(base: &str, user_agent: &str, timeout: Duration, retries: Retries) -> Result<Self, SyncError> {
        let usable =
            ["http://", "https://"].iter().any(|scheme| base.starts_with(scheme)) && !base.contains(['?', '#']);
        if !usable {
            return Err(SyncError::Url { url: without_credentials(base) });
        }
        let agent = Agent::config_builder()
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .redirect_auth_headers(RedirectAuthHeaders::Never)
            .https_only(base.starts_with("https://"))
            .http_status_as_error(false)
            .max_idle_connections_per_host(MOST_CONNECTIONS)
            .user_agent(user_agent)
            .build();
        Ok(Self {
            agent: agent.into(),
            base: format!("{}/", base.trim_end_matches('/')),
            retries,
            timeout,
            stop: AtomicBool::new(false),
            received: AtomicU64::new(0),
        })
    }

    /// What it has.
    pub(crate) fn listings(&self) -> Result<Listings, SyncError> {
        let baseline = self.listing(Folder::Baseline)?.ok_or_else(|| self.nothing_listed())?;
        let updates = self.listing(Folder::Updates)?.unwrap_or_default();
        if baseline.files.is_empty() && updates.files.is_empty() {
            return Err(self.nothing_listed());
        }
        let readme = self.text(&format!("{}/README.txt", Folder::Baseline))?.unwrap_or_default();
        let last_of_baseline = last_of_baseline(&String::from_utf8_lossy(&readme));
        Ok(Listings { baseline, updates, last_of_baseline })
    }

    /// The files of a folder; `None` if there is no such folder.
    fn listing(&self, folder: Folder) -> Result<Option<Listing>, SyncError> {
        let path = page_of(folder);
        let mut patience = self.patience();
        loop {
            let Some(page) = self.text(&path)? else { return Ok(None) };
            match parse_listing(&String::from_utf8_lossy(&page)) {
                Ok(listing) => return Ok(Some(listing)),
                Err(_) => patience.after(SyncError::TruncatedListing { url: self.shown(&path) })?,
            }
        }
    }

    fn nothing_listed(&self) -> SyncError {
        SyncError::NothingListed { url: self.shown(&page_of(Folder::Baseline)) }
    }

    /// The checksum of a file; `None` if the server has none.
    pub(crate) fn checksum(&self, folder: Folder, file: PubmedFile) -> Result<Option<Checksum>, SyncError> {
        let path = format!("{folder}/{}", file.checksum_name());
        let Some(content) = self.text(&path)? else { return Ok(None) };
        let md5 = md5_in(&String::from_utf8_lossy(&content), &file.to_string());
        let md5 = md5.ok_or_else(|| SyncError::NoChecksum { url: self.shown(&path) })?;
        Ok(Some(Checksum { md5, content }))
    }

    /// The length of a file, where the server says.
    pub(crate) fn length(&self, path: &str) -> Result<Option<u64>, SyncError> {
        self.retried(|| {
            let response = self.agent.head(self.url(path)).call().map_err(|error| self.broken(path, error))?;
            match response.status() {
                StatusCode::OK => Ok(number(response.headers(), &header::CONTENT_LENGTH)),
                status => Err(self.status(path, status, response.headers())),
            }
        })
    }

    /// A small file; `None` if there is none.
    pub(crate) fn text(&self, path: &str) -> Result<Option<Vec<u8>>, SyncError> {
        self.retried(|| {
            let response = self.get(path, &[])?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
                status => return Err(self.status(path, status, response.headers())),
            }
            let expected = number(response.headers(), &header::CONTENT_LENGTH);
            let mut content = Vec::new();
            let body = response.into_body().into_reader().take(MOST_TEXT + 1).read_to_end(&mut content);
            body.map_err(|error| self.broken(path, error))?;
            let length = content.len() as u64;
            match expected {
                _ if length > MOST_TEXT => Err(SyncError::TooLarge { url: self.shown(path), limit: MOST_TEXT }),
                Some(expected) if expected != length => Err(self.short(path, length, expected)),
                _ => Ok(Some(content)),
            }
        })
    }

    /// One request, whatever its status.
    pub(crate) fn get(&self, path: &str, headers: &[(HeaderName, String)]) -> Result<Response<Body>, SyncError> {
        let request =
            headers.iter().fold(self.agent.get(self.url(path)), |request, (name, value)| request.header(name, value));
        request.call().map_err(|error| self.broken(path, error))
    }

    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience::new(self.retries, &self.stop)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn retried<T>(&self, mut attempt: impl FnMut() -> Result<T, SyncError>) -> Result<T, SyncError> {
        let mut patience = self.patience();
        loop {
            match attempt() {
                Err(error) => patience.after(error)?,
                done => return done,
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// An address as others may see it.
    pub(crate) fn shown(&self, path: &str) -> String {
        without_credentials(&self.url(path))
    }

    /// An answer that is not the file.
    pub(crate) fn status(&self, path: &str, status: StatusCode, headers: &HeaderMap) -> SyncError {
        // A date instead of seconds is not honoured: the pauses grow by themselves.
        let retry_after = number(headers, &header::RETRY_AFTER).map(Duration::from_secs);
        SyncError::Status { url: self.shown(path), status: status.as_u16(), retry_after }
    }

    /// A transfer that failed.
    pub(crate) fn broken(&self, path: &str, error: impl Into<ureq::Error>) -> SyncError {
        match error.into() {
            // These would show the address in full.
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => SyncError::Url { url: self.shown(path) },
            error => SyncError::fetch(self.shown(path), error),
        }
    }

    /// A transfer that ended early.
    pub(crate) fn short(&self, path: &str, received: u64, expected: u64) -> SyncError {
        SyncError::fetch(self.shown(path), format!("received {received} of {expected} bytes"))
    }
}

fn page_of(folder: Folder) -> String {
    format!("{folder}/")
}

/// A header that is a number.
pub(crate) fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// A URL without user, password and query, for messages.
pub fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_credentials() {
        for (url, seen) in [
            ("https://mirror.org/corpora/a.zip", "https://mirror.org/corpora/a.zip"),
            ("http://ann:secret@mirror.org:8080/a.zip", "http://mirror.org:8080/a.zip"),
            ("http://ann:se/cr?e#t@mirror.org/a.zip", "http://mirror.org/a.zip"),
            ("https://mirror.org/a.zip?token=secret#secret", "https://mirror.org/a.zip"),
            ("ann:secret@mirror.org", "mirror.org"),
        ] {
            assert_eq!(without_credentials(url), seen, "{url}");
        }
    }

    #[test]
    fn a_server_is_an_http_url() {
        let server = |url: &str| Server::new(url, "", Duration::from_secs(1), Retries::default());
        assert_eq!(
            server("https://ann:hush@x.org/pubmed").ok().unwrap().shown("baseline/"),
            "https://x.org/pubmed/baseline/"
        );
        for url in ["ftp://x.org/pubmed", "x.org/pubmed", "file:///tmp", "https://ann:hush@x.org/?a=hush", ""] {
            let error = server(url).err().unwrap().to_string();
            assert!(error.contains("not an http or https URL") && !error.contains("hush"), "{error}");
        }
    }
}
