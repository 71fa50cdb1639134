"""The examples of the README of kinto-http.py, as tests."""

import argparse
import asyncio
import datetime
import re

import kinto_http
import pytest
import requests
from conftest import SERVER_URL
from kinto_http import cli_utils
from kinto_http.exceptions import BucketNotFound, CollectionNotFound, KintoBatchException, KintoException
from kinto_http.patch_type import BasicPatch, JSONPatch, MergePatch


def status_of(error):
    return error.value.response.status_code


def titles(records):
    return [record["title"] for record in records]


class TestQuickstart:
    def test_records_of_the_default_bucket(self, client):
        for _ in range(3):
            client.create_record(data={"title": "?"}, bucket="default", collection="todos")
        records = client.get_records(bucket="default", collection="todos")
        for i, record in enumerate(records):
            record["title"] = f"Todo {i}"
            client.update_record(data=record, bucket="default", collection="todos")
        records = client.get_records(bucket="default", collection="todos", _sort="title")
        assert titles(records) == ["Todo 0", "Todo 1", "Todo 2"]

    def test_default_bucket_is_personal(self, client, other):
        client.create_record(data={"title": "mine"}, collection="todos")
        other.create_record(data={"title": "his"}, collection="todos")
        assert titles(client.get_records(collection="todos")) == ["mine"]
        assert titles(other.get_records(collection="todos")) == ["his"]
        assert client.get_bucket()["data"]["id"] != other.get_bucket()["data"]["id"]


class TestClient:
    def test_server_info(self, client):
        info = client.server_info()
        assert "schema" in info["capabilities"], "Server doesn't support schema validation."
        assert info["user"]["id"].startswith("basicauth:")
        assert info["settings"]["batch_max_requests"] == 25
        assert re.fullmatch(r"1\.\d+", info["http_api_version"])

    def test_clone_with_another_collection(self, client):
        receipts = client.clone(bucket="default", collection="receipts")
        orders = receipts.clone(collection="orders")
        receipts.create_record(data={"title": "receipt"})
        orders.create_record(data={"title": "order"})
        assert titles(receipts.get_records()) == ["receipt"]
        assert titles(orders.get_records()) == ["order"]

    def test_custom_headers(self, client):
        tuned = kinto_http.Client(
            server_url=SERVER_URL,
            auth=("alexis", "p4ssw0rd"),
            headers={"Allow-Access": "CDN", "User-Agent": "blocklist-updater"},
        )
        assert tuned.server_info()["user"]["id"] == client.server_info()["user"]["id"]

    def test_bearer_token_of_an_unknown_kind_is_anonymous(self):
        client = kinto_http.Client(server_url=SERVER_URL, auth=kinto_http.BearerTokenAuth("XYPJTNsFKV2"))
        assert "user" not in client.server_info()

    def test_async_client(self):
        async def story():
            client = kinto_http.AsyncClient(server_url=SERVER_URL, auth=("alexis", "p4ssw0rd"))
            await client.create_bucket(id="async")
            await client.create_collection(id="todos", bucket="async")
            await asyncio.gather(
                *(
                    client.create_record(data={"title": str(i)}, bucket="async", collection="todos")
                    for i in range(20)
                )
            )
            return await client.get_records(bucket="async", collection="todos", _sort="title")

        assert titles(asyncio.run(story())) == sorted(str(i) for i in range(20))

    def test_client_from_command_line_arguments(self):
        parser = argparse.ArgumentParser(description="Download records")
        cli_utils.add_parser_options(parser)
        words = ["-s", SERVER_URL, "-a", "alexis:p4ssw0rd", "-b", "default", "-c", "todos"]
        client = cli_utils.create_client_from_args(parser.parse_args(words))
        client.create_record(data={"title": "from a script"})
        assert titles(client.get_records()) == ["from a script"]

    def test_endpoints_are_those_of_the_server(self, todos):
        record = todos.create_record(data={"title": "here"})["data"]
        path = todos.get_endpoint("record", id=record["id"])
        response = requests.get(SERVER_URL + path, auth=("alexis", "p4ssw0rd"), timeout=30)
        assert response.json()["data"] == record


class TestBuckets:
    def test_life_of_a_bucket(self, client):
        created = client.create_bucket(id="blog", data={"theme": "dark"})
        assert created["data"]["theme"] == "dark"
        assert created["permissions"]["write"] == [client.server_info()["user"]["id"]]
        assert client.get_bucket(id="blog") == created
        updated = client.update_bucket(id="blog", data={"lang": "fr"})["data"]
        assert "theme" not in updated and updated["lang"] == "fr"
        patched = client.patch_bucket(id="blog", changes=BasicPatch({"theme": "light"}))["data"]
        assert (patched["theme"], patched["lang"]) == ("light", "fr")
        deleted = client.delete_bucket(id="blog")
        assert deleted["deleted"] is True and deleted["id"] == "blog"
        assert deleted["last_modified"] > patched["last_modified"]

    def test_list_and_delete_all(self, client):
        for name in ("a", "b", "c"):
            client.create_bucket(id=name)
        assert {it["id"] for it in client.get_buckets()} == {"a", "b", "c"}
        assert {it["id"] for it in client.delete_buckets()} == {"a", "b", "c"}
        assert client.get_buckets() == []

    def test_missing_bucket(self, client):
        with pytest.raises(BucketNotFound):
            client.get_bucket(id="nowhere")

    def test_deleting_takes_everything_under_it(self, todos):
        todos.create_record(id="one", data={})
        todos.delete_bucket()
        todos.create_bucket(id="work")
        todos.create_collection(id="todos")
        assert todos.get_records() == []


class TestGroups:
    def test_life_of_a_group(self, client):
        client.create_bucket(id="blog")
        created = client.create_group(id="friends", bucket="blog", data={"members": ["basicauth:1"]})
        assert created["data"]["members"] == ["basicauth:1"]
        assert client.get_group(id="friends", bucket="blog") == created
        client.update_group(id="friends", bucket="blog", data={"members": ["basicauth:2"]})
        changes = JSONPatch([{"op": "add", "path": "/data/members/0", "value": "ldap:user@corp.com"}])
        patched = client.patch_group(id="friends", bucket="blog", changes=changes)["data"]
        assert patched["members"] == ["ldap:user@corp.com", "basicauth:2"]
        client.create_group(id="others", bucket="blog", data={"members": []})
        assert {it["id"] for it in client.get_groups(bucket="blog")} == {"friends", "others"}
        assert client.delete_group(id="others", bucket="blog")["deleted"] is True
        assert [it["id"] for it in client.delete_groups(bucket="blog")] == ["friends"]

    def test_group_in_a_missing_bucket(self, client):
        with pytest.raises(KintoException) as error:
            client.create_group(id="friends", bucket="nowhere", data={"members": []})
        assert status_of(error) == 403


class TestCollections:
    def test_life_of_a_collection(self, client):
        client.create_bucket(id="blog")
        client.create_collection(id="articles", bucket="blog", data={"sort": "date"})
        assert client.get_collection(id="articles", bucket="blog")["data"]["sort"] == "date"
        client.update_collection(id="articles", bucket="blog", data={"sort": "title"})
        client.patch_collection(id="articles", bucket="blog", changes=MergePatch({"sort": None, "n": 1}))
        data = client.get_collection(id="articles", bucket="blog")["data"]
        assert "sort" not in data and data["n"] == 1
        client.create_collection(id="pages", bucket="blog")
        assert {it["id"] for it in client.get_collections(bucket="blog")} == {"articles", "pages"}
        client.delete_collection(id="pages", bucket="blog")
        assert [it["id"] for it in client.delete_collections(bucket="blog")] == ["articles"]

    def test_missing_collection(self, client):
        client.create_bucket(id="blog")
        with pytest.raises(CollectionNotFound):
            client.get_collection(id="nothing", bucket="blog")

    def test_schema_is_enforced(self, client):
        schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
        client.create_bucket(id="blog")
        client.create_collection(id="articles", bucket="blog", data={"schema": schema})
        client.create_record(bucket="blog", collection="articles", data={"title": "fine"})
        with pytest.raises(KintoException) as error:
            client.create_record(bucket="blog", collection="articles", data={"title": 42})
        assert status_of(error) == 400


class TestRecords:
    def test_life_of_a_record(self, todos):
        created = todos.create_record(data={"title": "write tests"})
        id = created["data"]["id"]
        assert todos.get_record(id=id) == created
        updated = todos.update_record(id=id, data={"title": "run tests"})["data"]
        assert updated["last_modified"] > created["data"]["last_modified"]
        assert titles(todos.get_records()) == ["run tests"]
        tombstone = todos.delete_record(id=id)
        assert tombstone == {"id": id, "last_modified": tombstone["last_modified"], "deleted": True}
        with pytest.raises(KintoException) as error:
            todos.get_record(id=id)
        assert status_of(error) == 404

    def test_delete_all(self, todos):
        ids = {todos.create_record(data={})["data"]["id"] for _ in range(4)}
        assert {it["id"] for it in todos.delete_records()} == ids
        assert todos.get_records() == []

    def test_deleted_ones_are_listed_since(self, todos):
        before = todos.get_records_timestamp()
        todos.create_record(id="kept", data={})
        todos.create_record(id="gone", data={})
        todos.delete_record(id="gone")
        changes = {it["id"]: it.get("deleted", False) for it in todos.get_records(_since=before)}
        assert changes == {"kept": False, "gone": True}

    def test_timestamp_follows_writes(self, todos):
        created = todos.create_record(data={})["data"]
        fresh = todos.clone()
        assert fresh.get_records_timestamp() == str(created["last_modified"])

    def test_dates_become_strings(self, todos):
        when = datetime.datetime(2024, 2, 29, 12, 30)
        todos.create_record(id="leap", data={"when": when, "day": when.date()})
        data = todos.get_record(id="leap")["data"]
        assert (data["when"], data["day"]) == ("2024-02-29T12:30:00", "2024-02-29")

    def test_text_of_any_language(self, todos):
        title = "Ünïcödé 日本語 🎉 \\ \" /"
        todos.create_record(id="text", data={"title": title, "ключ": [None, True, 1.5, {"": []}]})
        data = todos.get_record(id="text")["data"]
        assert data["title"] == title and data["ключ"] == [None, True, 1.5, {"": []}]

    def test_filters_sorts_and_fields(self, todos):
        for i in range(6):
            todos.create_record(id=f"r{i}", data={"title": f"Todo {i}", "n": i, "odd": i % 2 == 1})
        assert titles(todos.get_records(odd=True, _sort="-n")) == ["Todo 5", "Todo 3", "Todo 1"]
        assert titles(todos.get_records(min_n=2, max_n=4, _sort="n")) == ["Todo 2", "Todo 3", "Todo 4"]
        assert titles(todos.get_records(lt_n=1)) == ["Todo 0"]
        assert titles(todos.get_records(not_n=0, gt_n=4)) == ["Todo 5"]
        assert titles(todos.get_records(in_title=["Todo 0", "Todo 5"], _sort="n")) == ["Todo 0", "Todo 5"]
        assert titles(todos.get_records(exclude_id=["r0", "r1", "r2", "r3"], _sort="n")) == ["Todo 4", "Todo 5"]
        assert titles(todos.get_records(like_title="*do 3")) == ["Todo 3"]
        assert set(todos.get_records(_fields="n", n=1)[0]) == {"id", "last_modified", "n"}
        assert todos.get_records(has_missing=False, n=2)[0]["id"] == "r2"


class TestPatches:
    @pytest.fixture
    def record(self, todos):
        data = {"over": "ride", "nested": {"keep": 1, "drop": 2}, "members": ["a"]}
        return todos.create_record(id="abc", data=data)["data"]

    def test_basic_patch_replaces_attributes(self, todos, record):
        todos.patch_record(id="abc", changes=BasicPatch({"over": "write", "nested": {"new": 3}}))
        data = todos.get_record(id="abc")["data"]
        assert (data["over"], data["nested"], data["members"]) == ("write", {"new": 3}, ["a"])

    def test_merge_patch_is_recursive_and_removes_nulls(self, todos, record):
        todos.patch_record(id="abc", changes=MergePatch({"nested": {"drop": None, "new": 3}, "over": None}))
        data = todos.get_record(id="abc")["data"]
        assert data["nested"] == {"keep": 1, "new": 3} and "over" not in data

    def test_json_patch_is_a_sequence_of_operations(self, todos, record):
        operations = [
            {"op": "test", "path": "/data/over", "value": "ride"},
            {"op": "add", "path": "/data/members/0", "value": "ldap:user@corp.com"},
            {"op": "move", "from": "/data/nested/keep", "path": "/data/kept"},
            {"op": "remove", "path": "/data/nested"},
            {"op": "add", "path": "/permissions/read/system.Everyone"},
        ]
        patched = todos.patch_record(id="abc", changes=JSONPatch(operations))
        assert patched["data"]["members"] == ["ldap:user@corp.com", "a"]
        assert patched["data"]["kept"] == 1 and "nested" not in patched["data"]
        assert patched["permissions"]["read"] == ["system.Everyone"]

    def test_json_patch_whose_test_fails_changes_nothing(self, todos, record):
        operations = [
            {"op": "remove", "path": "/data/over"},
            {"op": "test", "path": "/data/members", "value": ["b"]},
        ]
        with pytest.raises(KintoException) as error:
            todos.patch_record(id="abc", changes=JSONPatch(operations))
        assert status_of(error) == 400
        assert todos.get_record(id="abc")["data"] == record

    def test_patch_without_changes_keeps_the_timestamp(self, todos, record):
        patched = todos.patch_record(id="abc", changes=BasicPatch({"over": "ride"}))["data"]
        assert patched["last_modified"] >= record["last_modified"]
        assert patched["over"] == "ride"


class TestPermissions:
    def test_sharing_a_record(self, todos, other):
        theirs = other.clone(bucket="work", collection="todos")
        todos.create_record(id="secret", data={"title": "secret"})
        with pytest.raises(KintoException) as error:
            theirs.get_record(id="secret")
        assert status_of(error) == 403

        friend = other.server_info()["user"]["id"]
        todos.patch_record(id="secret", changes=BasicPatch(permissions={"read": [friend]}))
        assert theirs.get_record(id="secret")["data"]["title"] == "secret"
        assert titles(theirs.get_records()) == ["secret"]
        with pytest.raises(KintoException) as error:
            theirs.update_record(id="secret", data={"title": "public"})
        assert status_of(error) == 403

    def test_sharing_with_a_group(self, todos, other):
        friend = other.server_info()["user"]["id"]
        todos.create_group(id="team", data={"members": [friend]})
        todos.create_record(id="plan", data={"title": "plan"}, permissions={"write": ["/buckets/work/groups/team"]})
        theirs = other.clone(bucket="work", collection="todos")
        record = theirs.get_record(id="plan")
        record["permissions"]["write"].append("basicauth:leplatrem")
        record["data"]["title"] = "our plan"
        theirs.update_record(data=record["data"], permissions=record["permissions"])
        after = todos.get_record(id="plan")
        assert after["data"]["title"] == "our plan"
        assert "basicauth:leplatrem" in after["permissions"]["write"]

    def test_anonymous_reader(self, todos):
        todos.create_record(id="news", data={"title": "news"}, permissions={"read": ["system.Everyone"]})
        anonymous = kinto_http.Client(server_url=SERVER_URL, bucket="work", collection="todos")
        assert anonymous.get_record(id="news")["data"]["title"] == "news"
        with pytest.raises(KintoException) as error:
            anonymous.create_record(data={})
        assert status_of(error) == 401

    def test_all_permissions(self, todos):
        todos.create_record(id="one", data={})
        entries = todos.get_permissions(exclude_resource_names=("record",))
        assert {it["resource_name"] for it in entries} == {"root", "bucket", "collection"}
        assert any(it["collection_id"] == "todos" and "write" in it["permissions"] for it in entries if "collection_id" in it)
        assert "record" in {it["resource_name"] for it in todos.get_permissions()}


class TestConcurrencyControl:
    def test_safe_creation_does_not_overwrite(self, todos):
        todos.create_record(id="once", data={"title": "first"})
        with pytest.raises(KintoException) as error:
            todos.create_record(id="once", data={"title": "second"})
        assert status_of(error) == 412
        todos.create_record(id="once", data={"title": "third"}, safe=False)
        assert titles(todos.get_records()) == ["third"]

    def test_safe_update_of_an_old_version_fails(self, todos):
        old = todos.create_record(id="doc", data={"title": "v1"})["data"]
        new = todos.update_record(data={**old, "title": "v2"})["data"]
        with pytest.raises(KintoException) as error:
            todos.update_record(data={**old, "title": "v2 bis"})
        assert status_of(error) == 412
        details = error.value.response.json()
        assert details["errno"] == 114 and details["details"]["existing"] == new
        todos.update_record(data={**old, "title": "v3"}, safe=False)
        assert titles(todos.get_records()) == ["v3"]

    def test_if_match_on_every_verb(self, todos):
        first = todos.create_record(id="doc", data={})["data"]["last_modified"]
        second = todos.update_record(id="doc", data={"n": 1}, if_match=first)["data"]["last_modified"]
        for attempt in (
            lambda: todos.update_record(id="doc", data={"n": 2}, if_match=first),
            lambda: todos.patch_record(id="doc", changes=BasicPatch({"n": 2}), if_match=first),
            lambda: todos.delete_record(id="doc", if_match=first),
            lambda: todos.delete_records(if_match=first),
        ):
            with pytest.raises(KintoException) as error:
                attempt()
            assert status_of(error) == 412
        todos.delete_record(id="doc", if_match=second)

    def test_unchanged_list_is_not_sent_again(self, todos):
        todos.create_record(data={})
        timestamp = todos.get_records_timestamp()
        assert todos.get_records(if_none_match=timestamp) == []  # 304
        todos.create_record(data={})
        assert len(todos.get_records(if_none_match=timestamp)) == 2

    def test_get_or_create(self, client):
        first = client.create_bucket(id="blog", if_not_exists=True)
        assert client.create_bucket(id="blog", if_not_exists=True) == first
        first = client.create_collection(id="articles", bucket="blog", if_not_exists=True)
        assert client.create_collection(id="articles", bucket="blog", if_not_exists=True) == first
        data = {"members": []}
        first = client.create_group(id="team", bucket="blog", data=data, if_not_exists=True)
        assert client.create_group(id="team", bucket="blog", data=data, if_not_exists=True) == first
        where = {"id": "one", "bucket": "blog", "collection": "articles"}
        first = client.create_record(**where, data={"n": 1}, if_not_exists=True)
        assert client.create_record(**where, data={"n": 2}, if_not_exists=True) == first

    def test_delete_if_exists(self, client):
        client.create_bucket(id="bucket")
        assert client.delete_bucket(id="bucket", if_exists=True)["deleted"] is True
        assert client.delete_bucket(id="bucket", if_exists=True) is None
        client.create_bucket(id="bucket")
        assert client.delete_collection(id="none", bucket="bucket", if_exists=True) is None
        assert client.delete_group(id="none", bucket="bucket", if_exists=True) is None
        client.create_collection(id="todos", bucket="bucket")
        assert client.delete_record(id="none", bucket="bucket", collection="todos", if_exists=True) is None


class TestBatch:
    def test_more_operations_than_fit_in_one_request(self, todos):
        with todos.batch() as batch:
            for index in range(100):
                batch.update_record(data={"id": str(index), "n": index})
        assert len(batch.results()) == 100
        assert [it["n"] for it in todos.get_records(_sort="n")] == list(range(100))

    def test_results_come_in_order(self, todos):
        with todos.batch() as batch:
            batch.create_record(id="r1", data={"n": 1})
            batch.patch_record(id="r1", changes=MergePatch({"n": 2}))
            batch.create_record(id="r2", data={"n": 3})
            batch.delete_record(id="r2")
        r1, patched, r2, deleted = batch.results()
        assert (r1["data"]["n"], patched["data"]["n"], r2["data"]["n"]) == (1, 2, 3)
        assert deleted["data"]["deleted"] is True
        timestamps = [it["data"]["last_modified"] for it in (r1, patched, r2, deleted)]
        assert timestamps == sorted(set(timestamps))

    def test_everything_from_the_bucket_down_in_one_batch(self, client):
        with client.batch(bucket="blog", collection="articles") as batch:
            batch.create_bucket(id="blog")
            batch.create_collection(id="articles")
            batch.create_group(id="team", data={"members": []})
            batch.create_record(id="hello", data={"title": "Hello"})
            batch.get_group(id="team")
        assert batch.results()[4]["data"]["id"] == "team"
        assert titles(client.get_records(bucket="blog", collection="articles")) == ["Hello"]

    def test_refused_operations_do_not_hold_back_the_others(self, todos):
        todos.create_record(id="taken", data={"n": 0})
        with pytest.raises(KintoBatchException) as error:
            with todos.batch() as batch:
                batch.create_record(id="taken", data={"n": 1})
                batch.create_record(id="free", data={"n": 2})
        assert [status.response.status_code for status in error.value.exceptions] == [412]
        assert {it["id"]: it["n"] for it in todos.get_records()} == {"taken": 0, "free": 2}

    def test_ignored_refusals(self, todos):
        client = kinto_http.Client(
            server_url=SERVER_URL,
            auth=("alexis", "p4ssw0rd"),
            bucket="work",
            collection="todos",
            ignore_batch_4xx=True,
        )
        with client.batch() as batch:
            batch.create_record(id="one", data={})
            batch.create_record(id="one", data={})
        assert [it.get("code") for it in batch.results()] == [None, 412]


class TestPages:
    @pytest.fixture(autouse=True)
    def hundred(self, todos):
        with todos.batch() as batch:
            for i in range(100):
                batch.create_record(id=f"r{i:03}", data={"title": f"Todo {i:03}", "group": i // 10})

    def test_one_page(self, todos):
        assert len(todos.get_records(_limit=10)) == 10

    def test_all_pages(self, todos):
        records = todos.get_records(_limit=7, pages=float("inf"), _sort="title")
        assert titles(records) == [f"Todo {i:03}" for i in range(100)]

    def test_some_pages(self, todos):
        assert len(todos.get_records(_limit=10, pages=3)) == 30

    def test_pages_one_by_one(self, todos):
        pages = [page["data"] for page in todos.get_paginated_records(_limit=15)]
        assert [len(page) for page in pages] == [15] * 6 + [10]
        assert len({it["id"] for page in pages for it in page}) == 100

    def test_pages_with_equal_sort_keys(self, todos):
        records = todos.get_records(_limit=9, pages=float("inf"), _sort="-group,title", min_group=5)
        assert titles(records) == [f"Todo {g * 10 + i:03}" for g in range(9, 4, -1) for i in range(10)]


class TestErrors:
    def test_forbidden(self, todos, other):
        with pytest.raises(KintoException) as error:
            other.create_group(id="friends", bucket="work", data={"members": []})
        assert status_of(error) == 403
        body = error.value.response.json()
        assert (body["code"], body["errno"], body["error"]) == (403, 121, "Forbidden")

    def test_invalid_data(self, todos):
        with pytest.raises(KintoException) as error:
            todos.create_record(id="one", data={}, permissions={"fly": ["system.Everyone"]})
        assert status_of(error) == 400
        assert error.value.response.json()["errno"] == 107
