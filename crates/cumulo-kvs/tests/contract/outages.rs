//! Servers that go away and come back, and that are emptied. Each test has its own.

use std::time::{Duration, Instant};

use cumulo_kvs::{Error, Kvs, Memcached, Options, Postgresql, Redis};
use cumulo_servers as servers;
use tokio::{net::TcpListener, time::sleep};

/// How soon a client must have found a server again.
const RECOVERY: Duration = Duration::from_secs(2);

fn options() -> Options {
    Options { timeout: Duration::from_secs(1), ..Options::default() }
}

/// Connections are made, then they all break; the client finds the server again.
async fn survives(store: &dyn Kvs, kill: impl FnOnce(), start: impl FnOnce()) {
    let all = futures(store).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    kill();
    for _ in 0..3 {
        let gone = store.get("key").await;
        assert!(matches!(gone, Err(Error::Unavailable { .. })), "{gone:?}");
        assert!(store.ping().await.is_err());
    }
    start();
    let deadline = Instant::now() + RECOVERY;
    while store.set("key", b"again", None).await.is_err() {
        assert!(Instant::now() < deadline, "still not there");
        sleep(Duration::from_millis(20)).await;
    }
    for result in futures(store).await {
        result.unwrap();
    }
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some(&b"again"[..]));
}

/// A few operations at a time, on connections of their own.
async fn futures(store: &dyn Kvs) -> Vec<cumulo_kvs::Result<i64>> {
    let one = || store.increment("counter", 1, None);
    let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
    vec![a, b, c, d]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_found_again() {
    let server = std::cell::RefCell::new(servers::Redis::start().unwrap());
    let store = Redis::new(&server.borrow().url(), options()).unwrap();
    let (kill, start) =
        (|| server.borrow_mut().kill().unwrap(), || server.borrow_mut().restart().unwrap());
    survives(&store, kill, start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memcached_is_found_again() {
    let server = std::cell::RefCell::new(servers::Memcached::start().unwrap());
    let store = Memcached::new([server.borrow().url()], options()).unwrap();
    let (kill, start) =
        (|| server.borrow_mut().kill().unwrap(), || server.borrow_mut().restart().unwrap());
    survives(&store, kill, start).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_found_again() {
    let server = servers::Postgres::start(&servers::Options::default()).unwrap();
    let store = Postgresql::new(&server.url(), options()).unwrap();
    store.migrate().await.unwrap();
    let server = std::cell::RefCell::new(server);
    let (stop, start) =
        (|| server.borrow_mut().stop().unwrap(), || server.borrow_mut().restart().unwrap());
    survives(&store, stop, start).await;
}

/// A server that takes connections and never answers, and one that talks nonsense.
#[tokio::test]
async fn silence_and_nonsense_are_failures() {
    for answer in [
        None,
        Some(&b"nonsense\r\n"[..]),
        Some(b"VALUE key 0 99999999999 1\r\n"),
        Some(&[0xff; 9000]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                if let Some(answer) = answer {
                    let _ = tokio::io::AsyncWriteExt::write_all(&mut connection, answer).await;
                }
                kept.push(connection);
            }
        });
        let options = Options { timeout: Duration::from_millis(200), ..Options::default() };
        let stores: [Box<dyn Kvs>; 3] = [
            Box::new(Redis::new(&format!("redis://{address}"), options.clone()).unwrap()),
            Box::new(Memcached::new([address.to_string()], options.clone()).unwrap()),
            Box::new(Postgresql::new(&format!("postgresql://u@{address}/d"), options).unwrap()),
        ];
        for store in stores {
            for _ in 0..2 {
                let start = Instant::now();
                let result = store.get("key").await;
                assert!(matches!(result, Err(Error::Unavailable { .. })), "{result:?}");
                assert!(start.elapsed() < Duration::from_secs(2));
            }
        }
    }
}

#[tokio::test]
async fn wrong_passwords_are_failures_that_do_not_tell_them() {
    let server = servers::Redis::with_password("s3cret").unwrap();
    let url = server.url().replace("s3cret", "guess");
    let error = Redis::new(&url, options()).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }));
    assert!(!format!("{error:?}").contains("guess"));
}

#[tokio::test]
async fn addresses_that_are_none_are_refused() {
    for url in ["", "http://h", "redis://u:s3cret@h:port"] {
        let Err(Error::Configuration(text)) = Redis::new(url, options()) else { panic!("{url}") };
        assert!(!text.contains("s3cret"));
    }
    assert!(Postgresql::new("mysql://h/d", options()).is_err());
}

/// The case of stores without prefix, for engines whose servers are shared by tests.
pub(crate) async fn a_private_server_is_emptied() {
    let (redis, memcached) =
        (servers::Redis::start().unwrap(), servers::Memcached::start().unwrap());
    let stores: [Box<dyn Kvs>; 2] = [
        Box::new(Redis::new(&redis.url(), options()).unwrap()),
        Box::new(Memcached::new([memcached.url()], options()).unwrap()),
    ];
    for store in stores {
        store.set("key", b"value", None).await.unwrap();
        store.flush().await.unwrap();
        assert_eq!(store.get("key").await.unwrap(), None);
        store.set("key", b"value", None).await.unwrap();
        assert!(store.get("key").await.unwrap().is_some());
    }
}
