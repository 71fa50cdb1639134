//! Any text is a key.

use std::collections::BTreeSet;

use cumulo_kvs::Error;

use crate::engines::Engine;

pub(crate) async fn odd_keys_are_apart(engine: &impl Engine) {
    const ODD: [&str; 22] = [
        "",
        " ",
        "  ",
        "a",
        "A",
        "a ",
        "a b",
        "a\r\nb",
        "a\0b",
        "a\0c",
        "\u{7f}",
        "%",
        "%25",
        "_",
        "*",
        "?",
        "[a]",
        "\\",
        "'\"",
        "é",
        "e\u{301}",
        "日本語\u{3000}🙂",
    ];
    let store = engine.store();
    for key in ODD {
        store.set(key, key.as_bytes(), None).await.unwrap();
    }
    for key in ODD {
        assert_eq!(store.get(key).await.unwrap().as_deref(), Some(key.as_bytes()), "{key:?}");
    }
    for key in ODD {
        assert_eq!(store.take(key).await.unwrap().as_deref(), Some(key.as_bytes()), "{key:?}");
    }
}

pub(crate) async fn long_keys_are_apart(engine: &impl Engine) {
    let store = engine.store();
    let long = "é".repeat(5000);
    let keys = [long.clone(), format!("{long}a"), format!("{long}b"), "x".repeat(250)];
    for key in &keys {
        assert_eq!(store.increment(key, 1, None).await.unwrap(), 1);
    }
    assert_eq!(store.increment(&keys[0], 1, None).await.unwrap(), 2);
    assert_eq!(store.get(&keys[1]).await.unwrap().as_deref(), Some(&b"1"[..]));
}

pub(crate) async fn keys_are_listed_by_prefix(engine: &impl Engine) {
    let store = engine.store();
    if !engine.lists_keys() {
        let refused = store.keys("").await;
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
        return;
    }
    let keys: BTreeSet<String> = (0..50).map(|it| format!("a%{it}")).collect();
    for key in &keys {
        store.set(key, b"", None).await.unwrap();
    }
    for key in ["a_", "A%", "b", "*"] {
        store.set(key, b"", None).await.unwrap();
    }
    assert_eq!(store.keys("a%").await.unwrap().into_iter().collect::<BTreeSet<_>>(), keys);
    assert_eq!(store.keys("").await.unwrap().len(), 54);
    assert_eq!(store.keys("*").await.unwrap(), ["*"]);
    assert_eq!(store.keys("\0").await.unwrap(), [""; 0]);
}
