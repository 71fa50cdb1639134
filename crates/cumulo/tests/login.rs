//! Users of an identity provider who log in to the program with our client.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path, sync::Arc};

use cumulo_client::{
    Auth, Client, Error,
    auth::oidc::{BrowserLogin, CachedLogin, DeviceLogin},
    blocking,
};
use cumulo_e2e::{Program, Server, Storage};
use cumulo_servers::Provider;
use serde_json::json;

fn start(folder: &Path, provider: &Provider) -> Server {
    let program = Program::cumulo(Path::new(env!("CARGO_BIN_EXE_cumulo")));
    let issuer = provider.url();
    let settings = [
        ("kinto.includes", "openid default_bucket"),
        ("multiauth.policies", "one"),
        ("multiauth.policy.one.use", "kinto.plugins.openid.OpenIDConnectPolicy"),
        ("multiauth.policy.one.issuer", issuer.as_str()),
        ("multiauth.policy.one.client_id", "the client"),
        ("multiauth.policy.one.header_type", "Bearer+One"),
    ];
    Server::start(&program, folder, &Storage::Memory, &settings).unwrap()
}

/// A login in a browser that follows where it is sent.
fn browser() -> BrowserLogin {
    BrowserLogin::new().open_with(|url| {
        tokio::spawn(reqwest::get(url.to_owned()));
        Ok(())
    })
}

fn client(server: &Server, login: impl Auth + 'static) -> Client {
    Client::builder(&server.url()).auth(login).build().unwrap()
}

#[tokio::test]
async fn a_user_logs_in_with_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start_with_user("ann").unwrap();
    let server = start(folder.path(), &provider);
    let file = folder.path().join("logins");
    let client = self::client(&server, browser().cache_file(&file));
    let info = client.server_info().await.unwrap();
    assert_eq!(info.user.unwrap().id, "one:ann");
    let todos = client.collection("default", "todos").records();
    todos.create(json!({"title": "Buy milk"})).send().await.unwrap();

    // The next program finds the login.
    let client = self::client(&server, CachedLogin::new().cache_file(&file));
    assert_eq!(
        client.collection("default", "todos").records().list().all().await.unwrap().len(),
        1
    );
    assert!(!fs::read_to_string(&server.log).unwrap().contains("a-token"));
}

#[test]
fn a_user_logs_in_with_a_browser_and_waits() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start_with_user("ann").unwrap();
    let server = start(folder.path(), &provider);
    let builder = blocking::Client::builder(&server.url()).shared_auth(Some(Arc::new(browser())));
    let info = builder.build_blocking().unwrap().server_info().unwrap();
    assert_eq!(info.user.unwrap().id, "one:ann");
}

#[tokio::test]
async fn a_provider_without_devices_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start_with_user("ann").unwrap();
    let server = start(folder.path(), &provider);
    let error = client(&server, DeviceLogin::new()).server_info().await.unwrap_err();
    assert!(matches!(&error, Error::Missing(text) if text.contains("other devices")), "{error}");
}
