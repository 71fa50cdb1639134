//! Stores that use one server.

use cumulo_kvs::{Kvs, Options};

use crate::engines::{Engine, fresh_prefix};

fn two(engine: &impl Engine) -> (Box<dyn Kvs>, Box<dyn Kvs>) {
    let prefix = fresh_prefix();
    let open = |prefix| engine.open(Options { prefix, ..Options::default() });
    (open(format!("{prefix}a:")), open(format!("{prefix}b:")))
}

pub(crate) async fn stores_with_other_prefixes_are_apart(engine: &impl Engine) {
    let (a, b) = two(engine);
    a.set("key", b"value", None).await.unwrap();
    assert_eq!(b.get("key").await.unwrap(), None);
    assert!(!b.delete("key").await.unwrap());
    assert_eq!(b.increment("key", 1, None).await.unwrap(), 1);
    if engine.lists_keys() {
        assert_eq!(a.keys("").await.unwrap(), ["key"]);
    }
    assert_eq!(a.take("key").await.unwrap().as_deref(), Some(&b"value"[..]));
}

pub(crate) async fn a_flush_empties_one_store(engine: &impl Engine) {
    let (a, b) = two(engine);
    let long = "x".repeat(500);
    for key in ["key", "é *", &long] {
        a.set(key, b"value", None).await.unwrap();
        b.set(key, b"value", None).await.unwrap();
    }
    for number in 0..1500 {
        a.set(&number.to_string(), b"value", None).await.unwrap();
    }
    a.flush().await.unwrap();
    for key in ["key", "é *", &long] {
        assert_eq!(a.get(key).await.unwrap(), None);
        assert!(b.get(key).await.unwrap().is_some());
    }
    for number in 0..1500 {
        assert_eq!(a.get(&number.to_string()).await.unwrap(), None);
    }
    a.flush().await.unwrap();
    a.set("key", b"value", None).await.unwrap();
    assert!(a.get("key").await.unwrap().is_some());
}

pub(crate) async fn a_store_without_prefix_is_emptied(engine: &impl Engine) {
    if engine.is_shared() {
        return crate::outages::a_private_server_is_emptied().await;
    }
    let store = engine.open(Options::default());
    store.set("key", b"value", None).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(store.get("key").await.unwrap(), None);
}
