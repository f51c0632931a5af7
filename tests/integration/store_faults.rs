//! The program behind a proxy at which any request to the store can go wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pubtag_tests::{Bucket, PubTag, tell, with_endpoint, write_corpus};
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::{run as run_on_disk, tables};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The connection breaks before the store has it.
    Fails,
    /// It takes effect, but the answer is lost.
    LosesAnswer,
    /// It takes a while.
    Slow,
    /// The store refuses it with 503.
    Throttled,
}

const FAULTS: [Fault; 4] = [Fault::Fails, Fault::LosesAnswer, Fault::Slow, Fault::Throttled];

/// A proxy in front of a store.
#[derive(Clone)]
struct Proxy {
    endpoint: String,
    upstream: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Requests so far: method and kind of object.
    requests: Vec<String>,
    /// The number of the request that goes wrong.
    fault: Option<(usize, Fault)>,
}

impl Proxy {
    fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let proxy =
            Self { endpoint, upstream: upstream.trim_start_matches("http://").to_owned(), state: Arc::default() };
        let serving = proxy.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let proxy = serving.clone();
                // A client that has gone away is not the proxy's concern.
                std::thread::spawn(move || proxy.serve(client).unwrap_or_default());
            }
        });
        proxy
    }

    /// Begins to count anew.
    fn plan(&self, fault: Option<(usize, Fault)>) {
        *self.state.lock().unwrap() = State { requests: Vec::new(), fault };
    }

    fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Serves one request and closes the connection.
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let start = head.len();
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
            let line = head[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or_default();
            }
            if line.trim().is_empty() {
                break;
            }
            if line.starts_with("connection:") {
                head.truncate(start);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let fault = self.note(&head);
        match fault {
            Some(Fault::Fails) => return Ok(()),
            Some(Fault::Slow) => std::thread::sleep(Duration::from_millis(700)),
            Some(Fault::Throttled) => {
                let has_body = !head.starts_with("HEAD ");
                let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
                let head =
                    format!("HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                client.write_all(head.as_bytes())?;
                return if has_body { client.write_all(body.as_bytes()) } else { Ok(()) };
            }
            Some(Fault::LosesAnswer) | None => {}
        }
        let mut upstream = TcpStream::connect(&self.upstream)?;
        let head = format!("{}Connection: close\r\n\r\n", head.trim_end_matches("\r\n").to_owned() + "\r\n");
        upstream.write_all(head.as_bytes())?;
        upstream.write_all(&body)?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        if fault == Some(Fault::LosesAnswer) {
            return Ok(());
        }
        client.write_all(&answer)
    }

    /// Records a request; returns what goes wrong with it.
    fn note(&self, head: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let number = state.requests.len();
        state.requests.push(kind(head));
        state.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault)
    }
}

/// The method and the kind of object of a request.
fn kind(head: &str) -> String {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if let Some((_, query)) = target.split_once('?').filter(|(_, query)| query.contains("list-type")) {
        let prefix = query.split('&').find_map(|field| field.strip_prefix("prefix=")).unwrap_or_default();
        let prefix = prefix.trim_end_matches("%2F").rsplit("%2F").next().unwrap_or_default();
        return format!("LIST {prefix}/");
    }
    let kinds = [
        "commits",
        "claims",
        "annotations",
        "documents",
        "rejects",
        "output.json",
        "probe.json",
        "log.parquet",
        "report",
    ];
    let found = kinds.iter().find(|kind| target.contains(**kind));
    format!("{method} {}", found.copied().unwrap_or(if target.contains("/in/") { "input" } else { "other" }))
}

#[test]
fn after_any_fault_of_any_request_one_more_run_completes_the_rows() {
    let Some(bucket) = Bucket::on_moto("faults of requests") else { return };
    visit(&bucket, |request| vec![FAULTS[request % FAULTS.len()]]);
}

#[test]
fn after_every_fault_of_every_request_to_seaweedfs_one_more_run_completes_the_rows() {
    let Some(bucket) = Bucket::on_seaweedfs("all faults of requests") else { return };
    visit(&bucket, |_| FAULTS.to_vec());
}

/// Visits each request of a run with some faults.
fn visit(bucket: &Bucket, faults: impl Fn(usize) -> Vec<Fault>) {
    let dir = tempdir().unwrap();
    let paths = write_corpus(dir.path(), 1, 8);
    bucket.put("in/pubmed26n0001.xml.gz", fs::read(&paths[0]).unwrap());
    let on_disk = dir.path().join("on-disk");
    run_on_disk(&paths, &on_disk).succeed();
    let expected = tables(&on_disk);
    let proxy = Proxy::start(bucket.endpoint());
    let run = |output: &str| {
        let (input, output) = (bucket.url("in/"), bucket.url(output));
        with_endpoint(PubTag::run(PROGRAM, &[Path::new(&input)], Path::new(&output)), &proxy.endpoint)
    };
    run("unbroken").succeed();
    let requests = proxy.requests();
    let mut visited: BTreeMap<(String, Fault), [u32; 2]> = BTreeMap::new();
    for (number, kind) in requests.iter().enumerate() {
        for fault in faults(number) {
            let output = format!("out-{number}-{fault:?}");
            proxy.plan(Some((number, fault)));
            let first = run(&output).end();
            let counts = visited.entry((kind.clone(), fault)).or_default();
            counts[usize::from(first.code != Some(0))] += 1;
            proxy.plan(None);
            if first.code != Some(0) {
                assert!([Some(75), Some(78)].contains(&first.code), "{fault:?} of {kind}: {first:?}");
                run(&output).succeed();
            }
            assert!(bucket.tables(&output) == expected, "{fault:?} of request {number}, {kind}: {}", first.stderr);
        }
    }
    let mut table =
        format!("{} requests of a run over one input; succeeded at once + with one more run:\n", requests.len());
    for ((kind, fault), [at_once, later]) in visited {
        table += &format!("  {kind:<22} {fault:<12} {at_once} + {later}\n", fault = format!("{fault:?}"));
    }
    tell(&table);
}
