//! `pubtag corpus download` against a server of our own that can break off and go on.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pubtag_tests::{PubTag, shared};
use tempfile::tempdir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::PROGRAM;

const SETS: [&str; 3] = ["NCBItrainset_corpus", "NCBIdevelopset_corpus", "NCBItestset_corpus"];

/// A server of archives; says what ranges it was asked for.
struct Server {
    url: String,
    ranges: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves archives by their names. The first answer breaks off half way if told so.
    fn start(archives: BTreeMap<String, Vec<u8>>, breaks_off: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (seen, breaks_off) = (ranges.clone(), AtomicBool::new(breaks_off));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle is the client's affair.
                let _ = answer(&stream, &archives, &seen, &breaks_off);
            }
        });
        Self { url, ranges }
    }
}

fn answer(
    mut stream: &TcpStream,
    archives: &BTreeMap<String, Vec<u8>>,
    ranges: &Mutex<Vec<String>>,
    breaks_off: &AtomicBool,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let headers: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let range = headers.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let from: usize = range.as_deref().and_then(|range| range.strip_suffix('-')?.parse().ok()).unwrap_or(0);
    ranges.lock().unwrap().push(range.unwrap_or_default());
    let name = request.split(' ').nth(1).unwrap_or("").trim_start_matches('/');
    let Some(bytes) = archives.get(name) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    if from >= bytes.len() {
        return stream
            .write_all(b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let rest = &bytes[from..];
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\nConnection: close\r\n\r\n",
        rest.len(),
        bytes.len() - 1,
        bytes.len()
    );
    stream.write_all(head.as_bytes())?;
    let sent = if breaks_off.swap(false, Ordering::SeqCst) { rest.len() / 2 } else { rest.len() };
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
fn a_broken_download_is_taken_up_where_it_broke_off() {
    let Some(shared) = shared("a_broken_download_is_taken_up_where_it_broke_off") else { return };
    let source = |set: &str| fs::read(shared.join(format!("data/ncbi_disease/pubtator/{set}.txt"))).unwrap();
    let server = Server::start(archives(source), true);
    let dir = tempdir().unwrap();
    let outcome = download(&server, dir.path()).succeed();
    assert_eq!(outcome.stdout.lines().count(), 3);
    for set in SETS {
        assert_eq!(fs::read(dir.path().join(format!("{set}.txt"))).unwrap(), source(set));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing but the files is left");
    let ranges = server.ranges.lock().unwrap().clone();
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    assert!(ranges[0] == "0-" && ranges[1] != "0-", "{ranges:?}");

    download(&server, dir.path()).succeed();
    assert_eq!(server.ranges.lock().unwrap().len(), 4, "what is there is not fetched again");
}

#[test]
fn a_file_with_another_checksum_is_refused_and_removed() {
    let server = Server::start(archives(|_| b"something else".to_vec()), false);
    let dir = tempdir().unwrap();
    download(&server, dir.path()).end().assert_fails(65, &["NCBItrainset_corpus.txt", "SHA-256", &server.url]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_archive_or_not_there_is_refused_by_its_address() {
    let dir = tempdir().unwrap();
    let page = BTreeMap::from([(format!("{}.zip", SETS[0]), b"<html>moved</html>".to_vec())]);
    let server = Server::start(page, false);
    download(&server, dir.path()).end().assert_fails(65, &["no archive", &server.url]);
    let server = Server::start(BTreeMap::new(), false);
    download(&server, dir.path()).end().assert_fails(78, &["404", "--base-url"]);
}
