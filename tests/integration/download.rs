//! `pubtag corpus download` from a test server that can interrupt transfers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pubtag_tests::{PubTag, shared};
use tempfile::tempdir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::PROGRAM;

const SETS: [&str; 3] = ["NCBItrainset_corpus", "NCBIdevelopset_corpus", "NCBItestset_corpus"];

/// How a server answers.
#[derive(Clone, Default)]
struct Manners {
    /// Interrupts the first response halfway.
    breaks_off: Arc<AtomicBool>,
    /// Falls silent after the headers, or sends this many bytes per second.
    dawdles: Option<u64>,
    /// Redirects all requests to this URL.
    redirects_to: Option<String>,
}

/// A server of archives that records its requests.
struct Server {
    url: String,
    /// Headers of all requests.
    requests: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Server {
    /// Serves archives by their names.
    fn start(archives: BTreeMap<String, Vec<u8>>, manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let archives = Arc::new(archives);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (archives, seen, manners) = (archives.clone(), seen.clone(), manners.clone());
                // Ignores clients that disconnect.
                std::thread::spawn(move || answer(&stream, &archives, &seen, &manners));
            }
        });
        Self { url, requests }
    }

    /// A header of every request; empty if missing.
    fn headers(&self, name: &str) -> Vec<String> {
        let value = |line: &String| line.to_lowercase().strip_prefix(&format!("{name}: ")).map(str::to_owned);
        let requests = self.requests.lock().unwrap();
        requests.iter().map(|lines| lines.iter().find_map(value).unwrap_or_default()).collect()
    }

    /// First byte of every request.
    fn ranges(&self) -> Vec<String> {
        self.headers("range").iter().map(|range| range.trim_start_matches("bytes=").to_owned()).collect()
    }
}

fn answer(
    mut stream: &TcpStream,
    archives: &BTreeMap<String, Vec<u8>>,
    requests: &Mutex<Vec<Vec<String>>>,
    manners: &Manners,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let headers: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let from: usize = range.as_deref().and_then(|range| range.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    requests.lock().unwrap().push(headers);
    let path = request.split(' ').nth(1).unwrap_or("");
    let empty = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n");
    if let Some(place) = &manners.redirects_to {
        return stream.write_all(format!("{}Location: {place}{path}\r\n\r\n", empty("302 Found")).as_bytes());
    }
    let Some(bytes) = archives.get(path.trim_start_matches('/')) else {
        return stream.write_all(format!("{}\r\n", empty("404 Not Found")).as_bytes());
    };
    if from >= bytes.len() {
        return stream.write_all(format!("{}\r\n", empty("416 Range Not Satisfiable")).as_bytes());
    }
    let rest = &bytes[from..];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\nConnection: close\r\n\r\n",
        rest.len(),
        bytes.len() - 1,
        bytes.len()
    );
    stream.write_all(head.as_bytes())?;
    if let Some(rate) = manners.dawdles {
        for byte in rest {
            std::thread::sleep(Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap());
            if rate > 0 {
                stream.write_all(&[*byte])?;
            }
        }
    }
    let sent = if manners.breaks_off.swap(false, Ordering::SeqCst) { rest.len() / 2 } else { rest.len() };
    stream.write_all(&rest[..sent])
}

fn zipped(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file(name, SimpleFileOptions::default()).unwrap();
    archive.write_all(content).unwrap();
    archive.finish().unwrap().into_inner()
}

fn archives(content: impl Fn(&str) -> Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    SETS.iter().map(|set| (format!("{set}.zip"), zipped(&format!("{set}.txt"), &content(set)))).collect()
}

fn download(server: &Server, folder: &std::path::Path) -> PubTag {
    PubTag::new(PROGRAM, ["corpus", "download", "ncbi-disease", "--base-url", &server.url, "--output"]).arg(folder)
}

#[test]
fn a_broken_download_is_resumed() {
    let Some(shared) = shared("a_broken_download_is_resumed") else { return };
    let source = |set: &str| fs::read(shared.join(format!("data/ncbi_disease/pubtator/{set}.txt"))).unwrap();
    let manners = Manners { breaks_off: Arc::new(AtomicBool::new(true)), ..Manners::default() };
    let server = Server::start(archives(source), manners);
    let dir = tempdir().unwrap();
    let outcome = download(&server, dir.path()).succeed();
    assert_eq!(outcome.stdout.lines().count(), 3);
    for set in SETS {
        assert_eq!(fs::read(dir.path().join(format!("{set}.txt"))).unwrap(), source(set));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing but the files is left");
    let ranges = server.ranges();
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    assert!(ranges[0] == "0-" && ranges[1] != "0-", "{ranges:?}");

    download(&server, dir.path()).succeed();
    assert_eq!(server.ranges().len(), 4, "what is there is not fetched again");
}

#[test]
fn a_file_with_another_checksum_is_refused_and_removed() {
    let server = Server::start(archives(|_| b"something else".to_vec()), Manners::default());
    let dir = tempdir().unwrap();
    download(&server, dir.path()).end().assert_fails(65, &["NCBItrainset_corpus.txt", "SHA-256", &server.url]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn missing_or_broken_archives_are_refused_with_their_url() {
    let dir = tempdir().unwrap();
    let page = BTreeMap::from([(format!("{}.zip", SETS[0]), b"<html>moved</html>".to_vec())]);
    let server = Server::start(page, Manners::default());
    download(&server, dir.path()).end().assert_fails(65, &["not a zip archive", &server.url]);
    let server = Server::start(BTreeMap::new(), Manners::default());
    download(&server, dir.path()).end().assert_fails(78, &["404", "--base-url"]);
}

/// Downloads from a slow server with a timeout of one second: gives up, and resumes later.
fn assert_given_up(dawdles: u64) {
    let server =
        Server::start(archives(|_| vec![b'x'; 4096]), Manners { dawdles: Some(dawdles), ..Manners::default() });
    let dir = tempdir().unwrap();
    download(&server, dir.path()).arg("--timeout=1").end().assert_fails(75, &[&server.url, "rerun to resume"]);
    let ranges = server.ranges();
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    assert_eq!(ranges.iter().all(|range| range == "0-"), dawdles == 0, "{ranges:?}");
    assert!(dir.path().join(format!("{}.zip.partial", SETS[0])).exists());
}

#[test]
fn a_silent_server_is_given_up() {
    assert_given_up(0);
}

#[test]
fn a_server_that_trickles_bytes_is_given_up() {
    assert_given_up(4);
}

#[test]
fn a_file_that_unpacks_to_more_than_expected_is_not_unpacked_completely() {
    let server = Server::start(archives(|_| vec![0; 64 << 20]), Manners::default());
    let dir = tempdir().unwrap();
    download(&server, dir.path())
        .end()
        .assert_fails(65, &["NCBItrainset_corpus.txt", "more than the expected 1045967 bytes"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn an_endless_archive_is_not_downloaded_forever() {
    let endless = BTreeMap::from([(format!("{}.zip", SETS[0]), vec![7; 8 << 20])]);
    let server = Server::start(endless, Manners::default());
    let dir = tempdir().unwrap();
    download(&server, dir.path()).end().assert_fails(65, &["larger than", &server.url]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn credentials_are_used_and_never_shown() {
    let server = Server::start(archives(|_| b"something else".to_vec()), Manners::default());
    let url = server.url.replace("http://", "http://ann:hush@");
    let dir = tempdir().unwrap();
    let fetch = |url: &str| {
        PubTag::new(PROGRAM, ["corpus", "download", "ncbi-disease", "--base-url", url, "--output"]).arg(dir.path())
    };
    let outcome = fetch(&url).end();
    outcome.assert_fails(65, &["SHA-256", &server.url]);
    assert!(!outcome.stderr.contains("hush"), "{}", outcome.stderr);
    assert!(server.headers("authorization")[0].starts_with("basic "), "{:?}", server.headers("authorization"));
    for unusable in
        [format!("{url}/\u{7f} x"), "http://ann:hush@nowhere.invalid".to_owned(), format!("{url}/a?key=hush")]
    {
        let outcome = fetch(&unusable).arg("--timeout=5").end();
        assert_ne!(outcome.code, Some(0));
        assert!(!outcome.stderr.contains("hush"), "{}", outcome.stderr);
    }
}

#[test]
fn credentials_are_not_sent_to_another_host_on_redirects() {
    let other = Server::start(archives(|_| b"something else".to_vec()), Manners::default());
    let manners = Manners { redirects_to: Some(other.url.clone()), ..Manners::default() };
    let server = Server::start(BTreeMap::new(), manners);
    let dir = tempdir().unwrap();
    let url = server.url.replace("http://", "http://ann:hush@");
    let call = PubTag::new(PROGRAM, ["corpus", "download", "ncbi-disease", "--base-url", &url, "--output"]);
    call.arg(dir.path()).end().assert_fails(65, &["SHA-256"]);
    assert_ne!(server.headers("authorization"), [""]);
    assert_eq!(other.headers("authorization"), [""]);
}

#[test]
fn an_existing_file_that_is_not_the_release_is_kept() {
    let server = Server::start(BTreeMap::new(), Manners::default());
    let dir = tempdir().unwrap();
    let mine = dir.path().join(format!("{}.txt", SETS[0]));
    fs::write(&mine, "with my own corrections").unwrap();
    download(&server, dir.path()).end().assert_fails(78, &["NCBItrainset_corpus.txt", "move it away"]);
    assert_eq!(fs::read_to_string(&mine).unwrap(), "with my own corrections");
    assert!(server.requests.lock().unwrap().is_empty());
}
