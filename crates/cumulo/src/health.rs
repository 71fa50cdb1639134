//! `cumulo health`: asks a running service whether it is well. For containers, which have no other
//! program to ask with.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{args, say};

const PATIENCE: Duration = Duration::from_secs(4);
const PATH: &str = "/__lbheartbeat__";

/// Runs the command.
pub(crate) fn run(args: &args::Health) -> anyhow::Result<()> {
    let status = ask(&args.url).with_context(|| format!("{} does not answer", args.url))?;
    if status != "200" {
        bail!("{}{PATH} answers with {status}", args.url);
    }
    if args.quiet { Ok(()) } else { say("ok") }
}

/// The status code of the answer.
fn ask(url: &str) -> anyhow::Result<String> {
    let rest = url.strip_prefix("http://").context("expected http://host:port/v1")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let addresses = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let address = addresses.to_socket_addrs()?.next().context("no such host")?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let path = path.trim_end_matches('/');
    let request =
        format!("GET /{path}{PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    // `HTTP/1.1 200`
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    let start = str::from_utf8(&start).context("it does not speak HTTP")?;
    let status = start.strip_prefix("HTTP/1.1 ").context("it does not speak HTTP")?;
    Ok(status.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// Asks a server that answers with a text.
    fn ask_one(answer: &'static str) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 27];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request).into_owned()
        });
        let status = ask(&url);
        assert_eq!(server.join().unwrap(), "GET /v1/__lbheartbeat__ HTT");
        status
    }

    #[test]
    fn the_status_is_that_of_the_answer() {
        assert_eq!(ask_one("HTTP/1.1 200 OK\r\n\r\n").unwrap(), "200");
        assert_eq!(ask_one("HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap(), "503");
        assert!(ask_one("220 mail.example.org").is_err());
        assert!(ask_one("").is_err());
    }

    #[test]
    fn nobody_there_is_an_error() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert!(ask(&format!("http://127.0.0.1:{port}/v1")).is_err());
        assert!(ask("https://127.0.0.1/v1").is_err());
    }
}
