//! What must be known before the transaction of a call: whether its login is right, and what a
//! plugin has to work out that takes long. A transaction waits for neither, and may run twice.

use std::{sync::Arc, thread::available_parallelism, time::Duration};

use cumulo_core::{
    authentication::Login,
    call::Call,
    error::{ApiError, Errno, Result},
    plugin::{Slow, Verdict},
    reply::Reply,
    settings::Settings,
    store::{Access, Outcome, Store},
};
use http::header;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use tracing::error;

use crate::{cache, causes::Causes, connection::Service, throttle::Attempts};

/// Work that takes long, and as much of it at once as leaves processors for the rest: who sends
/// wrong passwords does not stop others.
pub(crate) struct SlowWork {
    places: Arc<Semaphore>,
    patience: Duration,
}

impl SlowWork {
    pub(crate) fn new(settings: &Settings) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self {
            places: Arc::new(Semaphore::new((processors / 2).max(1))),
            patience: Duration::from_secs(settings.request_timeout_seconds.into()),
        }
    }

    async fn run<T: Send + 'static>(&self, work: Slow<T>) -> Result<T> {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("it is never closed");
        let work = move || {
            // Nobody may wait any more when the work is done, but until then it takes a place.
            let _place = place;
            work()
        };
        spawn_blocking(work).await.map_err(|failure| {
            error!(error = %Causes(&failure), "the preparation failed");
            ApiError::internal("")
        })
    }
}

/// Makes a call ready for its transaction. The error is the answer, if that can't be.
pub(crate) async fn prepare(
    service: &Service,
    call: &mut Call,
) -> std::result::Result<(), Box<Reply>> {
    let prepared = match timeout(service.slow.patience, prepare_all(service, call)).await {
        Ok(prepared) => prepared,
        Err(_) => Err(ApiError::new(Errno::Backend)
            .with_message("Too many passwords are to be checked, please retry later.")),
    };
    match prepared {
        Ok(()) => Ok(()),
        Err(mut error) => {
            if error.errno == Errno::Undefined {
                error.info = Some(service.api.settings.error_info_link.clone());
            }
            Err(Box::new(service.api.finish_call(call, error.into_reply())))
        }
    }
}

/// Prepares a call, and those of its batch one after the other.
async fn prepare_all(service: &Service, call: &mut Call) -> Result<()> {
    let mut judged = Vec::new();
    prepare_one(service, call, &mut judged).await?;
    for item in &mut call.items {
        if let Ok(call) = &mut item.call {
            prepare_one(service, call, &mut judged).await?;
        }
    }
    Ok(())
}

/// Prepares a call. `judged` are the logins so far, and their users.
async fn prepare_one(
    service: &Service,
    call: &mut Call,
    judged: &mut Vec<(Login, Option<String>)>,
) -> Result<()> {
    if let Some(login) = call.login.take() {
        let known = judged.iter().find(|(known, _)| known.is_same(&login));
        let user = match known {
            Some((_, user)) => user.clone(),
            None => {
                let user = judge(service, &login).await?;
                judged.push((login, user.clone()));
                user
            }
        };
        call.user = user.or(call.user.take());
    }
    if let Some(work) = service.api.preparation(call) {
        call.prepared = service.slow.run(work).await?;
    }
    Ok(())
}

/// The user who logs in; none if the login is wrong.
async fn judge(service: &Service, login: &Login) -> Result<Option<String>> {
    let (api, asked) = (Arc::clone(&service.api), login.clone());
    let read = <dyn Store>::transact(&*service.store, Access::Read, move |tx| {
        let verdict = match api.judge_of(&asked) {
            Some(plugin) => plugin.judge(&api, &asked, tx)?,
            None => Verdict::Known(None),
        };
        Ok((Outcome::Rollback, verdict))
    });
    let verdict = read.await.inspect_err(|failure| {
        error!(error = %Causes(failure), "the storage failed");
    });
    match verdict? {
        Verdict::Known(user) => Ok(user),
        Verdict::Slow(work) => try_password(service, &login.name, work).await,
    }
}

/// Has a password checked, unless too many were wrong lately.
async fn try_password(
    service: &Service,
    name: &str,
    work: Slow<Option<String>>,
) -> Result<Option<String>> {
    let (cache, settings) = (&*service.cache, &*service.api.settings);
    let attempts = Attempts::new(cache, settings, name, service.api.clock.now());
    match attempts.begin().await {
        Ok(Ok(())) => {}
        Ok(Err(delay)) => return Err(too_many_logins(delay)),
        Err(failure) => cache::log(&failure),
    }
    let user = service.slow.run(work).await?;
    if user.is_some()
        && let Err(failure) = attempts.succeed().await
    {
        cache::log(&failure);
    }
    Ok(user)
}

fn too_many_logins(delay: Duration) -> ApiError {
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    ApiError::new(Errno::TooManyRequests)
        .with_message("Too many wrong passwords for this name, please retry later.")
        .with_header(header::RETRY_AFTER, seconds.into())
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use futures_util::FutureExt;

    use super::*;

    fn with_places(places: usize) -> SlowWork {
        let patience = Duration::from_secs(30);
        SlowWork { places: Arc::new(Semaphore::new(places)), patience }
    }

    #[tokio::test]
    async fn only_so_much_is_done_at_once() {
        let slow = with_places(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let works = (0..20).map(|n| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            slow.run(Box::new(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                n
            }))
        });
        let results = futures_util::future::join_all(works).await;
        assert!(results.into_iter().map(|result| result.expect("done")).eq(0..20));
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_keeps_its_place() {
        let slow = with_places(1);
        let (end, ended) = mpsc::channel::<()>();
        let work = slow.run(Box::new(move || ended.recv().is_err()));
        assert!(work.now_or_never().is_none());
        assert_eq!(slow.places.available_permits(), 0);
        drop(end);
        slow.run(Box::new(|| ())).await.expect("the place is free again");
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let failed = with_places(1).run::<()>(Box::new(|| panic!("as the test wants"))).await;
        assert_eq!(failed.expect_err("it panicked").errno, Errno::Undefined);
    }
}
