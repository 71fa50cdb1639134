// kinto.js syncs one collection between two devices: both directions, and the conflicts.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import "fake-indexeddb/auto";
import kinto from "kinto";

const Kinto = kinto.default;
const { CLIENT_WINS, SERVER_WINS, MANUAL, PULL_ONLY } = Kinto.syncStrategy;
const remote = process.env.SERVER_URL;
const headers = { Authorization: `Basic ${Buffer.from("alexis:p4ssw0rd").toString("base64")}` };

let turn = 0;
let phone, laptop;

// A device is a client with a database of its own.
function device(name) {
  const dbName = `${name}-${turn}`;
  const client = new Kinto({ remote, headers, bucket: "default", adapterOptions: { dbName } });
  return client.collection("tasks");
}

async function titles(collection) {
  const { data } = await collection.list({ order: "title" });
  return data.map((record) => record.title);
}

async function sync(collection, options) {
  const result = await collection.sync(options);
  assert.deepEqual(result.errors, []);
  return result;
}

// One task, known to both devices and to the server.
async function sharedTask(title) {
  const { data } = await phone.create({ title });
  await sync(phone);
  await sync(laptop);
  return (await laptop.get(data.id)).data;
}

async function edit(collection, id, title) {
  const { data } = await collection.get(id);
  await collection.update({ ...data, title });
}

beforeEach(async () => {
  const response = await fetch(`${remote}/__flush__`, { method: "POST" });
  assert.equal(response.status, 202);
  turn += 1;
  phone = device("phone");
  laptop = device("laptop");
});

afterEach(() => Promise.all([phone, laptop].map((collection) => collection.db.close())));

test("records of one device reach the other", async () => {
  await phone.create({ title: "buy bread" });
  const pushed = await sync(phone);
  assert.equal(pushed.published.length, 1);
  const pulled = await sync(laptop);
  assert.equal(pulled.created.length, 1);
  assert.deepEqual(await titles(laptop), ["buy bread"]);
  assert.equal(pulled.lastModified, pushed.lastModified);
});

test("both devices create before they meet", async () => {
  await phone.create({ title: "a" });
  await laptop.create({ title: "b" });
  await sync(phone);
  await sync(laptop);
  await sync(phone);
  assert.deepEqual(await titles(phone), ["a", "b"]);
  assert.deepEqual(await titles(laptop), ["a", "b"]);
});

test("updates and deletions go both ways", async () => {
  const first = await sharedTask("first");
  const second = await sharedTask("second");
  await edit(laptop, first.id, "first, done");
  await sync(laptop);
  await phone.delete(second.id);
  const result = await sync(phone);
  assert.equal(result.updated.length, 1);
  assert.deepEqual(await titles(phone), ["first, done"]);
  const other = await sync(laptop);
  assert.equal(other.deleted.length, 1);
  assert.deepEqual(await titles(laptop), ["first, done"]);
});

test("a sync with nothing new changes nothing", async () => {
  await sharedTask("quiet");
  const result = await sync(laptop);
  for (const list of ["created", "updated", "deleted", "published", "conflicts", "skipped"]) {
    assert.deepEqual(result[list], [], list);
  }
});

test("more records than fit in a page or in a batch", async () => {
  const expected = [];
  for (let i = 100; i < 160; i++) {
    expected.push(`task ${i}`);
    await phone.create({ title: `task ${i}` });
  }
  const pushed = await sync(phone);
  assert.equal(pushed.published.length, 60);
  const pulled = await sync(laptop);
  assert.equal(pulled.created.length, 60);
  assert.deepEqual(await titles(laptop), expected);
});

test("a conflict waits for a decision, and the decision reaches everyone", async () => {
  const { id } = await sharedTask("draft");
  await edit(phone, id, "of the phone");
  await edit(laptop, id, "of the laptop");
  await sync(phone);

  const result = await laptop.sync({ strategy: MANUAL });
  assert.equal(result.ok, false);
  assert.equal(result.conflicts.length, 1);
  const [conflict] = result.conflicts;
  assert.equal(conflict.type, "incoming");
  assert.deepEqual([conflict.local.title, conflict.remote.title], ["of the laptop", "of the phone"]);

  await laptop.resolve(conflict, { ...conflict.remote, title: "of both" });
  assert.equal((await sync(laptop)).ok, true);
  await sync(phone);
  assert.deepEqual(await titles(phone), ["of both"]);
  assert.deepEqual(await titles(laptop), ["of both"]);
});

test("the client wins if it wants to", async () => {
  const { id } = await sharedTask("draft");
  await edit(phone, id, "of the phone");
  await edit(laptop, id, "of the laptop");
  await sync(phone);
  const result = await sync(laptop, { strategy: CLIENT_WINS });
  assert.equal(result.resolved.length, 1);
  await sync(phone);
  assert.deepEqual(await titles(phone), ["of the laptop"]);
});

test("the server wins if the client wants it", async () => {
  const { id } = await sharedTask("draft");
  await edit(phone, id, "of the phone");
  await edit(laptop, id, "of the laptop");
  await sync(phone);
  const result = await sync(laptop, { strategy: SERVER_WINS });
  assert.equal(result.resolved.length, 1);
  assert.deepEqual(await titles(laptop), ["of the phone"]);
});

test("a record deleted here and changed there is a conflict with the server's version", async () => {
  const { id } = await sharedTask("draft");
  await edit(phone, id, "still needed");
  await sync(phone);
  await laptop.delete(id);
  const result = await laptop.sync({ strategy: MANUAL });
  assert.equal(result.conflicts.length, 1);
  assert.equal(result.conflicts[0].type, "outgoing");
  assert.equal(result.conflicts[0].remote.title, "still needed");
});

test("a record changed here and deleted there is a conflict with a tombstone", async () => {
  const { id } = await sharedTask("draft");
  await phone.delete(id);
  await sync(phone);
  await edit(laptop, id, "still needed");
  const result = await laptop.sync({ strategy: MANUAL });
  assert.equal(result.conflicts.length, 1);
  assert.equal(result.conflicts[0].remote.deleted, true);
  const second = await sync(laptop, { strategy: CLIENT_WINS });
  assert.equal(second.conflicts.length, 0);
  await sync(phone);
  assert.deepEqual(await titles(phone), ["still needed"]);
});

test("two devices create the same id", async () => {
  const id = "0b3b3ab5-6a04-4ac7-9ae0-3d2f5e4d3a11";
  await phone.create({ id, title: "of the phone" }, { useRecordId: true });
  await laptop.create({ id, title: "of the laptop" }, { useRecordId: true });
  await sync(phone);
  const result = await laptop.sync({ strategy: MANUAL });
  assert.equal(result.conflicts.length, 1);
  assert.equal(result.conflicts[0].remote.title, "of the phone");
});

test("pull only sends nothing", async () => {
  await phone.create({ title: "published" });
  await sync(phone);
  await laptop.create({ title: "private" });
  const result = await sync(laptop, { strategy: PULL_ONLY });
  assert.equal(result.published.length, 0);
  await sync(phone);
  assert.deepEqual(await titles(phone), ["published"]);
});

test("a flushed server is noticed, and filled again", async () => {
  await sharedTask("precious");
  await fetch(`${remote}/__flush__`, { method: "POST" });
  await assert.rejects(laptop.sync(), /Server has been flushed/);
  await laptop.resetSyncStatus();
  await sync(laptop);
  const fresh = device("tablet");
  await sync(fresh);
  assert.deepEqual(await titles(fresh), ["precious"]);
  await fresh.db.close();
});
