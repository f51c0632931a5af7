//! The program behind a proxy at which any request to the store can go wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use pubtag_tests::{Bucket, CALLS, FAULTS, Fault, Proxy, PubTag, tell, with_endpoint, write_corpus};
use tempfile::tempdir;

use crate::PROGRAM;
use crate::kill::{TABLES, run as run_on_disk, tables};

/// How long the program waits for an answer.
const TIMEOUT: &str = "timeout=2s";

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
                PubTag::new(PROGRAM, ["vacuum", "--older-than", "0h", "--no-runs", &self.bucket.url(output)])
            }
        };
        with_endpoint(call.arg("--store-option").arg(TIMEOUT), self.proxy.endpoint())
    }

    /// The calls of work at which nothing goes wrong.
    fn calls(&self, work: Work) -> Vec<&'static str> {
        let output = format!("unbroken-{work:?}");
        self.begin(work, &output);
        self.proxy.plan(|_, _| None);
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
                site.proxy.plan(move |at, _| (at == number).then_some(fault));
                let first = site.call(work, &output).end();
                let failed = first.code != Some(0);
                if let Some(call) = site.proxy.calls().get(number) {
                    visited.entry((call, fault)).or_default()[usize::from(failed)] += 1;
                }
                site.proxy.plan(|_, _| None);
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
