//! Measures the SQLite store: `cargo run --release -p cumulo-store --example measure [folder]`.

#![expect(clippy::print_stdout, reason = "this is a report")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use cumulo_core::{
    clock::SystemClock,
    object::{Acl, List},
    query::{Field, Filter, Op, Query},
    store::{Access, Outcome, Result, Store, Transaction},
};
use cumulo_store::{Durability, Options, Sqlite};
use serde_json::json;

const RECORDS: u32 = 100_000;

type Report = Result<()>;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let folder: std::path::PathBuf =
        std::env::args().nth(1).map_or_else(|| temporary.path().into(), Into::into);
    let runtime = tokio::runtime::Runtime::new()?;
    for durability in [Durability::Full, Durability::Normal, Durability::Off] {
        runtime.block_on(creates(&open(&folder, durability)?, durability))?;
    }
    let store = open(&folder, Durability::Off)?;
    runtime.block_on(fill(&store))?;
    runtime.block_on(reads(&store))?;
    runtime.block_on(filters(&store))?;
    println!("{:<40} {:>10} kB", "memory, peak", memory());
    Ok(())
}

fn open(
    folder: &Path,
    durability: Durability,
) -> std::result::Result<Arc<dyn Store>, cumulo_store::Error> {
    let path = folder.join(format!("measure-{durability:?}-{}.db", std::process::id()));
    let options = Options { durability, ..Options::default() };
    Ok(Arc::new(Sqlite::open(&path, options, Arc::new(SystemClock::default()))?))
}

fn posts() -> List {
    List::new("/buckets/blog/collections/posts", "record")
}

fn acl() -> Acl {
    let mut acl = Acl::default();
    acl.add("write", "basicauth:0f9a3ad1f3bb4cc1d5a4fd9c6b4c0e87");
    acl
}

fn data(n: u32) -> String {
    json!({"title": format!("Number {n}"), "n": n, "text": "x".repeat(160)}).to_string()
}

/// Time-ordered, as the server makes them.
fn id(n: u32) -> String {
    format!("0197a0c4-0000-7000-8000-{n:012}")
}

async fn creates(store: &Arc<dyn Store>, durability: Durability) -> Report {
    const TASKS: u32 = 64;
    const EACH: u32 = 200;
    let begin = Instant::now();
    let cpu = cpu();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                for n in 0..EACH {
                    let id = id(task * EACH + n);
                    let work = move |tx: &mut dyn Transaction| {
                        tx.put(&posts(), &id, None, &data(n), Some(&acl()))?;
                        Ok(Outcome::Commit)
                    };
                    store.submit(Access::Write, Box::new(work)).await?;
                }
                cumulo_core::store::Result::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap_or(Ok(()))?;
    }
    report(&format!("create, 64 tasks, {durability:?}"), TASKS * EACH, begin.elapsed(), cpu);
    Ok(())
}

async fn fill(store: &Arc<dyn Store>) -> Report {
    let (begin, cpu) = (Instant::now(), cpu());
    let work = |tx: &mut dyn Transaction| {
        for n in 0..RECORDS {
            tx.put(&posts(), &id(n), None, &data(n), Some(&acl()))?;
        }
        tx.put(&List::new("", "bucket"), "blog", None, "{}", Some(&acl()))?;
        tx.join("alice", "/buckets/blog/groups/g")?;
        Ok(Outcome::Commit)
    };
    store.submit(Access::Write, Box::new(work)).await?;
    report("create, one transaction", RECORDS, begin.elapsed(), cpu);
    Ok(())
}

async fn reads(store: &Arc<dyn Store>) -> Report {
    let mut n = 0;
    measure(store, "get, random", 100_000, move |tx| {
        n = (n + 7919) % RECORDS;
        tx.get(&posts(), &id(n)).map(drop)
    })
    .await?;
    measure(store, "get, same", 100_000, |tx| tx.get(&posts(), &id(5)).map(drop)).await?;
    let query = Query { limit: Some(100), ..Query::default() };
    list(store, "list 100, newest", &query).await?;
    let since = Filter { field: Field::LastModified, op: Op::Gt(json!(5)) };
    let page = Query { filters: vec![since], tombstones: true, ..query.clone() };
    list(store, "list 100, since, with tombstones", &page).await?;
    measure(store, "nothing", 1_000_000, |_| Ok(())).await?;
    let buckets = List::new("", "bucket");
    measure(store, "acl, warm", 1_000_000, move |tx| tx.acl(&buckets, "blog").map(drop)).await?;
    let list = posts();
    measure(store, "timestamp, warm", 1_000_000, move |tx| tx.timestamp(&list).map(drop)).await?;
    let list = posts();
    measure(store, "count, warm", 1_000_000, move |tx| {
        tx.count(&list, &Query::default()).map(drop)
    })
    .await?;
    measure(store, "groups, warm", 1_000_000, |tx| {
        tx.groups(&["alice", "system.Everyone"]).map(drop)
    })
    .await
}

async fn list(store: &Arc<dyn Store>, name: &str, query: &Query) -> Report {
    let query = query.clone();
    measure(store, name, 20_000, move |tx| {
        let mut bytes = 0;
        tx.list(&posts(), &query, &mut |row| {
            bytes += row.data.len();
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        std::hint::black_box(bytes);
        Ok(())
    })
    .await
}

async fn filters(store: &Arc<dyn Store>) -> Report {
    for round in ["first", "second"] {
        let filter =
            Filter { field: Field::Data(vec!["n".into()]), op: Op::Eq(json!(RECORDS / 2)) };
        let query = Query { filters: vec![filter], ..Query::default() };
        list_once(store, &format!("filter for one of {RECORDS}, {round}"), query).await?;
        // Leaves the store time to make an index.
        store.submit(Access::Write, Box::new(|_| Ok(Outcome::Commit))).await?;
        store.submit(Access::Write, Box::new(|_| Ok(Outcome::Commit))).await?;
    }
    Ok(())
}

async fn list_once(store: &Arc<dyn Store>, name: &str, query: Query) -> Report {
    measure(store, name, 3, move |tx| {
        tx.list(&posts(), &query, &mut |_| Ok(std::ops::ControlFlow::Continue(())))
    })
    .await
}

/// Runs `work` in `times` transactions that read.
async fn measure(
    store: &Arc<dyn Store>,
    name: &str,
    times: u32,
    work: impl FnMut(&mut dyn Transaction) -> Report + Send + 'static,
) -> Report {
    let work = Arc::new(std::sync::Mutex::new(work));
    let (begin, cpu) = (Instant::now(), cpu());
    for _ in 0..times {
        let work = Arc::clone(&work);
        let run = move |tx: &mut dyn Transaction| {
            let mut work = work.lock().expect("no work panics");
            work(tx)?;
            Ok(Outcome::Commit)
        };
        store.submit(Access::Read, Box::new(run)).await?;
    }
    report(name, times, begin.elapsed(), cpu);
    Ok(())
}

fn report(name: &str, times: u32, elapsed: Duration, cpu_before: f64) {
    let seconds = elapsed.as_secs_f64();
    let each = |seconds: f64| seconds / f64::from(times) * 1e6;
    let used = each(cpu() - cpu_before);
    let rate = f64::from(times) / seconds;
    println!("{name:<40} {rate:>10.0}/s {:>9.2} µs each {used:>9.2} µs CPU", each(seconds));
}

/// Seconds of processor time that this process has used.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The largest size that this process had, in kilobytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}
