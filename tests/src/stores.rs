//! Object stores on this machine, and what is in them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path as Key;
use pubtag_parquet::Tables;
use pubtag_store::{Address, Store, StoreOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::outputs::{Rows, read_table};
use crate::program::{PubTag, python, skipped};

/// A server; it ends with the process that started it.
struct Server {
    /// Keeps its standard input open, which the server watches.
    _child: Child,
    endpoint: String,
    log: PathBuf,
    _folder: TempDir,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    S3,
    Azure,
}

/// A bucket of its own on a server that tests share.
pub struct Bucket {
    server: &'static Server,
    protocol: Protocol,
    name: String,
    runtime: Runtime,
}

/// Python that ends when its standard input does, so that no server outlives the tests.
const MOTO: &str = "import os, sys, threading\n\
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()\n\
    from moto.server import main\n\
    main(['-H', '127.0.0.1', '-p', sys.argv[1]])\n";

/// The account of Azurite and its key, which its documentation publishes.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Python that creates a container: `object_store` cannot, and Azurite takes signed requests only.
const CONTAINER: &str = "import base64, email.utils, hashlib, hmac, sys, urllib.request\n\
    endpoint, account, key, name = sys.argv[1:]\n\
    date, version = email.utils.formatdate(usegmt=True), '2021-08-06'\n\
    text = f'PUT{chr(10) * 12}x-ms-date:{date}\\nx-ms-version:{version}\\n/{account}/{account}/{name}\\nrestype:container'\n\
    sign = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()\n\
    headers = {'Content-Type': '', 'x-ms-date': date, 'x-ms-version': version, 'Authorization': f'SharedKey {account}:{sign}'}\n\
    url = f'{endpoint}/{account}/{name}?restype=container'\n\
    urllib.request.urlopen(urllib.request.Request(url, b'', headers, method='PUT'))\n";

impl Bucket {
    /// A new bucket on moto, an S3 server in Python; `None` after reporting a skip.
    pub fn on_moto(test: &str) -> Option<Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        let python = python(test)?;
        let start = || {
            let has_moto = Command::new(&python).args(["-c", "import moto.server"]).stderr(Stdio::null()).status();
            has_moto.is_ok_and(|status| status.success()).then(|| {
                Server::start(|port, _| {
                    let mut call = Command::new(&python);
                    call.args(["-c", MOTO, port]);
                    call
                })
            })
        };
        match SERVER.get_or_init(start) {
            Some(server) => Some(Self::on_s3(server)),
            None => {
                skipped(test, "moto in the Python environment (tests/run installs it)");
                None
            }
        }
    }

    /// A new bucket on SeaweedFS; `None` after reporting a skip.
    pub fn on_seaweedfs(test: &str) -> Option<Self> {
        static SERVER: OnceLock<Server> = OnceLock::new();
        let Some(weed) = std::env::var_os("PUBTAG_SEAWEEDFS") else {
            skipped(test, "SeaweedFS (tests/run --stores)");
            return None;
        };
        let start = || {
            Server::start(|port, folder| {
                let mut call = Command::new("sh");
                // The server ends when its standard input does. Each bucket has volumes of its own.
                let run = "\"$0\" server -s3 -dir=\"$1\" -s3.port=\"$2\" -ip=127.0.0.1 -volume.max=1000 \
                    -master.volumeSizeLimitMB=256 & server=$!; cat > /dev/null; kill -9 $server";
                call.arg("-c").arg(run).arg(&weed).arg(folder).arg(port);
                call
            })
        };
        Some(Self::on_s3(SERVER.get_or_init(start)))
    }

    /// A new container on Azurite; `None` after reporting a skip.
    pub fn on_azurite(test: &str) -> Option<Self> {
        static SERVER: OnceLock<Server> = OnceLock::new();
        let python = python(test)?;
        let Some(azurite) = std::env::var_os("PUBTAG_AZURITE") else {
            skipped(test, "Azurite (tests/run --stores)");
            return None;
        };
        let start = || {
            Server::start(|port, folder| {
                let mut call = Command::new("sh");
                let run = "\"$0\" --silent --skipApiVersionCheck --location \"$1\" --blobPort \"$2\" & server=$!; \
                    cat > /dev/null; kill -9 $server";
                call.arg("-c").arg(run).arg(&azurite).arg(folder).arg(port);
                call
            })
        };
        let bucket = Self::new(SERVER.get_or_init(start), Protocol::Azure);
        let mut create = Command::new(python);
        create.args(["-c", CONTAINER, &bucket.server.endpoint, ACCOUNT, KEY, &bucket.name]);
        assert!(create.status().expect("Python starts").success(), "the server creates containers");
        Some(bucket)
    }

    fn on_s3(server: &'static Server) -> Self {
        let bucket = Self::new(server, Protocol::S3);
        server.put_bucket(&bucket.name);
        bucket
    }

    fn new(server: &'static Server, protocol: Protocol) -> Self {
        static BUCKETS: AtomicUsize = AtomicUsize::new(0);
        let name = format!("tests-{}", BUCKETS.fetch_add(1, Ordering::Relaxed));
        let runtime = Runtime::new().expect("a runtime starts");
        Self { server, protocol, name, runtime }
    }

    /// The URL of a prefix or object in the bucket.
    pub fn url(&self, key: &str) -> String {
        let scheme = if self.protocol == Protocol::S3 { "s3" } else { "az" };
        format!("{scheme}://{}/{key}", self.name)
    }

    /// The address of the server.
    pub fn endpoint(&self) -> &str {
        &self.server.endpoint
    }

    /// The answer of moto to a request for the head of an object. It wants a signature, but does not check it.
    pub fn head(&self, key: &str) -> String {
        const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
            SignedHeaders=host, Signature=none\r\n";
        self.server.request("HEAD", &format!("{}/{key}", self.name), SIGNED).expect("the server answers")
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.server.log).unwrap_or_default()
    }

    /// A call with access to the server.
    #[must_use]
    pub fn with(&self, call: PubTag) -> PubTag {
        match self.protocol {
            Protocol::S3 => with_endpoint(call, &self.server.endpoint),
            Protocol::Azure => call
                .env("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
                .env("AZURE_STORAGE_ACCOUNT_KEY", KEY)
                .env("AZURE_STORAGE_ENDPOINT", &format!("{}/{ACCOUNT}", self.server.endpoint)),
        }
    }

    /// A prefix, for direct access.
    pub fn store(&self, prefix: &str) -> Store {
        let endpoint = &self.server.endpoint;
        let options = match self.protocol {
            Protocol::S3 => {
                ["access_key_id=test".to_owned(), "secret_access_key=test".to_owned(), format!("endpoint={endpoint}")]
            }
            Protocol::Azure => [
                format!("account_name={ACCOUNT}"),
                format!("account_key={KEY}"),
                format!("endpoint={endpoint}/{ACCOUNT}"),
            ],
        };
        let options = options.iter().map(|option| option.parse().expect("an option"));
        let address: Address = self.url(prefix).parse().expect("a URL");
        address.open(&StoreOptions::new(options)).expect("a store")
    }

    /// Runs a future on the bucket's runtime.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Puts an object.
    pub fn put(&self, key: &str, bytes: Vec<u8>) {
        let store = self.store("");
        self.block_on(store.objects().put(&Key::from(key), bytes.into())).expect("the bucket takes objects");
    }

    /// The keys below a prefix, relative to it.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let store = self.store(prefix);
        let listed =
            self.block_on(store.objects().list(None).try_collect::<Vec<_>>()).expect("the bucket can be listed");
        listed.into_iter().map(|meta| meta.location.to_string()).collect()
    }

    /// The bytes of an object.
    pub fn get(&self, key: &str) -> Vec<u8> {
        let store = self.store("");
        let got = async { store.objects().get(&Key::from(key)).await?.bytes().await };
        self.block_on(got).expect("the object exists").to_vec()
    }

    /// Copies the objects below a prefix into a directory.
    pub fn copy(&self, prefix: &str, folder: &Path) {
        for key in self.keys(prefix) {
            let path = folder.join(&key);
            fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory");
            fs::write(path, self.get(&format!("{prefix}/{key}"))).expect("a file");
        }
    }

    /// The rows of the commits in force of an output, by table.
    pub fn tables(&self, prefix: &str) -> [Rows; 3] {
        let local = tempfile::tempdir().expect("a temporary directory");
        let store = self.store(prefix);
        self.block_on(async {
            let tables = Tables::open(store.clone()).await.expect("an output");
            for part in tables.commits().iter().flat_map(|commit| &commit.parts) {
                let got = store.objects().get(&Key::from(part.path.as_str())).await.expect("a committed part exists");
                let path = local.path().join(&part.path);
                fs::create_dir_all(path.parent().expect("a part is in a directory")).expect("a directory");
                fs::write(path, got.bytes().await.expect("a part can be read")).expect("a file");
            }
        });
        ["annotations", "documents", "rejects"].map(|table| read_table(local.path(), table))
    }
}

/// A call with access to a server at another address, such as a proxy.
#[must_use]
pub fn with_endpoint(call: PubTag, endpoint: &str) -> PubTag {
    call.env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test-secret")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
}

impl Server {
    fn start(command: impl FnOnce(&str, &Path) -> Command) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let log = folder.path().join("log");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port is free");
        let port = free.port().to_string();
        let out = File::create(&log).expect("a log");
        let mut call = command(&port, folder.path());
        call.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(out);
        let child = call.spawn().expect("the server starts");
        let server = Self { _child: child, endpoint: format!("http://127.0.0.1:{port}"), log, _folder: folder };
        server.wait();
        server
    }

    /// Waits until the server takes buckets.
    fn wait(&self) {
        let started = Instant::now();
        while !self.answers() {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "{}",
                fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether it takes buckets, or answers at all if it does not speak S3.
    fn answers(&self) -> bool {
        self.try_put_bucket("ready") || self.request("PUT", "ready", "").is_ok_and(|answer| answer.contains("Azurite"))
    }

    fn put_bucket(&self, name: &str) {
        assert!(self.try_put_bucket(name), "the server creates buckets");
    }

    /// Creates a bucket with a request that is not signed, which these servers accept.
    fn try_put_bucket(&self, name: &str) -> bool {
        self.request("PUT", name, "").is_ok_and(|answer| matches!(answer.split(' ').nth(1), Some("200" | "409")))
    }

    fn request(&self, method: &str, path: &str, headers: &str) -> std::io::Result<String> {
        let host = self.endpoint.trim_start_matches("http://");
        let length = "Content-Length: 0\r\nConnection: close\r\n";
        let request = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\n{length}{headers}\r\n");
        let mut socket = TcpStream::connect(host)?;
        socket.write_all(request.as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).map(|_| answer)
    }
}
