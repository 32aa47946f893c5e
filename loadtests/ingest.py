"""Locust: a shop's telemetry at a fixed rate, in requests of 100 records.

Run by `make load` (loadtests/run_load.py), which starts a fresh opslog and then checks that all
acknowledged records are stored exactly once. Manually, against a running opslog:

    locust -f loadtests/ingest.py --host http://127.0.0.1:4318 --headless -u 10 -t 60s
"""

import itertools
import os
import time

from locust import FastHttpUser, constant_throughput, events, task

from loadtests.shop import shop_request

RUN = os.environ.get("OPSLOG_LOAD_RUN", "load")
REQUESTS_PER_S = float(os.environ.get("OPSLOG_LOAD_REQUESTS_PER_S", "10"))
"""Per user; 10 users with 10 requests of 100 records are 10,000 records/s."""
RECORDS = int(os.environ.get("OPSLOG_LOAD_RECORDS", "100"))

_numbers = itertools.count()
_acknowledged = itertools.count()


class Service(FastHttpUser):
    """One sender of consecutive batches of a hundred records."""

    wait_time = constant_throughput(REQUESTS_PER_S)
    network_timeout = 15.0
    connection_timeout = 5.0

    @task
    def send(self) -> None:
        """Send one export; retry it unchanged after 429 or 503."""
        body = shop_request(RUN, next(_numbers) * RECORDS, RECORDS, time.time_ns())
        headers = {"Content-Type": "application/x-protobuf"}
        while True:
            with self.client.post("/v1/logs", data=body, headers=headers) as response:
                if response.status_code == 200:
                    next(_acknowledged)
                    return
                if response.status_code not in {429, 503}:
                    return
            time.sleep(1)


@events.quitting.add_listener
def _report(**_: object) -> None:
    print(f"acknowledged_records={next(_acknowledged) * RECORDS}")
