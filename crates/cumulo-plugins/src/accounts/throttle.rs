//! Bounds how many passwords can be tried for one name.
//!
//! The first wrong ones of an hour are free. After them, one attempt is let through at a time, and
//! the next only after a delay that doubles with each wrong one; the others are refused at once. What
//! is refused costs nothing and counts for nothing, so that nobody makes the delay longer by asking.
//! Logins that are remembered are not asked about here: whoever uses one is not locked out.
//!
//! Everything is in the cache, under digests of names, so that copies count together, and is gone
//! after two hours. Names that are no account are counted like others. Without the cache there is no
//! throttle: passwords are slow to check, and logins matter more.

use std::time::Duration;

use cumulo_core::{authentication::hmac_hex, object::Timestamp, settings::Settings};
use cumulo_kvs::{Kvs, Lifetime, Result};

/// For how long attempts are counted together.
const HOUR: Duration = Duration::from_hours(1);

/// The attempts to log in under one name.
pub(super) struct Attempts<'a> {
    cache: &'a dyn Kvs,
    settings: &'a Settings,
    /// How many there were.
    tried: String,
    /// How many of them were right.
    right: String,
    /// Is there while somebody has an attempt that is not free, and for the delay after it.
    turn: String,
}

impl<'a> Attempts<'a> {
    /// Those of the hour that `now` is in.
    pub(super) fn new(
        cache: &'a dyn Kvs,
        settings: &'a Settings,
        name: &str,
        now: Timestamp,
    ) -> Self {
        let digest = hmac_hex(&settings.userid_hmac_secret, &format!("login\0{name}"));
        let hour = u128::from(now.0.unsigned_abs()) / HOUR.as_millis();
        Self {
            cache,
            settings,
            tried: format!("login:{digest}:{hour}:tried"),
            right: format!("login:{digest}:{hour}:right"),
            turn: format!("login:{digest}:turn"),
        }
    }

    /// Asks for an attempt. If there is none now: after how long there may be.
    pub(super) async fn begin(&self) -> Result<std::result::Result<(), Duration>> {
        if self.settings.account_login_free_failures == 0 {
            return Ok(Ok(()));
        }
        if let Some(left) = self.delay().await? {
            return Ok(Err(left));
        }
        let tried = self.cache.increment(&self.tried, 1, Some(2 * HOUR)).await?;
        let right = self.cache.get(&self.right).await?;
        let right = right.and_then(|digits| std::str::from_utf8(&digits).ok()?.parse().ok());
        let Some(delay) = delay(self.settings, tried - right.unwrap_or(0)) else {
            return Ok(Ok(()));
        };
        // Of several who come at the same time, one has the turn.
        if self.cache.increment(&self.turn, 1, Some(delay)).await? == 1 {
            return Ok(Ok(()));
        }
        Ok(Err(self.delay().await?.unwrap_or(delay)))
    }

    /// Tells that the attempt was right.
    pub(super) async fn succeed(&self) -> Result<()> {
        if self.settings.account_login_free_failures > 0 {
            self.cache.increment(&self.right, 1, Some(2 * HOUR)).await?;
        }
        Ok(())
    }

    /// How long the turn of another one lasts.
    async fn delay(&self) -> Result<Option<Duration>> {
        Ok(match self.cache.ttl(&self.turn).await? {
            Lifetime::Missing => None,
            Lifetime::Left(left) => Some(left),
            Lifetime::Unlimited => Some(HOUR),
        })
    }
}

/// The delay after an attempt, which is the `nth` that is not known to be right; none if it is free.
fn delay(settings: &Settings, nth: i64) -> Option<Duration> {
    let doublings = nth - i64::from(settings.account_login_free_failures) - 1;
    if doublings < 0 {
        return None;
    }
    let seconds = (1_u64 << doublings.min(31)).min(settings.account_login_max_delay_seconds.into());
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use cumulo_kvs::{Memory, Options};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn cache() -> Memory {
        Memory::new(1 << 20, Options::default()).unwrap()
    }

    fn settings(free: u32) -> Settings {
        Settings { account_login_free_failures: free, ..Settings::default() }
    }

    #[test]
    fn delays_double_up_to_the_most() {
        let settings = settings(3);
        let seconds = |nth| delay(&settings, nth).map(|delay| delay.as_secs());
        assert_eq!([0, 1, 2, 3].map(seconds), [None; 4]);
        assert_eq!([4, 5, 6, 7].map(seconds), [Some(1), Some(2), Some(4), Some(8)]);
        assert_eq!(
            [12, 13, 100, i64::MAX].map(seconds),
            [Some(256), Some(300), Some(300), Some(300)]
        );
        assert_eq!(seconds(-5), None);
    }

    #[tokio::test]
    async fn after_the_free_ones_there_is_one_at_a_time() {
        let (cache, settings) = (cache(), settings(3));
        let alice = Attempts::new(&cache, &settings, "alice", NOW);
        for _ in 0..4 {
            assert_eq!(alice.begin().await.unwrap(), Ok(()));
        }
        for _ in 0..10 {
            let left = alice.begin().await.unwrap().unwrap_err();
            assert!(left <= Duration::from_secs(1), "what is refused makes no delay longer");
        }
        let bob = Attempts::new(&cache, &settings, "bob", NOW);
        assert_eq!(bob.begin().await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn of_many_at_once_few_are_let_through() {
        let (cache, settings) = (cache(), settings(3));
        let alice = Attempts::new(&cache, &settings, "alice", NOW);
        let begun = futures_util::future::join_all((0..100).map(|_| alice.begin())).await;
        assert_eq!(begun.into_iter().filter(|it| it.as_ref().unwrap().is_ok()).count(), 4);
    }

    #[tokio::test]
    async fn what_is_right_counts_for_nothing_and_excuses_nothing() {
        let (cache, settings) = (cache(), settings(3));
        let alice = Attempts::new(&cache, &settings, "alice", NOW);
        for _ in 0..3 {
            assert_eq!(alice.begin().await.unwrap(), Ok(()));
        }
        // The owner comes by now and then, which lets nobody else try more often.
        cache.delete(&alice.turn).await.unwrap();
        for n in 0..20 {
            assert_eq!(alice.begin().await.unwrap(), Ok(()), "{n}");
            alice.succeed().await.unwrap();
            cache.delete(&alice.turn).await.unwrap();
        }
        assert_eq!(alice.begin().await.unwrap(), Ok(()));
        assert!(alice.begin().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn everything_is_forgotten() {
        let (cache, settings) = (cache(), settings(1));
        let alice = Attempts::new(&cache, &settings, "alice", NOW);
        for _ in 0..3 {
            let _ = alice.begin().await.unwrap();
        }
        alice.succeed().await.unwrap();
        let keys = cache.keys("").await.unwrap();
        assert_eq!(keys.len(), 3);
        for key in keys {
            assert!(!key.contains("alice"), "{key}");
            assert!(
                matches!(cache.ttl(&key).await.unwrap(), Lifetime::Left(left) if left <= 2 * HOUR)
            );
        }
        let later = Timestamp(NOW.0 + 3_600_000);
        cache.delete(&alice.turn).await.unwrap();
        let alice = Attempts::new(&cache, &settings, "alice", later);
        assert_eq!(alice.begin().await.unwrap(), Ok(()));
        assert_eq!(cache.ttl(&alice.turn).await.unwrap(), Lifetime::Missing);
    }

    #[tokio::test]
    async fn it_can_be_switched_off() {
        let (cache, settings) = (cache(), settings(0));
        let alice = Attempts::new(&cache, &settings, "alice", NOW);
        for _ in 0..100 {
            assert_eq!(alice.begin().await.unwrap(), Ok(()));
        }
        assert!(cache.keys("").await.unwrap().is_empty());
    }
}
