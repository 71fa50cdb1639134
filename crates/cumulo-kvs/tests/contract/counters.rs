//! Numbers that many add to.

use std::{sync::Arc, time::Duration};

use cumulo_kvs::{Error, Kvs};
use tokio::time::sleep;

use crate::engines::Engine;

pub(crate) async fn increments_add_up(engine: &impl Engine) {
    let store = engine.store();
    assert_eq!(store.increment("key", 1, None).await.unwrap(), 1);
    assert_eq!(store.increment("key", 0, None).await.unwrap(), 1);
    assert_eq!(store.increment("key", u32::MAX, None).await.unwrap(), 0x1_0000_0000);
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some(&b"4294967296"[..]));
    assert_eq!(store.take("key").await.unwrap().as_deref(), Some(&b"4294967296"[..]));
    assert_eq!(store.increment("key", 7, None).await.unwrap(), 7);
    assert!(store.delete("key").await.unwrap());
}

pub(crate) async fn concurrent_increments_are_all_counted(engine: &impl Engine) {
    const TASKS: u32 = 16;
    const EACH: u32 = 25;
    let store: Arc<dyn Kvs> = engine.store().into();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut last = 0;
                for _ in 0..EACH {
                    let hour = Some(Duration::from_hours(1));
                    let sum = store.increment("key", 2, hour).await.unwrap();
                    assert!(sum > last);
                    last = sum;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let sum = i64::from(TASKS * EACH * 2);
    assert_eq!(store.increment("key", 0, None).await.unwrap(), sum);
}

pub(crate) async fn counters_expire_when_they_were_said_to(engine: &impl Engine) {
    let store = engine.store();
    let second = Some(Duration::from_secs(1));
    for expected in 1..=4 {
        assert_eq!(store.increment("key", 1, second).await.unwrap(), expected);
        sleep(Duration::from_millis(100)).await;
    }
    // memcached may let it live two seconds longer, counted from the first increment.
    sleep(Duration::from_millis(2900)).await;
    assert_eq!(store.get("key").await.unwrap(), None);
    assert_eq!(store.increment("key", 1, second).await.unwrap(), 1);
}

pub(crate) async fn an_expired_value_does_not_stop_a_counter(engine: &impl Engine) {
    let store = engine.store();
    store.set("key", b"text", Some(Duration::from_millis(50))).await.unwrap();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(store.increment("key", 3, None).await.unwrap(), 3);
}

pub(crate) async fn what_is_no_number_is_not_incremented(engine: &impl Engine) {
    let store = engine.store();
    store.set("key", b"text", None).await.unwrap();
    let refused = store.increment("key", 1, None).await;
    assert!(matches!(refused, Err(Error::NotACounter { key }) if key == "key"));
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some(&b"text"[..]));
    store.set("key", b"", None).await.unwrap();
    assert!(store.increment("key", 1, Some(Duration::from_secs(1))).await.is_err());
}

/// `set` does not make counters on every engine; where it does, they do not overflow.
pub(crate) async fn sums_that_do_not_fit_are_refused(engine: &impl Engine) {
    let store = engine.store();
    store.set("key", i64::MAX.to_string().as_bytes(), None).await.unwrap();
    let refused = store.increment("key", 1, None).await;
    assert!(matches!(refused, Err(Error::NotACounter { .. })), "{refused:?}");
}
