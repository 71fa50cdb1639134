//! What must be known before the transaction of a call: whether its login is right, and what a
//! plugin has to work out that takes long. A transaction waits for neither, and may run twice.

use std::time::Instant;

use cumulo_core::{
    authentication::{Identity, Login},
    call::Call,
    error::{ApiError, Errno, Result},
    reply::Reply,
};
use tokio::time::timeout;

use crate::service::Service;

/// Makes a call ready for its transaction. The error is the answer, if that can't be.
pub(crate) async fn prepare(
    service: &Service,
    call: &mut Call,
) -> std::result::Result<(), Box<Reply>> {
    let prepared = match timeout(service.slow.patience, prepare_all(service, call)).await {
        Ok(prepared) => prepared,
        Err(_) => Err(ApiError::new(Errno::Backend)
            .with_message("Too many logins are to be checked, please retry later.")),
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
        let Ok(call) = &mut item.call else { continue };
        prepare_one(service, call, &mut judged).await?;
        if let Some(reply) = service.api.serve(service, call).await {
            item.call = Err(Box::new(reply));
        }
    }
    Ok(())
}

/// Prepares a call. `judged` are the logins so far, and who they are.
async fn prepare_one(
    service: &Service,
    call: &mut Call,
    judged: &mut Vec<(Login, Option<Identity>)>,
) -> Result<()> {
    if let Some(identity) = judge(service, std::mem::take(&mut call.logins), judged).await? {
        call.user = Some(identity.user);
        call.profile = identity.profile;
    }
    if let Some(work) = service.api.preparation(call) {
        call.prepared = service.slow.run(work).await?;
    }
    Ok(())
}

/// Who sends these logins, of which the first that is right counts; none if all are wrong. One that
/// can't be judged is an error only if no other is right.
async fn judge(
    service: &Service,
    logins: Vec<Login>,
    judged: &mut Vec<(Login, Option<Identity>)>,
) -> Result<Option<Identity>> {
    let mut unknown = None;
    for login in logins {
        let known = judged.iter().find(|(known, _)| known.is_same(&login));
        let identity = match known {
            Some((_, identity)) => identity.clone(),
            None => match authenticate(service, &login).await {
                Ok(identity) => {
                    judged.push((login, identity.clone()));
                    identity
                }
                Err(error) => {
                    unknown.get_or_insert(error);
                    continue;
                }
            },
        };
        if identity.is_some() {
            return Ok(identity);
        }
    }
    unknown.map_or(Ok(None), Err)
}

/// Who logs in; none if the login is wrong.
async fn authenticate(service: &Service, login: &Login) -> Result<Option<Identity>> {
    let Some(plugin) = service.api.judge_of(login) else { return Ok(None) };
    let begun = Instant::now();
    let identity = plugin.authenticate(service, login).await;
    if let Some(metrics) = &service.api.metrics {
        let name = format!("authentication.{}.seconds", login.policy);
        metrics.timing(&name, begun.elapsed(), &[("method", "authenticated_userid")]);
    }
    identity
}
