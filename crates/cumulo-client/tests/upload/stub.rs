//! A server with one collection that keeps its own counsel about when it works.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Result, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Instant,
};

use serde_json::{Value, json};

pub(crate) const RECORDS: &str = "/buckets/b/collections/c/records";

/// What happens to a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    /// Nothing is done, and this is answered, with `Retry-After`.
    Status(u16, u32),
    /// The connection ends before anything is done.
    CutBefore,
    /// The connection ends after everything is done.
    CutAfter,
    /// One operation answers 409, which undoes those before it, as Kinto does.
    Conflict,
    /// One operation answers 503, the others are done.
    PartlyUnavailable,
}

#[derive(Default)]
pub(crate) struct World {
    /// Data and permissions by id, and how often each was written.
    pub(crate) records: BTreeMap<String, (Value, Value)>,
    pub(crate) writes: BTreeMap<String, usize>,
    /// When batches came, and how many operations they had.
    pub(crate) batches: Vec<(Instant, usize)>,
    /// More operations are answered with 413.
    pub(crate) most: usize,
    /// How many items are on a page of the list.
    pub(crate) page: usize,
}

pub(crate) struct Stub {
    pub(crate) url: String,
    world: Arc<Mutex<World>>,
}

impl Stub {
    /// `fault` decides by the number of the batch.
    pub(crate) fn start(fault: fn(usize) -> Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let world =
            Arc::new(Mutex::new(World { most: usize::MAX, page: 1000, ..World::default() }));
        let shared = Arc::clone(&world);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let world = Arc::clone(&shared);
                // A client that goes away ends its thread.
                thread::spawn(move || serve(&stream, &world, fault));
            }
        });
        Self { url, world }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

fn serve(stream: &TcpStream, world: &Mutex<World>, fault: fn(usize) -> Fault) -> Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let path = path.strip_prefix("/v1").unwrap();
        let answer = {
            let mut world = world.lock().unwrap();
            match (method, path) {
                (_, "/") => Some(ok(&json!({"settings": {"batch_max_requests": 25}}))),
                (_, "/batch") => world.batch(&serde_json::from_slice(&body).unwrap(), fault),
                (_, path) if path.starts_with(&format!("{RECORDS}?")) => Some(world.list(path)),
                (method, path) => {
                    let (status, body) = world.operation(method, path, &json!({}), &json!({}));
                    Some(format!("HTTP/1.1 {status} .\r\n{}", rest(&body)))
                }
            }
        };
        let Some(answer) = answer else { return Ok(()) };
        (&mut &*stream).write_all(answer.as_bytes())?;
    }
}

fn ok(body: &Value) -> String {
    format!("HTTP/1.1 200 OK\r\n{}", rest(body))
}

fn rest(body: &Value) -> String {
    let body = body.to_string();
    format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

impl World {
    fn batch(&mut self, batch: &Value, fault: fn(usize) -> Fault) -> Option<String> {
        let operations = batch["requests"].as_array().unwrap();
        self.batches.push((Instant::now(), operations.len()));
        if operations.len() > self.most {
            return Some(format!("HTTP/1.1 413 .\r\n{}", rest(&json!({}))));
        }
        let fault = fault(self.batches.len() - 1);
        let culprit = operations.len() / 2;
        let before = (self.records.clone(), self.writes.clone());
        match fault {
            Fault::CutBefore => return None,
            Fault::Status(status, after) => {
                let rest = rest(&json!({}));
                return Some(format!("HTTP/1.1 {status} .\r\nRetry-After: {after}\r\n{rest}"));
            }
            _ => {}
        }
        let mut responses = Vec::new();
        for (index, operation) in operations.iter().enumerate() {
            let text = |name: &str| operation[name].as_str().unwrap();
            let (status, body) = match fault {
                Fault::Conflict if index == culprit => {
                    (self.records, self.writes) = before.clone();
                    (409, json!({}))
                }
                Fault::PartlyUnavailable if index == culprit => (503, json!({})),
                _ => self.operation(
                    text("method"),
                    text("path"),
                    &operation["headers"],
                    &operation["body"],
                ),
            };
            let headers = json!({"Retry-After": "0"});
            responses.push(json!({"status": status, "headers": headers, "body": body}));
        }
        (fault != Fault::CutAfter).then(|| ok(&json!({"responses": responses})))
    }

    fn operation(
        &mut self,
        method: &str,
        path: &str,
        headers: &Value,
        body: &Value,
    ) -> (u16, Value) {
        let id = path.strip_prefix(RECORDS).unwrap()[1..].to_owned();
        let existing = self.records.get(&id).cloned();
        match (method, existing) {
            ("GET", Some((data, _))) => (200, json!({"data": data})),
            ("DELETE", Some((data, _))) => {
                self.records.remove(&id);
                (200, json!({"data": data}))
            }
            ("PUT", Some((data, _))) if headers["If-None-Match"] == "*" => {
                (412, json!({"errno": 114, "details": {"existing": data}}))
            }
            ("PUT", existing) => {
                let mut data = body["data"].clone();
                data["id"] = id.clone().into();
                data["last_modified"] = 7.into();
                *self.writes.entry(id.clone()).or_default() += 1;
                self.records.insert(id, (data.clone(), body["permissions"].clone()));
                (if existing.is_some() { 200 } else { 201 }, json!({"data": data}))
            }
            _ => (404, json!({"errno": 110})),
        }
    }

    fn list(&self, path: &str) -> String {
        let begin = path.rsplit_once("_token=").map_or(0, |(_, token)| token.parse().unwrap());
        let rows: Vec<_> = self.records.values().skip(begin).take(self.page).collect();
        let end = begin + rows.len();
        let rows: Vec<_> = rows.into_iter().map(|(data, _)| data).collect();
        let total = self.records.len();
        let next = (end < total).then(|| format!("Next-Page: http://x/v1?_token={end}\r\n"));
        let next = next.unwrap_or_default();
        let rest = rest(&json!({"data": rows}));
        format!("HTTP/1.1 200 OK\r\nTotal-Objects: {total}\r\n{next}{rest}")
    }
}
