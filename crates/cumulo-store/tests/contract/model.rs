//! Random transactions leave every store as they leave the memory store.

use std::sync::Arc;

use cumulo_core::{
    object::{Acl, List, Timestamp},
    query::Query,
    store::{Access, Outcome, Result, Store, Transaction},
};
use cumulo_store::Memory;
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestRunner};

use crate::db::{Db, NOW, acl};

/// One step of a transaction, over few names so that steps meet.
#[derive(Clone, Debug)]
enum Step {
    Put(List, u8, Option<i64>, Option<Acl>),
    SetAcl(List, u8, Acl),
    Delete(List, u8, Option<i64>),
    DeleteBelow(&'static str),
    Purge(List, usize, usize),
    MoveBelow(&'static str, &'static str),
    Recount(List),
    Join(&'static str, &'static str),
    Leave(&'static str, &'static str),
    Disband(&'static str),
    LeaveAll(&'static str),
    Flush,
    Timestamp(List),
    Savepoint,
    Release,
    Rollback,
    Look,
}

/// Transactions: where the clock is, what is done, and how it ends.
type Plan = Vec<(i64, Vec<Step>, bool)>;

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const GROUPS: [&str; 3] = ["/b/x/groups/g", "/b/x/groups/h", "/b/y/groups/g"];

fn lists() -> Vec<List> {
    vec![
        List::new("", "bucket"),
        List::new("/b/x", "group"),
        List::new("/b/x", "collection"),
        List::new("/b/x/c/1", "record"),
        List::new("/b/x/c/2", "record"),
        List::new("/b/y/c/1", "record"),
    ]
}

fn an_acl() -> impl Strategy<Value = Acl> {
    let one = (select(vec!["read", "write"]), select(USERS.to_vec()));
    prop_oneof![Just(Acl::default()), one.prop_map(|(permission, user)| acl(permission, user))]
}

fn step() -> impl Strategy<Value = Step> {
    let list = || select(lists());
    let at = || prop::option::weighted(0.3, -2_i64..12).prop_map(|n| n.map(|n| NOW + n));
    let (user, group) = (|| select(USERS.to_vec()), || select(GROUPS.to_vec()));
    prop_oneof![
        12 => (list(), 0_u8..4, at(), prop::option::of(an_acl()))
            .prop_map(|(list, id, at, acl)| Step::Put(list, id, at, acl)),
        3 => (list(), 0_u8..4, an_acl()).prop_map(|(list, id, acl)| Step::SetAcl(list, id, acl)),
        5 => (list(), 0_u8..4, at()).prop_map(|(list, id, at)| Step::Delete(list, id, at)),
        2 => select(vec!["/b/x", "/b/y", "/b/x/c/1", "/b", ""]).prop_map(Step::DeleteBelow),
        3 => (list(), 0_usize..3, 1_usize..3)
            .prop_map(|(list, keep, limit)| Step::Purge(list, keep, limit)),
        2 => select(vec![("/b/x", "/b/y"), ("/b/y", "/b/x"), ("/b/x/c/1", "/b/x/c/2")])
            .prop_map(|(from, to)| Step::MoveBelow(from, to)),
        1 => list().prop_map(Step::Recount),
        4 => (user(), group()).prop_map(|(user, group)| Step::Join(user, group)),
        2 => (user(), group()).prop_map(|(user, group)| Step::Leave(user, group)),
        1 => group().prop_map(Step::Disband),
        1 => user().prop_map(Step::LeaveAll),
        1 => Just(Step::Flush),
        3 => list().prop_map(Step::Timestamp),
        4 => Just(Step::Savepoint),
        2 => Just(Step::Release),
        3 => Just(Step::Rollback),
        2 => Just(Step::Look),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    vec((0_i64..8, vec(step(), 0..8), prop::bool::weighted(0.8)), 1..12)
}

/// Takes one step and tells what came of it.
fn take(tx: &mut dyn Transaction, step: &Step) -> Result<String> {
    let told = match step {
        Step::Put(list, id, at, acl) => {
            let (id, data) = (id.to_string(), serde_json::json!({"at": at}).to_string());
            format!("{:?}", tx.put(list, &id, at.map(Timestamp), &data, acl.as_ref()))
        }
        Step::SetAcl(list, id, acl) => format!("{:?}", tx.set_acl(list, &id.to_string(), acl)),
        Step::Delete(list, id, at) => {
            format!("{:?}", tx.delete(list, &id.to_string(), at.map(Timestamp)))
        }
        Step::DeleteBelow(uri) => format!("{:?}", tx.delete_below(uri)),
        Step::Purge(list, keep, limit) => {
            let found = tx.tombstones(list, *keep, None)?;
            let purged = found.map(|found| tx.purge(list, found.latest, *limit));
            format!("{found:?} {purged:?}")
        }
        Step::MoveBelow(from, to) => format!("{:?}", tx.move_below(from, to)),
        // Not every store keeps counts.
        Step::Recount(list) => {
            let recount = tx.recount(list)?;
            assert!(recount.is_none_or(|recount| recount.kept == recount.counted));
            String::new()
        }
        Step::Join(user, group) => format!("{:?}", tx.join(user, group)),
        Step::Leave(user, group) => format!("{:?}", tx.leave(user, group)),
        Step::Disband(group) => format!("{:?}", tx.disband(group)),
        Step::LeaveAll(user) => format!("{:?}", tx.leave_all(user)),
        Step::Flush => format!("{:?}", tx.flush()),
        Step::Timestamp(list) => format!("{:?}", tx.timestamp(list)),
        Step::Savepoint => format!("{:?}", tx.savepoint()),
        Step::Release => format!("{:?}", tx.release()),
        Step::Rollback => format!("{:?}", tx.rollback()),
        Step::Look => look(tx)?,
    };
    Ok(told + "\n")
}

/// Everything that can be seen in a transaction.
fn look(tx: &mut dyn Transaction) -> Result<String> {
    let mut seen = String::new();
    for list in lists() {
        let acls = (0..4).map(|id| tx.acl(&list, &id.to_string())).collect::<Result<Vec<_>>>()?;
        let count = tx.count(&list, &Query::default())?;
        let objects = tx.collect(&list, &Query { tombstones: true, ..Query::default() })?;
        let gets = (0..4)
            .map(|id| Ok(tx.get(&list, &id.to_string())?.map(|entry| (entry.object, entry.acl))))
            .collect::<Result<Vec<_>>>()?;
        seen += &format!("{list:?} {acls:?} {count} {objects:?} {gets:?}\n");
    }
    for user in USERS {
        let groups = tx.groups(&[user])?;
        let mut granted: Vec<_> = tx.granted(&[user.into()], None)?;
        granted.sort_by(|a, b| (&a.list, &a.id).cmp(&(&b.list, &b.id)));
        let mut shared = tx.shared(&lists()[3], &[user.into()], &["read", "write"])?;
        shared.sort_unstable();
        seen += &format!("{user} {groups:?} {granted:?} {shared:?}\n");
    }
    Ok(seen)
}

/// The timestamps that a reader sees.
fn stamps(tx: &mut dyn Transaction) -> String {
    format!("{:?}", lists().iter().map(|list| tx.timestamp(list).ok()).collect::<Vec<_>>())
}

fn run(db: &Db, store: &Arc<dyn Store>, steps: &[Step], commit: bool) -> String {
    let steps = steps.to_vec();
    let written = db.runtime.block_on(store.transact(Access::Write, move |tx| {
        let told = steps.iter().map(|step| take(tx, step)).collect::<Result<String>>()?;
        Ok((if commit { Outcome::Commit } else { Outcome::Rollback }, told))
    }));
    let read = |order: bool| {
        db.runtime.block_on(store.transact(Access::Read, move |tx| {
            let first = order.then(|| stamps(tx));
            let seen = look(tx)?;
            Ok((Outcome::Commit, seen + &first.unwrap_or_else(|| stamps(tx))))
        }))
    };
    format!("{}\n{}\n{}", told(written), told(read(true)), told(read(false)))
}

fn told(result: Result<String>) -> String {
    result.unwrap_or_else(|error| error.to_string())
}

pub(crate) fn random_transactions_match_the_model(db: &Db) {
    let mut runner = TestRunner::new(ProptestConfig { cases: 100, ..ProptestConfig::default() });
    let model: Arc<dyn Store> = Arc::new(Memory::new(Arc::clone(&db.clock) as _));
    let result = runner.run(&plan(), |plan| {
        // The floor of timestamps outlives a flush; so must the model, then.
        run(db, &db.store, &[Step::Flush], true);
        run(db, &model, &[Step::Flush], true);
        for (clock, steps, commit) in &plan {
            db.clock.set(NOW + clock);
            let expected = run(db, &model, steps, *commit);
            prop_assert_eq!(run(db, &db.store, steps, *commit), expected);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
