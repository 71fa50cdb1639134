//! An identity provider that tells of itself, and can do nothing else.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Result;

/// A running provider; it stops when it goes out of scope.
pub struct Provider {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

impl Provider {
    /// Start one that answers every request with its metadata (OpenID Connect Discovery 1.0).
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stopped = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&stopped);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                // Who asks may go away.
                thread::spawn(move || answer(stream, address).ok());
            }
        });
        Ok(Self { address, stopped })
    }

    /// Its name and where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut stream: TcpStream, address: SocketAddr) -> Result<()> {
    let head = BufReader::new(&stream).lines().map_while(Result::ok);
    head.take_while(|line| !line.is_empty()).for_each(drop);
    let issuer = format!("http://{address}");
    let body = format!(
        "{{\"issuer\": \"{issuer}\", \"authorization_endpoint\": \"{issuer}/authorize\", \
         \"token_endpoint\": \"{issuer}/token\"}}"
    );
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}
