//! A server under load, and how its requests look.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use cumulo_e2e::http::{AUTHORIZATION, Connection};
use cumulo_e2e::{Program, Server, Storage};
use cumulo_servers::Postgres;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::processes;
use crate::server::ServerArguments;

/// Records in a batch.
pub(super) const BATCH: usize = 25;
/// Records in the collection that is listed.
const LISTED: usize = 100;

/// What every server is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    Create,
    Read,
    List,
    Unchanged,
    Batch,
}

/// Rendered requests, and what their answers say.
pub(super) struct Requests {
    pub(super) texts: Vec<String>,
    pub(super) status: u16,
}

/// The protocol that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Kinto,
    Smallest,
}

/// A database of a target's own, on a server that it may share with others.
pub(super) struct Database {
    pub(super) server: Rc<Postgres>,
    pub(super) name: &'static str,
    pub(super) url: String,
}

impl Database {
    pub(super) fn create(server: &Rc<Postgres>, name: &'static str) -> Result<Self> {
        let url = server.create_database(name)?;
        Ok(Self { server: Rc::clone(server), name, url })
    }
}

/// Processor time in seconds.
pub(super) struct CpuTimes {
    pub(super) server: f64,
    /// Of the database server; only one target is under load at a time.
    pub(super) database: f64,
}

/// A running server.
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) dialect: Dialect,
    pub(super) server: Server,
    /// Goes after the server.
    pub(super) database: Option<Database>,
    pub(super) folder: TempDir,
    /// The most memory that was seen, in KiB.
    peak_memory: Cell<u64>,
    /// Of the records to read.
    ids: Vec<String>,
    /// Of the collection that is listed.
    etag: String,
}

impl Target {
    pub(super) fn new(
        name: &'static str,
        dialect: Dialect,
        server: Server,
        database: Option<Database>,
        folder: TempDir,
    ) -> Self {
        let (ids, etag, peak_memory) = (Vec::new(), String::new(), Cell::new(0));
        Self { name, dialect, server, database, folder, peak_memory, ids, etag }
    }

    /// Our program.
    pub(super) fn cumulo(
        name: &'static str,
        arguments: &ServerArguments,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let (folder, server) = arguments.start(settings)?;
        Ok(Self::new(name, Dialect::Kinto, server, None, folder))
    }

    /// What it is compared with: `benches/smallest`.
    pub(super) fn smallest(program: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().display().to_string();
        let words = [program.display().to_string(), "{port}".to_owned(), path];
        let program = Program::new(words);
        let server = Server::start(&program, folder.path(), &Storage::Memory, &[])?;
        Ok(Self::new("smallest", Dialect::Smallest, server, None, folder))
    }

    pub(super) fn stop(self) -> Result<()> {
        self.server.stop()?;
        let last = self.database.and_then(|it| Rc::into_inner(it.server));
        last.map_or(Ok(()), |mut it| it.stop())?;
        Ok(self.folder.close()?)
    }

    pub(super) fn cpu_times(&self) -> Result<CpuTimes> {
        let database = self.database.as_ref().map(|it| it.server.id());
        Ok(CpuTimes {
            server: processes::cpu_seconds(&[self.server.id()])?,
            database: processes::cpu_seconds(database.as_slice())?,
        })
    }

    /// Memory in KiB, without that of a database.
    pub(super) fn memory(&self) -> Result<u64> {
        let memory = processes::memory(&[self.server.id()])?;
        self.peak_memory.set(self.peak_memory.get().max(memory));
        Ok(memory)
    }

    /// The most that [`Self::memory`] has seen.
    pub(super) fn peak_memory(&self) -> u64 {
        self.peak_memory.get()
    }

    /// Make what is read and listed.
    pub(super) fn prepare(&mut self) -> Result<()> {
        let mut connection = self.server.connect()?;
        if self.dialect == Dialect::Kinto {
            connection.json("PUT", "/v1/buckets/bench", None)?.succeeded()?;
        }
        for name in ["created", "bulk", "listed"] {
            self.make_collection(&mut connection, name)?;
        }
        for _ in 0..LISTED / BATCH {
            let body = self.batch_body("listed", &record(""));
            let path = self.batch_path("listed");
            connection.json("POST", &path, Some(&body))?.succeeded()?;
        }
        let list = connection.json("GET", &self.path("listed"), None)?.succeeded()?;
        list.header("etag").unwrap_or_default().clone_into(&mut self.etag);
        let list = list.json()?;
        let records = if self.dialect == Dialect::Kinto { &list["data"] } else { &list };
        let records = records.as_array().context("no list")?;
        ensure!(records.len() == LISTED, "{} lists {} records", self.name, records.len());
        self.ids = records.iter().filter_map(|it| it["id"].as_str().map(String::from)).collect();
        Ok(())
    }

    pub(super) fn make_collection(&self, connection: &mut Connection, name: &str) -> Result<()> {
        if self.dialect == Dialect::Kinto {
            let path = format!("/v1/buckets/bench/collections/{name}");
            connection.json("PUT", &path, None)?.succeeded()?;
        }
        Ok(())
    }

    pub(super) fn requests(&self, scenario: Scenario) -> Requests {
        let list = self.path("listed");
        match (scenario, self.dialect) {
            (Scenario::Create, _) => self.create("created", &record("")),
            (Scenario::Batch, _) => self.batch("bulk", &record("")),
            (Scenario::Read, _) => {
                let texts = self.ids.iter().map(|id| self.get(&format!("{list}/{id}"), ""));
                Requests { texts: texts.collect(), status: 200 }
            }
            (Scenario::List, _) => Requests { texts: vec![self.get(&list, "")], status: 200 },
            (Scenario::Unchanged, Dialect::Kinto) => {
                let condition = format!("If-None-Match: {}\r\n", self.etag);
                Requests { texts: vec![self.get(&list, &condition)], status: 304 }
            }
            // The smallest knows no conditions: its hello is the least that an answer can cost.
            (Scenario::Unchanged, Dialect::Smallest) => {
                Requests { texts: vec![self.get("/v1/", "")], status: 200 }
            }
        }
    }

    /// Create a record in a collection.
    pub(super) fn create(&self, collection: &str, record: &Value) -> Requests {
        let body = if self.dialect == Dialect::Kinto {
            json!({"data": record}).to_string()
        } else {
            record.to_string()
        };
        Requests { texts: vec![self.post(&self.path(collection), &body)], status: 201 }
    }

    /// Create 25 records in a collection.
    pub(super) fn batch(&self, collection: &str, record: &Value) -> Requests {
        let body = self.batch_body(collection, record).to_string();
        Requests { texts: vec![self.post(&self.batch_path(collection), &body)], status: 200 }
    }

    /// List the records of a collection that have a tag.
    pub(super) fn filtered(&self, collection: &str, tag: &str) -> Requests {
        let path = format!("{}?tag={tag}&_limit=10", self.path(collection));
        Requests { texts: vec![self.get(&path, "")], status: 200 }
    }

    /// Of the records of a collection, or of the whole collection for the smallest.
    pub(super) fn path(&self, collection: &str) -> String {
        match self.dialect {
            Dialect::Kinto => format!("/v1/buckets/bench/collections/{collection}/records"),
            Dialect::Smallest => format!("/{collection}"),
        }
    }

    fn batch_path(&self, collection: &str) -> String {
        match self.dialect {
            Dialect::Kinto => "/v1/batch".to_owned(),
            Dialect::Smallest => format!("/{collection}/batch"),
        }
    }

    fn batch_body(&self, collection: &str, record: &Value) -> Value {
        if self.dialect == Dialect::Smallest {
            return vec![record.clone(); BATCH].into();
        }
        let path = self.path(collection);
        let request = json!({"method": "POST", "path": path, "body": {"data": record}});
        json!({"requests": vec![request; BATCH]})
    }

    fn get(&self, path: &str, headers: &str) -> String {
        format!("GET {path} HTTP/1.1\r\n{}{headers}\r\n", self.headers())
    }

    fn post(&self, path: &str, body: &str) -> String {
        let length = body.len();
        let headers = self.headers();
        format!(
            "POST {path} HTTP/1.1\r\n{headers}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn headers(&self) -> String {
        let host = format!("Host: {}\r\n", self.server.address);
        match self.dialect {
            Dialect::Kinto => format!("{host}{}: {}\r\n", AUTHORIZATION.0, AUTHORIZATION.1),
            Dialect::Smallest => host,
        }
    }
}

/// A record of 200 bytes.
pub(super) fn record(tag: &str) -> Value {
    let mut record =
        json!({"title": "Buy bread", "done": false, "order": 12345, "tag": tag, "text": ""});
    let missing = 200 - record.to_string().len();
    record["text"] = "x".repeat(missing).into();
    record
}
