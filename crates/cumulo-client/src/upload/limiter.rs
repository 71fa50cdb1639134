//! How many requests are under way at once: as many as help, and fewer when the server has enough.

use std::time::Duration;

use tokio::time::Instant;

/// A measurement takes at least so many answers, so that chance matters little, and so long.
const LEAST_ANSWERS: usize = 8;
const LEAST_TIME: Duration = Duration::from_millis(20);
/// By how much the work done per second must grow for one more request to be worth it.
const WORTH: f64 = 1.05;
/// After how many measurements it is tried again whether more requests help.
const REST: u32 = 20;

/// Additive increase, multiplicative decrease. The limit doubles from 1 until that does not help or
/// the server pushes back, and goes up by 1 from then on; it is halved when the server pushes back.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: usize,
    most: usize,
    /// Whether the limit still doubles.
    doubles: bool,
    phase: Phase,
    measurement: Measurement,
    /// How many of the requests that are under way were sent before the limit was halved: what
    /// becomes of them says nothing about the new one.
    stale: usize,
}

#[derive(Debug, PartialEq)]
enum Phase {
    /// The limit was `before` when the work done per second was `rate`.
    Trying { before: usize, rate: f64 },
    /// The limit stays as it is for so many measurements.
    Resting(u32),
}

#[derive(Debug)]
struct Measurement {
    begun: Instant,
    answers: usize,
    work: u64,
}

impl Measurement {
    fn new(now: Instant) -> Self {
        Self { begun: now, answers: 0, work: 0 }
    }
}

impl Limiter {
    /// At most so many, and one at first.
    pub(crate) fn new(most: usize, now: Instant) -> Self {
        Self {
            limit: 1,
            most: most.max(1),
            doubles: true,
            phase: Phase::Resting(1),
            measurement: Measurement::new(now),
            stale: 0,
        }
    }

    /// How many requests may be under way.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A request was answered that did so much work.
    pub(crate) fn answered(&mut self, work: u64, now: Instant) {
        self.stale = self.stale.saturating_sub(1);
        self.measurement.answers += 1;
        self.measurement.work += work;
        let time = now.duration_since(self.measurement.begun);
        if self.measurement.answers < LEAST_ANSWERS.max(2 * self.limit) || time < LEAST_TIME {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "only compared")]
        let rate = self.measurement.work as f64 / time.as_secs_f64();
        self.measurement = Measurement::new(now);
        self.measured(rate);
    }

    fn measured(&mut self, rate: f64) {
        match self.phase {
            Phase::Trying { before, rate: old } if rate < old * WORTH => {
                self.limit = before;
                self.doubles = false;
                self.phase = Phase::Resting(REST);
            }
            Phase::Resting(rest) if rest > 1 => self.phase = Phase::Resting(rest - 1),
            _ => {
                let more = if self.doubles { self.limit * 2 } else { self.limit + 1 };
                let before = std::mem::replace(&mut self.limit, more.min(self.most));
                self.phase = if self.limit == before {
                    Phase::Resting(REST)
                } else {
                    Phase::Trying { before, rate }
                };
            }
        }
    }

    /// The server refused a request for now, or did not answer it; so many are under way.
    pub(crate) fn pushed_back(&mut self, under_way: usize, now: Instant) {
        if self.stale > 0 {
            return;
        }
        self.limit = (self.limit / 2).max(1);
        self.doubles = false;
        self.phase = Phase::Resting(REST);
        self.measurement = Measurement::new(now);
        self.stale = under_way;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that does `rate(limit)` units of work per second.
    struct Server {
        limiter: Limiter,
        now: Instant,
    }

    impl Server {
        fn new(most: usize) -> Self {
            let now = Instant::now();
            Self { limiter: Limiter::new(most, now), now }
        }

        fn answer(&mut self, times: usize, rate: impl Fn(usize) -> f64) {
            for _ in 0..times {
                self.now += Duration::from_secs_f64(25.0 / rate(self.limiter.limit()));
                self.limiter.answered(25, self.now);
            }
        }

        fn push_back(&mut self) {
            self.limiter.pushed_back(self.limiter.limit(), self.now);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn up_to(best: usize) -> impl Fn(usize) -> f64 {
        move |limit| 1000.0 * limit.min(best) as f64
    }

    #[test]
    fn grows_while_it_helps() {
        let mut server = Server::new(64);
        assert_eq!(server.limiter.limit(), 1);
        server.answer(200, up_to(8));
        assert_eq!(server.limiter.limit(), 8);
        server.answer(5000, up_to(8));
        assert!((8..=9).contains(&server.limiter.limit()));
    }

    #[test]
    fn finds_out_that_the_server_can_do_more() {
        let mut server = Server::new(64);
        server.answer(1000, up_to(1));
        assert!(server.limiter.limit() <= 2);
        server.answer(10_000, up_to(6));
        assert!((6..=7).contains(&server.limiter.limit()), "{}", server.limiter.limit());
    }

    #[test]
    fn keeps_to_its_bound() {
        let mut server = Server::new(5);
        for _ in 0..1000 {
            server.answer(1, up_to(100));
            assert!(server.limiter.limit() <= 5);
        }
        assert_eq!(server.limiter.limit(), 5);
    }

    #[test]
    fn halves_once_for_all_that_were_under_way() {
        let mut server = Server::new(64);
        server.answer(1000, up_to(16));
        server.limiter.limit = 16;
        for _ in 0..16 {
            server.push_back();
        }
        assert_eq!(server.limiter.limit(), 8);
        server.answer(16, up_to(16));
        server.push_back();
        assert_eq!(server.limiter.limit(), 4);
    }

    #[test]
    fn never_goes_below_one_and_comes_back_by_steps() {
        let mut server = Server::new(64);
        for _ in 0..10 {
            server.push_back();
            server.answer(1, up_to(1));
        }
        assert_eq!(server.limiter.limit(), 1);
        let mut last = 1;
        for _ in 0..5000 {
            server.answer(1, up_to(64));
            assert!(server.limiter.limit() <= last + 1, "from {last}");
            last = server.limiter.limit();
        }
        assert!(last > 10);
    }
}
