//! Writers that create records, alone and in batches, each once; and ask for what must be refused.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::Server;
use crate::http::Connection;

const COLLECTIONS: usize = 2;

/// What was written so far.
pub(super) struct Load {
    writers: Vec<usize>,
    /// The records whose creation was acknowledged.
    pub(super) acknowledged: BTreeSet<String>,
}

pub(super) fn set_up(server: &Server) -> Result<()> {
    let mut connection = server.connect()?;
    connection.json("POST", "/v1/__flush__", None)?.succeeded()?;
    connection.json("PUT", "/v1/buckets/b", None)?.succeeded()?;
    for collection in 0..COLLECTIONS {
        connection.json("PUT", &list(collection, ""), None)?.succeeded()?;
    }
    Ok(())
}

fn list(collection: usize, rest: &str) -> String {
    format!("/v1/buckets/b/collections/c{collection}{rest}")
}

/// The path of a record.
pub(super) fn record(collection: usize, id: &str) -> String {
    list(collection, &format!("/records/{id}"))
}

/// The records that there are.
pub(super) fn stored(server: &Server) -> Result<BTreeSet<String>> {
    let mut connection = server.connect()?;
    let mut stored = BTreeSet::new();
    for collection in 0..COLLECTIONS {
        let answer = connection.json("GET", &list(collection, "/records"), None)?.succeeded()?;
        for object in answer.json()?["data"].as_array().into_iter().flatten() {
            stored.extend(object["id"].as_str().map(str::to_owned));
        }
        ensure!(answer.header("next-page").is_none(), "more records than one page has");
    }
    Ok(stored)
}

impl Load {
    pub(super) fn new(writers: usize) -> Self {
        Self { writers: vec![0; writers], acknowledged: BTreeSet::new() }
    }

    /// Writes for some time, and on until `kill` has ended the server.
    pub(super) fn run(
        &mut self,
        server: &Server,
        pause: Duration,
        kill: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let killed = &AtomicBool::new(false);
        let acknowledged = thread::scope(|scope| {
            let mut threads = Vec::new();
            for (number, next) in self.writers.iter_mut().enumerate() {
                let connection = server.connect()?;
                let writer = Writer { connection, number, next, acknowledged: Vec::new() };
                threads.push(scope.spawn(move || writer.run(killed)));
            }
            sleep(pause);
            killed.store(true, Ordering::SeqCst);
            kill()?;
            let mut acknowledged = Vec::new();
            for thread in threads {
                acknowledged.extend(thread.join().expect("a writer panicked")?);
            }
            anyhow::Ok(acknowledged)
        })?;
        self.acknowledged.extend(acknowledged);
        Ok(())
    }
}

struct Writer<'a> {
    connection: Connection,
    number: usize,
    /// The number of its next record.
    next: &'a mut usize,
    acknowledged: Vec<String>,
}

impl Writer<'_> {
    /// Writes until an error, which must be that of the kill. Returns what was acknowledged.
    fn run(mut self, killed: &AtomicBool) -> Result<Vec<String>> {
        loop {
            if let Err(error) = self.write() {
                ensure!(killed.load(Ordering::SeqCst), "{error:#}");
                return Ok(self.acknowledged);
            }
            sleep(Duration::from_millis(rand::random_range(0..8)));
        }
    }

    fn write(&mut self) -> Result<()> {
        match rand::random_range(0..10) {
            0 => self.refused(),
            1..4 => self.batch(),
            _ => self.single(),
        }
    }

    fn id(&mut self) -> String {
        *self.next += 1;
        format!("w{}-{}", self.number, self.next)
    }

    fn single(&mut self) -> Result<()> {
        let id = self.id();
        let path = record(self.number % COLLECTIONS, &id);
        self.connection.json("PUT", &path, Some(&json!({"data": {}})))?.succeeded()?;
        self.acknowledged.push(id);
        Ok(())
    }

    fn refused(&mut self) -> Result<()> {
        let path = record(self.number % COLLECTIONS, &format!("refused-{}", self.id()));
        let answer = self.connection.json("PUT", &path, Some(&json!({"data": 1})))?;
        ensure!(answer.status == 400, "{}", answer.text());
        Ok(())
    }

    /// Some that succeed, to several lists, and between them one that does not.
    fn batch(&mut self) -> Result<()> {
        let ids = [self.id(), self.id(), self.id()];
        let refused = format!("refused-{}", ids[0]);
        let put = |place: usize, id: &str, data: Value| json!({"method": "PUT", "path": record(place % COLLECTIONS, id), "body": {"data": data}});
        let requests = json!({"requests": [
            put(0, &ids[0], json!({})),
            put(0, &refused, json!(1)),
            put(1, &ids[1], json!({})),
            put(0, &ids[2], json!({})),
        ]});
        let answer = self.connection.json("POST", "/v1/batch", Some(&requests))?.succeeded()?;
        let answer = answer.json()?;
        let statuses: Vec<_> =
            (0..4).map(|place| answer["responses"][place]["status"].as_u64()).collect();
        ensure!(statuses == [201, 400, 201, 201].map(Some), "{answer}");
        self.acknowledged.extend(ids);
        Ok(())
    }
}
