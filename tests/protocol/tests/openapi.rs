//! The descriptions of the API: they tell of everything that is there, and of nothing else.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use cumulo_core::{
    api::Api,
    openapi::{Description, model::Operation},
    plugin::Plugin,
};
use cumulo_servers::Provider;
use http::Method;
use protocol_tests::{App, Parts};
use serde_json::{Value, json};

const EVERYTHING: [(&str, &str); 3] = [
    ("includes", "accounts default_bucket flush history counters prometheus admin"),
    ("multiauth.policies", "account basicauth"),
    ("multiauth.policy.account.use", "kinto.plugins.accounts.AccountsPolicy"),
];

fn swagger(app: &App) -> Value {
    app.anonymous().get("/__api__").is(200).json
}

fn document(app: &App) -> Value {
    app.anonymous().get("/__api__/openapi.json").is(200).json
}

/// Path, method and operation.
fn operations(document: &Value) -> Vec<(&str, Method, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let mut operations = Vec::new();
    for (path, item) in paths {
        for (name, operation) in item.as_object().expect("a path item") {
            if name != "parameters" {
                let method = name.to_uppercase().parse().expect("a method");
                operations.push((path.as_str(), method, operation));
            }
        }
    }
    operations
}

fn ids(document: &Value) -> Vec<&str> {
    let ids = operations(document).into_iter();
    ids.map(|(_, _, operation)| operation["operationId"].as_str().expect("an id")).collect()
}

/// The path with examples in it.
fn example(path: &str) -> String {
    let path = path.replace("{bucket_id}", "blog").replace("{collection_id}", "posts");
    let path = path.replace("{timestamp}", "1");
    path.replace("{id}", "hello").replace("{principal}", "account:ann")
}

#[test]
fn names_are_those_of_kinto() {
    let app = App::with(&EVERYTHING);
    let described = swagger(&app);
    let ids = ids(&described);
    for id in [
        "get_buckets",
        "create_bucket",
        "delete_buckets",
        "get_bucket",
        "update_bucket",
        "patch_bucket",
        "delete_bucket",
        "get_group",
        "get_collection",
        "create_record",
        "patch_account",
        "get_permissionss",
        "delete_user-data",
        "batch",
        "server_info",
        "get_openapi_spec",
        "__heartbeat__",
        "__lbheartbeat__",
        "__version__",
        "contribute",
        "create_flush",
        "get_history",
        "delete_history",
        "get_history_snapshot",
        "get_counters",
    ] {
        assert!(ids.contains(&id), "{id}");
    }
    assert!(!ids.iter().any(|id| id.starts_with("head_") || id.starts_with("count_")));
    assert!(!ids.contains(&"get_metrics"));
    let tag = |path: &str| described["paths"][path]["get"]["tags"][0].clone();
    assert_eq!(tag("/buckets/{bucket_id}/history"), "History");
    let path = "/buckets/{bucket_id}/snapshot/collections/{collection_id}@{timestamp}";
    assert_eq!(tag(path), "History_snapshot");
    assert_eq!(described["swagger"], "2.0");
    assert_eq!(described["basePath"], "/v1");
    assert_eq!(described["securityDefinitions"]["basicauth"]["type"], "basic");
}

#[test]
fn who_guesses_passwords_is_told_to_wait() {
    let answers = |app: &App| document(app)["paths"]["/buckets"]["get"]["responses"].clone();
    let app = App::with(&EVERYTHING);
    assert!(answers(&app).get("429").is_some());
    assert!(answers(&App::default()).get("429").is_none());
    let swagger = swagger(&app);
    assert!(swagger["paths"]["/buckets"]["get"]["responses"].get("429").is_none());
}

#[test]
fn entries_of_the_history_are_described() {
    let app = App::with(&EVERYTHING);
    let document = document(&app);
    let schemas = &document["components"]["schemas"];
    let fields = schemas["History"]["properties"].as_object().expect("fields");
    app.user("ann").put("/buckets/blog", &json!({})).expect(201);
    let list = app.user("ann").get("/buckets/blog/history").is(200).json;
    for (name, _) in list["data"][0].as_object().expect("an entry") {
        assert!(fields.contains_key(name), "{name}");
    }
    assert!(schemas.get("HistoryBody").is_none(), "nobody writes them");
}

#[test]
fn what_is_described_is_there_and_nothing_else() {
    let app = App::with(&EVERYTHING);
    let document = document(&app);
    let described = operations(&document);
    let user = app.user("ann");
    let all = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let paths: HashSet<_> = described.iter().map(|(path, _, _)| *path).collect();
    for path in paths {
        for method in &all {
            let is_utility = described
                .iter()
                .any(|(other, _, operation)| *other == path && operation["tags"][0] == "Utilities");
            if is_utility && method == Method::HEAD {
                // Like any GET, they have a HEAD that says no more.
                continue;
            }
            let is_described =
                described.iter().any(|(other, known, _)| *other == path && known == method);
            let response = user.send(method, &example(path), b"{}".to_vec());
            assert_eq!(response.status != 405, is_described, "{method} {path}");
        }
    }
}

#[test]
fn what_is_off_is_not_described() {
    let app = App::with(&[
        ("includes", "default_bucket"),
        ("experimental_permissions_endpoint", "false"),
        ("plural_bucket_post_enabled", "false"),
        ("object_record_get_enabled", "false"),
    ]);
    for described in [swagger(&app), document(&app)] {
        let ids = ids(&described);
        for id in [
            "create_flush",
            "get_accounts",
            "get_permissions",
            "get_permissionss",
            "create_bucket",
            "get_record",
            "head_record",
        ] {
            assert!(!ids.contains(&id), "{id}");
        }
        assert!(ids.contains(&"get_buckets") && ids.contains(&"patch_record"));
    }
    let app = App::with(&[("readonly", "true")]);
    let document = document(&app);
    for (path, method, _) in operations(&document) {
        assert!([Method::GET, Method::HEAD].contains(&method), "{method} {path}");
    }
}

#[test]
fn documents_are_complete_in_themselves() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let app = App::with(&EVERYTHING);
    let mut found = Vec::new();
    let swagger = swagger(&app);
    references(&swagger, &mut found);
    assert_eq!(found, [""; 0], "Swagger has no definitions");
    let document = document(&app);
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let ids = ids(&document);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "{ids:?}");
    for (path, method, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let of_path = parameters.filter(|parameter| {
            let pointer = parameter["$ref"].as_str().unwrap_or_default().trim_start_matches('#');
            let parameter = document.pointer(pointer).expect("a parameter");
            let name = format!("{{{}}}", parameter["name"].as_str().unwrap_or_default());
            parameter["in"] == "path" && path.contains(&name)
        });
        assert_eq!(of_path.count(), path.matches('{').count(), "{method} {path}");
    }
}

#[test]
fn secrets_are_written_and_never_read() {
    let document = document(&App::with(&EVERYTHING));
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["AccountData"]["required"], json!(["password"]));
    let mask = json!({"type": "string", "enum": ["********"]});
    assert_eq!(schemas["Account"]["properties"]["password"], mask);
}

fn with_provider(issuer: &str) -> App {
    App::with(&[
        ("includes", "openid"),
        ("multiauth.policies", "Auth0 basicauth"),
        ("multiauth.policy.Auth0.use", "kinto.plugins.openid.OpenIDConnectPolicy"),
        ("multiauth.policy.Auth0.issuer", issuer),
        ("multiauth.policy.Auth0.client_id", "cumulo"),
    ])
}

#[test]
fn providers_are_ways_to_log_in() {
    let provider = Provider::start().expect("a provider");
    let issuer = provider.url();
    let app = with_provider(&issuer);
    let swagger = swagger(&app);
    let url = format!("{issuer}/authorize");
    let definition = &swagger["securityDefinitions"]["Auth0"];
    assert_eq!((&definition["type"], &definition["flow"]), (&json!("oauth2"), &json!("implicit")));
    assert_eq!(definition["authorizationUrl"], url);
    let ids = ids(&swagger);
    assert!(ids.contains(&"get_openid_login") && ids.contains(&"get_openid_token"), "{ids:?}");
    let login = &swagger["paths"]["/openid/{provider}/login"]["get"];
    let required = login["parameters"].as_array().expect("parameters").iter();
    let required: Vec<_> = required.map(|it| (&it["name"], &it["required"])).collect();
    let expected = [("callback", true), ("scope", true), ("prompt", false)];
    assert_eq!(json!(required), json!(expected));
    assert_eq!(login["responses"]["307"]["headers"]["Location"]["type"], "string");
    let document = document(&app);
    let ways = document["components"]["securitySchemes"].as_object().expect("ways");
    assert_eq!(ways.len(), 2, "{ways:?}");
    assert_eq!(ways["Auth0"]["flows"]["implicit"]["authorizationUrl"], url);
}

#[test]
fn a_provider_that_nobody_reaches_takes_tokens() {
    let app = with_provider("http://127.0.0.1:1");
    assert_eq!(swagger(&app)["securityDefinitions"], json!({"basicauth": {"type": "basic"}}));
    let way = &document(&app)["components"]["securitySchemes"]["auth0"];
    assert_eq!(*way, json!({"type": "http", "scheme": "bearer"}));
}

#[test]
fn a_description_that_lacks_something_is_not_kept() {
    /// Knows its path when it is asked again.
    #[derive(Default)]
    struct Slow(AtomicBool);

    impl Plugin for Slow {
        fn name(&self) -> &'static str {
            "slow"
        }

        fn describe(&self, _: &Api, description: &mut Description) {
            description.lacks_something = !self.0.swap(true, Ordering::Relaxed);
            if !description.lacks_something {
                let found = Operation::new(Method::GET, "/slow", "get_slow", "Slow", "Wait");
                description.operations.push(found);
            }
        }
    }

    let app = Parts::new(&[]).plugin(Slow::default()).in_memory();
    assert!(!ids(&swagger(&app)).contains(&"get_slow"));
    assert!(ids(&swagger(&app)).contains(&"get_slow"));
}

#[test]
fn clients_find_the_service_where_they_have_asked() {
    let app = App::default();
    let client = app.anonymous().header("host", "kinto.example.org:8888");
    assert_eq!(client.get("/__api__").json["host"], "kinto.example.org:8888");
    let elsewhere = app.anonymous().header("host", "other.example.org");
    assert_eq!(elsewhere.get("/__api__").json["host"], "other.example.org");
    let url = &elsewhere.get("/__api__/openapi.json").json["servers"][0]["url"];
    assert_eq!(url, "http://other.example.org/v1");
    let strange = app.anonymous().header("host", "\"<script>");
    assert_eq!(strange.get("/__api__").json["host"], "\"<script>");
    assert!(!strange.get("/__api__/docs").text.contains("<script"));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let app = App::with(&EVERYTHING);
    let page = app.anonymous().get("/__api__/docs").is(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    for forbidden in ["<script", "<img", "<link", " style=", " onclick", "@import", "url("] {
        assert!(!page.text.contains(forbidden), "{forbidden}");
    }
    let document = document(&app);
    for (path, _, operation) in operations(&document) {
        let path = path.replace('{', "<var>{").replace('}', "}</var>");
        assert!(page.text.contains(&path), "{path}");
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(page.text.contains(summary), "{summary}");
    }
}
