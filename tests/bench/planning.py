"""Measures how long a run takes to plan on an output of many commits in an object store, its memory and its requests.

    tests/bench/planning.py PROGRAM MODEL COMMITS...

The store is a minimal S3 server in this process that lists pages of 1,000 keys in constant time, so the time is that of the
program and of this machine's loopback, without a network.
"""

import bisect
import collections
import hashlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

SAMPLE = os.path.join(os.path.dirname(__file__), "../../deploy/sample/pubmed-sample.xml.gz")


class Store:
    """Objects by key, sorted for listings."""

    def __init__(self):
        self.objects, self.keys, self.requests, self.lock = {}, [], collections.Counter(), threading.Lock()

    def put(self, key, body):
        if key not in self.objects:
            bisect.insort(self.keys, key)
        self.objects[key] = (body, '"%s"' % hashlib.md5(body).hexdigest())

    def fill(self, objects):
        for key, body in objects:
            self.objects[key] = (body, '"%s"' % hashlib.md5(body).hexdigest())
        self.keys = sorted(self.objects)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = Store()

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def target(self):
        url = urllib.parse.urlsplit(self.path)
        return urllib.parse.unquote(url.path).split("/", 2)[-1], dict(urllib.parse.parse_qsl(url.query))

    def do_PUT(self):
        key, _ = self.target()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        store = self.store
        with store.lock:
            store.requests["PUT"] += 1
            found = store.objects.get(key)
            match = self.headers.get("If-Match")
            if (self.headers.get("If-None-Match") and found) or (match and (not found or found[1] != match)):
                return self.answer(412)
            store.put(key, body)
            self.answer(200, headers=[("ETag", store.objects[key][1])])

    def do_GET(self):
        key, query = self.target()
        store = self.store
        with store.lock:
            if "list-type" in query:
                return self.list(query)
            store.requests[self.command] += 1
            found = store.objects.get(key)
        if not found:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        body, e_tag = found
        headers = [("ETag", e_tag), ("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")]
        if self.headers.get("Range"):
            start, end = self.headers["Range"].removeprefix("bytes=").split("-")
            start, end = int(start), min(int(end or len(body)), len(body) - 1)
            headers.append(("Content-Range", f"bytes {start}-{end}/{len(body)}"))
            return self.answer(206, body[start : end + 1], headers)
        self.answer(200, body, headers)

    do_HEAD = do_GET

    def list(self, query):
        store, prefix = self.store, query.get("prefix", "")
        store.requests["LIST"] += 1
        start = query.get("continuation-token") or query.get("start-after") or ""
        at = bisect.bisect_right(store.keys, start) if start > prefix else bisect.bisect_left(store.keys, prefix)
        page, prefixes = [], set()
        while at < len(store.keys) and store.keys[at].startswith(prefix) and len(page) < 1000:
            key, rest = store.keys[at], store.keys[at][len(prefix) :]
            if query.get("delimiter") and "/" in rest:
                prefixes.add(prefix + rest.split("/")[0] + "/")
            else:
                body, e_tag = store.objects[key]
                page.append(
                    f"<Contents><Key>{key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified>"
                    f"<ETag>{e_tag}</ETag><Size>{len(body)}</Size></Contents>"
                )
            at += 1
        more = at < len(store.keys) and store.keys[at].startswith(prefix)
        token = f"<NextContinuationToken>{store.keys[at - 1]}</NextContinuationToken>" if more else ""
        commons = "".join(f"<CommonPrefixes><Prefix>{p}</Prefix></CommonPrefixes>" for p in sorted(prefixes))
        body = (
            f'<?xml version="1.0"?><ListBucketResult><Name>b</Name><KeyCount>{len(page)}</KeyCount>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{''.join(page)}{commons}</ListBucketResult>"
        )
        self.answer(200, body.encode())


def commits(marker, count):
    """Commits like a real one, and their parts, of one byte each."""
    marker["input"].update(uri="s3://elsewhere/NAME.xml.gz", sha256="KEY")
    marker["claim"].update(uri=marker["input"]["uri"])
    marker.update(attempt_id="RUN-00000", run_id="RUN")
    for part in marker["parts"]:
        part.update(path=f"{part['table']}/NAME-RUN-00000-000.parquet", bytes=1)
    template = json.dumps(marker, indent=2)
    for number in range(count):
        key = hashlib.sha256(str(number).encode()).hexdigest()
        name, run = f"pubmed26n{number:06}", str(uuid.UUID(int=number + 1))
        for part in marker["parts"]:
            yield "out/" + part["path"].replace("NAME", name).replace("RUN", run), b"x"
        commit = template.replace("NAME", name).replace("RUN", run).replace("KEY", key)
        yield f"out/_pubtag/commits/{key[:32]}.json", commit.encode()


def main():
    program, model, counts = sys.argv[1], sys.argv[2], [int(count) for count in sys.argv[3:]]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = dict(
        os.environ,
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_REGION="us-east-1",
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}",
    )

    def run():
        Handler.store.requests.clear()
        started = time.monotonic()
        call = [program, "run", SAMPLE, "--model", model, "--output", "s3://bucket/out", "--quiet", "--device", "cpu"]
        child = subprocess.Popen(call, env=environment)
        _, status, used = os.wait4(child.pid, 0)
        if status:
            sys.exit(f"the program ended with status {status}")
        wall, cpu, mebibytes = time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
        requests = ", ".join(f"{count} {kind}" for kind, count in sorted(Handler.store.requests.items()))
        return f"{wall:.2f} s, {cpu:.2f} s of CPU, {mebibytes:.0f} MiB ({requests})"

    for count in counts:
        Handler.store.__init__()
        print(f"new output: {run()}")
        markers = [body for key, (body, _) in Handler.store.objects.items() if "/commits/" in key]
        Handler.store.fill(commits(json.loads(markers[0]), count))
        print(f"{count} commits, without a log: {run()}")
        print(f"{count} commits, with a log: {run()}", flush=True)


main()
