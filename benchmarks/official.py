"""Google's own client, connected to the local cloud: what a service uses without keyturn."""

import contextlib
import os
from collections.abc import Iterator

import grpc
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import SecretManagerServiceGrpcTransport


@contextlib.contextmanager
def official_client() -> Iterator[SecretManagerServiceClient]:
    with grpc.insecure_channel(os.environ["SECRET_MANAGER_EMULATOR_HOST"]) as channel:
        yield SecretManagerServiceClient(transport=SecretManagerServiceGrpcTransport(channel=channel))
