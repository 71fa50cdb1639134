//! What is stored, and how it is removed.

use std::sync::Arc;

use cumulo_kvs::{Error, Kvs, Options};

use crate::engines::{Engine, fresh_prefix};

pub(crate) async fn what_is_set_is_returned(engine: &impl Engine) {
    let store = engine.store();
    store.set("key", b"value", None).await.unwrap();
    store.set("empty", b"", None).await.unwrap();
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(store.get("empty").await.unwrap().as_deref(), Some(&b""[..]));
    store.ping().await.unwrap();
}

pub(crate) async fn a_missing_key_is_none(engine: &impl Engine) {
    let store = engine.store();
    assert_eq!(store.get("key").await.unwrap(), None);
    assert_eq!(store.take("key").await.unwrap(), None);
    assert!(!store.delete("key").await.unwrap());
}

pub(crate) async fn a_value_is_replaced(engine: &impl Engine) {
    let store = engine.store();
    store.set("key", b"first", None).await.unwrap();
    store.set("key", b"second", None).await.unwrap();
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some(&b"second"[..]));
}

pub(crate) async fn all_bytes_survive(engine: &impl Engine) {
    let store = engine.store();
    let all: Vec<u8> = (0..=255).collect();
    for value in [&all[..], b"\r\nEND\r\n", b"\0", b" 1", b"\xff", b"1 "] {
        store.set("key", value, None).await.unwrap();
        assert_eq!(store.get("key").await.unwrap().as_deref(), Some(value));
        assert_eq!(store.take("key").await.unwrap().as_deref(), Some(value));
    }
}

pub(crate) async fn json_survives_as_it_is(engine: &impl Engine) {
    let store = engine.store();
    for text in [
        "\"\"",
        "17",
        "null",
        "{\"b\": 1.0, \"a\":[1,  2], \"\u{e9}\": \"\\u0000\"}",
        "{\"cumulo:base64\":\"AA==\"}",
        "{\"value\": 1, \"ttl\": 0}",
    ] {
        store.set("key", text.as_bytes(), None).await.unwrap();
        assert_eq!(store.get("key").await.unwrap().as_deref(), Some(text.as_bytes()));
    }
}

pub(crate) async fn large_values_survive_or_are_refused(engine: &impl Engine) {
    let store = engine.store();
    let value: Vec<u8> = (0_u32..1 << 20).map(|it| (it % 251) as u8).collect();
    store.set("key", b"small", None).await.unwrap();
    match store.set("key", &value, None).await {
        Ok(()) => assert!(store.get("key").await.unwrap() == Some(value)),
        Err(Error::TooLarge { size }) => assert_eq!(size, value.len()),
        Err(error) => panic!("{error:?}"),
    }
    // What came before, or after, is none of its bytes.
    store.set("next", b"small", None).await.unwrap();
    assert_eq!(store.get("next").await.unwrap().as_deref(), Some(&b"small"[..]));
}

pub(crate) async fn values_beyond_the_limit_are_refused(engine: &impl Engine) {
    let prefix = fresh_prefix();
    let store = engine.open(Options { prefix, max_value_bytes: 10, ..Options::default() });
    store.set("key", &[0; 10], None).await.unwrap();
    let refused = store.set("key", &[1; 11], None).await;
    assert!(matches!(refused, Err(Error::TooLarge { size: 11 })));
    assert_eq!(store.get("key").await.unwrap(), Some(vec![0; 10]));
}

pub(crate) async fn a_deleted_key_is_gone(engine: &impl Engine) {
    let store = engine.store();
    store.set("key", b"", None).await.unwrap();
    assert!(store.delete("key").await.unwrap());
    assert!(!store.delete("key").await.unwrap());
    assert_eq!(store.get("key").await.unwrap(), None);
}

pub(crate) async fn a_taken_value_is_gone(engine: &impl Engine) {
    let store = engine.store();
    store.set("key", b"value", None).await.unwrap();
    assert_eq!(store.take("key").await.unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(store.take("key").await.unwrap(), None);
}

pub(crate) async fn one_of_many_takes_a_value(engine: &impl Engine) {
    let store: Arc<dyn Kvs> = engine.store().into();
    for round in 0..10 {
        let key = format!("key{round}");
        store.set(&key, b"value", None).await.unwrap();
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let (store, key) = (Arc::clone(&store), key.clone());
                tokio::spawn(async move { store.take(&key).await.unwrap() })
            })
            .collect();
        let mut taken = 0;
        for taker in takers {
            taken += usize::from(taker.await.unwrap().is_some());
        }
        assert_eq!(taken, 1);
    }
}
