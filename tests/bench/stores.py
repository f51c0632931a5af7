"""Compares a run from disk to disk with one from bucket to bucket, on an S3 server on this machine.

    tests/bench/stores.py PROGRAM WEED ROUNDS INPUT...

WEED is the program of SeaweedFS (tests/requirements-stores.txt). Both runs use the bundled model, in turns. In the end, the
rows of both outputs are compared (tests/readers/same_rows.py).
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ENDPOINT = "http://127.0.0.1:8377"
ENVIRONMENT = dict(
    os.environ, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION="us-east-1", AWS_ENDPOINT_URL=ENDPOINT
)


def put(path, body=b""):
    urllib.request.urlopen(urllib.request.Request(f"{ENDPOINT}/{path}", body, method="PUT")).read()


def create_bucket():
    """Waits for the server and creates the bucket."""
    for _ in range(600):
        try:
            return put("bucket")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit("SeaweedFS does not start")


def measured(call):
    """The wall and CPU time of a call in seconds."""
    started = time.monotonic()
    child = subprocess.Popen(call, env=ENVIRONMENT)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{call} ended with status {status}")
    return time.monotonic() - started, used.ru_utime + used.ru_stime


def compare(program, folder, output):
    calls = ([program, "inspect", output, "--parts", table] for table in ("annotations", "documents", "rejects"))
    listed = os.path.join(folder, "parts")
    with open(listed, "w") as parts:
        for call in calls:
            subprocess.run(call, env=ENVIRONMENT, check=True, stdout=parts)
    script = os.path.join(os.path.dirname(__file__), "../readers/same_rows.py")
    subprocess.run([sys.executable, script, listed, os.path.join(folder, "out-0")], env=ENVIRONMENT, check=True)


def main(program, weed, rounds, inputs):
    with tempfile.TemporaryDirectory() as folder:
        call = [weed, "server", "-s3", f"-dir={folder}", "-s3.port=8377", "-ip=127.0.0.1", "-master.volumeSizeLimitMB=256"]
        server = subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            create_bucket()
            for path in inputs:
                with open(path, "rb") as file:
                    put(f"bucket/in/{os.path.basename(path)}", file.read())
            places = {"disk": (inputs, folder), "bucket": (["s3://bucket/in/"], "s3://bucket")}
            measures = {place: [] for place in places}
            for number in range(rounds):
                for place in sorted(places, reverse=number % 2 == 0):
                    source, target = places[place]
                    run = [program, "run", *source, "--output", f"{target}/out-{number}", "--device", "cpu", "--quiet"]
                    measures[place].append(measured(run))
                pair = [measures[place][-1] for place in places]
                print("; ".join(f"{place} {wall:.2f} s, {cpu:.2f} s of CPU" for place, (wall, cpu) in zip(places, pair)), flush=True)
            for what, index in (("wall", 0), ("CPU", 1)):
                ratios = [bucket[index] / disk[index] for disk, bucket in zip(measures["disk"], measures["bucket"])]
                print(f"{what}: bucket / disk {statistics.median(ratios):.3f} (median of {rounds} rounds)")
            compare(program, folder, "s3://bucket/out-0")
        finally:
            server.kill()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
