//! A proxy at which any request to an object store can go wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
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
    /// The store refuses it with 503, as S3 does when it is busy.
    Throttled,
    /// The store refuses it with 429, as others do.
    Limited,
}

/// All of them.
pub const FAULTS: [Fault; 7] =
    [Fault::Refused, Fault::Reset, Fault::TimesOut, Fault::LosesAnswer, Fault::Slow, Fault::Throttled, Fault::Limited];

/// What the program asks of a store, by the request's conditions.
pub const CALLS: [&str; 7] = ["create if absent", "replace if same", "put", "get", "head", "list", "delete in bulk"];

/// A proxy in front of a store.
#[derive(Clone)]
pub struct Proxy {
    endpoint: String,
    upstream: String,
    state: Arc<Mutex<State>>,
}

struct State {
    /// The calls so far.
    calls: Vec<&'static str>,
    plan: Box<Plan>,
}

/// What goes wrong with a request, by its number and its call.
type Plan = dyn FnMut(usize, &'static str) -> Option<Fault> + Send;

impl Proxy {
    /// Starts a proxy at which nothing goes wrong yet.
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it has an address"));
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let state = State { calls: Vec::new(), plan: Box::new(|_, _| None) };
        let proxy = Self { endpoint, upstream, state: Arc::new(Mutex::new(state)) };
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

    /// Its address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Begins to count anew. `plan` says what goes wrong with a request, by its number and its call, one of [`CALLS`].
    pub fn plan(&self, plan: impl FnMut(usize, &'static str) -> Option<Fault> + Send + 'static) {
        *self.state() = State { calls: Vec::new(), plan: Box::new(plan) };
    }

    /// The calls since then.
    pub fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no plan panics")
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
            Some(Fault::Limited) => return refuse(&mut client, &head, "429 Too Many Requests", "TooManyRequests"),
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
        let mut state = self.state();
        let (number, call) = (state.calls.len(), call(head));
        state.calls.push(call);
        (state.plan)(number, call)
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
