//! The example, started as its users would.

use std::path::Path;

use cumulo_e2e::{Program, Server, Storage};
use serde_json::json;

#[test]
fn the_plugin_watches_over_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo-example-plugin")));
    let settings = [
        ("kinto.includes", "words"),
        ("kinto.words.forbidden", "damn\n    blast"),
        ("multiauth.policies", "basicauth"),
        ("kinto.userid_hmac_secret", "secret"),
    ];
    let server = Server::start(&program, folder.path(), &Storage::Memory, &settings).unwrap();
    let mut client = server.connect().unwrap();

    let words = client.get("/v1/words").unwrap().json().unwrap();
    assert_eq!(words, json!({"forbidden": ["damn", "blast"]}));
    assert_eq!(client.json("POST", "/v1/words", None).unwrap().status, 405);

    let mut put = |path: &str, data: &str| {
        let body = json!({"data": {"text": data}});
        let response = client.json("PUT", path, Some(&body)).unwrap();
        (response.status, response.json().unwrap()["message"].clone())
    };
    assert_eq!(put("/v1/buckets/kind", "Hello").0, 201);
    let refusal = (403, json!("'damn' must not be written here."));
    assert_eq!(put("/v1/buckets/rude", "damn it"), refusal);

    assert_eq!(client.json("GET", "/v1/buckets/kind", None).unwrap().status, 200);
    let rude = client.json("GET", "/v1/buckets/rude", None).unwrap();
    assert_eq!(rude.status, 403, "what was refused is not stored");
}

#[test]
fn without_the_plugin_its_settings_are_unknown_and_its_name_too() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo-example-plugin")));
    let settings = [("kinto.includes", "word")];
    let server = Server::start(&program, folder.path(), &Storage::Memory, &settings);
    let error = format!("{:#}", server.unwrap_err());
    assert!(error.contains("Did you mean 'words'?"), "{error}");
}
