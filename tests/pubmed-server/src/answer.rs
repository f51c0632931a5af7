//! Answers, right and wrong.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Error, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::content::md5_hex;
use crate::{Fault, PubmedServer, Request, State};

/// How long a stalled answer stays open.
const SILENCE: Duration = Duration::from_secs(20);

/// An answer as it is meant to be.
struct Answer {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
}

/// Answers a request.
///
/// # Errors
/// The connection is to end.
pub(crate) fn answer(server: &PubmedServer, stream: &TcpStream, request: Request) -> Result<()> {
    let (answer, fault) = {
        let mut state = server.state();
        state.requests.push(request.clone());
        let fault = state.take_fault(&request.path);
        if let Some(Fault::Reissue { after: None, content }) = &fault {
            reissue(&mut state, &request.path, content);
        }
        let answer = right(&state, &request, fault.as_ref());
        if let Some(Fault::Reissue { after: Some(_), content }) = &fault {
            reissue(&mut state, &request.path, content);
        }
        (answer, fault)
    };
    send(stream, &request, answer, fault)
}

fn reissue(state: &mut State, path: &str, content: &[u8]) {
    let (folder, name) = path.split_once('/').expect("a file that is re-issued is in a folder");
    state.publish(folder, name.trim_end_matches(".xml.gz"), content.to_vec());
}

fn right(state: &State, request: &Request, fault: Option<&Fault>) -> Answer {
    let empty = |status, headers| Answer { status, headers, body: Vec::new() };
    if request.path.is_empty() || request.path.ends_with('/') {
        return Answer { status: "200 OK", headers: String::new(), body: page(state, &request.path).into_bytes() };
    }
    let Some(content) = state.files.get(&request.path) else { return empty("404 Not Found", String::new()) };
    let etag = format!("\"{}\"", md5_hex(content));
    let is_current = request.headers.get("if-range").is_none_or(|condition| *condition == etag);
    let start = match fault {
        Some(Fault::IgnoreRange) => 0,
        Some(Fault::WrongRange) => request.start() + 1,
        _ if is_current => request.start(),
        _ => 0,
    };
    let (start, total) = (usize::try_from(start).expect("a range of a file in memory"), content.len());
    let etag = format!("ETag: {etag}\r\nAccept-Ranges: bytes\r\n");
    match start {
        0 => Answer { status: "200 OK", headers: etag, body: content.clone() },
        _ if start >= total => empty("416 Range Not Satisfiable", format!("{etag}Content-Range: bytes */{total}\r\n")),
        _ => Answer {
            status: "206 Partial Content",
            headers: format!("{etag}Content-Range: bytes {start}-{}/{total}\r\n", total - 1),
            body: content[start..].to_vec(),
        },
    }
}

/// The listing of a folder, as Apache writes it.
fn page(state: &State, folder: &str) -> String {
    let mut rows = String::new();
    let mut folders = BTreeSet::new();
    for (path, content) in &state.files {
        let Some(name) = path.strip_prefix(folder) else { continue };
        if let Some((below, _)) = name.split_once('/') {
            folders.insert(below);
        } else if !state.unlisted.contains(path) {
            let size = format!("{:.1}K", content.len() as f64 / 1024.0);
            let _ = writeln!(rows, "<a href=\"{name}\">{name}</a>     2025-12-14 18:08  {size}  ");
        }
    }
    for name in folders {
        let _ = writeln!(rows, "<a href=\"{name}/\">{name}/</a>     2025-12-14 18:08    -   ");
    }
    format!(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n<head>\n<title>Index of /pubmed/{folder}</title>\n\
         </head>\n<body>\n<pre><a href=\"/pubmed/\">Parent Directory</a>      -\n{rows}<hr></pre>\n</body></html>\n"
    )
}

fn send(mut stream: &TcpStream, request: &Request, answer: Answer, fault: Option<Fault>) -> Result<()> {
    let Answer { mut status, mut headers, mut body } = answer;
    match &fault {
        Some(Fault::Corrupt) => {
            let middle = body.len() / 2;
            body[middle] ^= 0x55;
        }
        Some(Fault::Shorten { to }) => body.truncate(*to),
        Some(Fault::Redirect { to }) => {
            (status, body) = ("302 Found", Vec::new());
            headers = format!("Location: {to}{}\r\n", request.path);
        }
        Some(Fault::Status { status: code, retry_after }) => {
            status = match code {
                429 => "429 Too Many Requests",
                403 => "403 Forbidden",
                404 => "404 Not Found",
                500 => "500 Internal Server Error",
                _ => "503 Service Unavailable",
            };
            body = Vec::new();
            headers = retry_after.map_or_else(String::new, |seconds| format!("Retry-After: {seconds}\r\n"));
        }
        _ => {}
    }
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let cut = |after: usize| &body[..after.min(body.len())];
    match fault {
        Some(Fault::Stall { after }) => {
            stream.write_all(cut(after))?;
            std::thread::sleep(SILENCE);
            Err(Error::other("the connection has been silent for long enough"))
        }
        Some(Fault::Truncate { after } | Fault::Reissue { after: Some(after), .. }) => {
            stream.write_all(cut(after))?;
            Err(Error::other("the connection is to end in the middle"))
        }
        Some(Fault::Trickle { rate }) => {
            // Fifty times a second.
            for bytes in body.chunks(usize::try_from(rate.div_ceil(50)).expect("a rate that a test waits for")) {
                stream.write_all(bytes)?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        _ => stream.write_all(&body),
    }
}
