//! Makes a line of an event.

use std::{
    cell::RefCell,
    error::Error,
    fmt::{self, Write as _},
};

use cumulo_core::{
    causes::Causes,
    clock::{Clock, SystemClock},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

use super::{mozlog::Mozlog, text::Text, writer::Writer};

/// The shape of lines.
pub(super) enum Shape {
    Text(Text),
    Mozlog(Mozlog),
}

/// Lines with this target are those of a listener that counts on them: whoever logs one goes on
/// when it is written.
const DURABLE: &str = "event";

/// Writes each event as a line.
pub(super) struct Lines {
    shape: Shape,
    writer: Writer,
    clock: SystemClock,
}

impl Lines {
    pub(super) fn new(shape: Shape, writer: Writer) -> Self {
        Self { shape, writer, clock: SystemClock::default() }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local! {
            static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let write = |line: &mut Vec<u8>| {
            line.clear();
            let now = self.clock.now();
            match &self.shape {
                Shape::Text(text) => text.write(event, now, line),
                Shape::Mozlog(mozlog) => mozlog.write(event, now, line),
            }
            if event.metadata().target() == DURABLE {
                self.writer.write(line);
            } else {
                self.writer.add(line);
            }
        };
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => write(&mut line),
            // A value that logs while it is shown.
            Err(_) => write(&mut Vec::new()),
        });
    }
}

/// One value of an event.
pub(crate) enum Value<'a> {
    Text(&'a str),
    /// A number or a truth value.
    Plain(fmt::Arguments<'a>),
}

/// Takes the values of an event one after the other.
pub(crate) trait Sink {
    fn take(&mut self, name: &'static str, value: Value<'_>);
}

/// Hands the values of an event to a sink.
pub(crate) struct Values<'a, S> {
    sink: &'a mut S,
    /// What is not text yet.
    shown: String,
}

impl<'a, S: Sink> Values<'a, S> {
    pub(crate) fn hand(event: &Event<'_>, sink: &'a mut S) {
        event.record(&mut Values { sink, shown: String::new() });
    }
}

impl<S: Sink> Visit for Values<'_, S> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.sink.take(field.name(), Value::Text(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.sink.take(field.name(), Value::Plain(format_args!("{value}")));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.sink.take(field.name(), Value::Plain(format_args!("{value}")));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.sink.take(field.name(), Value::Plain(format_args!("{value}")));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.sink.take(field.name(), Value::Plain(format_args!("{value}")));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.sink.take(field.name(), Value::Text(&Causes(value).to_string()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Of other crates' logs: where in the source it was.
        if field.name().starts_with("log.") {
            return;
        }
        self.shown.clear();
        let _ = write!(self.shown, "{value:?}");
        self.sink.take(field.name(), Value::Text(&self.shown));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use cumulo_core::store;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl Sink for Seen {
        fn take(&mut self, name: &'static str, value: Value<'_>) {
            if let Value::Text(text) = value {
                self.0.lock().unwrap().push(format!("{name}={text}"));
            }
        }
    }

    impl<S: Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            Values::hand(event, &mut self.clone());
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let seen = Seen::default();
        let failure = store::Error::Internal("the table is gone".into());
        let subscriber = tracing_subscriber::registry().with(seen.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(error = &failure as &dyn Error, "no");
        });
        let seen = seen.0.lock().unwrap();
        assert!(seen.contains(&"error=the storage failed: the table is gone".into()), "{seen:?}");
    }
}
