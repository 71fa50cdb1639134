//! The page at which a login in the browser ends, on this machine only.

use std::{io, net::Ipv4Addr, time::Duration};

use futures_util::future::{self, Either};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

use crate::{Error, Result};

/// How long a request or an answer may take. Browsers open connections ahead and don't use them.
const SLOWEST: Duration = Duration::from_secs(10);
/// How many bytes the head of a request may have.
const LONGEST: usize = 64 << 10;
/// How many connections there may be at the same time.
const MOST: usize = 32;

/// A listener for one answer.
pub(super) struct Listener {
    socket: TcpListener,
    port: u16,
    /// What only who was sent here by us knows.
    state: String,
}

/// A request for our page, to be answered.
struct Arrival {
    stream: TcpStream,
    /// What stands behind our URL.
    answer: String,
}

impl Listener {
    pub(super) async fn start() -> Result<Self> {
        let failed = |error: io::Error| {
            Error::Login(format!("can't listen on this machine for the end of the login: {error}"))
        };
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = socket.local_addr().map_err(failed)?.port();
        let state = format!("{:032x}", rand::random::<u128>());
        Ok(Self { socket, port, state })
    }

    /// Where the answer is expected: it stands behind this.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, self.path())
    }

    fn path(&self) -> String {
        format!("/{}/", self.state)
    }

    /// Waits for the answer, and shows the user what `read` makes of it.
    pub(super) async fn wait<T>(self, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        let Arrival { mut stream, answer } = self.arrival().await;
        let result = read(&answer);
        let (status, text) = match &result {
            Ok(_) => ("200 OK", "You are logged in. You can close this page."),
            Err(_) => ("400 Bad Request", "The login has failed. The program says why."),
        };
        reply(&mut stream, status, text).await;
        result
    }

    /// The first request for our page. Others get 404.
    async fn arrival(self) -> Arrival {
        let path = self.path();
        let mut requests: JoinSet<Option<Arrival>> = JoinSet::new();
        loop {
            let next = if requests.is_empty() {
                Either::Left(self.socket.accept().await)
            } else if requests.len() >= MOST {
                Either::Right(requests.join_next().await)
            } else {
                let accept = std::pin::pin!(self.socket.accept());
                let join = std::pin::pin!(requests.join_next());
                match future::select(accept, join).await {
                    Either::Left((accepted, _)) => Either::Left(accepted),
                    Either::Right((joined, _)) => Either::Right(joined),
                }
            };
            match next {
                Either::Left(Ok((stream, _))) => _ = requests.spawn(serve(stream, path.clone())),
                // Too many open files, perhaps, which passes.
                Either::Left(Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                Either::Right(Some(Ok(Some(arrival)))) => return arrival,
                Either::Right(_) => {}
            }
        }
    }
}

/// Reads a request. One for our page is given, others are answered.
async fn serve(mut stream: TcpStream, path: String) -> Option<Arrival> {
    let line = timeout(SLOWEST, first_line(&mut stream)).await.ok()?.ok()?;
    let target = line.strip_prefix("GET ").and_then(|rest| rest.split(' ').next());
    match target.and_then(|target| target.strip_prefix(&path)) {
        Some(answer) if !answer.is_empty() => {
            let answer = answer.to_owned();
            Some(Arrival { stream, answer })
        }
        _ => {
            reply(&mut stream, "404 Not Found", "There is nothing here.").await;
            None
        }
    }
}

/// Reads the head of a request, and gives its first line.
async fn first_line(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut buffer).await?;
        if length == 0 || head.len() + length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend_from_slice(&buffer[..length]);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

async fn reply(stream: &mut TcpStream, status: &str, text: &str) {
    // The address of the page holds the token: it is taken out of the history.
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>Login</title>\
         <script>history.replaceState(null, '', '/')</script><p>{text}</p>\n"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    let sent = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // A browser that went away misses nothing.
    let _ = timeout(SLOWEST, sent).await;
}
