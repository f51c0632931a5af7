//! An HTTP server of PubMed files for tests, with faults that the test chooses.
//!
//! [`PubmedServer::truth`] is what a mirror of it must be, byte for byte; [`files_in`] is what it is.

mod answer;
mod content;
mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use content::{gzip, md5_hex, noise};
pub use faults::Fault;

/// A running server. It ends with the process.
#[derive(Clone, Debug)]
pub struct PubmedServer {
    url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// By path, without a slash at its beginning.
    files: BTreeMap<String, Vec<u8>>,
    /// Files that the listings leave out.
    unlisted: BTreeSet<String>,
    /// Path, how many more requests it applies to, and the fault.
    faults: Vec<(String, usize, Fault)>,
    requests: Vec<Request>,
    connections: usize,
    most_connections: usize,
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path, without a slash at its beginning.
    pub path: String,
    /// The method.
    pub method: String,
    /// The headers, by lower-case name.
    pub headers: BTreeMap<String, String>,
}

impl PubmedServer {
    /// Starts a server with no files.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let server = Self { url: format!("http://127.0.0.1:{port}/pubmed/"), state: Arc::default() };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = serving.clone();
                std::thread::spawn(move || server.serve(&stream));
            }
        });
        server
    }

    /// Starts a server with `baseline` baseline files of 2026 and their README, `updates` update files, and deleted PMIDs.
    /// Each file has about `bytes` bytes.
    pub fn with_files(baseline: u16, updates: u16, bytes: usize) -> Self {
        let server = Self::start();
        server.publish_baseline(26, baseline, bytes);
        for number in baseline + 1..=baseline + updates {
            server.publish("updatefiles", &format!("pubmed26n{number:04}"), bytes);
        }
        server.put("deleted.pmids.gz", gzip(b"1\n2\n3\n"));
        server
    }

    /// Publishes a baseline and its README.
    pub fn publish_baseline(&self, year: u16, files: u16, bytes: usize) {
        for number in 1..=files {
            self.publish("baseline", &format!("pubmed{year}n{number:04}"), bytes);
        }
        let readme = format!(
            "The complete baseline consists of files pubmed{year}n0001.xml through\npubmed{year}n{files:04}.xml.\n"
        );
        self.put("baseline/README.txt", readme.into_bytes());
    }

    /// Publishes a file with its checksum, in the form that alternates by number, and, for an update file, its statistics.
    pub fn publish(&self, folder: &str, stem: &str, bytes: usize) {
        self.publish_as(folder, stem, gzip(&noise(stem, bytes)));
    }

    /// Publishes a file with this content.
    pub fn publish_as(&self, folder: &str, stem: &str, content: Vec<u8>) {
        self.state().publish(folder, stem, content);
        if folder == "updatefiles" {
            self.put(&format!("{folder}/{stem}_stats.html"), format!("<html>{stem}</html>").into_bytes());
        }
    }

    /// Puts a file at a path.
    pub fn put(&self, path: &str, content: Vec<u8>) {
        self.state().files.insert(path.to_owned(), content);
    }

    /// Takes away every file whose path contains a text.
    pub fn remove(&self, text: &str) {
        self.state().files.retain(|path, _| !path.contains(text));
    }

    /// Leaves files whose path contains a text out of the listings.
    pub fn unlist(&self, text: &str) {
        let mut state = self.state();
        let found: Vec<String> = state.files.keys().filter(|path| path.contains(text)).cloned().collect();
        state.unlisted.extend(found);
    }

    /// Lists the file at a path again.
    pub fn list(&self, path: &str) {
        self.state().unlisted.remove(path);
    }

    /// Lists all files again.
    pub fn list_all(&self) {
        self.state().unlisted.clear();
    }

    /// Has a fault meet the next requests for a path.
    pub fn fault(&self, path: &str, times: usize, fault: Fault) {
        self.state().faults.push((path.to_owned(), times, fault));
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Requests for the bytes of `.xml.gz` files, by path, with the first byte that they ask for.
    pub fn downloads(&self) -> Vec<(String, u64)> {
        let is_download = |request: &&Request| request.path.ends_with(".xml.gz") && request.method == "GET";
        self.state()
            .requests
            .iter()
            .filter(is_download)
            .map(|request| (request.path.clone(), request.start()))
            .collect()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.state().requests.clear();
    }

    /// The most connections that were open at once.
    pub fn most_connections(&self) -> usize {
        self.state().most_connections
    }

    /// All files that a mirror must hold, by path: everything but the README.
    pub fn truth(&self) -> BTreeMap<String, Vec<u8>> {
        let files = self.state().files.clone();
        files.into_iter().filter(|(path, _)| !path.ends_with("README.txt")).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: &TcpStream) {
        {
            let mut state = self.state();
            state.connections += 1;
            state.most_connections = state.most_connections.max(state.connections);
        }
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let mut reader = BufReader::new(stream);
        // A client that goes away in the middle is the client's affair.
        while let Some(request) = read_request(&mut reader) {
            if answer::answer(self, stream, request).is_err() {
                break;
            }
        }
        self.state().connections -= 1;
    }
}

impl State {
    fn publish(&mut self, folder: &str, stem: &str, content: Vec<u8>) {
        let (name, md5) = (format!("{stem}.xml.gz"), md5_hex(&content));
        let checksum = if stem.ends_with(['0', '2', '4', '6', '8']) {
            format!("MD5 ({name}) = {md5}\n")
        } else {
            format!("{md5}  {name}\n")
        };
        self.files.insert(format!("{folder}/{name}.md5"), checksum.into_bytes());
        self.files.insert(format!("{folder}/{name}"), content);
    }

    /// The fault that meets a request for a path.
    fn take_fault(&mut self, path: &str) -> Option<Fault> {
        let (_, times, fault) = self.faults.iter_mut().find(|(of, times, _)| of == path && *times > 0)?;
        *times -= 1;
        Some(fault.clone())
    }
}

impl Request {
    /// The first byte that it asks for.
    pub fn start(&self) -> u64 {
        let range = self.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
        range.and_then(|start| start.parse().ok()).unwrap_or(0)
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut lines = reader.lines().map_while(Result::ok);
    let first = lines.next()?;
    let (method, rest) = first.split_once(' ')?;
    let path = rest.split(' ').next()?.trim_start_matches('/');
    let path = path.strip_prefix("pubmed/").unwrap_or(path).to_owned();
    let header =
        |line: String| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(header).collect();
    Some(Request { path, method: method.to_owned(), headers })
}

/// All files below a folder, hidden ones too, by their path from there.
///
/// # Panics
/// If the folder cannot be read.
pub fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    collect(folder, "", &mut files);
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read(entry.path()).expect("the file can be read"));
        }
    }
}
