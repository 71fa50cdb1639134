//! A server that answers as the test says, and notes what it was asked.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use cumulo_client::{Builder, Client, Retry, blocking};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// It answers.
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    /// It answers with JSON that is compressed.
    Compressed(String),
    /// It closes the connection in place of an answer.
    Break,
    /// It closes the connection in the middle of an answer.
    Truncated,
    /// It says nothing.
    Silence,
    /// It takes so long.
    Late(Duration, Box<Reply>),
}

/// An answer with JSON.
pub(crate) fn reply(status: u16, body: &Value) -> Reply {
    text(status, &body.to_string()).header("Content-Type", "application/json")
}

/// An answer with text.
pub(crate) fn text(status: u16, body: &str) -> Reply {
    Reply::Answer { status, headers: Vec::new(), body: body.to_owned() }
}

/// An answer with an object.
pub(crate) fn object(id: &str) -> Reply {
    let data = json!({"id": id, "last_modified": 7, "title": "Milk"});
    reply(200, &json!({"data": data, "permissions": {"write": ["ann"]}})).header("ETag", "\"7\"")
}

/// An answer with a list.
pub(crate) fn list(ids: &[&str]) -> Reply {
    let data: Vec<_> = ids.iter().map(|id| json!({"id": id, "last_modified": 7})).collect();
    reply(200, &json!({"data": data})).header("ETag", "\"9\"")
}

/// An error as servers describe it.
pub(crate) fn error(status: u16, errno: u16, message: &str) -> Reply {
    reply(status, &error_body(status, errno, message))
}

pub(crate) fn error_body(status: u16, errno: u16, message: &str) -> Value {
    json!({"code": status, "errno": errno, "error": "Error", "message": message})
}

/// The answer to `GET /`.
pub(crate) fn root(batch_max_requests: Option<usize>, capabilities: &[&str]) -> Reply {
    let capabilities: serde_json::Map<_, _> =
        capabilities.iter().map(|it| ((*it).to_owned(), json!({}))).collect();
    let mut settings = json!({"readonly": false});
    if let Some(limit) = batch_max_requests {
        settings["batch_max_requests"] = limit.into();
    }
    reply(200, &json!({"settings": settings, "capabilities": capabilities}))
}

/// The answer to a batch: status and body of each operation.
pub(crate) fn batch(parts: &[(u16, Value)]) -> Reply {
    batch_with_headers(parts.iter().map(|(status, body)| (*status, json!({}), body.clone())))
}

/// The answer to a batch: status, headers and body of each operation.
pub(crate) fn batch_with_headers(parts: impl IntoIterator<Item = (u16, Value, Value)>) -> Reply {
    let part = |(status, headers, body)| json!({"status": status, "path": "/v1/", "headers": headers, "body": body});
    let responses: Vec<_> = parts.into_iter().map(part).collect();
    reply(200, &json!({"responses": responses}))
}

/// The body of an answer with an object.
pub(crate) fn data(id: &str) -> Value {
    json!({"data": {"id": id, "last_modified": 7}, "permissions": {}})
}

impl Reply {
    /// The answer with a header more.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// What the server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Method and URL, such as `GET /v1/buckets/blog`.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The number of its connection, from 0.
    pub(crate) connection: usize,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Methods and paths of the operations of a batch.
    pub(crate) fn operations(&self) -> Vec<String> {
        let body = self.json();
        let operations = body["requests"].as_array().unwrap().iter();
        let line = |it: &Value| {
            format!("{} {}", it["method"].as_str().unwrap(), it["path"].as_str().unwrap())
        };
        operations.map(line).collect()
    }
}

type Handler = dyn FnMut(&Received) -> Reply + Send;

struct State {
    handler: Mutex<Box<Handler>>,
    received: Mutex<Vec<Received>>,
}

/// The server. It ends with its runtime, or its thread.
pub(crate) struct Stub {
    address: SocketAddr,
    state: Arc<State>,
    _end: Option<oneshot::Sender<()>>,
}

impl Stub {
    /// Answers one request after the other as the script says, and 418 after its end.
    pub(crate) async fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start(scripted(replies.into_iter().collect())).await
    }

    /// Answers each request as `handler` says.
    pub(crate) async fn start(handler: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Self::new(&listener, Box::new(handler), None);
        tokio::spawn(serve(listener, stub.state.clone()));
        stub
    }

    /// The same on a thread of its own, for clients that wait.
    pub(crate) fn script_on_thread(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_on_thread(scripted(replies.into_iter().collect()))
    }

    /// The same on a thread of its own, for clients that wait.
    pub(crate) fn start_on_thread(
        handler: impl FnMut(&Received) -> Reply + Send + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).unwrap()
        };
        let (end, ended) = oneshot::channel();
        let stub = Self::new(&listener, Box::new(handler), Some(end));
        let state = stub.state.clone();
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::spawn(serve(listener, state));
                _ = ended.await;
            });
        });
        stub
    }

    fn new(
        listener: &TcpListener,
        handler: Box<Handler>,
        end: Option<oneshot::Sender<()>>,
    ) -> Self {
        let state = State { handler: Mutex::new(handler), received: Mutex::default() };
        let address = listener.local_addr().unwrap();
        Self { address, state: Arc::new(state), _end: end }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// A client that repeats requests, at once on a paused clock.
    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// A client that repeats nothing.
    pub(crate) fn client_once(&self) -> Client {
        self.builder().retry(Retry::never()).build().unwrap()
    }

    /// How to make a client. On a paused clock, timeouts would strike while a request is on its way.
    pub(crate) fn builder(&self) -> Builder {
        Client::builder(&self.url()).connect_timeout(None).read_timeout(None)
    }

    pub(crate) fn blocking(&self) -> blocking::Client {
        self.builder().retry(at_once(3)).build_blocking().unwrap()
    }

    /// What was asked so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap().clone()
    }

    /// Methods and URLs of what was asked so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.received().into_iter().map(|it| it.line).collect()
    }

    /// The last that was asked.
    pub(crate) fn last(&self) -> Received {
        self.received().pop().expect("something was asked")
    }
}

/// Repeats so often, without a wait.
pub(crate) fn at_once(times: u32) -> Retry {
    Retry { first: Duration::ZERO, ..Retry::times(times) }
}

fn scripted(replies: Vec<Reply>) -> impl FnMut(&Received) -> Reply {
    let mut replies = replies.into_iter();
    move |_| replies.next().unwrap_or_else(|| text(418, "the script has ended"))
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    for number in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(converse(stream, number, state.clone()));
    }
}

async fn converse(mut stream: TcpStream, connection: usize, state: Arc<State>) {
    let mut buffer = Vec::new();
    while let Some(mut received) = read(&mut stream, &mut buffer).await {
        received.connection = connection;
        let reply = (state.handler.lock().unwrap())(&received);
        let is_head = received.line.starts_with("HEAD ");
        state.received.lock().unwrap().push(received);
        let reply = match reply {
            Reply::Late(time, reply) => {
                tokio::time::sleep(time).await;
                *reply
            }
            reply => reply,
        };
        match reply {
            Reply::Answer { status, headers, body } => {
                let answer = write(status, &headers, &body, is_head);
                _ = stream.write_all(answer.as_bytes()).await;
            }
            Reply::Compressed(body) => _ = stream.write_all(&compressed(&body)).await,
            Reply::Break => return,
            Reply::Truncated => {
                _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{").await;
                return;
            }
            Reply::Silence | Reply::Late(..) => std::future::pending().await,
        }
    }
}

/// Reads a request; `None` when the client has gone.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|it| it == b"\r\n\r\n") {
            break at;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    };
    let headers = lines.map(pair).collect();
    let mut received = Received { line, headers, body: String::new(), connection: 0 };
    let length: usize = received.header("content-length").map_or(0, |it| it.parse().unwrap());
    buffer.drain(..end + 4);
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    received.body = String::from_utf8(buffer.drain(..length).collect()).unwrap();
    Some(received)
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(buffer).await.ok()?;
    (read > 0).then_some(())
}

fn compressed(body: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
    [head.into_bytes(), body].concat()
}

fn write(status: u16, headers: &[(String, String)], body: &str, is_head: bool) -> String {
    let mut answer = format!("HTTP/1.1 {status} Status\r\n");
    for (name, value) in headers {
        answer += &format!("{name}: {value}\r\n");
    }
    if matches!(status, 204 | 304) {
        return answer + "\r\n";
    }
    answer += &format!("Content-Length: {}\r\n\r\n", body.len());
    if is_head { answer } else { answer + body }
}
