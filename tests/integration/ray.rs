//! `pubtag-ray` on clusters of several nodes, and the Kubernetes manifests, tested with pytest.

use std::path::Path;

use pubtag_tests::{Bucket, Fault, Proxy, PubTag, ray_python, tell, with_endpoint};

use crate::PROGRAM;

#[test]
fn a_cluster_writes_what_one_machine_writes() {
    let Some(python) = ray_python("a_cluster_writes_what_one_machine_writes") else { return };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("ray");
    let pytest = PubTag::new(python.to_str().unwrap(), ["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
    let mut call = pytest.arg(tests).env("PUBTAG_PROGRAM", PROGRAM);
    let busy = Bucket::on_moto("Ray on a busy object store").map(|bucket| (Proxy::start(bucket.endpoint()), bucket));
    if let Some((proxy, bucket)) = &busy {
        proxy.plan(busy_store());
        // `tests/ray/test_store.py` finds the bucket here, and goes to it without the proxy to see what is there.
        call = with_endpoint(call, proxy.endpoint())
            .env("PUBTAG_BUCKET", &bucket.url(""))
            .env("PUBTAG_BUCKET_ENDPOINT", bucket.endpoint());
    }
    let outcome = call.end();
    assert_eq!(outcome.code, Some(0), "{}\n{}", outcome.stdout, outcome.stderr);
    tell(&outcome.stdout);
    if let Some((proxy, _)) = busy {
        assert_all_happened(&proxy.calls());
    }
}

/// The store did what was planned for these calls.
fn assert_all_happened(calls: &[&'static str]) {
    let mut plan = busy_store();
    let faults: Vec<Fault> = calls.iter().enumerate().filter_map(|(number, call)| plan(number, call)).collect();
    for fault in [Fault::Reset, Fault::Throttled, Fault::Limited, Fault::Slow] {
        let times = faults.iter().filter(|happened| **happened == fault).count();
        assert!(times > 1, "{fault:?} happened {times} times in {} requests", calls.len());
        tell(&format!("{fault:?}: {times} of {} requests\n", calls.len()));
    }
}

/// A store that refuses every third request, is slow at every seventh, and breaks the connection at two new objects, which
/// may cost an attempt each.
fn busy_store() -> impl FnMut(usize, &'static str) -> Option<Fault> + Send {
    let mut created = 0;
    move |number, call| {
        created += usize::from(call == "create if absent");
        match number {
            _ if call == "create if absent" && [8, 16].contains(&created) => Some(Fault::Reset),
            _ if number % 6 == 2 => Some(Fault::Throttled),
            _ if number % 6 == 5 => Some(Fault::Limited),
            _ if number % 7 == 0 => Some(Fault::Slow),
            _ => None,
        }
    }
}
