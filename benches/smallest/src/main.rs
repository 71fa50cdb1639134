//! The smallest program that stores JSON over HTTP as durably as ours does: no users, no
//! permissions, no conditions, no errors to speak of. It is what our speed is compared with.
//!
//! `smallest PORT FOLDER` serves
//! - `GET /v1/`: hello
//! - `POST /{collection}`: create a record; `POST /{collection}/batch`: an array of them
//! - `GET /{collection}`: the last 100 records; `GET /{collection}/{id}`: one
//!
//! One thread writes: it commits once for all that wait (WAL, synchronous = FULL). Each thread of
//! the runtime reads through a connection of its own.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

thread_local! {
    static READER: OnceCell<Connection> = const { OnceCell::new() };
}

struct App {
    file: PathBuf,
    writer: mpsc::Sender<Write>,
}

struct Write {
    collection: String,
    records: Vec<Map<String, Value>>,
    done: oneshot::Sender<Vec<String>>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().context("which port?")?.parse()?;
    let file = PathBuf::from(arguments.next().context("which folder?")?).join("smallest.sqlite");
    let (writer, queue) = mpsc::channel();
    let connection = open(&file)?;
    std::thread::spawn(move || write_all(connection, &queue).expect("the disk works"));
    let router = Router::new()
        .route("/v1/", get(hello))
        .route("/{collection}", get(list).post(create))
        .route("/{collection}/batch", post(batch))
        .route("/{collection}/{id}", get(read))
        .with_state(Arc::new(App { file, writer }));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, router).await?)
}

fn open(file: &std::path::Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS record (
            collection TEXT, id TEXT, modified INTEGER, data TEXT, PRIMARY KEY (collection, id)
         ) WITHOUT ROWID",
    )?;
    Ok(connection)
}

async fn hello() -> Response {
    json(StatusCode::OK, r#"{"hello":"world"}"#.to_owned())
}

async fn create(
    State(app): State<Arc<App>>,
    Path(collection): Path<String>,
    body: Bytes,
) -> Response {
    let Ok(record) = serde_json::from_slice(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut written = app.write(collection, vec![record]).await;
    json(StatusCode::CREATED, written.remove(0))
}

async fn batch(
    State(app): State<Arc<App>>,
    Path(collection): Path<String>,
    body: Bytes,
) -> Response {
    let Ok(records) = serde_json::from_slice(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let written = app.write(collection, records).await;
    json(StatusCode::OK, format!("[{}]", written.join(",")))
}

async fn read(
    State(app): State<Arc<App>>,
    Path((collection, id)): Path<(String, String)>,
) -> Response {
    let found = app.reader(|connection| {
        let sql = "SELECT modified, data FROM record WHERE collection = ? AND id = ?";
        let mut statement = connection.prepare_cached(sql)?;
        let row = statement.query_row(params![collection, id], |row| {
            Ok(whole(&id, row.get(0)?, row.get_ref(1)?.as_str()?))
        });
        row.optional()
    });
    match found {
        Some(text) => json(StatusCode::OK, text),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn list(State(app): State<Arc<App>>, Path(collection): Path<String>) -> Response {
    let text = app.reader(|connection| {
        // Ids are in the order of time.
        let sql = "SELECT id, modified, data FROM record WHERE collection = ? \
                   ORDER BY id DESC LIMIT 100";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([&collection])?;
        let mut text = String::from("[");
        while let Some(row) = rows.next()? {
            if text.len() > 1 {
                text.push(',');
            }
            let id = row.get_ref(0)?.as_str()?;
            push_whole(&mut text, id, row.get(1)?, row.get_ref(2)?.as_str()?);
        }
        text.push(']');
        Ok(text)
    });
    json(StatusCode::OK, text)
}

fn json(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// A record with its id and its timestamp.
fn whole(id: &str, modified: i64, data: &str) -> String {
    let mut text = String::with_capacity(data.len() + 80);
    push_whole(&mut text, id, modified, data);
    text
}

fn push_whole(text: &mut String, id: &str, modified: i64, data: &str) {
    let separator = if data == "{}" { "" } else { "," };
    write!(text, "{{\"id\":\"{id}\",\"last_modified\":{modified}{separator}{}", &data[1..])
        .expect("a string takes everything");
}

impl App {
    async fn write(&self, collection: String, records: Vec<Map<String, Value>>) -> Vec<String> {
        let (done, written) = oneshot::channel();
        let write = Write { collection, records, done };
        self.writer.send(write).expect("the writer lives as long as the program");
        written.await.expect("the writer answers")
    }

    fn reader<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
        READER.with(|reader| {
            let connection = reader.get_or_init(|| open(&self.file).expect("the disk works"));
            read(connection).expect("the statements are right")
        })
    }
}

/// Commits once for all that wait.
fn write_all(mut connection: Connection, queue: &mpsc::Receiver<Write>) -> Result<()> {
    let mut modified = 0;
    while let Ok(first) = queue.recv() {
        let transaction = connection.transaction()?;
        let mut answers = Vec::new();
        for write in std::iter::once(first).chain(queue.try_iter()) {
            let mut statement =
                transaction.prepare_cached("INSERT INTO record VALUES (?, ?, ?, ?)")?;
            let mut written = Vec::with_capacity(write.records.len());
            for record in &write.records {
                modified = now().max(modified + 1);
                let id = Uuid::now_v7().to_string();
                let data = serde_json::to_string(record)?;
                statement.execute(params![write.collection, id, modified, data])?;
                written.push(whole(&id, modified, &data));
            }
            answers.push((write.done, written));
        }
        transaction.commit()?;
        for (done, written) in answers {
            // Whoever has gone does not need an answer.
            let _ = done.send(written);
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the whole program is one file, with no clock")]
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
