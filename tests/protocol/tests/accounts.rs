//! Accounts: who may do what with them, and what nobody ever sees of them.

use cumulo_core::{
    object::{List, Timestamp},
    render,
    store::{Access, Entry, Outcome},
};
use cumulo_plugins::accounts;
use protocol_tests::{App, Response, basic};
use serde_json::{Value, json};

const POLICY: (&str, &str) =
    ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy");

fn app(more: &[(&str, &str)]) -> App {
    let usual = [
        POLICY,
        ("includes", "accounts default_bucket"),
        ("multiauth.policies", "account"),
        ("account_create_principals", "system.Everyone"),
    ];
    let given = |name: &str| more.iter().any(|(other, _)| *other == name);
    let usual = usual.into_iter().filter(|(name, _)| !given(name));
    App::with(&usual.chain(more.iter().copied()).collect::<Vec<_>>())
}

/// An app whose administrator is `admin`.
fn app_with_admin() -> App {
    let app = app(&[
        ("account_write_principals", "account:admin"),
        ("account_read_principals", "account:admin"),
    ]);
    sign_up(&app, "admin", "admin's");
    app
}

fn data(password: &str) -> Value {
    json!({"data": {"password": password}})
}

/// Makes an account with a hash that is fast to check.
fn sign_up(app: &App, name: &str, password: &str) {
    let hash = bcrypt::hash(password, 4).expect("a valid cost");
    let name = name.to_owned();
    let put = app.store().transact(Access::Write, move |tx| {
        accounts::put(&name, &hash, tx)?;
        Ok((Outcome::Commit, ()))
    });
    app.wait(put).expect("the store works");
}

fn user_id(app: &App, name: &str, password: &str) -> Value {
    app.login(name, password).get("/").is(200).json["user"]["id"].clone()
}

/// What the store has for an account.
fn stored(app: &App, name: &str) -> Entry {
    let (list, id) = (List::new(name, "account"), name.to_owned());
    let read =
        app.store().transact(Access::Read, move |tx| Ok((Outcome::Rollback, tx.get(&list, &id)?)));
    app.wait(read).expect("the store works").expect("the account is there")
}

fn hash(app: &App, name: &str) -> String {
    let data = render::parse(&stored(app, name).object.data);
    data["password"].as_str().expect("a text").to_owned()
}

fn message(response: &Response) -> &str {
    response.json["message"].as_str().unwrap_or_default()
}

#[test]
fn accounts_are_stored_as_kinto_does() {
    let app = app(&[]);
    let body = json!({"data": {"password": "s3cret", "age": 42}});
    let response = app.anonymous().put("/accounts/alice", &body).is(201);
    assert_eq!(response.json["permissions"], json!({"write": ["account:alice"]}));
    assert_eq!(response.json["data"]["age"], 42);
    let Entry { object, acl } = stored(&app, "alice");
    assert_eq!(json!(acl.0), json!({"write": ["account:alice"]}));
    let mut data = render::parse(&object.data);
    let Some(Value::String(hash)) = data.remove("password") else { panic!("a hash") };
    assert!(hash.starts_with("$2b$12$") && hash.len() == 60, "{hash}");
    assert_eq!(Value::Object(data), json!({"age": 42}));
    assert!(object.last_modified > Timestamp(0));
}

#[test]
fn a_changed_password_counts_at_once() {
    let app = app(&[]);
    sign_up(&app, "alice", "one");
    assert_eq!(user_id(&app, "alice", "one"), "account:alice");
    assert_eq!(user_id(&app, "alice", "two"), Value::Null);
    let alice = app.login("alice", "one");
    alice.patch("/accounts/alice", "json", &data("two")).expect(200);
    alice.get("/accounts/alice").expect(401);
    assert_eq!(user_id(&app, "alice", "two"), "account:alice");
    let alice = app.login("alice", "two");
    alice.put("/accounts/alice", &data("three")).expect(200);
    let alice = app.login("alice", "three");
    alice.patch("/accounts/alice", "merge-patch+json", &data("four")).expect(200);
    let replace = json!([{"op": "replace", "path": "/data/password", "value": "five"}]);
    let alice = app.login("alice", "four");
    alice.patch("/accounts/alice", "json-patch+json", &replace).expect(200);
    let alice = app.login("alice", "five");
    alice.delete("/accounts/alice").expect(200);
    alice.get("/accounts/alice").expect(401);
}

#[test]
fn other_data_can_change_without_the_password() {
    let app = app(&[]);
    sign_up(&app, "alice", "one");
    let (alice, before) = (app.login("alice", "one"), hash(&app, "alice"));
    let add = json!([{"op": "add", "path": "/data/b", "value": 2}]);
    alice.patch("/accounts/alice", "json", &json!({"data": {"a": 1}})).expect(200);
    let patched = alice.patch("/accounts/alice", "json-patch+json", &add).is(200);
    assert_eq!((&patched.json["data"]["a"], &patched.json["data"]["b"]), (&json!(1), &json!(2)));
    let permissions = json!({"permissions": {"read": ["account:bob"]}});
    alice.patch("/accounts/alice", "merge-patch+json", &permissions).expect(200);
    assert_eq!(hash(&app, "alice"), before);
    let response = alice.put("/accounts/alice", &permissions).is(400);
    assert_eq!(response.json["details"][0]["name"], "data");
}

#[test]
fn passwords_that_can_not_work_are_refused() {
    // In Kinto with bcrypt 5 a password of more than 72 bytes is a 500.
    let app = app(&[]);
    let refused = |password: Value| {
        let body = json!({"data": {"password": password}});
        let response = app.anonymous().put("/accounts/alice", &body).is(400);
        assert_eq!(response.json["details"][0]["name"], "data.password");
        message(&response).to_owned()
    };
    assert!(refused("x".repeat(73).into()).contains("72 bytes"));
    assert!(refused("é".repeat(37).into()).contains("72 bytes"));
    assert!(refused("".into()).contains("Required"));
    assert!(refused(Value::Null).contains("Required"));
    assert!(refused(json!(42)).contains("The value is not a string"));
    app.anonymous().put("/accounts/alice", &json!({"data": {}})).expect(400);
    app.anonymous().put("/accounts/alice", &data("a\0b")).expect(400);
    app.anonymous().put("/accounts/alice", &data(&"x".repeat(72))).expect(201);
    assert_eq!(user_id(&app, "alice", &"x".repeat(72)), "account:alice");
}

#[test]
fn no_patch_stores_a_plain_password() {
    // Kinto stores the text of a JSON patch as it is, and the next login is a 500.
    let app = app(&[]);
    sign_up(&app, "alice", "one");
    let (alice, before) = (app.login("alice", "one"), hash(&app, "alice"));
    let patch = |operations: Value| {
        let response = alice.patch("/accounts/alice", "json-patch+json", &operations);
        (response.status, response.json.to_string())
    };
    let plain = json!({"op": "add", "path": "/data/x", "value": "plain"});
    for operations in [
        json!([plain, {"op": "move", "from": "/data/x", "path": "/data/password"}]),
        json!([plain, {"op": "copy", "from": "/data/x", "path": "/data/password"}]),
        json!([{"op": "replace", "path": "/data", "value": {"password": "plain"}}]),
        json!([{"op": "add", "path": "/data/password", "value": 1}]),
        json!([{"op": "add", "path": "/data/password", "value": "x".repeat(73)}]),
        json!([{"op": "remove", "path": "/data/password"}]),
        json!([{"op": "replace", "path": "/data/password", "value": null}]),
        json!([{"op": "test", "path": "/data/password", "value": before}]),
    ] {
        let (status, body) = patch(operations.clone());
        assert_eq!(status, 400, "{operations} {body}");
        assert!(!body.contains(&before));
    }
    for from in ["/data", "/data/password"] {
        let (status, body) = patch(json!([{"op": "copy", "from": from, "path": "/data/x"}]));
        assert!(status == 200 && !body.contains(&before), "{body}");
    }
    assert_eq!(stored(&app, "alice").object.data.matches(&before).count(), 1);
    for subtype in ["json", "merge-patch+json"] {
        let removed = json!({"data": {"password": null}});
        alice.patch("/accounts/alice", subtype, &removed).expect(400);
    }
    assert_eq!(hash(&app, "alice"), before);
}

#[test]
fn nobody_is_shown_a_hash() {
    // Kinto shows the hash to whoever may read the account.
    let app = app_with_admin();
    sign_up(&app, "alice", "one");
    let (alice, admin) = (app.login("alice", "one"), app.login("admin", "admin's"));
    let old = alice.header("if-match", "\"1\"");
    let light = alice.header("response-behavior", "light");
    let batch = json!({"requests": [
        {"path": "/accounts/alice"},
        {"path": "/accounts"},
        {"method": "PUT", "path": "/accounts/alice", "body": data("one")},
    ]});
    let responses = [
        alice.get("/accounts/alice").is(200),
        alice.get("/accounts").is(200),
        alice.get("/accounts?_fields=age").is(200),
        alice.get("/accounts/alice?_fields=age").is(200),
        alice.post("/accounts", &json!({"data": {"id": "alice", "password": "x"}})).is(200),
        alice.put("/accounts/alice", &data("one")).is(200),
        alice.patch("/accounts/alice", "json", &data("one")).is(200),
        light.patch("/accounts/alice", "json", &data("one")).is(200),
        old.put("/accounts/alice", &data("one")).is(412),
        old.delete("/accounts/alice").is(412),
        alice.post("/batch", &batch).is(200),
        admin.get("/accounts").is(200),
        admin.get("/accounts/alice").is(200),
        admin.get("/permissions").is(200),
        admin.get("/").is(200),
    ];
    let hash = hash(&app, "alice");
    for response in responses {
        let text = response.json.to_string();
        let masked = text.replace("\"password\":\"********\"", "");
        assert!(!masked.contains("$2b$") && !masked.contains("password\":"), "{text}");
        assert!(!format!("{:?}", response.headers).contains(&hash[..20]));
    }
}

#[test]
fn what_is_shown_can_be_sent_back() {
    let app = app(&[]);
    sign_up(&app, "alice", "one");
    let (alice, before) = (app.login("alice", "one"), hash(&app, "alice"));
    let mut shown = alice.get("/accounts/alice").is(200).json;
    assert_eq!(shown["data"]["password"], "********");
    shown["data"]["age"] = 42.into();
    let answer = alice.put("/accounts/alice", &shown).is(200);
    assert_eq!((&answer.json["data"]["age"], hash(&app, "alice")), (&json!(42), before.clone()));
    alice.patch("/accounts/alice", "json", &data("********")).expect(200);
    let replace = json!([{"op": "replace", "path": "/data/password", "value": "********"}]);
    alice.patch("/accounts/alice", "json-patch+json", &replace).expect(200);
    assert_eq!(hash(&app, "alice"), before);
    let refused = app.anonymous().put("/accounts/bob", &data("********")).is(400);
    assert!(message(&refused).contains("stands for hidden ones"), "{}", message(&refused));
}

#[test]
fn hashes_can_not_be_asked_about() {
    let app = app_with_admin();
    let admin = app.login("admin", "admin's");
    for query in [
        "password=x",
        "like_password=$2b",
        "gt_password=a",
        "in_password=a",
        "has_password=true",
        "password.x=1",
        "_sort=password",
        "_sort=-password",
        "_fields=password",
    ] {
        for path in ["/accounts", "/accounts/admin"] {
            let response = admin.get(&format!("{path}?{query}"));
            let ignored = path == "/accounts/admin" && !query.starts_with("_fields");
            assert_eq!(response.status, if ignored { 200 } else { 400 }, "{path}?{query}");
            assert!(!response.json.to_string().contains("$2b$"));
        }
        admin.delete(&format!("/accounts?{query}")).expect(400);
    }
}

#[test]
fn anonymous_users_sign_up_and_no_more() {
    let app = app(&[]);
    let anonymous = app.anonymous();
    let post = |data: Value| anonymous.post("/accounts", &json!({"data": data}));
    post(json!({"id": "alice", "password": "one"})).expect(201);
    post(json!({"id": "alice", "password": "two"})).expect(401);
    anonymous.put("/accounts/alice", &data("two")).expect(401);
    let response = post(json!({"password": "one"})).is(400);
    assert_eq!(message(&response), "data.id in body: Required");
    post(json!({"id": "not/valid", "password": "one"})).expect(400);
    anonymous.get("/accounts/alice").expect(401);
    for response in [anonymous.get("/accounts"), anonymous.delete("/accounts")] {
        assert_eq!((response.status, &response.json["errno"]), (401, &json!(999)));
        assert_eq!(response.json["error"], "Cannot read accounts.");
        assert_eq!(response.header("www-authenticate"), "");
    }
    let closed = self::app(&[("account_create_principals", "")]);
    closed.anonymous().put("/accounts/alice", &data("one")).expect(401);
}

#[test]
fn users_reach_their_own_account_only() {
    let app = app(&[]);
    sign_up(&app, "alice", "one");
    sign_up(&app, "bob", "two");
    let alice = app.login("alice", "one");
    assert_eq!(alice.get("/accounts").is(200).ids(), ["alice"]);
    alice.get("/accounts/bob").expect(403);
    alice.delete("/accounts/bob").expect(403);
    alice.patch("/accounts/bob", "json", &data("x")).expect(403);
    for name in ["bob", "new"] {
        let response = alice.put(&format!("/accounts/{name}"), &data("x")).is(400);
        assert_eq!(message(&response), "data.id in body: Username and account ID do not match.");
        alice.post("/accounts", &json!({"data": {"id": name, "password": "x"}})).expect(400);
    }
    let response = alice.post("/accounts", &data("x")).is(400);
    assert_eq!(message(&response), "data.id in body: Accounts must have an ID.");
    assert_eq!(alice.delete("/accounts").is(200).ids(), ["alice"]);
    assert_eq!(user_id(&app, "bob", "two"), "account:bob");
}

#[test]
fn administrators_reach_all_accounts() {
    let app = app_with_admin();
    let admin = app.login("admin", "admin's");
    for name in ["alice", "bob", "carol"] {
        let created = admin.put(&format!("/accounts/{name}"), &data("one")).is(201);
        let owner = json!({"write": [format!("account:{name}")]});
        assert_eq!(created.json["permissions"], owner);
    }
    let all = admin.get("/accounts").is(200);
    assert_eq!(all.ids(), ["carol", "bob", "alice", "admin"]);
    let newest = all.json["data"][0]["last_modified"].to_string();
    assert_eq!(all.header("etag"), format!("\"{newest}\""));
    let head = admin.send(&http::Method::HEAD, "/accounts", Vec::new());
    assert_eq!(head.header("total-objects"), "4");
    let mut path = "/accounts?_sort=id&_limit=3".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = admin.get(&path).is(200);
        seen.extend(page.ids().into_iter().map(str::to_owned));
        let Some((_, next)) = page.header("next-page").split_once("/v1") else { break };
        next.clone_into(&mut path);
    }
    assert_eq!(seen, ["admin", "alice", "bob", "carol"]);
    admin.patch("/accounts/alice", "json", &data("two")).expect(200);
    assert_eq!(user_id(&app, "alice", "two"), "account:alice");
    admin.delete("/accounts/bob").expect(200);
    assert_eq!(user_id(&app, "bob", "one"), Value::Null);
    assert_eq!(admin.delete("/accounts").is(200).ids().len(), 3);
    assert_eq!(user_id(&app, "admin", "admin's"), Value::Null);
}

#[test]
fn administrators_who_may_not_read_see_what_is_theirs() {
    let app = app(&[("account_write_principals", "account:admin")]);
    sign_up(&app, "admin", "one");
    sign_up(&app, "alice", "two");
    assert_eq!(app.login("admin", "one").get("/accounts").is(200).ids(), ["admin"]);
}

#[test]
fn accounts_that_share_a_moment_are_paged_once() {
    let app = app_with_admin();
    let admin = app.login("admin", "admin's");
    for name in ["a", "b", "c", "d", "e"] {
        let body = json!({"data": {"password": "x", "last_modified": 4_000_000_000_000_i64}});
        admin.put(&format!("/accounts/{name}"), &body).expect(201);
    }
    let mut path = "/accounts?_limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = admin.get(&path).is(200);
        seen.extend(page.ids().into_iter().map(str::to_owned));
        let Some((_, next)) = page.header("next-page").split_once("/v1") else { break };
        next.clone_into(&mut path);
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e", "admin"]);
}

#[test]
fn requests_of_a_batch_have_their_own_logins() {
    let app = app(&[]);
    sign_up(&app, "alice", "one");
    sign_up(&app, "bob", "two");
    let as_user = |name: &str, password: &str| json!({"path": "/", "headers": {"Authorization": basic(name, password)}});
    let batch = json!({"requests": [
        {"path": "/"},
        as_user("bob", "two"),
        as_user("bob", "wrong"),
        as_user("bob", "two"),
        {"method": "PUT", "path": "/accounts/alice", "body": data("three")},
        {"method": "POST", "path": "/accounts/", "body": {"data": {"id": "carol", "password": "four"}},
         "headers": {"Authorization": ""}},
    ]});
    let response = app.login("alice", "one").post("/batch", &batch).is(200);
    let responses = response.json["responses"].as_array().expect("a list");
    let users: Vec<_> = responses.iter().map(|it| &it["body"]["user"]["id"]).collect();
    assert_eq!(
        users[..4],
        ["account:alice", "account:bob", "", "account:bob"]
            .map(|user| { if user.is_empty() { Value::Null } else { user.into() } })
            .each_ref()
    );
    assert_eq!((&responses[4]["status"], &responses[5]["status"]), (&json!(200), &json!(201)));
    assert_eq!(user_id(&app, "alice", "three"), "account:alice");
    assert_eq!(user_id(&app, "carol", "four"), "account:carol");
}

#[test]
fn basic_authentication_takes_what_is_no_account() {
    let app = app(&[("multiauth.policies", "account basicauth")]);
    sign_up(&app, "alice", "one");
    assert_eq!(user_id(&app, "alice", "one"), "account:alice");
    let other = user_id(&app, "alice", "two");
    assert!(other.as_str().is_some_and(|id| id.starts_with("basicauth:")), "{other}");
    assert!(user_id(&app, "zoe", "one").as_str().is_some_and(|id| id.starts_with("basicauth:")));
}

#[test]
fn what_is_no_hash_logs_nobody_in() {
    let app = app(&[]);
    let put = app.store().transact(Access::Write, |tx| {
        let list = List::new("alice", "account");
        tx.put(&list, "alice", None, r#"{"password":"plain"}"#, None)?;
        tx.put(&List::new("bob", "account"), "bob", None, "{}", None)?;
        Ok((Outcome::Commit, ()))
    });
    app.wait(put).unwrap();
    for name in ["alice", "bob", "nobody", "not valid", ""] {
        assert_eq!(user_id(&app, name, "plain"), Value::Null, "{name}");
    }
}

#[test]
fn users_can_be_removed_with_what_they_own() {
    let app = app(&[("user-data_delete_principals", "account:alice")]);
    sign_up(&app, "alice", "one");
    sign_up(&app, "bob", "two");
    app.login("alice", "one").delete("/__user_data__/account:bob").expect(200);
    assert_eq!(user_id(&app, "bob", "two"), Value::Null);
}

#[test]
fn accounts_are_no_resource_without_the_plugin() {
    App::default().anonymous().get("/accounts").expect(404);
}
