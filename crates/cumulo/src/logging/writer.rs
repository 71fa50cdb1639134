//! Writes log lines on a thread of its own, many at once: a request does not wait for a terminal,
//! a pipe or a disk.

use std::{
    io::Write,
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// The most bytes that wait to be written. Lines beyond are dropped, and counted: whoever reads the
/// log too slowly does not stop the service.
const MOST: usize = 4 * 1024 * 1024;
/// How long lines are gathered before they are written together.
const PAUSE: Duration = Duration::from_millis(2);

/// Where lines go.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to do for the thread.
    changed: Condvar,
    /// The thread has written something, or ended.
    written: Condvar,
}

#[derive(Default)]
struct State {
    /// Whole lines.
    waiting: Vec<u8>,
    /// How many lines were added so far.
    added: u64,
    /// How many of them are written.
    written: u64,
    /// How many lines found no place since the last was written.
    dropped: u64,
    /// Whether the thread waits for a line.
    idle: bool,
    ending: bool,
    ended: bool,
}

/// Writes what waits when it is dropped.
pub(crate) struct Flush {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(out: impl Write + Send + 'static) -> std::io::Result<(Self, Flush)> {
        let shared = Arc::<Shared>::default();
        let its = Arc::clone(&shared);
        let thread = thread::Builder::new().name("logs".into()).spawn(move || its.write_to(out))?;
        Ok((Self(Arc::clone(&shared)), Flush { shared, thread: Some(thread) }))
    }

    /// Adds a line, which ends with a line break.
    pub(crate) fn add(&self, line: &[u8]) {
        let mut state = self.0.lock();
        if state.waiting.len() + line.len() > MOST {
            state.dropped += 1;
            return;
        }
        state.push(line);
        if mem::take(&mut state.idle) {
            drop(state);
            self.0.changed.notify_one();
        }
    }

    /// Adds a line and waits until it is written: for what must not get lost with the process.
    pub(crate) fn write(&self, line: &[u8]) {
        let mut state = self.0.lock();
        while state.waiting.len() + line.len() > MOST && !state.waiting.is_empty() && !state.ended {
            state = self.0.wait_for_writing(state);
        }
        state.push(line);
        let own = state.added;
        self.0.changed.notify_one();
        while state.written < own && !state.ended {
            state = self.0.wait_for_writing(state);
        }
    }
}

impl State {
    fn push(&mut self, line: &[u8]) {
        self.waiting.extend_from_slice(line);
        self.added += 1;
    }
}

/// What the thread has to do.
struct Taken {
    /// How many lines were added until now.
    added: u64,
    /// How many were dropped since the last time.
    dropped: u64,
    /// Whether there will be no more.
    ending: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is half done when a thread panics: bytes are added at once.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes lines as they come, and what waits at the end. That it can't be written is told
    /// nobody: this is where one would.
    fn write_to(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let Taken { added, dropped, ending } = self.take(&mut lines);
            let _ = out.write_all(&lines);
            if dropped > 0 {
                let _ = writeln!(out, "{dropped} log lines were dropped: nobody took them in time");
            }
            let _ = out.flush();
            lines.clear();
            let mut state = self.lock();
            (state.written, state.ended) = (added, ending);
            drop(state);
            self.written.notify_all();
            if ending {
                return;
            }
            self.pause();
        }
    }

    /// Waits for lines and takes them all.
    fn take(&self, lines: &mut Vec<u8>) -> Taken {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.ending {
            state.idle = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        mem::swap(&mut state.waiting, lines);
        let dropped = mem::take(&mut state.dropped);
        Taken { added: state.added, dropped, ending: state.ending }
    }

    fn wait_for_writing<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.written.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn pause(&self) {
        let state = self.lock();
        if !state.ending {
            drop(self.changed.wait_timeout(state, PAUSE));
        }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.shared.lock().ending = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Hands over what is written, and takes the next only when told.
    struct Slow {
        written: Arc<Mutex<Vec<u8>>>,
        go: mpsc::Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.go.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_is_lost_at_the_end() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let (go, wait) = mpsc::channel();
        drop(go);
        let out = Slow { written: Arc::clone(&written), go: wait };
        let (writer, flush) = Writer::start(out).unwrap();
        for n in 0..1000 {
            writer.add(format!("{n}\n").as_bytes());
        }
        drop(flush);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(text.lines().map(|line| line.parse::<u32>().unwrap()).eq(0..1000));
    }

    #[test]
    fn a_line_can_be_waited_for() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let (go, wait) = mpsc::channel();
        drop(go);
        let out = Slow { written: Arc::clone(&written), go: wait };
        let (writer, flush) = Writer::start(out).unwrap();
        for n in 0..100 {
            let line = format!("{n}\n");
            writer.write(line.as_bytes());
            assert!(written.lock().unwrap().ends_with(line.as_bytes()));
        }
        drop(flush);
        writer.write(b"nobody writes it, and nobody waits\n");
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let (go, wait) = mpsc::channel();
        let out = Slow { written: Arc::clone(&written), go: wait };
        let (writer, flush) = Writer::start(out).unwrap();
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..20 {
            writer.add(&line);
        }
        drop(go);
        drop(flush);
        let written = written.lock().unwrap();
        let text = String::from_utf8_lossy(&written).into_owned();
        let taken = text.matches('x').count() / line.len();
        // What was being written, and what waited.
        assert!((4..=8).contains(&taken), "{taken}");
        assert!(text.ends_with(&format!(
            "{} log lines were dropped: nobody took them in time\n",
            20 - taken
        )));
    }
}
