//! As much of HTTP/1.1 answers as is needed to know where they end.

use anyhow::{Context, Result, bail};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What is known of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) closes: bool,
}

/// Reads the answers of one connection, one after the other.
pub(crate) struct Answers {
    buffer: Vec<u8>,
}

/// How the body ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Length(usize),
    Chunks,
    Close,
}

impl Default for Answers {
    fn default() -> Self {
        Self { buffer: Vec::with_capacity(1 << 16) }
    }
}

impl Answers {
    pub(crate) async fn read(&mut self, stream: &mut TcpStream) -> Result<Answer> {
        self.buffer.clear();
        let mut searched: usize = 0;
        let head = loop {
            self.fill(stream).await?;
            let from = searched.saturating_sub(3);
            if let Some(at) = find(&self.buffer[from..], b"\r\n\r\n") {
                break from + at + 4;
            }
            searched = self.buffer.len();
        };
        let (mut answer, end) = parse(&self.buffer[..head])?;
        match end {
            End::Length(length) => {
                while self.buffer.len() < head + length {
                    self.fill(stream).await?;
                }
            }
            End::Chunks => {
                while !self.buffer.ends_with(b"0\r\n\r\n") {
                    self.fill(stream).await?;
                }
            }
            End::Close => {
                answer.closes = true;
                while stream.read_buf(&mut self.buffer).await? > 0 {}
            }
        }
        Ok(answer)
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> Result<()> {
        if stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn parse(head: &[u8]) -> Result<(Answer, End)> {
    let text = str::from_utf8(head)?;
    let status: u16 = text.get(9..12).context("a status line")?.parse()?;
    let mut end = End::Close;
    let mut closes = text.starts_with("HTTP/1.0");
    for line in text.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            end = End::Length(value.parse()?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            end = End::Chunks;
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.eq_ignore_ascii_case("close");
        }
    }
    if status == 204 || status == 304 {
        end = End::Length(0);
    }
    Ok((Answer { status, closes }, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str) -> (u16, bool, End) {
        let (answer, end) = parse(head.as_bytes()).unwrap();
        (answer.status, answer.closes, end)
    }

    #[test]
    fn knows_where_an_answer_ends() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        assert_eq!(parsed(head), (200, false, End::Length(12)));
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(parsed(head), (200, false, End::Chunks));
        let head = "HTTP/1.1 304 Not Modified\r\nContent-Length: 512\r\n\r\n";
        assert_eq!(parsed(head), (304, false, End::Length(0)));
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        assert_eq!(parsed(head), (200, true, End::Close));
    }
}
