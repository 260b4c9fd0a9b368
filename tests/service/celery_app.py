"""A task that says what it reads, and in which process, for Celery's prefork pool."""

import os
import time

from celery import Celery

from receiver import SecretCache
from tests.service.celery_broker import settings


app = Celery("tests")
app.conf.update(settings(os.environ["TEST_FOLDER"]))
cache = SecretCache(os.environ["GOOGLE_CLOUD_PROJECT"])
key = cache.secret("API_KEY")
if "TEST_LOADED" in os.environ:
    cache.load()  # in the process that forks the pool


@app.task
def served():
    # Holding the process for a moment spreads tasks over all of the pool.
    time.sleep(0.1)
    return [os.getpid(), key.version]
