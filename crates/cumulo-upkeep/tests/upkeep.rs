//! Upkeep of a store in memory: what is done, and what is left alone.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use cumulo_core::{
    clock::ManualClock,
    object::{Acl, List, Row, Timestamp},
    query::Query,
    store::{Access, Flaw, Outcome, Result, Store, Transaction},
};
use cumulo_store::Memory;
use cumulo_upkeep::{
    Error,
    check::{self, Watch},
    collection::{self, Collection},
    counts::{self, Mode},
    purge::{self, Purge},
    user::{self, Data, User},
};

fn store() -> Arc<dyn Store> {
    Arc::new(Memory::new(Arc::new(ManualClock::at(1_000_000))))
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn write<T: Send + 'static>(
    store: &Arc<dyn Store>,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<T> + Send + 'static,
) -> T {
    run(store.transact(Access::Write, move |tx| Ok((Outcome::Commit, work(tx)?)))).unwrap()
}

fn ids(store: &Arc<dyn Store>, list: &List) -> Vec<String> {
    let list = list.clone();
    write(store, move |tx| {
        let objects = tx.collect(&list, &Query { tombstones: true, ..Query::default() })?;
        Ok(objects.into_iter().map(|object| object.id).collect())
    })
}

fn buckets() -> List {
    List::new("", "bucket")
}

fn records(collection: &str) -> List {
    List::new(format!("/buckets/b/collections/{collection}"), "record")
}

fn acl(writers: &[&str]) -> Acl {
    let mut acl = Acl::default();
    writers.iter().for_each(|writer| acl.add("write", writer));
    acl
}

/// A bucket `b` with the collections `c` and `d`.
fn with_collections() -> Arc<dyn Store> {
    let store = store();
    write(&store, |tx| {
        tx.put(&buckets(), "b", None, "{}", None)?;
        for id in ["c", "d"] {
            tx.put(&List::new("/buckets/b", "collection"), id, None, "{}", None)?;
        }
        Ok(())
    });
    store
}

#[test]
fn many_tombstones_take_many_transactions() {
    let store = with_collections();
    write(&store, |tx| {
        for n in 0..2500 {
            let id = n.to_string();
            tx.put(&records("c"), &id, None, "{}", None)?;
            tx.delete(&records("c"), &id, None)?;
        }
        tx.put(&records("c"), "alive", None, "{}", None).map(drop)
    });
    let resources = ["record", "nothing"].map(str::to_owned).into();
    let purge = Purge { resources, keep: 10, before: None };
    let found = run(purge::survey(&store, &purge)).unwrap();
    assert_eq!((found.tombstones, found.lists), (2490, 1));
    assert_eq!(found.unknown, ["nothing".to_owned()].into());
    let (steps, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let advance = |purged| {
        steps.fetch_add(1, Ordering::Relaxed);
        done.fetch_add(purged, Ordering::Relaxed);
    };
    assert_eq!(run(purge::purge(&store, &purge, &advance)).unwrap(), found);
    assert_eq!((steps.into_inner(), done.into_inner()), (3, 2490));
    assert_eq!(ids(&store, &records("c")).len(), 11);
    assert_eq!(run(purge::survey(&store, &purge)).unwrap().tombstones, 0);
}

#[test]
fn leftovers_keep_a_collection_from_a_name() {
    let store = with_collections();
    let named = |id: &str| Collection { bucket: "b".into(), id: id.into() };
    write(&store, |tx| {
        tx.put(&records("c"), "r", None, "{}", None)?;
        // As if it had been removed by somebody who left this behind.
        tx.put(&records("e"), "left", None, "{}", None)?;
        tx.delete(&records("e"), "left", None)?;
        // Names that begin alike have nothing to do with each other.
        tx.put(&records("f2"), "r", None, "{}", None).map(drop)
    });
    for id in ["d", "e"] {
        let free = run(collection::free(&store, &named(id)));
        assert!(matches!(free, Err(Error::Taken(_) | Error::Leftovers(_))), "{id}: {free:?}");
        assert!(run(collection::rename(&store, &named("c"), &named(id))).is_err());
    }
    assert_eq!(ids(&store, &records("c")), ["r"]);
    run(collection::rename(&store, &named("c"), &named("f"))).unwrap();
    assert_eq!(
        (ids(&store, &records("f")), ids(&store, &records("f2"))),
        (vec!["r".into()], vec!["r".into()])
    );
}

#[test]
fn a_user_can_be_removed_in_several_goes() {
    let store = with_collections();
    let account = List::new("ann", "account");
    let user = User { principal: "account:ann".into(), account: (account.clone(), "ann".into()) };
    write(&store, move |tx| {
        tx.put(&account, "ann", None, "{}", Some(&acl(&["account:ann"])))?;
        for n in 0..1500 {
            tx.put(&records("c"), &n.to_string(), None, "{}", Some(&acl(&["account:ann"])))?;
        }
        let both = acl(&["account:ann", "account:annx"]);
        tx.put(&records("c"), "both", None, "{}", Some(&both)).map(drop)
    });
    let survey = run(user::survey(&store, &user)).unwrap();
    assert_eq!((survey.account, survey.owned.len(), survey.shared.len()), (true, 1500, 1));
    // As if the first go had been interrupted after some objects.
    let mut some = survey.clone();
    some.owned.truncate(100);
    let report = run(user::remove(&store, &user, &some, Data::Delete, &|_| {})).unwrap();
    assert_eq!((report.deleted, report.released), (100, 1));
    let rest = run(user::survey(&store, &user)).unwrap();
    assert_eq!((rest.account, rest.owned.len(), rest.shared.len()), (false, 1400, 0));
    let report = run(user::remove(&store, &user, &rest, Data::Delete, &|_| {})).unwrap();
    assert_eq!(report.deleted, 1400);
    assert!(run(user::survey(&store, &user)).unwrap().is_empty());
    let left = write(&store, |tx| tx.acl(&records("c"), "both"));
    assert_eq!(*left.unwrap(), acl(&["account:annx"]));
}

#[derive(Default)]
struct Notes(Mutex<Vec<Flaw>>);

impl Watch for Notes {
    fn begin(&self) {}
    fn advance(&self, _: u64) {}
    fn found(&self, flaw: Flaw) {
        self.0.lock().unwrap().push(flaw);
    }
}

#[test]
fn a_check_tells_places() {
    let store = with_collections();
    write(&store, |tx| {
        let odd = Row { id: "odd", last_modified: Timestamp(5), deleted: false, data: "[]" };
        tx.restore(&records("c"), odd, &Acl::default())?;
        tx.put(&records("gone"), "r", None, "{}", None)?;
        // A list that was only looked at is no leftover.
        tx.timestamp(&records("looked at")).map(drop)
    });
    let notes = Arc::new(Notes::default());
    let accepts_id = Arc::new(|resource: &str, id: &str| resource != "record" || id == "r");
    let report = run(check::check(&store, accepts_id, notes.clone())).unwrap();
    let mut places: Vec<_> =
        notes.0.lock().unwrap().iter().map(|flaw| flaw.place.clone()).collect();
    places.sort();
    assert_eq!(
        places,
        [
            "/buckets/b/collections/c/records/odd",
            "/buckets/b/collections/c/records/odd",
            "/buckets/b/collections/gone/records",
        ]
    );
    assert_eq!((report.flaws, report.objects, report.lists), (3, 5, 5));
}

#[test]
fn right_counts_are_not_told() {
    let store = with_collections();
    let told = |list: &List, _| panic!("{list:?}");
    let report = run(counts::rebuild(&store, Mode::Correct, &told, &|_| {})).unwrap();
    assert_eq!((report.lists, report.wrong, report.uncounted), (2, 0, 0));
}
