// A real identity provider, which everybody can log in to under any name, and a browser.

import { createServer } from "node:http";

import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

// A key that a provider signs with, as its own file would have it.
export async function newKey(id) {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: id, alg: "ES256", use: "sig" };
}

// Starts a provider at the address `issuer`. Its tokens are for the API `audience`, as JWTs; or
// opaque, if there is none.
export async function startProvider({ issuer, client, audience, keys }) {
  const resource = {
    scope: "",
    audience,
    accessTokenFormat: "jwt",
    jwt: { sign: { alg: "ES256" } },
  };
  const registered = {
    ...client,
    response_types: ["code"],
    token_endpoint_auth_method: "client_secret_post",
    id_token_signed_response_alg: "ES256",
  };
  const provider = new Provider(issuer, {
    clients: [registered],
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: true }),
    }),
    cookies: { keys: ["only for this test"] },
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: audience !== undefined,
        defaultResource: () => audience,
        getResourceServerInfo: () => resource,
        useGrantedResource: () => true,
      },
    },
    jwks: { keys },
    ttl: { AccessToken: 3600, Grant: 3600, IdToken: 3600, Interaction: 600, Session: 600 },
  });
  const asked = [];
  const answer = provider.callback();
  const server = createServer((request, response) => {
    asked.push(request.url);
    answer(request, response);
  });
  await new Promise((resolve) => server.listen(new URL(issuer).port, "127.0.0.1", resolve));
  return {
    // The paths that were asked for.
    asked,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

// Goes where a browser would go from `url`, filling in forms as `user`, until it would leave for an
// address that begins with `end`. Returns that.
export async function browse(url, user, end) {
  const cookies = new Map();
  let request = { url, init: {} };
  for (let step = 0; step < 20; step += 1) {
    const response = await visit(request, cookies);
    const location = response.headers.get("location");
    if (location !== null) {
      const next = new URL(location, request.url).href;
      if (next.startsWith(end)) return next;
      request = { url: next, init: {} };
      continue;
    }
    const page = await response.text();
    if (response.status !== 200) throw new Error(`${request.url}: ${response.status} ${page}`);
    request = fillIn(page, request.url, user);
  }
  throw new Error("the browser went in circles");
}

async function visit({ url, init }, cookies) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const headers = { ...init.headers, cookie };
  const response = await fetch(url, { ...init, headers, redirect: "manual" });
  for (const line of response.headers.getSetCookie()) {
    const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
    if (value === "") cookies.delete(name);
    else cookies.set(name, value);
  }
  return response;
}

// The form of a page, with its hidden fields, a name and a password.
function fillIn(page, url, user) {
  const action = page.match(/<form[^>]*action="([^"]*)"/)?.[1];
  if (action === undefined) throw new Error(`${url} has no form: ${page}`);
  const fields = new URLSearchParams();
  for (const [tag] of page.matchAll(/<input[^>]*>/g)) {
    const name = tag.match(/name="([^"]*)"/)?.[1];
    const value = tag.match(/value="([^"]*)"/)?.[1];
    if (name !== undefined) fields.set(name, value ?? user);
  }
  return { url: new URL(action, url).href, init: { method: "POST", body: fields } };
}
