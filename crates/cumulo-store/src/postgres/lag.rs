//! How far a standby may be behind its primary.
//!
//! A thread asks the primary again and again how far its log of changes (WAL) reaches. Before a
//! standby is read, it must have replayed what the primary had written at most so long ago.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{address::Address, connection::Connection, failure::Failure};

/// The end of what is written.
const WRITTEN: &str = "SELECT pg_current_wal_insert_lsn() - '0/0', system_identifier \
    FROM pg_control_system()";
/// The end of what is replayed; after a promotion it stands still.
const REPLAYED: &str = "SELECT coalesce(pg_last_wal_replay_lsn() - '0/0', 0), system_identifier \
    FROM pg_control_system()";
/// How often the primary is asked within the time that a standby may be behind.
const SAMPLES: u32 = 4;

/// A place in the log of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Bytes since the beginning.
    bytes: u64,
    /// Of which database system; a standby has that of its primary.
    system: String,
}

impl Position {
    fn reaches(&self, other: &Self) -> bool {
        self.system == other.system && self.bytes >= other.bytes
    }

    fn ask(connection: &mut Connection, sql: &str) -> Result<Self, Failure> {
        let mut position = Self::default();
        connection.simple(sql, &mut |mut row| {
            // A number without digits after the point, as text.
            position.bytes = row.text()?.parse().unwrap_or(0);
            row.text()?.clone_into(&mut position.system);
            Ok(())
        })?;
        Ok(position)
    }
}

/// Where the primary was lately.
pub(super) struct Lag {
    max: Duration,
    /// When it was asked, and what it said; the oldest first.
    samples: Mutex<VecDeque<(Instant, Position)>>,
}

impl Lag {
    /// Begins to ask the primary; ends when nobody needs it any more.
    pub(super) fn follow(primary: Address, max: Duration) -> io::Result<Arc<Self>> {
        let lag = Arc::new(Self { max, samples: Mutex::default() });
        let weak = Arc::downgrade(&lag);
        let follow = move || {
            let mut connection = None;
            while let Some(lag) = weak.upgrade() {
                if let Err(failure) = lag.sample(&primary, &mut connection) {
                    connection = None;
                    tracing::debug!(%failure, "the primary does not tell how far it is");
                }
                drop(lag);
                thread::sleep(max / SAMPLES);
            }
        };
        thread::Builder::new().name("postgresql-lag".to_owned()).spawn(follow)?;
        Ok(lag)
    }

    fn sample(
        &self,
        primary: &Address,
        connection: &mut Option<Connection>,
    ) -> Result<(), Failure> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(Connection::open(primary)?),
        };
        // What was committed before this moment is before the position.
        let now = Instant::now();
        let position = Position::ask(connection, WRITTEN)?;
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push_back((now, position));
        while samples.len() > SAMPLES as usize + 1 {
            samples.pop_front();
        }
        Ok(())
    }

    /// What a standby must have replayed: the oldest position that is not too old. None if the
    /// primary has not been heard of for too long.
    fn floor(&self) -> Option<Position> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = samples.iter().find(|(at, _)| at.elapsed() <= self.max);
        recent.map(|(_, position)| position.clone())
    }

    /// Fails if the standby is too far behind. What is read after this is newer.
    pub(super) fn check(&self, standby: &mut Connection) -> Result<(), Failure> {
        let floor = self.floor().ok_or(Failure::Behind)?;
        if standby.replayed.reaches(&floor) {
            return Ok(());
        }
        standby.replayed = Position::ask(standby, REPLAYED)?;
        if standby.replayed.reaches(&floor) { Ok(()) } else { Err(Failure::Behind) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bytes: u64) -> Position {
        Position { bytes, system: "1".to_owned() }
    }

    #[test]
    fn the_floor_is_the_oldest_position_that_is_not_too_old() {
        let lag = |ages: &[u64]| {
            let now = Instant::now();
            let before = |age| now.checked_sub(Duration::from_secs(age)).unwrap();
            let sample = |age: &u64| (before(*age), at(100 - age));
            let samples = Mutex::new(ages.iter().map(sample).collect());
            Lag { max: Duration::from_secs(10), samples }
        };
        assert_eq!(lag(&[]).floor(), None);
        assert_eq!(lag(&[30, 20]).floor(), None);
        assert_eq!(lag(&[30, 9, 5, 1]).floor(), Some(at(91)));
        assert_eq!(lag(&[30, 1]).floor(), Some(at(99)));
    }

    #[test]
    fn positions_of_other_systems_mean_nothing() {
        assert!(at(5).reaches(&at(5)));
        assert!(!at(4).reaches(&at(5)));
        assert!(!at(5).reaches(&Position { bytes: 1, system: "2".to_owned() }));
        assert!(!Position::default().reaches(&at(0)));
    }
}
