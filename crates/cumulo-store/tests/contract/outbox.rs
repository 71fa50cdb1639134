//! Queues of messages: each arrives at least once, if and only if its transaction is committed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use cumulo_core::{
    object::Timestamp,
    outbox::{Backlog, Message},
    store::{Access, Error, Outcome, Transaction},
};

use crate::db::{Db, NOW, posts};

const HOOK: &str = "hook";

fn at(after: i64) -> Timestamp {
    Timestamp(NOW + after)
}

/// A message that is due so much later than now.
fn message(queue: &str, body: &str, after: i64) -> Message {
    Message::new(queue, body, at(after))
}

fn enqueue(db: &Db, messages: &[Message]) {
    let messages = messages.to_vec();
    db.write(move |tx| messages.iter().try_for_each(|message| tx.enqueue(message)));
}

/// What is due so much later than now, claimed until 1000 later than now.
fn claim(db: &Db, after: i64, limit: usize) -> Vec<Message> {
    db.write(move |tx| tx.claim(HOOK, at(after), at(1000), limit))
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

fn backlog(db: &Db, queue: &'static str) -> (u64, u64) {
    let Backlog { waiting, dead } = db.read(move |tx| tx.backlog(queue));
    (waiting, dead)
}

fn next_due(db: &Db) -> Option<Timestamp> {
    db.read(|tx| tx.next_due(HOOK))
}

pub(crate) fn what_is_enqueued_is_claimed(db: &Db) {
    let body = r#"{"text": "ünïcödé \\ \" and more"}"#;
    let message = message(HOOK, body, 0);
    enqueue(db, std::slice::from_ref(&message));
    assert_eq!(next_due(db), Some(at(0)));
    let claimed = claim(db, 0, 10);
    assert_eq!(claimed, [Message { due: Some(at(1000)), attempts: 1, ..message }]);
    assert_eq!(backlog(db, HOOK), (1, 0), "until it is delivered");
}

pub(crate) fn a_claimed_message_is_due_when_its_time_is_over(db: &Db) {
    enqueue(db, &[message(HOOK, "a", 0)]);
    assert_eq!(claim(db, 0, 10).len(), 1);
    assert_eq!(next_due(db), Some(at(1000)));
    assert_eq!(claim(db, 999, 10), []);
    let again = claim(db, 1000, 10);
    assert_eq!((bodies(&again), again[0].attempts), (vec!["a"], 2));
}

pub(crate) fn the_longest_due_come_first(db: &Db) {
    let [a, b] = ["a", "b"].map(|body| message(HOOK, body, 5));
    assert!(a.id < b.id, "ids are made in order");
    enqueue(
        db,
        &[message(HOOK, "late", 7), message(HOOK, "first", 1), b, a, message(HOOK, "no", 9)],
    );
    assert_eq!(bodies(&claim(db, 8, 2)), ["first", "a"]);
    assert_eq!(bodies(&claim(db, 8, 10)), ["b", "late"]);
    assert_eq!(claim(db, 8, 10), []);
}

pub(crate) fn queues_are_apart(db: &Db) {
    enqueue(db, &[message("other", "a", 0), message("hook%", "b", 0)]);
    assert_eq!((claim(db, 5, 10), next_due(db)), (vec![], None));
    assert_eq!([backlog(db, HOOK), backlog(db, "other")], [(0, 0), (1, 0)]);
}

pub(crate) fn a_dequeued_message_is_gone(db: &Db) {
    let messages = ["a", "b", "c"].map(|body| message(HOOK, body, 0));
    enqueue(db, &messages);
    let ids: Vec<_> = messages[..2].iter().map(|message| message.id.clone()).collect();
    for _ in 0..2 {
        let ids = ids.clone();
        db.write(move |tx| tx.dequeue(&ids));
    }
    assert_eq!(bodies(&claim(db, 0, 10)), ["c"]);
}

pub(crate) fn a_postponed_message_waits(db: &Db) {
    let [first, second] = ["a", "b"].map(|body| message(HOOK, body, 0));
    let id = first.id.clone();
    enqueue(db, &[first, second]);
    db.write(move |tx| tx.postpone(&id, Some(at(50))));
    db.write(|tx| tx.postpone("no such message", Some(at(50))));
    assert_eq!(bodies(&claim(db, 49, 10)), ["b"]);
    assert_eq!(bodies(&claim(db, 50, 10)), ["a"]);
}

pub(crate) fn a_message_can_be_given_up(db: &Db) {
    let [first, second] = ["a", "b"].map(|body| message(HOOK, body, 0));
    let id = first.id.clone();
    enqueue(db, &[first, second]);
    db.write(move |tx| tx.postpone(&id, None));
    assert_eq!(bodies(&claim(db, 1000, 10)), ["b"]);
    assert_eq!(backlog(db, HOOK), (1, 1));
    assert_eq!(next_due(db), Some(at(1000)), "of the other one");
}

pub(crate) fn messages_share_the_fate_of_their_transaction(db: &Db) {
    for outcome in [Outcome::Rollback, Outcome::Commit] {
        db.run(Access::Write, move |tx| {
            tx.put(&posts(), "r", None, "{}", None)?;
            tx.enqueue(&message(HOOK, "a", 0))?;
            Ok((outcome, ()))
        })
        .unwrap();
        let expected = usize::from(outcome == Outcome::Commit);
        assert_eq!((db.ids(&posts()).len(), claim(db, 0, 10).len()), (expected, expected));
    }
}

pub(crate) fn messages_share_the_fate_of_their_savepoint(db: &Db) {
    db.write(|tx| {
        tx.enqueue(&message(HOOK, "before", 0))?;
        tx.savepoint()?;
        tx.enqueue(&message(HOOK, "undone", 0))?;
        tx.rollback()?;
        tx.savepoint()?;
        tx.enqueue(&message(HOOK, "kept", 0))?;
        tx.release()
    });
    assert_eq!(bodies(&claim(db, 0, 10)), ["before", "kept"]);
}

pub(crate) fn claims_can_be_undone(db: &Db) {
    let [first, second, third] = ["a", "b", "c"].map(|body| message(HOOK, body, 0));
    let (removed, postponed) = (vec![second.id.clone()], third.id.clone());
    enqueue(db, &[first, second, third]);
    db.run(Access::Write, move |tx| {
        assert_eq!(tx.claim(HOOK, at(0), at(9), 1)?.len(), 1);
        tx.dequeue(&removed)?;
        tx.postpone(&postponed, None)?;
        assert_eq!(tx.backlog(HOOK)?, Backlog { waiting: 1, dead: 1 });
        assert_eq!(tx.next_due(HOOK)?, Some(at(9)));
        Ok((Outcome::Rollback, ()))
    })
    .unwrap();
    // A server may hear of the end later than whoever asked for it.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut claimed = Vec::new();
    while claimed.len() < 3 && Instant::now() < deadline {
        claimed.append(&mut claim(db, 0, 10));
    }
    assert_eq!(bodies(&claimed), ["a", "b", "c"]);
    assert!(claimed.iter().all(|message| message.attempts == 1));
}

pub(crate) fn claimers_at_the_same_time_get_different_messages(db: &Db) {
    let messages: Vec<_> = (0..40).map(|n| message(HOOK, &n.to_string(), 0)).collect();
    enqueue(db, &messages);
    let claims: Vec<_> = (0..8)
        .map(|_| {
            let store = std::sync::Arc::clone(&db.store);
            db.runtime.spawn(async move {
                let claim = |tx: &mut dyn Transaction| {
                    Ok((Outcome::Commit, tx.claim(HOOK, at(0), at(9), 5)?))
                };
                store.transact(Access::Write, claim).await.unwrap()
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for claim in claims {
        claimed.extend(db.runtime.block_on(claim).unwrap());
    }
    let ids: BTreeSet<_> = claimed.iter().map(|message| &message.id).collect();
    assert_eq!(ids.len(), claimed.len(), "none twice");
    // Who comes while others choose may find fewer than there are.
    claimed.extend(claim(db, 0, 40));
    assert_eq!(claimed.len(), 40);
}

pub(crate) fn readers_only_look_at_messages(db: &Db) {
    type Change = fn(&mut dyn Transaction) -> cumulo_core::store::Result<()>;
    let changes: [Change; 4] = [
        |tx| tx.enqueue(&message(HOOK, "a", 0)),
        |tx| tx.claim(HOOK, at(0), at(9), 1).map(drop),
        |tx| tx.dequeue(&["a".to_owned()]),
        |tx| tx.postpone("a", None),
    ];
    for change in changes {
        assert!(matches!(db.try_read(change), Err(Error::ReadOnly)));
    }
    assert_eq!((next_due(db), backlog(db, HOOK)), (None, (0, 0)));
}

pub(crate) fn a_flush_removes_messages(db: &Db) {
    let [first, second] = ["a", "b"].map(|body| message(HOOK, body, 0));
    let id = first.id.clone();
    enqueue(db, &[first, second]);
    db.write(move |tx| tx.postpone(&id, None));
    db.write(|tx| tx.flush());
    assert_eq!(backlog(db, HOOK), (0, 0));
}
