//! A plain blocking HTTP/1.1 client on one connection, that can also send what no client should.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// `Authorization` of a user that any server with basic authentication accepts.
pub const AUTHORIZATION: (&str, &str) = ("Authorization", "Basic YWxpY2U6czNjcjN0");

/// A keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connect; answers may take 30 seconds.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    /// `GET` without credentials.
    pub fn get(&mut self, path: &str) -> Result<Response> {
        self.request("GET", path, &[], None)
    }

    /// A request with JSON, as the usual user.
    pub fn json(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Response> {
        let body = body.map(Value::to_string);
        let headers = [AUTHORIZATION, ("Content-Type", "application/json")];
        self.request(method, path, &headers, body.as_deref().map(str::as_bytes))
    }

    /// Any well-formed request.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Response> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if let Some(body) = body {
            text.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        self.send(&bytes)?;
        self.receive(method)
    }

    /// Send bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(bytes).context("cannot send")
    }

    /// Say that nothing more comes.
    pub fn finish_sending(&mut self) -> Result<()> {
        Ok(self.stream.get_mut().shutdown(std::net::Shutdown::Write)?)
    }

    /// The next response; `method` is that of its request, since `HEAD` has no body.
    pub fn receive(&mut self, method: &str) -> Result<Response> {
        loop {
            let response = self.receive_any(method)?;
            if response.status >= 200 {
                return Ok(response);
            }
        }
    }

    fn receive_any(&mut self, method: &str) -> Result<Response> {
        let first = self.line()?;
        let status = first
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|digits| digits.parse().ok())
            .with_context(|| format!("not a status line: {first:?}"))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').with_context(|| format!("header {line:?}"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut response = Response { status, headers, body: Vec::new() };
        if method != "HEAD" && status >= 200 && status != 204 && status != 304 {
            response.body = self.body(&response)?;
        }
        Ok(response)
    }

    fn body(&mut self, response: &Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if response.header("transfer-encoding").is_some_and(|it| it.contains("chunked")) {
            loop {
                let line = self.line()?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(size, 16).context("size of a chunk")?;
                self.read_more(&mut body, size)?;
                self.line()?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        if let Some(length) = response.header("content-length") {
            self.read_more(&mut body, length.parse()?)?;
        } else {
            self.stream.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    fn read_more(&mut self, body: &mut Vec<u8>, size: usize) -> Result<()> {
        let start = body.len();
        body.resize(start + size, 0);
        self.stream.read_exact(&mut body[start..]).context("the body is cut")
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            bail!("the connection was closed");
        }
        line.pop_if(|last| *last == b'\r');
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

impl Response {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.text()))
    }

    /// The body for messages: as text, and not too long.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(500).collect()
    }

    /// Fails unless the status is 2xx.
    pub fn succeeded(self) -> Result<Self> {
        if !(200..300).contains(&self.status) {
            bail!("{} {}", self.status, self.text());
        }
        Ok(self)
    }
}

/// A text in base64 (RFC 4648), for `Authorization: Basic …`.
pub fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        (0..=chunk.len())
            .map(|n| char::from(DIGITS[(bits >> (18 - 6 * n) & 63) as usize]))
            .chain(std::iter::repeat_n('=', 3 - chunk.len()))
            .collect::<String>()
    };
    text.as_bytes().chunks(3).map(digits).collect()
}
