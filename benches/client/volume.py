"""Creates very many records with kinto-http.py, reads them all back, and tells what that took.

The counterpart of crates/cumulo-client/examples/volume.rs: the same arguments, records, checks and
line of JSON.
"""

import json
import resource
import sys
import time

import kinto_http


def record(number):
    return {
        "number": number,
        "title": "Buy bread",
        "done": False,
        "tag": f"tag-{number % 100}",
        "text": "x" * 120,
    }


def upload(client, count):
    with client.batch() as batch:
        for number in range(count):
            batch.create_record(data=record(number))


def create_each(client, count):
    for number in range(count):
        client.create_record(data=record(number))


def read_back(client, count):
    numbers = [record["number"] for record in client.get_records()]
    if sorted(numbers) != list(range(count)):
        raise SystemExit("not every record is there once")


def measure(work, *arguments):
    cpu, wall = cpu_seconds(), time.perf_counter()
    work(*arguments)
    return {"wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu}


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    server, count, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    client = kinto_http.Client(server_url=server, auth=("volume", "volume"), bucket="volume")
    client.create_bucket(if_not_exists=True)
    collection = client.create_collection(id=f"python-{time.time_ns()}")["data"]["id"]
    client = client.clone(collection=collection)
    create = measure(upload if mode == "upload" else create_each, client, count)
    listed = measure(read_back, client, count)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"create": create, "list": listed, "peak_kib": peak}))


if __name__ == "__main__":
    main()
