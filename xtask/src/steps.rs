//! Counts of tests, and the steps that they come from.

use std::fmt;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use anyhow::Result;

/// How many tests passed, failed, and could not run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    /// The numbers before words in a text: `12 passed; 1 failed`. A colon may separate them.
    pub(crate) fn read(text: &str) -> Self {
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let mut tally = Self::default();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<usize>() else { continue };
            match pair[1] {
                "passed" => tally.passed += number,
                "failed" | "error" | "errors" => tally.failed += number,
                "skipped" | "ignored" => tally.skipped += number,
                _ => {}
            }
        }
        tally
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Runs steps one after the other, and remembers how they went.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, Tally)>,
}

impl Steps {
    /// Run a step and go on, whatever comes of it. A failure that no test accounts for counts as
    /// one. Tells whether all is well.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<Tally>) -> bool {
        println!("\n=== {name}");
        let start = Instant::now();
        let tally = step().unwrap_or_else(|error| {
            println!("{error:#}");
            Tally { failed: 1, ..Tally::default() }
        });
        println!("=== {name}: {tally}, {:.1} s", start.elapsed().as_secs_f64());
        self.done.push((name.to_owned(), start.elapsed(), tally));
        tally.failed == 0
    }

    /// Show all steps with their durations, then the closing line; returns the sum.
    pub(crate) fn finish(self) -> Tally {
        let mut sum = Tally::default();
        println!();
        for (name, duration, tally) in &self.done {
            let mark = if tally.failed > 0 { "FAILED" } else { "ok" };
            println!("{name:<24} {:>7.1} s  {mark:<6}  {tally}", duration.as_secs_f64());
            sum += *tally;
        }
        let failing: Vec<&str> =
            self.done.iter().filter(|it| it.2.failed > 0).map(|it| it.0.as_str()).collect();
        if !failing.is_empty() {
            println!("\nfailing steps: {}", failing.join(", "));
        }
        println!();
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn reads_the_closing_lines_of_test_runners() {
        let cargo = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out";
        assert_eq!(Tally::read(cargo), Tally { passed: 12, failed: 0, skipped: 1 });
        let pytest = "==== 1 failed, 24 passed, 2 errors in 3.21s ====";
        assert_eq!(Tally::read(pytest), Tally { passed: 24, failed: 3, skipped: 0 });
    }
}
