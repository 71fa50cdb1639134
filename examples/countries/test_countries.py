"""The answers, on a real server. `COUNTRIES` is the path of the data."""

import os
import subprocess
import sys

import countries
import kinto_http
import pytest

SERVER_URL = os.environ["SERVER_URL"]
AUTH = ("geographer", "s3cr3t")
DATA = os.environ.get("COUNTRIES", countries.DATA)


@pytest.fixture(scope="module")
def client():
    client = countries.connect(SERVER_URL, AUTH)
    assert countries.load(client, DATA) == 250
    return client


def test_the_largest_countries_without_a_coast(client):
    assert countries.largest_landlocked(client) == [
        ("Kazakhstan", 2724900),
        ("Mongolia", 1564110),
        ("Chad", 1284000),
        ("Niger", 1267000),
        ("Mali", 1240192),
    ]


def test_neighbors_that_pay_in_euros(client):
    expected = ["Austria", "Belgium", "France", "Luxembourg", "Netherlands"]
    assert countries.neighbors_with_currency(client, "DEU", "EUR") == expected


def test_members_of_the_united_nations(client):
    # One more than there are: the data counts the Vatican.
    regions = countries.members_by_region(client)
    assert regions == {"Africa": 54, "Americas": 35, "Asia": 46, "Europe": 45, "Oceania": 14}
    assert regions == countries.members_by_region(client, page_size=7)


def test_loading_again_replaces_everything(client):
    before = int(client.get_records_timestamp())
    assert countries.load(client, DATA) == 250
    assert len(client.get_records(pages=float("inf"))) == 250
    assert int(countries.connect(SERVER_URL, AUTH).get_records_timestamp()) > before


def test_anybody_may_read(client):
    anybody = kinto_http.Client(server_url=SERVER_URL, bucket="atlas", collection="countries")
    assert anybody.get_record(id="CHE")["data"]["name"]["native"]["roh"]["common"] == "Svizra"


def test_the_script_prints_the_answers():
    options = ["--auth", ":".join(AUTH), "--data", str(DATA)]
    command = [sys.executable, countries.__file__, SERVER_URL, *options]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.startswith("250 countries loaded\n")
    assert "Austria, Belgium, France, Luxembourg, Netherlands\n" in output
