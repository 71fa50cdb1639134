//! A store in a PostgreSQL database, with the tables of Kinto, which any number of copies of this
//! program, and Kinto itself, use at the same time.
//!
//! ```text
//! submit ──► pool (queue, threads) ──► session ──► transaction ──► connection ──► the server
//!                                                    │  known, statements, sql
//! ```
//!
//! - [`pool`], [`session`]: who runs what when, and again where the database asks for it
//! - [`transaction`]: the port; few round trips by foresight and by keeping writes back
//! - [`known`]: what a transaction need not ask
//! - [`statements`], [`sql`], [`json`]: SQL, the query builder, and the text of `jsonb`
//! - [`lag`]: whether a standby is near enough to its primary to be read
//! - [`connection`], [`command`], [`stream`], [`tls`], [`address`]: the protocol
//! - [`inspect`]: whether all is as it must be
//! - [`schema`], [`failure`], [`outage`]: tables; what goes wrong; a server that is not there

mod address;
mod command;
mod connection;
mod failure;
mod inspect;
mod json;
mod known;
mod lag;
mod outage;
mod pool;
mod schema;
mod session;
mod sql;
mod statements;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cumulo_core::{
    causes::Causes,
    clock::Clock,
    store::{Access, BoxFuture, Outlook, Result, Store, Work},
};

pub use self::address::BadUrl;
pub use self::schema::{PostgresMigration, SchemaError};
use self::{
    address::{Address, Role},
    connection::{Connection, Trips},
    failure::Remedy,
    lag::Lag,
    outage::Outage,
    pool::Pool,
};
use crate::{error, resources::Resources, run};

/// How a database is used. The names are those of the settings of Kinto.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// How many sessions are kept.
    pub pool_size: usize,
    /// How many more may be open while there is much to do.
    pub max_overflow: usize,
    /// How many works may wait while all sessions are busy; any number if `None`.
    pub max_backlog: Option<usize>,
    /// How long work may wait for a session.
    pub pool_timeout: Duration,
    /// After how long a session is replaced; never if `None`.
    pub pool_recycle: Option<Duration>,
    /// How long [`Postgres::open`] waits for a server that is not there yet.
    pub patience: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            pool_size: 25,
            max_overflow: 10,
            max_backlog: None,
            pool_timeout: Duration::from_secs(30),
            pool_recycle: None,
            patience: Duration::from_secs(30),
        }
    }
}

/// A store in a PostgreSQL database.
pub struct Postgres {
    shared: Arc<Shared>,
}

/// What the sessions have in common.
struct Shared {
    address: Address,
    options: PostgresOptions,
    clock: Arc<dyn Clock>,
    pool: Pool,
    resources: Resources,
    trips: Trips,
    outage: Outage,
    /// Whether the database can keep messages.
    has_outbox: bool,
    /// Of a standby.
    lag: Option<Arc<Lag>>,
}

impl Postgres {
    /// Opens the database at `url`, which must have its tables: see [`migrate`](Self::migrate).
    ///
    /// Blocks, and waits for a server that is not there yet.
    pub fn open(url: &str, options: PostgresOptions, clock: Arc<dyn Clock>) -> error::Result<Self> {
        let address = Address::parse(url)?;
        let has_outbox = schema::check(&mut connect(&address, options.patience)?)?;
        Ok(Self::new(address, options, clock, has_outbox, None))
    }

    /// A store that only reads: a standby of the database at `primary`, as long as it has
    /// everything that was committed `max_lag` ago. All that goes wrong with it is an error at
    /// once: the primary can answer, too.
    ///
    /// Neither of them needs to be there yet.
    pub fn open_standby(
        url: &str,
        primary: &str,
        max_lag: Duration,
        options: PostgresOptions,
        clock: Arc<dyn Clock>,
    ) -> error::Result<Self> {
        let standby = Address { role: Role::Standby, ..Address::parse(url)? };
        let lag = Lag::follow(Address::parse(primary)?, max_lag);
        let lag = lag.map_err(|failure| error::Error::Server(failure.into()))?;
        // Nothing is written to it.
        Ok(Self::new(standby, options, clock, false, Some(lag)))
    }

    fn new(
        address: Address,
        options: PostgresOptions,
        clock: Arc<dyn Clock>,
        has_outbox: bool,
        lag: Option<Arc<Lag>>,
    ) -> Self {
        let shared = Shared {
            address,
            options,
            clock,
            pool: Pool::default(),
            resources: Resources::default(),
            trips: Trips::default(),
            outage: Outage::default(),
            has_outbox,
            lag,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Creates the tables of the database at `url`, or completes those that Kinto has made, and
    /// tells what was done; with `dry_run`, what would be done.
    pub fn migrate(url: &str, dry_run: bool) -> error::Result<PostgresMigration> {
        let address = Address::parse(url)?;
        let mut connection = connect(&address, Duration::ZERO)?;
        Ok(schema::migrate(&mut connection, dry_run)?)
    }

    /// How often a server was asked and waited for since the store was opened.
    pub fn round_trips(&self) -> u64 {
        self.shared.trips.count()
    }
}

/// Opens a session; waits for a server that is not there.
fn connect(address: &Address, patience: Duration) -> error::Result<Connection> {
    let start = Instant::now();
    loop {
        match Connection::open(address) {
            Ok(connection) => return Ok(connection),
            Err(failure) if failure.remedy() == Remedy::Elsewhere && start.elapsed() < patience => {
                let error = Causes(&failure).to_string();
                tracing::warn!(error, "waiting for PostgreSQL");
                std::thread::sleep(Duration::from_millis(500));
            }
            Err(failure) => return Err(error::Error::Server(failure.into())),
        }
    }
}

impl Store for Postgres {
    fn submit(&self, access: Access, work: Work) -> BoxFuture<'_, Result<()>> {
        self.submit_foreseen(access, Outlook::default(), work)
    }

    fn submit_foreseen(
        &self,
        access: Access,
        outlook: Outlook,
        work: Work,
    ) -> BoxFuture<'_, Result<()>> {
        let reply = self.shared.pool.submit(&self.shared, access, outlook, work);
        Box::pin(async { reply.await.unwrap_or_else(|_| Err(run::internal("no answer came"))) })
    }

    fn uses_outlook(&self) -> bool {
        true
    }

    fn close(&self) {
        self.shared.pool.close();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.close();
    }
}
