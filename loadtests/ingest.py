"""Locust: a shop's telemetry at a fixed rate, in requests of 100 records.

Run by `make load` (loadtests/run_load.py), which starts a fresh opslog and checks afterwards that
what was acknowledged is stored, once. By hand, against an opslog of yours:

    locust -f loadtests/ingest.py --host http://127.0.0.1:4318 --headless -u 10 -t 60s
"""

import itertools
import os
import time

from locust import FastHttpUser, constant_throughput, events, task

from loadtests.shop import shop_request

RUN = os.environ.get("OPSLOG_LOAD_RUN", "load")
REQUESTS_PER_S = float(os.environ.get("OPSLOG_LOAD_REQUESTS_PER_S", "10"))
"""Of one user; 10 users of 10 requests of 100 records are 10,000 records a second."""
RECORDS = int(os.environ.get("OPSLOG_LOAD_RECORDS", "100"))

_numbers = itertools.count()
_acknowledged = itertools.count()


class Service(FastHttpUser):
    """One sender: sends the next hundred records, whatever the answer to the last was."""

    wait_time = constant_throughput(REQUESTS_PER_S)
    network_timeout = 15.0
    connection_timeout = 5.0

    @task
    def send(self) -> None:
        """One export; sent again, unchanged, while it is answered 429 or 503."""
        body = shop_request(RUN, next(_numbers) * RECORDS, RECORDS, time.time_ns())
        headers = {"Content-Type": "application/x-protobuf"}
        while True:
            with self.client.post("/v1/logs", data=body, headers=headers) as answer:
                if answer.status_code == 200:
                    next(_acknowledged)
                    return
                if answer.status_code not in {429, 503}:
                    return
            time.sleep(1)


@events.quitting.add_listener
def _tell(**_: object) -> None:
    print(f"acknowledged_records={next(_acknowledged) * RECORDS}")
