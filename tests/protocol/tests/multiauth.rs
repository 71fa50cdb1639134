//! Several ways to log in at the same time: who is who, and who is asked in which order.

use cumulo_core::{
    authentication::{Credentials, Identity, Login},
    error::{ApiError, Errno, Result},
    host::Host,
    plugin::Plugin,
    store::BoxFuture,
};
use protocol_tests::{App, Client, Parts};
use serde_json::{Value, json};

const OPENID: &str = "kinto.plugins.openid.OpenIDConnectPolicy";

/// Stands for identity providers. A token `google:ann` is that of Ann at Google, and so is
/// `auth0?google:ann`, of which Auth0 can't tell anything.
struct Tokens;

impl Plugin for Tokens {
    fn name(&self) -> &'static str {
        "openid"
    }

    fn authenticate<'a>(
        &'a self,
        _: &'a dyn Host,
        login: &'a Login,
    ) -> BoxFuture<'a, Result<Option<Identity>>> {
        Box::pin(async move {
            let Credentials::Token(token) = &login.credentials else { return Ok(None) };
            let token = secrecy::ExposeSecret::expose_secret(token);
            let (away, user) = token.split_once('?').unwrap_or(("", token));
            if away == login.policy {
                return Err(ApiError::new(Errno::Backend));
            }
            let is_right = user.split_once(':').is_some_and(|(issuer, _)| issuer == login.policy);
            Ok(is_right.then(|| Identity::of(user)))
        })
    }
}

/// Accounts, three identity providers, of which one has a scheme of its own, and basic
/// authentication.
fn app() -> App {
    let issuer = "https://id.example.org";
    let settings = [
        ("includes", "accounts openid"),
        ("account_create_principals", "system.Everyone"),
        ("multiauth.policies", "account google Auth0 fxa basicauth"),
        ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
        ("multiauth.policy.google.use", OPENID),
        ("multiauth.policy.google.issuer", issuer),
        ("multiauth.policy.google.client_id", "a"),
        ("multiauth.policy.Auth0.use", OPENID),
        ("multiauth.policy.Auth0.issuer", issuer),
        ("multiauth.policy.Auth0.client_id", "b"),
        ("multiauth.policy.fxa.use", OPENID),
        ("multiauth.policy.fxa.issuer", issuer),
        ("multiauth.policy.fxa.client_id", "c"),
        ("multiauth.policy.fxa.header_type", "Bearer+FxA"),
    ];
    Parts::new(&settings).plugin(Tokens).in_memory()
}

fn with<'a>(app: &'a App, authorization: &str) -> Client<'a> {
    app.anonymous().header("authorization", authorization)
}

/// The id of who sends this header.
fn id(app: &App, authorization: &str) -> Value {
    with(app, authorization).get("/").is(200).json["user"]["id"].clone()
}

#[test]
fn each_scheme_leads_to_its_policies_in_their_order() {
    let app = app();
    assert_eq!(id(&app, "Bearer google:ann"), "google:ann");
    assert_eq!(id(&app, "bearer auth0:ann"), "auth0:ann");
    assert_eq!(id(&app, "Bearer+FxA fxa:ann"), "fxa:ann");
    assert_eq!(id(&app, "Bearer fxa:ann"), Value::Null);
    assert_eq!(id(&app, "Bearer+FxA google:ann"), Value::Null);
    assert_eq!(id(&app, "Bearer "), Value::Null);
}

#[test]
fn wrong_credentials_are_for_the_next_policy() {
    let app = app();
    let body = json!({"data": {"password": "right"}});
    app.anonymous().put("/accounts/ann", &body).expect(201);
    let id = |client: Client| client.get("/").is(200).json["user"]["id"].clone();
    assert_eq!(id(app.login("ann", "right")), "account:ann");
    let other = id(app.login("ann", "wrong"));
    assert!(other.as_str().is_some_and(|id| id.starts_with("basicauth:")), "{other}");
}

#[test]
fn a_policy_that_fails_is_in_nobodys_way_who_is_somebody_elsewhere() {
    let app = app();
    assert_eq!(id(&app, "Bearer google?auth0:ann"), "auth0:ann");
    // Google can't tell, and Auth0 says no: then nobody knows.
    with(&app, "Bearer google?").get("/").expect(503);
    with(&app, "Bearer auth0?").get("/").expect(503);
}

#[test]
fn a_refusal_names_every_way() {
    let app = app();
    let refused = with(&app, "Bearer nonsense").get("/buckets/a").is(401);
    let challenges: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(
        challenges,
        [
            "Basic realm=\"Realm\"",
            "Bearer realm=\"Realm\"",
            "Bearer realm=\"Realm\"",
            "Bearer+FxA realm=\"Realm\"",
            "Basic realm=\"Realm\"",
        ]
    );
}

#[test]
fn members_of_groups_have_its_rights_whatever_their_policy() {
    let app = app();
    let ann = with(&app, "Bearer google:ann");
    ann.put("/buckets/a", &json!({})).expect(201);
    let members = json!({"data": {"members": ["fxa:bob", "auth0:carol"]}});
    ann.put("/buckets/a/groups/friends", &members).expect(201);
    let shared = json!({"permissions": {"read": ["/buckets/a/groups/friends"]}});
    ann.put("/buckets/a/collections/c", &shared).expect(201);
    let read = |authorization| with(&app, authorization).get("/buckets/a/collections/c").status;
    assert_eq!(read("Bearer+FxA fxa:bob"), 200);
    assert_eq!(read("Bearer auth0:carol"), 200);
    assert_eq!(read("Bearer google:bob"), 403);
    let hello = with(&app, "Bearer+FxA fxa:bob").get("/").is(200).json;
    let principals = hello["user"]["principals"].as_array().expect("a list");
    assert!(principals.contains(&json!("/buckets/a/groups/friends")));
}

#[test]
fn the_requests_of_a_batch_have_senders_of_their_own() {
    let app = app();
    let request =
        |authorization: &str| json!({"path": "/", "headers": {"Authorization": authorization}});
    let requests = ["Bearer google:ann", "Bearer+FxA fxa:bob", "Bearer nonsense"].map(request);
    let batch = json!({"defaults": {"method": "GET"}, "requests": requests});
    let responses = app.anonymous().post("/batch", &batch).is(200).json;
    let ids = (0..3).map(|n| responses["responses"][n]["body"]["user"]["id"].clone());
    assert_eq!(ids.collect::<Vec<_>>(), [json!("google:ann"), json!("fxa:bob"), Value::Null]);
}
