//! Event listeners: tells others of changes, as `event_listeners` says.
//!
//! What is to be told is written to the outbox of the store in the transaction of the change, one
//! message for each event and listener. After the commit a worker for each listener delivers what is
//! due, and what fails again later: each message at least once, whatever happens to the process.
//!
//! - [`payload`]: what a message says
//! - [`worker`]: who delivers messages, when, and how often
//! - [`delivery`]: to [`webhook`], [`redis`] and [`log`]

mod delivery;
mod log;
mod payload;
mod redis;
mod webhook;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};

use cumulo_core::{
    api::Api,
    causes::Causes,
    error::Result,
    event::{Action, Event},
    host::Host,
    outbox::{Backlog, Message},
    plugin::{Plugin, StartError},
    settings::{Listener, Settings},
    store::{Access, BoxFuture, Outcome, Transaction},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use self::{delivery::Delivery, payload::Payload, worker::Worker};

/// The listeners of the settings, and who delivers to them.
pub(crate) struct Listeners {
    listeners: Vec<Told>,
    running: Mutex<Option<Running>>,
}

struct Told {
    settings: Arc<Listener>,
    /// There is something to deliver.
    wake: Arc<Notify>,
}

struct Running {
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
}

impl Listeners {
    /// The listeners, if there are any.
    pub(crate) fn new(settings: &Settings) -> Option<Self> {
        let told = |listener: &Listener| Told {
            settings: Arc::new(listener.clone()),
            wake: Arc::default(),
        };
        let listeners: Vec<_> = settings.event_listeners.iter().map(told).collect();
        (!listeners.is_empty()).then_some(Self { listeners, running: Mutex::default() })
    }

    /// The listeners that want to be told of an event.
    fn of<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = &'a Told> {
        self.listeners.iter().filter(|told| wants(&told.settings, event))
    }
}

fn wants(listener: &Listener, event: &Event) -> bool {
    let resources = &listener.resources;
    listener.actions.contains(&event.action)
        && (resources.is_empty() || resources.iter().any(|it| it == event.target.resource.name))
}

impl Plugin for Listeners {
    fn name(&self) -> &'static str {
        "listeners"
    }

    fn subscribes(&self, action: Action) -> bool {
        self.listeners.iter().any(|told| told.settings.actions.contains(&action))
    }

    fn on_event(
        &self,
        api: &Api,
        event: &Event,
        tx: &mut dyn Transaction,
        _: &mut Vec<Event>,
    ) -> Result<()> {
        let mut payload = Payload::of(event);
        for told in self.of(event) {
            let body = payload.text(told.settings.include_objects);
            tx.enqueue(&Message::new(&*told.settings.name, body, api.clock.now()))?;
        }
        Ok(())
    }

    fn after_commit(&self, event: &Event) {
        self.of(event).for_each(|told| told.wake.notify_one());
    }

    fn start<'a>(
        &'a self,
        host: &'a Arc<dyn Host>,
    ) -> BoxFuture<'a, std::result::Result<(), StartError>> {
        Box::pin(async move {
            let (stop, stopped) = watch::channel(false);
            let mut workers = Vec::new();
            for told in &self.listeners {
                let listener = &told.settings;
                greet(listener, &**host).await?;
                let delivery = Delivery::open(listener)
                    .map_err(|error| format!("event_listeners.{}: {error}", listener.name))?;
                let (host, wake) = (Arc::clone(host), Arc::clone(&told.wake));
                let worker = Worker::new(Arc::clone(listener), delivery, host, wake);
                workers.push(tokio::spawn(worker.run(stopped.clone())));
            }
            let running = Running { stop, workers };
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
            Ok(())
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(Running { stop, workers }) = running else { return };
            stop.send_replace(true);
            for worker in workers {
                if worker.await.is_err() {
                    tracing::error!("the worker of a listener panicked");
                }
            }
        })
    }
}

/// Makes sure that the store can keep messages, and tells what waits in it.
async fn greet(listener: &Listener, host: &dyn Host) -> std::result::Result<(), StartError> {
    let name = listener.name.clone();
    let count = move |tx: &mut dyn Transaction| Ok((Outcome::Commit, tx.backlog(&name)?));
    let backlog = host.store().transact(Access::Scan, count).await;
    let Backlog { waiting, dead } =
        backlog.map_err(|error| format!("event_listeners: {}", Causes(&error)))?;
    let (name, kind) = (&*listener.name, &listener.kind);
    tracing::info!(listener = name, waiting, dead, "the {kind} listener '{name}' starts");
    Ok(())
}
