#!/usr/bin/env python3
"""Load the countries of the world into a server, and ask it three questions.

    npm install
    pip install -r requirements.txt
    python countries.py http://127.0.0.1:8888/v1 --auth admin:PASSWORD
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import kinto_http

DATA = Path(__file__).parent / "node_modules/world-countries/countries.json"


def connect(server_url, auth):
    return kinto_http.Client(
        server_url=server_url,
        auth=auth,
        bucket="atlas",
        collection="countries",
    )


def load(client, path=DATA):
    """Write all countries; those that are there already are replaced. Returns how many."""
    countries = json.loads(Path(path).read_text(encoding="utf-8"))
    client.create_bucket(if_not_exists=True)
    # Anybody may read this collection.
    everybody = {"read": ["system.Everyone"]}
    client.create_collection(permissions=everybody, if_not_exists=True)
    # The client cuts the batch into as many requests as the server wants.
    with client.batch() as batch:
        for country in countries:
            batch.update_record(id=country["cca3"], data=country, safe=False)
    return len(countries)


def name(country):
    return country["name"]["common"]


def largest_landlocked(client, count=5):
    """The largest countries without a coast, with their areas: a filter, a sort and a limit."""
    found = client.get_records(landlocked=True, _sort="-area", _limit=count, _fields="name.common,area")
    return [(name(country), country["area"]) for country in found]


def neighbors_with_currency(client, code, currency):
    """The neighbors of a country that pay with a currency: what is in a list, and in an object."""
    filters = {f"has_currencies.{currency}": True, "contains_borders": [code]}
    found = client.get_records(**filters, _sort="name.common", _fields="name.common")
    return [name(country) for country in found]


def members_by_region(client, page_size=20):
    """How many members of the United Nations each region has: page by page."""
    regions = Counter()
    pages = client.get_paginated_records(
        unMember=True, _sort="region,name.common", _fields="region", _limit=page_size
    )
    for page in pages:
        regions.update(country["region"] for country in page["data"])
    return dict(regions)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("server", help="address of the server, such as http://127.0.0.1:8888/v1")
    parser.add_argument("--auth", required=True, metavar="NAME:PASSWORD", help="who loads the data")
    parser.add_argument("--data", default=DATA, help="countries.json of the package world-countries")
    arguments = parser.parse_args()

    client = connect(arguments.server, tuple(arguments.auth.split(":", 1)))
    print(f"{load(client, arguments.data)} countries loaded")
    print("\nThe largest countries without a coast (km²):")
    for country, area in largest_landlocked(client):
        print(f"  {country:<15} {area:>9,}")
    print("\nNeighbors of Germany that pay in euros:")
    print("  " + ", ".join(neighbors_with_currency(client, "DEU", "EUR")))
    print("\nMembers of the United Nations by region:")
    for region, count in sorted(members_by_region(client).items()):
        print(f"  {region:<15} {count:>3}")


if __name__ == "__main__":
    main()
