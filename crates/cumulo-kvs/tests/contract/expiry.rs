//! Values that end. These tests wait: an expiry is what a real server does by its own clock.

use std::time::Duration;

use cumulo_kvs::{Kvs, Lifetime};
use tokio::time::sleep;

use crate::engines::Engine;

const SHORT: Duration = Duration::from_millis(150);
const HOUR: Duration = Duration::from_hours(1);

async fn expire(store: &dyn Kvs, key: &str) {
    store.set(key, b"value", Some(SHORT)).await.unwrap();
    sleep(SHORT + Duration::from_millis(50)).await;
}

pub(crate) async fn values_expire(engine: &impl Engine) {
    let store = engine.store();
    store.set("key", b"value", Some(Duration::from_millis(600))).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert!(store.get("key").await.unwrap().is_some());
    sleep(Duration::from_millis(550)).await;
    assert_eq!(store.get("key").await.unwrap(), None);
    assert_eq!(store.ttl("key").await.unwrap(), Lifetime::Missing);
}

pub(crate) async fn lifetimes_are_told(engine: &impl Engine) {
    let store = engine.store();
    assert_eq!(store.ttl("key").await.unwrap(), Lifetime::Missing);
    store.set("key", b"value", None).await.unwrap();
    assert_eq!(store.ttl("key").await.unwrap(), Lifetime::Unlimited);
    store.set("key", b"value", Some(HOUR)).await.unwrap();
    is_about(store.ttl("key").await.unwrap(), HOUR);
    store.increment("counter", 1, Some(HOUR)).await.unwrap();
    is_about(store.ttl("counter").await.unwrap(), HOUR);
    store.increment("other", 1, None).await.unwrap();
    assert_eq!(store.ttl("other").await.unwrap(), Lifetime::Unlimited);
}

#[track_caller]
fn is_about(lifetime: Lifetime, expected: Duration) {
    let Lifetime::Left(left) = lifetime else { panic!("{lifetime:?}") };
    let first = expected.saturating_sub(Duration::from_secs(10));
    let last = expected + Duration::from_secs(5);
    assert!(left > first && left < last, "{left:?}");
}

pub(crate) async fn zero_removes(engine: &impl Engine) {
    let store = engine.store();
    store.set("key", b"value", None).await.unwrap();
    store.set("key", b"other", Some(Duration::ZERO)).await.unwrap();
    assert_eq!(store.get("key").await.unwrap(), None);
}

pub(crate) async fn a_new_value_has_its_own_lifetime(engine: &impl Engine) {
    let store = engine.store();
    store.set("longer", b"value", Some(SHORT)).await.unwrap();
    store.set("longer", b"value", None).await.unwrap();
    store.set("shorter", b"value", None).await.unwrap();
    expire(&*store, "shorter").await;
    assert!(store.get("longer").await.unwrap().is_some());
    assert_eq!(store.get("shorter").await.unwrap(), None);
}

pub(crate) async fn long_lifetimes_are_kept(engine: &impl Engine) {
    let store = engine.store();
    // memcached takes more than 30 days for a moment; some engines overflow in the end.
    let year = Duration::from_hours(365 * 24);
    store.set("key", b"value", Some(year)).await.unwrap();
    is_about(store.ttl("key").await.unwrap(), year);
    store.increment("counter", 1, Some(year)).await.unwrap();
    is_about(store.ttl("counter").await.unwrap(), year);
    store.set("max", b"value", Some(Duration::MAX)).await.unwrap();
    store.increment("max counter", 1, Some(Duration::MAX)).await.unwrap();
    assert!(store.get("key").await.unwrap().is_some());
    assert!(store.get("counter").await.unwrap().is_some());
    assert!(store.get("max").await.unwrap().is_some());
    assert!(store.get("max counter").await.unwrap().is_some());
}

pub(crate) async fn an_expired_value_is_neither_deleted_nor_taken_nor_listed(engine: &impl Engine) {
    let store = engine.store();
    expire(&*store, "key").await;
    if engine.lists_keys() {
        assert_eq!(store.keys("").await.unwrap(), [""; 0]);
    }
    assert!(!store.delete("key").await.unwrap());
    expire(&*store, "key").await;
    assert_eq!(store.take("key").await.unwrap(), None);
}
