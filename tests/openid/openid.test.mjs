// Users of two real identity providers, from the login in a browser to the end of their tokens.
//
// The server has started before the providers: the first test sees it without them. The tests are
// one story, in order.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { SignJWT, importJWK } from "jose";

import { browse, newKey, startProvider } from "./provider.mjs";

const { SERVER_URL, ONE_URL, TWO_URL, CLIENT_SECRET, AUDIENCE } = process.env;
// As `verification_ttl_seconds` of both.
const TTL = 2000;
const CALLBACK = "http://127.0.0.1:9/app#token=";
const ADMIN = `Basic ${Buffer.from("admin:secret").toString("base64")}`;

const keys = { one: await newKey("one"), two: await newKey("two") };
const providers = {};

async function start(name, key = keys[name]) {
  providers[name] = await startProvider({
    issuer: name === "one" ? ONE_URL : TWO_URL,
    client: {
      client_id: `client-${name}`,
      client_secret: CLIENT_SECRET,
      redirect_uris: [`${SERVER_URL}/openid/${name}/token`],
    },
    audience: name === "two" ? AUDIENCE : undefined,
    keys: [key],
  });
}

after(() => Promise.all(Object.values(providers).map((provider) => provider.stop())));

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Waits until `check` returns something.
async function until(check, seconds = 15) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await check();
    if (found) return found;
    assert.ok(Date.now() < end, `not within ${seconds} s: ${check}`);
    await sleep(100);
  }
}

function loginUrl(name, more = {}) {
  const query = new URLSearchParams({ callback: CALLBACK, scope: "openid email", ...more });
  return `${SERVER_URL}/openid/${name}/login?${query}`;
}

const get = (url, init) => fetch(url, { redirect: "manual", ...init });

async function send(method, path, authorization, body) {
  const headers = { authorization, "content-type": "application/json" };
  return get(`${SERVER_URL}${path}`, { method, headers, body: body && JSON.stringify(body) });
}

// Logs in as `user`, and returns what the application gets.
async function logIn(name, user) {
  const end = await browse(loginUrl(name), user, CALLBACK);
  const encoded = decodeURIComponent(end.slice(CALLBACK.length));
  return JSON.parse(Buffer.from(encoded, "base64").toString());
}

// Who the server takes somebody with this token for; or the status, if it does not answer.
async function whoIs(token) {
  const response = await get(`${SERVER_URL}/`, { headers: { authorization: `Bearer ${token}` } });
  return response.ok ? (await response.json()).user : response.status;
}

test("the server starts and is healthy without its providers", async () => {
  const hello = await (await get(`${SERVER_URL}/`)).json();
  const [one, two] = hello.capabilities.openid.providers;
  assert.deepEqual(one, {
    name: "one",
    issuer: ONE_URL,
    auth_path: "/openid/one/login",
    client_id: "client-one",
    audience: "",
    header_type: "Bearer",
    userinfo_endpoint: null,
  });
  assert.equal(two.audience, AUDIENCE);
  assert.equal((await get(`${SERVER_URL}/__heartbeat__`)).status, 200);
  assert.equal((await get(loginUrl("one"))).status, 503);
  assert.equal(await whoIs("opaque"), 503);
});

test("providers are known as soon as they are there", async () => {
  await start("one");
  await start("two");
  await until(async () => (await get(loginUrl("one"))).status === 307);
  await until(async () => (await get(loginUrl("two"))).status === 307);
  const hello = await (await get(`${SERVER_URL}/`)).json();
  assert.equal(hello.capabilities.openid.providers[0].userinfo_endpoint, `${ONE_URL}/me`);
});

test("a user logs in and is who they are", async () => {
  const answer = await logIn("one", "alice");
  assert.equal(answer.token_type, "Bearer");
  const user = await whoIs(answer.access_token);
  assert.equal(user.id, "one:alice");
  assert.ok(user.principals.includes("one:alice"));
  assert.deepEqual(user.profile, {
    sub: "alice",
    email: "alice@example.org",
    email_verified: true,
  });
  const before = providers.one.asked.length;
  assert.equal((await whoIs(answer.access_token)).id, "one:alice");
  assert.equal(providers.one.asked.length, before, "the answer was remembered");
});

test("users of two providers are two users, with the rights of their groups", async () => {
  const one = `Bearer ${(await logIn("one", "alice")).access_token}`;
  const two = `Bearer ${(await logIn("two", "alice")).access_token}`;
  const group = { data: { members: ["one:alice"] } };
  const collection = { permissions: { write: ["/buckets/blog/groups/authors"] } };
  for (const [path, body] of [
    ["/buckets/blog", {}],
    ["/buckets/blog/groups/authors", group],
    ["/buckets/blog/collections/posts", collection],
  ]) {
    assert.equal((await send("PUT", path, ADMIN, body)).status, 201, path);
  }
  const post = "/buckets/blog/collections/posts/records/first";
  assert.equal((await send("PUT", post, two, { data: {} })).status, 403);
  assert.equal((await send("PUT", post, one, { data: {} })).status, 201);
  const hello = await (await send("GET", "/", one)).json();
  assert.ok(hello.user.principals.includes("/buckets/blog/groups/authors"));
  assert.equal((await (await send("GET", "/", two)).json()).user.id, "two:alice");
  const nobody = await send("PUT", post, "Bearer nonsense", { data: {} });
  assert.equal(nobody.status, 401);
  assert.equal(
    nobody.headers.get("www-authenticate"),
    'Bearer realm="Realm", Bearer realm="Realm", Basic realm="Realm"',
  );
});

test("a login ends once, and at its own provider", async () => {
  const end = await browse(loginUrl("one"), "alice", `${SERVER_URL}/openid/one/token`);
  const elsewhere = end.replace("/openid/one/", "/openid/two/");
  const refused = await get(elsewhere);
  assert.equal(refused.status, 400);
  assert.equal((await refused.json()).details[0].errno, 105);
  assert.equal((await get(end)).status, 400, "the state is used up");
  const again = await browse(loginUrl("one"), "alice", `${SERVER_URL}/openid/one/token`);
  assert.equal((await get(again)).status, 307);
  assert.equal((await get(again)).status, 400);
});

test("an error of the provider reaches the application", async () => {
  const end = await browse(loginUrl("one", { prompt: "none" }), "alice", CALLBACK);
  const parameters = new URLSearchParams(end.slice(CALLBACK.length));
  assert.equal(parameters.get("error"), "login_required");
  assert.ok(parameters.get("error_description"));
});

test("a token for another audience, of another key, or that has expired is nobody's", async () => {
  const { access_token: good } = await logIn("two", "bob");
  const asked = providers.two.asked.filter((path) => path.startsWith("/me"));
  const user = await whoIs(good);
  assert.equal(user.id, "two:bob");
  assert.equal(user.profile.aud, AUDIENCE);
  assert.deepEqual(asked, [], "the signature is enough");
  const now = Math.floor(Date.now() / 1000);
  const sign = async (claims, key = keys.two, header = {}) =>
    new SignJWT({ iss: TWO_URL, aud: AUDIENCE, sub: "bob", exp: now + 60, ...claims })
      .setProtectedHeader({ alg: "ES256", kid: key.kid, typ: "at+jwt", ...header })
      .sign(await importJWK(key, "ES256"));
  assert.equal((await whoIs(await sign({}))).id, "two:bob");
  const [header, claims, signature] = good.split(".");
  for (const [why, token] of [
    ["audience", await sign({ aud: "urn:other" })],
    ["no audience", await sign({ aud: undefined })],
    ["issuer", await sign({ iss: "https://example.org" })],
    ["expired", await sign({ exp: now - 60 })],
    ["not yet", await sign({ nbf: now + 120 })],
    ["key", await sign({}, { ...(await newKey("two")) })],
    ["unknown key", await sign({}, await newKey("forged"))],
    ["claims", [header, Buffer.from('{"sub":"eve"}').toString("base64url"), signature].join(".")],
    ["unsigned", `${Buffer.from('{"alg":"none"}').toString("base64url")}.${claims}.`],
    ["opaque", (await logIn("one", "bob")).access_token.slice(1)],
  ]) {
    assert.equal(await whoIs(token), undefined, why);
  }
});

test("forged keys and random tokens do not make the server ask all the time", async () => {
  const now = Math.floor(Date.now() / 1000);
  const before = providers.two.asked.length;
  for (let n = 0; n < 20; n += 1) {
    const key = await newKey(`forged-${n}`);
    const token = await new SignJWT({ iss: TWO_URL, aud: AUDIENCE, sub: "eve", exp: now + 60 })
      .setProtectedHeader({ alg: "ES256", kid: key.kid })
      .sign(await importJWK(key, "ES256"));
    assert.equal(await whoIs(token), undefined);
  }
  assert.ok(providers.two.asked.length - before <= 2, `${providers.two.asked}`);
  const asked = providers.one.asked.length;
  for (let n = 0; n < 20; n += 1) assert.equal(await whoIs("the same wrong token"), undefined);
  assert.equal(providers.one.asked.length - asked, 1);
});

test("a token that was revoked ends with what is remembered of it, used or not", async () => {
  const { access_token: token } = await logIn("one", "carol");
  assert.equal((await whoIs(token)).id, "one:carol");
  const verified = Date.now();
  const form = { token, client_id: "client-one", client_secret: CLIENT_SECRET };
  const body = new URLSearchParams(form);
  assert.equal((await get(`${ONE_URL}/token/revocation`, { method: "POST", body })).status, 200);
  await until(async () => (await whoIs(token)) === undefined, 5);
  assert.ok(Date.now() - verified < TTL + 1500, "use has made it last longer");
});

test("new keys of a provider are found, and old ones end", async () => {
  const { access_token: old } = await logIn("two", "dave");
  assert.equal((await whoIs(old)).id, "two:dave");
  await providers.two.stop();
  await start("two", await newKey("two-new"));
  const { access_token: token } = await logIn("two", "dave");
  await until(async () => (await whoIs(token))?.id === "two:dave");
  await until(async () => (await whoIs(old)) === undefined, 5);
});

test("a provider that is away keeps nobody out for longer than it is away", async () => {
  const { access_token: token } = await logIn("one", "erin");
  const { access_token: other } = await logIn("two", "erin");
  assert.equal((await whoIs(token)).id, "one:erin");
  await providers.one.stop();
  assert.equal((await whoIs(token)).id, "one:erin", "it is remembered");
  await until(async () => (await whoIs(token)) === 503, 5);
  assert.equal((await whoIs(other)).id, "two:erin", "others don't need it");
  assert.equal((await get(`${SERVER_URL}/__heartbeat__`)).status, 200);
  await start("one");
  // This provider keeps its tokens in memory, so the old one is gone.
  assert.equal(await whoIs(token), undefined);
  assert.equal((await whoIs((await logIn("one", "erin")).access_token)).id, "one:erin");
});
