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
use crate::kill::{TABLES, run as run_on_disk, tables};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The store refuses it with 403, which is not repeated.
    Refused,
    /// The connection is reset before the store has it.
    Reset,
    /// It takes effect, but the answer does not come before the program gives up.
    TimesOut,
    /// It takes effect, but the connection breaks before the answer.
    LosesAnswer,
    /// It takes a while.
    Slow,
    /// The store refuses it with 503.
    Throttled,
}

const FAULTS: [Fault; 6] =
    [Fault::Refused, Fault::Reset, Fault::TimesOut, Fault::LosesAnswer, Fault::Slow, Fault::Throttled];

/// How long the program waits for an answer.
const TIMEOUT: &str = "timeout=2s";

/// What the program asks of a store, by the request's conditions.
const CALLS: [&str; 7] = ["create if absent", "replace if same", "put", "get", "head", "list", "delete in bulk"];

/// A proxy in front of a store.
#[derive(Clone)]
struct Proxy {
    endpoint: String,
    upstream: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The calls so far.
    calls: Vec<&'static str>,
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
        *self.state.lock().unwrap() = State { calls: Vec::new(), fault };
    }

    fn calls(&self) -> Vec<&'static str> {
        self.state.lock().unwrap().calls.clone()
    }

    /// Serves one request and closes the connection.
    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let Some(head) = peek(&client)? else { return Ok(()) };
        let fault = self.note(&head);
        if fault == Some(Fault::Reset) {
            // Closing a socket with unread bytes resets the connection.
            return Ok(());
        }
        let (head, body) = receive(&mut client)?;
        match fault {
            Some(Fault::Refused) => return refuse(&mut client, &head, "403 Forbidden", "AccessDenied"),
            Some(Fault::Throttled) => return refuse(&mut client, &head, "503 Slow Down", "SlowDown"),
            Some(Fault::Slow) => std::thread::sleep(Duration::from_millis(700)),
            _ => {}
        }
        let mut upstream = TcpStream::connect(&self.upstream)?;
        upstream.write_all(head.as_bytes())?;
        upstream.write_all(&body)?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        match fault {
            Some(Fault::LosesAnswer) => Ok(()),
            // Until the client hangs up.
            Some(Fault::TimesOut) => client.read(&mut [0]).map(drop),
            _ => client.write_all(&answer),
        }
    }

    /// Records a request; returns what goes wrong with it.
    fn note(&self, head: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let number = state.calls.len();
        state.calls.push(call(head));
        state.fault.filter(|(at, _)| *at == number).map(|(_, fault)| fault)
    }
}

/// The head of a request, which stays unread; `None` if the client sends none.
fn peek(client: &TcpStream) -> std::io::Result<Option<String>> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = client.peek(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..length]);
        match text.split_once("\r\n\r\n") {
            Some((head, _)) => return Ok(Some(head.to_owned())),
            None if length == 0 => return Ok(None),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Reads a request: its head, which now asks to close the connection, and its body.
fn receive(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        if lower.trim().is_empty() {
            break;
        }
        if !lower.starts_with("connection:") {
            head += &line;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head + "Connection: close\r\n\r\n", body))
}

fn refuse(client: &mut TcpStream, head: &str, status: &str, code: &str) -> std::io::Result<()> {
    let body = format!("<Error><Code>{code}</Code><Message>by the proxy</Message></Error>");
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    client.write_all(answer.as_bytes())?;
    if head.starts_with("HEAD ") { Ok(()) } else { client.write_all(body.as_bytes()) }
}

/// The call of a request, one of [`CALLS`].
fn call(head: &str) -> &'static str {
    let (method, rest) = head.split_once(' ').unwrap_or_default();
    let (target, rest) = rest.split_once(' ').unwrap_or_default();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let has = |header: &str| rest.to_ascii_lowercase().contains(&format!("\r\n{header}:"));
    match method {
        "PUT" if query.contains("partNumber") => "multipart",
        "PUT" if has("if-none-match") => "create if absent",
        "PUT" if has("if-match") => "replace if same",
        "PUT" => "put",
        "GET" if query.contains("list-type") => "list",
        "GET" => "get",
        "HEAD" => "head",
        "POST" if query.starts_with("delete") => "delete in bulk",
        "POST" => "multipart",
        _ => "unknown",
    }
}

/// What the program does when a request goes wrong.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// A first run.
    Run,
    /// A run that replaces commits.
    Overwrite,
    /// Removes what was replaced.
    Vacuum,
}

/// Work on one input in a bucket, through a proxy.
struct Site<'a> {
    bucket: &'a Bucket,
    proxy: Proxy,
}

impl Site<'_> {
    fn run(&self, output: &str) -> PubTag {
        let (input, output) = (self.bucket.url("in/"), self.bucket.url(output));
        PubTag::run(PROGRAM, &[Path::new(&input)], Path::new(&output))
    }

    /// Prepares the state in which work begins.
    fn prepare(&self, work: Work) {
        let output = format!("before-{work:?}");
        if let Work::Overwrite | Work::Vacuum = work {
            self.bucket.with(self.run(&output).arg("--decode").arg("argmax")).succeed();
        }
        if let Work::Vacuum = work {
            self.bucket.with(self.run(&output).arg("--overwrite")).succeed();
        }
    }

    /// Copies that state.
    fn begin(&self, work: Work, output: &str) {
        let before = format!("before-{work:?}");
        for key in self.bucket.keys(&before) {
            self.bucket.put(&format!("{output}/{key}"), self.bucket.get(&format!("{before}/{key}")));
        }
        if let Work::Vacuum = work {
            // Times in a store are in seconds.
            std::thread::sleep(Duration::from_millis(1100));
        }
    }

    fn call(&self, work: Work, output: &str) -> PubTag {
        let call = match work {
            Work::Run => self.run(output),
            Work::Overwrite => self.run(output).arg("--overwrite"),
            Work::Vacuum => {
                PubTag::new(PROGRAM, ["vacuum", "--older-than", "0s", "--no-runs", &self.bucket.url(output)])
            }
        };
        with_endpoint(call.arg("--store-option").arg(TIMEOUT), &self.proxy.endpoint)
    }

    /// The calls of work at which nothing goes wrong.
    fn calls(&self, work: Work) -> Vec<&'static str> {
        let output = format!("unbroken-{work:?}");
        self.begin(work, &output);
        self.proxy.plan(None);
        self.call(work, &output).succeed();
        self.proxy.calls()
    }
}

#[test]
fn after_any_fault_of_any_request_one_more_run_completes_the_rows() {
    let Some(bucket) = Bucket::on_moto("faults of requests") else { return };
    visit(&bucket, &[Work::Run], |request| vec![FAULTS[request % FAULTS.len()]]);
}

#[test]
fn after_every_fault_of_every_request_to_seaweedfs_one_more_run_completes_the_rows() {
    let Some(bucket) = Bucket::on_seaweedfs("all faults of requests") else { return };
    let visited = visit(&bucket, &[Work::Run, Work::Overwrite, Work::Vacuum], |_| FAULTS.to_vec());
    let all = CALLS.iter().flat_map(|call| FAULTS.map(|fault| (*call, fault)));
    assert!(all.clone().count() == visited.len() && all.clone().all(|cell| visited.contains_key(&cell)), "{visited:?}");
}

/// How many times the program succeeded with a fault at once, and with one more call.
type Visited = BTreeMap<(&'static str, Fault), [u32; 2]>;

/// Visits each request of some work with some faults.
fn visit(bucket: &Bucket, works: &[Work], faults: impl Fn(usize) -> Vec<Fault>) -> Visited {
    let dir = tempdir().unwrap();
    let paths = write_corpus(dir.path(), 1, 8);
    bucket.put("in/pubmed26n0001.xml.gz", fs::read(&paths[0]).unwrap());
    let on_disk = dir.path().join("on-disk");
    run_on_disk(&paths, &on_disk).succeed();
    let expected = tables(&on_disk);
    let site = Site { bucket, proxy: Proxy::start(bucket.endpoint()) };
    let (mut visited, mut requests) = (Visited::new(), String::new());
    for &work in works {
        site.prepare(work);
        let calls = site.calls(work);
        requests += &format!("  {work:?}: {} requests{}\n", calls.len(), counted(&calls));
        for number in 0..calls.len() {
            for fault in faults(number) {
                let output = format!("{work:?}-{number}-{fault:?}");
                site.begin(work, &output);
                site.proxy.plan(Some((number, fault)));
                let first = site.call(work, &output).end();
                let failed = first.code != Some(0);
                if let Some(call) = site.proxy.calls().get(number) {
                    visited.entry((call, fault)).or_default()[usize::from(failed)] += 1;
                }
                site.proxy.plan(None);
                if failed {
                    assert!([Some(75), Some(78)].contains(&first.code), "{fault:?} of request {number}: {first:?}");
                    site.call(work, &output).succeed();
                }
                assert!(bucket.tables(&output) == expected, "{work:?}, {fault:?} of {number}: {}", first.stderr);
                if let Work::Vacuum = work {
                    let parts = TABLES.map(|table| bucket.keys(&format!("{output}/{table}")).len());
                    assert_eq!(parts, [1; 3], "only what counts is left");
                }
            }
        }
    }
    tell(&(requests + &page(&visited)));
    visited
}

/// How often each call occurs.
fn counted(calls: &[&str]) -> String {
    let count = |call: &&str| calls.iter().filter(|other| other == &call).count();
    let some = CALLS.iter().filter(|call| calls.contains(call));
    some.map(|call| format!(", {} {call}", count(call))).collect()
}

/// The table of faults. A cell is the number of visits after which the program succeeded at once + with one more call.
fn page(visited: &Visited) -> String {
    let mut page = format!("  {:<18}", "call");
    page.extend(FAULTS.map(|fault| format!("{:>13}", format!("{fault:?}"))));
    for call in CALLS {
        page += &format!("\n  {call:<18}");
        for fault in FAULTS {
            let cell = visited.get(&(call, fault)).map_or("-".to_owned(), |[once, more]| format!("{once} + {more}"));
            page += &format!("{cell:>13}");
        }
    }
    page + "\n  multipart          never sent: a part is at most 64 MiB and put in one request\n"
}
