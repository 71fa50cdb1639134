//! The text protocol.

use std::{io, time::Duration};

use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::sleep,
};

use super::ENGINE;
use crate::{
    error::{Error, Result},
    kvs::Lifetime,
};

/// Most bytes of a line: that of an item is the longest, with a key that may be escaped.
const MAX_LINE: u64 = 2048;

/// A connection with no request under way.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

/// An item as it is stored.
pub(super) struct Item {
    pub(super) value: Vec<u8>,
    /// Another one after each change.
    pub(super) version: u64,
}

/// What comes of an increment.
pub(super) enum Increment {
    Sum(u64),
    Missing,
    NotANumber,
}

impl Connection {
    pub(super) async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Whether the server has neither closed it nor said anything without being asked.
    pub(super) fn is_idle(&self) -> bool {
        let read = self.stream.get_ref().try_read(&mut [0]);
        self.stream.buffer().is_empty()
            && read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// An item of at most `max` bytes.
    pub(super) async fn get(&mut self, key: &str, max: usize) -> Result<Option<Item>> {
        let line = self.ask(&format!("gets {key}\r\n")).await?;
        if line == "END" {
            return Ok(None);
        }
        let (size, version) = read_header(&line, key, max).ok_or_else(|| unexpected(&line))?;
        let mut value = vec![0; size + 2];
        self.stream.read_exact(&mut value).await.map_err(broken)?;
        let end = self.line().await?;
        if !value.ends_with(b"\r\n") || end != "END" {
            return Err(unexpected(&end));
        }
        value.truncate(size);
        Ok(Some(Item { value, version }))
    }

    /// Whether the item was not too large.
    pub(super) async fn set(&mut self, key: &str, value: &str, exptime: i64) -> Result<bool> {
        let request = format!("set {key} 0 {exptime} {}\r\n{value}\r\n", value.len());
        match self.ask(&request).await?.as_str() {
            "STORED" => Ok(true),
            "SERVER_ERROR object too large for cache" => Ok(false),
            other => Err(unexpected(other)),
        }
    }

    /// Whether there was none before.
    pub(super) async fn add(&mut self, key: &str, number: u32, exptime: i64) -> Result<bool> {
        let number = number.to_string();
        let request = format!("add {key} 0 {exptime} {}\r\n{number}\r\n", number.len());
        match self.ask(&request).await?.as_str() {
            "STORED" => Ok(true),
            "NOT_STORED" => Ok(false),
            other => Err(unexpected(other)),
        }
    }

    pub(super) async fn increment(&mut self, key: &str, by: u32) -> Result<Increment> {
        let line = self.ask(&format!("incr {key} {by}\r\n")).await?;
        match line.trim_end().parse() {
            Ok(sum) => Ok(Increment::Sum(sum)),
            Err(_) if line == "NOT_FOUND" => Ok(Increment::Missing),
            Err(_) if line.starts_with("CLIENT_ERROR") => Ok(Increment::NotANumber),
            Err(_) => Err(unexpected(&line)),
        }
    }

    /// Removes an item if it is still of this version: it is replaced by one that has expired.
    pub(super) async fn remove(&mut self, key: &str, version: u64) -> Result<bool> {
        match self.ask(&format!("cas {key} 0 -1 0 {version}\r\n\r\n")).await?.as_str() {
            "STORED" => Ok(true),
            "EXISTS" | "NOT_FOUND" => Ok(false),
            other => Err(unexpected(other)),
        }
    }

    /// Of an item as memcached counts; needs version 1.6.
    pub(super) async fn lifetime(&mut self, key: &str) -> Result<Lifetime> {
        let line = self.ask(&format!("mg {key} t\r\n")).await?;
        match line.trim_end().strip_prefix("HD t") {
            Some("-1") => Ok(Lifetime::Unlimited),
            Some(seconds) => {
                let seconds = seconds.parse().map_err(|_| unexpected(&line))?;
                Ok(Lifetime::Left(Duration::from_secs(seconds)))
            }
            None if line.starts_with("EN") => Ok(Lifetime::Missing),
            None => Err(unexpected(&line)),
        }
    }

    pub(super) async fn flush_all(&mut self) -> Result<()> {
        match self.ask("flush_all\r\n").await?.as_str() {
            "OK" => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Deletes all items whose key begins so.
    pub(super) async fn delete_all(&mut self, prefix: &str) -> Result<()> {
        for key in self.keys(prefix).await? {
            match self.ask(&format!("delete {key}\r\n")).await?.as_str() {
                "DELETED" | "NOT_FOUND" => {}
                other => return Err(unexpected(other)),
            }
        }
        Ok(())
    }

    /// The keys that begin so; needs version 1.4.31.
    async fn keys(&mut self, prefix: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut line = self.ask("lru_crawler metadump all\r\n").await?;
        while line.starts_with("BUSY") {
            sleep(Duration::from_millis(20)).await;
            line = self.ask("lru_crawler metadump all\r\n").await?;
        }
        while line != "END" {
            let key = line.strip_prefix("key=").and_then(|rest| rest.split(' ').next());
            let key = key.ok_or_else(|| unexpected(&line))?;
            let key = percent_decode_str(key).decode_utf8_lossy();
            if key.starts_with(prefix) {
                keys.push(key.into_owned());
            }
            line = self.line().await?;
        }
        Ok(keys)
    }

    pub(super) async fn ping(&mut self) -> Result<()> {
        let line = self.ask("version\r\n").await?;
        if line.starts_with("VERSION") { Ok(()) } else { Err(unexpected(&line)) }
    }

    /// Sends a request, and reads the first line of the answer.
    async fn ask(&mut self, request: &str) -> Result<String> {
        self.stream.get_mut().write_all(request.as_bytes()).await.map_err(broken)?;
        self.line().await
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(MAX_LINE);
        limited.read_until(b'\n', &mut line).await.map_err(broken)?;
        let Some(text) = line.strip_suffix(b"\n") else {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        };
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

/// The size and version in `VALUE key flags size version`.
fn read_header(line: &str, key: &str, max: usize) -> Option<(usize, u64)> {
    let mut words = line.strip_prefix("VALUE ")?.strip_prefix(key)?.strip_prefix(' ')?.split(' ');
    let _flags = words.next()?;
    let size = words.next()?.parse().ok().filter(|size| *size <= max)?;
    let version = words.next()?.parse().ok()?;
    Some((size, version))
}

fn broken(error: io::Error) -> Error {
    Error::unavailable(ENGINE, error)
}

fn unexpected(line: &str) -> Error {
    let start: String = line.chars().take(100).collect();
    Error::unavailable(ENGINE, format!("it answered {start:?}"))
}
