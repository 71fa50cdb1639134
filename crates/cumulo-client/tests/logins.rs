//! Logins, at a server and a provider that behave in all the ways that they do.

#![expect(clippy::unwrap_used, reason = "a test fails where it can't go on")]

mod web;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use cumulo_client::auth::oidc::{BrowserLogin, CachedLogin, Code, DeviceLogin};
use cumulo_client::{Client, Error, Retry, blocking};
use serde_json::{Value, json};

use web::{Reply, Request, Web};

/// A server that is its own provider: it knows the tokens that are not taken back.
#[derive(Clone)]
struct World {
    web: Arc<Web>,
    state: Arc<State>,
}

struct State {
    /// Answers of the token endpoint that come before tokens.
    errors: Mutex<Vec<&'static str>>,
    tokens: AtomicUsize,
    /// The lowest token that is good.
    first_good: AtomicUsize,
    /// What a token comes with.
    with: Value,
    device: bool,
}

impl World {
    fn start(with: Value) -> Self {
        Self::with_device(with, true)
    }

    fn with_device(with: Value, device: bool) -> Self {
        let state = Arc::new(State {
            errors: Mutex::default(),
            tokens: AtomicUsize::new(0),
            first_good: AtomicUsize::new(1),
            with,
            device,
        });
        let (own, origin) = (Arc::clone(&state), Arc::new(OnceLock::<String>::new()));
        let known = Arc::clone(&origin);
        let web = Web::start(move |request| own.answer(known.wait(), request));
        origin.set(web.origin()).unwrap();
        Self { web: Arc::new(web), state }
    }

    fn server(&self) -> String {
        format!("{}/v1", self.web.origin())
    }

    fn client(&self, login: impl cumulo_client::Auth + 'static) -> Client {
        Client::builder(&self.server()).auth(login).retry(Retry::never()).build().unwrap()
    }

    /// From now on the tokens that there are so far are bad.
    fn take_back(&self) {
        self.state.first_good.store(self.logins() + 1, Ordering::SeqCst);
    }

    /// How many tokens were given.
    fn logins(&self) -> usize {
        self.state.tokens.load(Ordering::SeqCst)
    }
}

impl State {
    fn answer(&self, origin: &str, request: &Request) -> Reply {
        let path = request.target.split('?').next().unwrap();
        match path {
            "/v1/" => Reply::json(&json!({"capabilities": {"openid": {"providers": [
                {"name": "one", "auth_path": "/openid/one/login", "header_type": "Bearer+One",
                 "issuer": origin, "client_id": "the client", "audience": null},
                {"name": "two", "auth_path": "/openid/two/login"},
            ]}}})),
            "/.well-known/openid-configuration" => {
                let mut metadata =
                    json!({"issuer": origin, "token_endpoint": format!("{origin}/token")});
                if self.device {
                    metadata["device_authorization_endpoint"] = format!("{origin}/device").into();
                }
                Reply::json(&metadata)
            }
            "/device" => Reply::json(&json!({
                "device_code": "the device", "user_code": "WDJB-MJHT", "interval": 1,
                "verification_uri": format!("{origin}/activate"), "expires_in": 1800,
            })),
            "/token" => self.token(),
            _ => {
                let token = request.header("authorization").unwrap_or_default();
                let number = token.rsplit('-').next().unwrap().parse::<usize>().unwrap_or(0);
                let is_good = number >= self.first_good.load(Ordering::SeqCst);
                let status = if is_good { 200 } else { 401 };
                Reply::new(status, json!({"data": {"id": token, "last_modified": 1}}).to_string())
            }
        }
    }

    fn token(&self) -> Reply {
        match self.errors.lock().unwrap().pop() {
            Some(error) => Reply::new(400, json!({"error": error}).to_string()),
            None => Reply::json(&self.next_token()),
        }
    }

    fn next_token(&self) -> Value {
        let number = self.tokens.fetch_add(1, Ordering::SeqCst) + 1;
        let mut answer = self.with.clone();
        answer["access_token"] = format!("token-{number}").into();
        answer
    }
}

/// Sends the user through `url`, as browser, provider and server do, and gives the status of the
/// page at the end. What stands behind the callback is `answer`.
fn end_login(url: &str, answer: &str) -> u16 {
    get(&format!("{}{answer}", callback(url))).0
}

fn callback(url: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let callback = query.split('&').find_map(|pair| pair.strip_prefix("callback=")).unwrap();
    percent_encoding::percent_decode_str(callback).decode_utf8().unwrap().into_owned()
}

/// A request of somebody else on this machine.
fn get(url: &str) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

fn encode(answer: &Value) -> String {
    base64::prelude::BASE64_STANDARD.encode(answer.to_string()).replace('+', "%2B")
}

/// A login by a user who is quick.
fn login(world: &World) -> BrowserLogin {
    let state = Arc::clone(&world.state);
    BrowserLogin::new().open_with(move |url| {
        let (url, answer) = (url.to_owned(), encode(&state.next_token()));
        std::thread::spawn(move || end_login(&url, &answer));
        Ok(())
    })
}

/// The token that the server has seen.
async fn seen(client: &Client) -> cumulo_client::Result<String> {
    Ok(client.bucket("b").get().send().await?.id)
}

#[tokio::test]
async fn the_browser_is_opened_once() {
    let world = World::start(json!({}));
    let opened = Arc::new(Mutex::new(Vec::new()));
    let (urls, state) = (Arc::clone(&opened), Arc::clone(&world.state));
    let login = BrowserLogin::new().provider("two").scope("openid a&b").open_with(move |url| {
        urls.lock().unwrap().push(url.to_owned());
        let (url, answer) = (url.to_owned(), encode(&state.next_token()));
        std::thread::spawn(move || end_login(&url, &answer));
        Ok(())
    });
    let client = world.client(login);
    let all = futures_util::future::join_all((0..5).map(|_| seen(&client))).await;
    for token in all {
        assert_eq!(token.unwrap(), "Bearer token-1");
    }
    let opened = opened.lock().unwrap();
    assert_eq!(opened.len(), 1);
    let begin = format!("{}/openid/two/login?callback=http%3A%2F%2F127.0.0.1%3A", world.server());
    assert!(opened[0].starts_with(&begin), "{}", opened[0]);
    assert!(opened[0].ends_with("&scope=openid%20a%26b"), "{}", opened[0]);
}

#[tokio::test]
async fn the_scheme_is_that_of_the_provider() {
    let world = World::start(json!({"token_type": "bearer"}));
    assert_eq!(seen(&world.client(login(&world))).await.unwrap(), "Bearer+One token-1");
}

#[tokio::test]
async fn only_who_was_sent_by_us_ends_a_login() {
    let world = World::start(json!({}));
    let state = Arc::clone(&world.state);
    let statuses = Arc::new(Mutex::new(Vec::new()));
    let got = Arc::clone(&statuses);
    let login = BrowserLogin::new().open_with(move |url| {
        let (url, answer) = (url.to_owned(), encode(&state.next_token()));
        let got = Arc::clone(&got);
        std::thread::spawn(move || {
            let callback = callback(&url);
            let origin = callback.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            // One that says nothing, as browsers open ahead.
            let _idle = std::net::TcpStream::connect(&origin["http://".len()..]).unwrap();
            let other = format!("{origin}/00000000000000000000000000000000/{answer}");
            for url in [format!("{origin}/"), format!("{origin}/favicon.ico"), other, callback] {
                got.lock().unwrap().push(get(&url).0);
            }
            let (status, page) = get(&format!("{}{answer}", self::callback(&url)));
            got.lock().unwrap().push(status);
            assert!(page.contains("You can close this page") && page.contains("no-store"));
        });
        Ok(())
    });
    login.log_in(&world.server()).await.unwrap();
    // The last page may still be on its way.
    while statuses.lock().unwrap().len() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*statuses.lock().unwrap(), [404, 404, 404, 404, 200]);
}

#[tokio::test]
async fn a_login_that_is_refused_is_an_error() {
    let world = World::start(json!({}));
    for (answer, expected) in [
        ("error=access_denied&error_description=not%20you".to_owned(), "access_denied, not you"),
        (encode(&json!({"error": "invalid_grant"})), "invalid_grant"),
        (encode(&json!({})), "no token"),
        ("nonsense".to_owned(), "something else"),
    ] {
        let login = BrowserLogin::new().open_with(move |url| {
            let (url, answer) = (url.to_owned(), answer.clone());
            std::thread::spawn(move || assert_eq!(end_login(&url, &answer), 400));
            Ok(())
        });
        let error = seen(&world.client(login)).await.unwrap_err();
        assert!(matches!(&error, Error::Login(text) if text.contains(expected)), "{error}");
    }
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let world = World::start(json!({}));
    let opened = Arc::new(Mutex::new(Vec::new()));
    let urls = Arc::clone(&opened);
    let login = BrowserLogin::new().timeout(Duration::from_millis(50)).open_with(move |url| {
        urls.lock().unwrap().push(url.to_owned());
        Ok(())
    });
    // With the usual retries, too: the user is asked once.
    let client = Client::builder(&world.server()).auth(login).build().unwrap();
    let error = seen(&client).await.unwrap_err();
    assert!(matches!(&error, Error::Login(text) if text.contains("within")), "{error}");
    assert_eq!(opened.lock().unwrap().len(), 1);
    // Nobody listens any more.
    let callback = callback(&opened.lock().unwrap()[0]);
    let address = callback["http://".len()..].split('/').next().unwrap().to_owned();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn who_has_no_browser_is_told() {
    let world = World::start(json!({}));
    let login = BrowserLogin::new().open_with(|_| Err(io::Error::other("no browser here")));
    let error = seen(&world.client(login)).await.unwrap_err();
    assert!(error.to_string().contains("no browser here"), "{error}");
}

#[tokio::test]
async fn providers_that_are_not_there_are_told() {
    let world = World::start(json!({}));
    let error = login(&world).provider("three").log_in(&world.server()).await.unwrap_err();
    assert!(matches!(&error, Error::Missing(text) if text.contains("one, two")), "{error}");
    let web = Web::start(|_| Reply::json(&json!({"capabilities": {}})));
    let error = BrowserLogin::new().log_in(&web.origin()).await.unwrap_err();
    assert!(matches!(error, Error::Missing(_)), "{error}");
}

#[tokio::test]
async fn a_login_is_kept_in_a_file() {
    let world = World::start(json!({"expires_in": 3600}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logins");
    let cached = || world.client(CachedLogin::new().cache_file(&file));
    assert!(matches!(seen(&cached()).await, Err(Error::Login(_))));
    let server = world.server();
    let tokens = login(&world).cache_file(&file).log_in(&server).await.unwrap();
    assert_eq!(tokens.authorization(), "Bearer+One token-1");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(seen(&cached()).await.unwrap(), "Bearer+One token-1");
    assert_eq!(
        seen(&world.client(login(&world).cache_file(&file))).await.unwrap(),
        "Bearer+One token-1"
    );
    assert_eq!(world.logins(), 1);
    CachedLogin::new().cache_file(&file).log_out(&server).await.unwrap();
    assert!(matches!(seen(&cached()).await, Err(Error::Login(_))));
}

#[cfg(unix)]
fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn mode(_: &Path) -> u32 {
    0o600
}

#[tokio::test]
async fn a_token_that_ends_is_refreshed() {
    let world = World::start(json!({"expires_in": 1, "refresh_token": "again"}));
    let client = world.client(login(&world));
    assert_eq!(seen(&client).await.unwrap(), "Bearer+One token-1");
    assert_eq!(seen(&client).await.unwrap(), "Bearer+One token-2");
    let request = world.web.requests_for("/token").remove(0);
    let form = "grant_type=refresh_token&refresh_token=again&client_id=the%20client";
    assert_eq!(request.text(), form);
}

#[tokio::test]
async fn who_can_not_refresh_logs_in_again() {
    let world = World::start(json!({"expires_in": 1, "refresh_token": "again"}));
    world.state.errors.lock().unwrap().push("invalid_client");
    let opened = Arc::new(AtomicUsize::new(0));
    let (count, state) = (Arc::clone(&opened), Arc::clone(&world.state));
    let client = world.client(BrowserLogin::new().open_with(move |url| {
        count.fetch_add(1, Ordering::SeqCst);
        let (url, answer) = (url.to_owned(), encode(&state.next_token()));
        std::thread::spawn(move || end_login(&url, &answer));
        Ok(())
    }));
    seen(&client).await.unwrap();
    assert_eq!(seen(&client).await.unwrap(), "Bearer+One token-2");
    assert_eq!(opened.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_token_that_the_server_refuses_is_renewed() {
    let world = World::start(json!({}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logins");
    login(&world).cache_file(&file).log_in(&world.server()).await.unwrap();
    world.take_back();
    // All at once: still, one login is enough.
    let client = world.client(login(&world).cache_file(&file));
    let all = futures_util::future::join_all((0..5).map(|_| seen(&client))).await;
    for token in all {
        assert_eq!(token.unwrap(), "Bearer+One token-2");
    }
    assert_eq!(world.logins(), 2);
    // A user whom the server does not want is not asked over and over.
    world.take_back();
    assert!(matches!(seen(&client).await, Err(Error::Unauthorized(_))));
    assert_eq!(world.logins(), 2);
}

#[tokio::test]
async fn a_login_of_another_program_is_used() {
    let world = World::start(json!({}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logins");
    let other = login(&world).cache_file(&file);
    other.log_in(&world.server()).await.unwrap();
    let client = world.client(CachedLogin::new().cache_file(&file));
    assert_eq!(seen(&client).await.unwrap(), "Bearer+One token-1");
    world.take_back();
    other.log_in(&world.server()).await.unwrap();
    assert_eq!(seen(&client).await.unwrap(), "Bearer+One token-2");
}

#[tokio::test]
async fn a_user_logs_in_on_another_device() {
    let world = World::start(json!({}));
    world.state.errors.lock().unwrap().push("authorization_pending");
    let shown = Arc::new(Mutex::new(Vec::new()));
    let codes = Arc::clone(&shown);
    let login = DeviceLogin::new().show_with(move |code| codes.lock().unwrap().push(code.clone()));
    assert_eq!(seen(&world.client(login)).await.unwrap(), "Bearer+One token-1");
    let page = format!("{}/activate", world.web.origin());
    let code = Code { page, code: "WDJB-MJHT".to_owned(), complete_page: None };
    assert_eq!(*shown.lock().unwrap(), [code]);
    let begin = world.web.requests_for("/device").remove(0);
    assert_eq!(begin.text(), "client_id=the%20client&scope=openid%20email");
    let polls = world.web.requests_for("/token");
    let form = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code\
                &device_code=the%20device&client_id=the%20client";
    assert!(polls.len() == 2 && polls.iter().all(|it| it.text() == form), "{polls:?}");
}

#[tokio::test]
async fn a_device_that_is_refused_is_an_error() {
    let world = World::start(json!({}));
    world.state.errors.lock().unwrap().push("access_denied");
    let login = || DeviceLogin::new().show_with(|_| {});
    let error = login().log_in(&world.server()).await.unwrap_err();
    assert!(matches!(&error, Error::Login(text) if text.contains("access_denied")), "{error}");
    // The other provider has neither issuer nor client id.
    let error = login().provider("two").log_in(&world.server()).await.unwrap_err();
    assert!(matches!(error, Error::Missing(_)), "{error}");
    let world = World::with_device(json!({}), false);
    let error = login().log_in(&world.server()).await.unwrap_err();
    assert!(matches!(&error, Error::Missing(text) if text.contains("other devices")), "{error}");
}

#[test]
fn blocking_clients_log_in_too() {
    let world = World::start(json!({}));
    let builder = blocking::Client::builder(&world.server()).auth(login(&world));
    let client = builder.build_blocking().unwrap();
    assert_eq!(client.bucket("b").get().send().unwrap().id, "Bearer+One token-1");
    let plain = blocking::Client::new(&world.server()).unwrap();
    let builder = plain.to_builder().auth(login(&world).like(&plain));
    let client = builder.build_blocking().unwrap();
    assert_eq!(client.bucket("b").get().send().unwrap().id, "Bearer+One token-2");
}
