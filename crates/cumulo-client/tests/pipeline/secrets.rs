//! What logs, errors and `Debug` must not show.

use std::{
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use cumulo_client::{Basic, Bearer, Client, auth};
use serde_json::json;
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

use crate::stub::{Reply, Stub, error, object, text};

/// All that is logged on this thread, as text.
pub(crate) struct Log {
    lines: Lines,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    pub(crate) fn capture() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

/// `s3cret`, also as Basic authentication and in a URL.
const SECRETS: [&str; 3] = ["s3cret", "YW5uOnMzY3JldA", "s3%63ret"];

fn assert_hidden(what: &str, text: &str) {
    assert!(!text.is_empty());
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows {secret}: {text}");
    }
}

fn assert_not_shown(what: &impl Debug) {
    assert_hidden("Debug", &format!("{what:?} {what:#?}"));
}

#[tokio::test]
async fn credentials_are_never_logged_nor_part_of_errors() {
    let log = Log::capture();
    let replies =
        [error(401, 104, "Please authenticate"), Reply::Break, text(302, ""), object("a")];
    for auth in ["ann:s3cret", "Bearer s3cret", "Basic YW5uOnMzY3JldA=="] {
        let stub = Stub::script(replies.clone()).await;
        let auth = auth::parse(auth).unwrap();
        let client = stub.builder().shared_auth(Some(auth.into())).build().unwrap();
        for _ in 0..3 {
            match client.bucket("a").get().send().await {
                Ok(object) => assert_not_shown(&object),
                Err(failure) => {
                    assert_hidden("Display", &failure.to_string());
                    assert_not_shown(&failure);
                }
            }
        }
        assert_eq!(stub.received().len(), 4);
        assert!(stub.last().header("Authorization").is_some());
    }
    assert!(log.text().contains("request"), "something was logged");
    assert_hidden("the log", &log.text());
}

#[test]
fn clients_and_what_makes_them_show_no_credentials() {
    let auths: [Box<dyn auth::Auth>; 2] =
        [Box::new(Basic::new("ann", "s3cret")), Box::new(Bearer::new("s3cret"))];
    for auth in auths {
        assert_not_shown(&auth);
        let builder = Client::builder("http://localhost/v1").shared_auth(Some(auth.into()));
        assert_not_shown(&builder);
        assert_not_shown(&builder.build().unwrap());
    }
    for url in ["http://ann:s3cret@localhost/v1", "http://:s3%63ret@localhost/v1"] {
        let builder = Client::builder(url);
        assert_not_shown(&builder);
        assert_not_shown(&builder.build().unwrap());
    }
    let builder = Client::builder("http://localhost/v1");
    for name in ["Authorization", "Proxy-Authorization", "Cookie"] {
        assert_not_shown(&builder.clone().header(name, "Bearer s3cret"));
    }
    assert_not_shown(&builder.proxy("http://ann:s3cret@localhost:3128"));
}

#[test]
fn calls_show_neither_credentials_nor_bodies() {
    let client = Client::new("http://localhost/v1").unwrap();
    let password = json!({"password": "s3cret"});
    assert_not_shown(&client.bucket("a").get().header("Authorization", "Bearer s3cret"));
    assert_not_shown(&client.buckets().list().header("Authorization", "Bearer s3cret"));
    assert_not_shown(&client.accounts().create(password.clone()).id("ann"));
    assert_not_shown(&client.accounts().patch("ann", password.clone()));
    let batch = client.batch();
    assert_not_shown(&batch.accounts().create(password).id("ann").send());
    assert_not_shown(&batch);
}

#[tokio::test]
async fn a_wrong_url_is_described_without_its_password() {
    for url in ["ftp://ann:s3cret@localhost/v1", "http://ann:s3cret@local host/v1"] {
        let failure = Client::new(url).unwrap_err();
        assert_hidden("Display", &failure.to_string());
        assert_not_shown(&failure);
    }
}
