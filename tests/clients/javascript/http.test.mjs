// The HTTP client that kinto.js is built on: lists, batches, conditions and permissions.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import kinto from "kinto";

const { KintoClient } = kinto;
const remote = process.env.SERVER_URL;
const headers = { Authorization: `Basic ${Buffer.from("alexis:p4ssw0rd").toString("base64")}` };
const client = new KintoClient(remote, { headers });
const shop = client.bucket("shop");
const fruits = shop.collection("fruits");

beforeEach(async () => {
  await fetch(`${remote}/__flush__`, { method: "POST" });
  await client.createBucket("shop");
  await shop.createCollection("fruits");
});

const fill = (count) =>
  fruits.batch((batch) => {
    for (let i = 0; i < count; i++) batch.createRecord({ name: `fruit ${i}`, stock: i });
  });

test("the server describes itself", async () => {
  assert.match(await client.fetchHTTPApiVersion(), /^1\.\d+$/);
  assert.equal((await client.fetchServerSettings()).batch_max_requests, 25);
  assert.match((await client.fetchUser()).id, /^basicauth:/);
  assert.ok((await client.fetchServerCapabilities()).default_bucket);
});

test("lists are sorted, filtered and paged", async () => {
  await fill(45);
  const page = await fruits.listRecords({ sort: "-stock", limit: 10, filters: { min_stock: 20 } });
  assert.deepEqual(page.data.map((it) => it.stock), [44, 43, 42, 41, 40, 39, 38, 37, 36, 35]);
  assert.equal(page.hasNextPage, true);
  const next = await page.next();
  assert.equal(next.data[0].stock, 34);
  const all = await fruits.listRecords({ pages: Infinity });
  assert.equal(all.data.length, 45);
  assert.equal(await fruits.getTotalRecords(), 45);
});

test("changes since a timestamp", async () => {
  await fill(3);
  const since = await fruits.getRecordsTimestamp();
  const { data } = await fruits.createRecord({ name: "late" });
  await fruits.deleteRecord(data.id);
  const changes = await fruits.listRecords({ since });
  assert.deepEqual(changes.data.map((it) => [it.id, it.deleted]), [[data.id, true]]);
});

test("an aggregated batch tells what became of each record", async () => {
  const known = (await fruits.createRecord({ name: "known" })).data;
  const result = await fruits.batch(
    (batch) => {
      batch.createRecord({ id: known.id, name: "again" }, { safe: true });
      batch.createRecord({ name: "new" });
      batch.deleteRecord("5f2c2f5e-0000-4000-8000-000000000000");
    },
    { aggregate: true },
  );
  assert.equal(result.published.length, 1);
  assert.equal(result.conflicts.length, 1);
  assert.equal(result.conflicts[0].remote.name, "known");
  assert.equal(result.skipped.length, 1);
  assert.deepEqual(result.errors, []);
});

test("conditions protect from lost updates", async () => {
  const { data } = await fruits.createRecord({ name: "apple" });
  await fruits.updateRecord({ ...data, name: "pear" }, { safe: true });
  const stale = fruits.updateRecord({ ...data, name: "plum" }, { safe: true });
  await assert.rejects(stale, /HTTP 412/);
});

test("permissions of single principals", async () => {
  await fruits.addPermissions({ read: ["system.Everyone"] });
  assert.deepEqual((await fruits.getPermissions()).read, ["system.Everyone"]);
  const anonymous = new KintoClient(remote).bucket("shop").collection("fruits");
  assert.deepEqual((await anonymous.listRecords()).data, []);
  await fruits.removePermissions({ read: ["system.Everyone"] });
  await assert.rejects(anonymous.listRecords(), /HTTP 401/);
});

test("deletion of what a filter finds", async () => {
  await fill(10);
  const { data } = await fruits.deleteRecords({ filters: { lt_stock: 4 } });
  assert.equal(data.length, 4);
  assert.equal(await fruits.getTotalRecords(), 6);
});

test("attributes are set and patched", async () => {
  await fruits.setData({ color: "red" });
  await fruits.setData({ size: 3 }, { patch: true });
  const data = await fruits.getData();
  assert.deepEqual([data.color, data.size], ["red", 3]);
  await shop.createGroup("staff", ["basicauth:1"]);
  await shop.updateGroup({ id: "staff", members: ["basicauth:2"] });
  assert.deepEqual((await shop.getGroup("staff")).data.members, ["basicauth:2"]);
});
