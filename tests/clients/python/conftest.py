"""A client on an empty server, for each test."""

import os

import kinto_http
import pytest
import requests

SERVER_URL = os.environ["SERVER_URL"]


@pytest.fixture(autouse=True)
def empty_server():
    requests.post(f"{SERVER_URL}/__flush__", timeout=30).raise_for_status()


@pytest.fixture
def client():
    return kinto_http.Client(server_url=SERVER_URL, auth=("alexis", "p4ssw0rd"), timeout=30)


@pytest.fixture
def other():
    """Somebody else."""
    return kinto_http.Client(server_url=SERVER_URL, auth=("bob", "s3cr3t"), timeout=30)


@pytest.fixture
def todos(client):
    """A client whose default bucket and collection exist."""
    client.create_bucket(id="work")
    client.create_collection(id="todos", bucket="work")
    return client.clone(bucket="work", collection="todos")
