//! A session on a server: several statements go out together and their answers come back
//! together, so that a round trip is paid once for all of them.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    io::{self, Read, Write},
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    IsNull,
    authentication::{md5_hash, sasl},
    message::{
        backend::{AuthenticationSaslBody, Message},
        frontend,
    },
};

use super::{
    address::{Address, Role},
    command::{Command, Param, Row},
    failure::Failure,
    lag::Position,
    stream::Stream,
};

type Result<T> = std::result::Result<T, Failure>;

/// What is called with each row, and the place of its statement among those that were sent.
pub(super) type OnRow<'a> = dyn FnMut(usize, Row<'_>) -> cumulo_core::store::Result<()> + 'a;

/// Round trips of all sessions of a store since it was opened.
#[derive(Debug, Default)]
pub(super) struct Trips(AtomicU64);

impl Trips {
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many statements a session keeps prepared.
const MAX_PREPARED: usize = 500;

/// Larger output buffers are given back after use.
const MAX_KEPT: usize = 256 * 1024;

/// What holds in every session. Whoever holds a lock and does not go on is ended by the server, so
/// that a copy that hangs does not stop the others.
const SESSION: &str = "SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; \
    SET idle_in_transaction_session_timeout = '15s'; SET lock_timeout = '10s'; SET jit = off";

/// A session on a server.
pub(super) struct Connection {
    stream: Stream,
    input: BytesMut,
    output: BytesMut,
    /// Names of the statements that the server has.
    prepared: HashMap<Cow<'static, str>, String>,
    /// Distinguishes names of statements in this session...
    names: u64,
    /// ... and from those of other sessions. A pooler that hands a server from session to session
    /// must not run what another of them has prepared.
    key: String,
    /// Whether a transaction is open.
    in_transaction: bool,
    /// Whether the answer to a command that was sent last is still to be read.
    is_owed: bool,
    pub(super) opened: Instant,
    /// What a standby had replayed when it was asked last.
    pub(super) replayed: Position,
}

impl Connection {
    /// Opens a session on the first of the hosts that will do.
    pub(super) fn open(address: &Address) -> Result<Self> {
        let mut last = Failure::Lost(io::Error::other("the address has no host"));
        for host in &address.hosts {
            let stream = Stream::open(address, host).map_err(Failure::Lost);
            match stream.and_then(|stream| Self::begin(stream, address)) {
                Ok(connection) => return Ok(connection),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    fn begin(stream: Stream, address: &Address) -> Result<Self> {
        let mut connection = Self {
            stream,
            input: BytesMut::with_capacity(16 * 1024),
            output: BytesMut::with_capacity(4 * 1024),
            prepared: HashMap::new(),
            names: 0,
            key: String::new(),
            in_transaction: false,
            is_owed: false,
            opened: Instant::now(),
            replayed: Position::default(),
        };
        connection.stream.set_read_timeout(Some(address.timeout * 3)).map_err(Failure::Lost)?;
        connection.authenticate(address)?;
        connection.simple(SESSION, &mut |_| Ok(()))?;
        connection.require_role(address.role)?;
        connection.stream.set_read_timeout(None).map_err(Failure::Lost)?;
        Ok(connection)
    }

    fn authenticate(&mut self, address: &Address) -> Result<()> {
        let fixed = [("user", &address.user), ("database", &address.database)];
        let fixed = fixed.into_iter().map(|(name, value)| (name, value.as_str()));
        let more = address.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        frontend::startup_message(fixed.chain(more), &mut self.output).map_err(Failure::Lost)?;
        self.send()?;
        let password = || {
            let missing = || io::Error::other("the server asks for a password; the URL has none");
            address.password.as_deref().ok_or_else(|| Failure::Lost(missing()))
        };
        loop {
            match self.receive()? {
                Message::AuthenticationOk => break,
                Message::AuthenticationCleartextPassword => self.send_password(password()?)?,
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(address.user.as_bytes(), password()?, body.salt());
                    self.send_password(hash.as_bytes())?;
                }
                Message::AuthenticationSasl(body) => self.scram(&body, password()?)?,
                Message::ErrorResponse(body) => return Err(Failure::refused(body.fields())),
                _ => return Err(unexpected()),
            }
        }
        self.settle(&mut |_| Ok(()))
    }

    fn send_password(&mut self, password: &[u8]) -> Result<()> {
        frontend::password_message(password, &mut self.output).map_err(Failure::Lost)?;
        self.send()
    }

    /// SCRAM-SHA-256 (RFC 7677).
    fn scram(&mut self, body: &AuthenticationSaslBody, password: &[u8]) -> Result<()> {
        let offered = body.mechanisms().any(|name| Ok(name == sasl::SCRAM_SHA_256));
        if !offered.map_err(Failure::Lost)? {
            return Err(Failure::Lost(io::Error::other("the server does not offer SCRAM-SHA-256")));
        }
        let binding = sasl::ChannelBinding::unsupported();
        let mut scram = sasl::ScramSha256::new(password, binding);
        let first = (sasl::SCRAM_SHA_256, scram.message());
        frontend::sasl_initial_response(first.0, first.1, &mut self.output)
            .map_err(Failure::Lost)?;
        self.send()?;
        match self.receive()? {
            Message::AuthenticationSaslContinue(body) => {
                scram.update(body.data()).map_err(Failure::Lost)?;
            }
            Message::ErrorResponse(body) => return Err(Failure::refused(body.fields())),
            _ => return Err(unexpected()),
        }
        frontend::sasl_response(scram.message(), &mut self.output).map_err(Failure::Lost)?;
        self.send()?;
        match self.receive()? {
            Message::AuthenticationSaslFinal(body) => {
                scram.finish(body.data()).map_err(Failure::Lost)
            }
            Message::ErrorResponse(body) => Err(Failure::refused(body.fields())),
            _ => Err(unexpected()),
        }
    }

    fn require_role(&mut self, role: Role) -> Result<()> {
        let wanted = match role {
            Role::Any => return Ok(()),
            Role::Primary => "f",
            Role::Standby => "t",
        };
        let mut found = String::new();
        self.simple("SELECT pg_is_in_recovery()", &mut |mut row| {
            row.text()?.clone_into(&mut found);
            Ok(())
        })?;
        if found == wanted {
            return Ok(());
        }
        let kind = if wanted == "f" { "a primary" } else { "a standby" };
        Err(Failure::Lost(io::Error::other(format!("no host is {kind}"))))
    }

    /// Runs statements that take no parameters, all at once. Columns are texts.
    pub(super) fn simple(
        &mut self,
        sql: &str,
        on_row: &mut dyn FnMut(Row<'_>) -> cumulo_core::store::Result<()>,
    ) -> Result<()> {
        self.settle_debt()?;
        frontend::query(sql, &mut self.output).map_err(Failure::Lost)?;
        self.send()?;
        self.settle(on_row)
    }

    /// Runs statements in one round trip, until one fails. In a transaction each of them sees
    /// what was committed before it began.
    pub(super) fn run(
        &mut self,
        commands: &[Command],
        trips: &Trips,
        on_row: &mut OnRow<'_>,
    ) -> Result<()> {
        trips.0.fetch_add(1, Ordering::Relaxed);
        let mut unconfirmed = self.write_all(commands)?;
        self.send()?;
        self.settle_debt()?;
        let (mut place, mut fault) = (0, None);
        loop {
            match self.receive()? {
                Message::ParseComplete => {
                    unconfirmed.pop_front();
                }
                Message::DataRow(row) if fault.is_none() => {
                    fault = on_row(place, Row::new(row.buffer())).err().map(Failure::Store);
                }
                Message::CommandComplete(_) | Message::EmptyQueryResponse => place += 1,
                Message::ErrorResponse(body) => {
                    fault = fault.or_else(|| Some(Failure::refused(body.fields())));
                }
                Message::ReadyForQuery(body) => {
                    self.in_transaction = body.status() != b'I';
                    break;
                }
                _ => {}
            }
        }
        for sql in unconfirmed {
            self.prepared.remove(&sql);
        }
        fault.map_or(Ok(()), Err)
    }

    /// Ends a transaction, if one is open, without keeping anything that it wrote. Does not wait:
    /// the answer is read before the next one.
    pub(super) fn finish(&mut self) -> Result<()> {
        if !self.in_transaction {
            return Ok(());
        }
        frontend::query("ROLLBACK", &mut self.output).map_err(Failure::Lost)?;
        self.send()?;
        self.is_owed = true;
        self.in_transaction = false;
        Ok(())
    }

    fn settle_debt(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_owed) {
            return Ok(());
        }
        // After an error, what comes next would be taken for another answer.
        self.settle(&mut |_| Ok(())).map_err(|failure| Failure::Lost(io::Error::other(failure)))
    }

    /// Reads the answer to a simple query.
    fn settle(
        &mut self,
        on_row: &mut dyn FnMut(Row<'_>) -> cumulo_core::store::Result<()>,
    ) -> Result<()> {
        let mut fault = None;
        loop {
            match self.receive()? {
                Message::DataRow(row) if fault.is_none() => {
                    fault = on_row(Row::new(row.buffer())).err().map(Failure::Store);
                }
                Message::ErrorResponse(body) => {
                    fault = fault.or_else(|| Some(Failure::refused(body.fields())));
                }
                Message::ReadyForQuery(body) => {
                    self.in_transaction = body.status() != b'I';
                    return fault.map_or(Ok(()), Err);
                }
                _ => {}
            }
        }
    }

    /// Writes statements to the output; the result is those that the server prepares for it.
    fn write_all(&mut self, commands: &[Command]) -> Result<VecDeque<Cow<'static, str>>> {
        let mut fresh = VecDeque::new();
        if self.prepared.len() > MAX_PREPARED {
            for name in std::mem::take(&mut self.prepared).into_values() {
                frontend::close(b'S', &name, &mut self.output).map_err(Failure::Lost)?;
            }
        }
        for command in commands {
            if !self.prepared.contains_key(&command.sql) {
                self.write_parse(command)?;
                fresh.push_back(command.sql.clone());
            }
            self.write_execute(command)?;
        }
        frontend::sync(&mut self.output);
        Ok(fresh)
    }

    fn write_parse(&mut self, command: &Command) -> Result<()> {
        let name = format!("{}s{}", self.key, self.names);
        self.names += 1;
        let types = command.params.iter().map(Param::oid);
        frontend::parse(&name, &command.sql, types, &mut self.output).map_err(Failure::Lost)?;
        self.prepared.insert(command.sql.clone(), name);
        Ok(())
    }

    fn write_execute(&mut self, command: &Command) -> Result<()> {
        const BINARY: [i16; 1] = [1];
        let name = self.prepared.get(&command.sql).map_or("", String::as_str);
        let write = |param: &Param, out: &mut BytesMut| {
            param.write(out);
            Ok(if param.is_null() { IsNull::Yes } else { IsNull::No })
        };
        frontend::bind("", name, BINARY, &command.params, write, BINARY, &mut self.output)
            .map_err(|_| Failure::Lost(io::Error::other("a parameter is too large")))?;
        frontend::execute("", 0, &mut self.output).map_err(Failure::Lost)
    }

    fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.output).map_err(Failure::Lost)?;
        self.output.clear();
        if self.output.capacity() > MAX_KEPT {
            self.output = BytesMut::new();
        }
        self.stream.flush().map_err(Failure::Lost)
    }

    /// The next message that is not just a notice.
    fn receive(&mut self) -> Result<Message> {
        loop {
            match Message::parse(&mut self.input).map_err(Failure::Lost)? {
                Some(Message::NoticeResponse(body)) => {
                    tracing::debug!(notice = %Failure::refused(body.fields()), "PostgreSQL says");
                }
                Some(Message::ParameterStatus(_)) => {}
                Some(Message::BackendKeyData(body)) => {
                    self.key = format!("c{:x}_{:x}_", body.process_id(), body.secret_key());
                }
                Some(message) => return Ok(message),
                None => self.fill()?,
            }
        }
    }

    fn fill(&mut self) -> Result<()> {
        const CHUNK: usize = 16 * 1024;
        let start = self.input.len();
        let free = (self.input.capacity() - start).max(CHUNK);
        self.input.resize(start + free, 0);
        let read = loop {
            match self.stream.read(&mut self.input[start..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.input.truncate(start + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(Failure::Lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::Lost(error)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        frontend::terminate(&mut self.output);
        // If it does not arrive the server sees the end of the stream.
        let _ = self.send();
    }
}

fn unexpected() -> Failure {
    Failure::Lost(io::Error::other("the server asks for what this program can't do"))
}

#[cfg(test)]
mod tests {
    use cumulo_servers::Postgres;

    use super::*;

    #[test]
    fn sessions_name_their_statements_differently() {
        let address = Address::parse(&Postgres::shared().url()).unwrap();
        let mut names = Vec::new();
        for _ in 0..2 {
            let mut connection = Connection::open(&address).unwrap();
            let command = Command::new("SELECT 1", Vec::new());
            connection.run(&[command], &Trips::default(), &mut |_, _| Ok(())).unwrap();
            let prepared = "SELECT name FROM pg_prepared_statements";
            let keep = &mut |mut row: Row<'_>| {
                names.push(row.owned()?);
                Ok(())
            };
            connection.simple(prepared, keep).unwrap();
        }
        assert_eq!(names.len(), 2);
        assert_ne!(names[0], names[1]);
    }
}
