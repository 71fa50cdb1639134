//! `cumulo delete-user`: removes an account, and the user's memberships and permissions.

use std::fmt::Write as _;

use anyhow::bail;
use cumulo_core::{object::List, resource::uri_of};
use cumulo_moving::Watch as _;
use cumulo_upkeep::user::{self, Data, Survey};

use super::{Refusal, block_on, configure, confirm, count, printable, tell, with_store};
use crate::{
    args,
    config::Env,
    moving::progress::{Progress, Unit},
    wiring,
};

/// How many objects are named.
const NAMED: usize = 10;

/// Runs the command.
pub(crate) fn run(args: &args::DeleteUser, env: &Env) -> anyhow::Result<()> {
    let change = &args.change;
    let (config, _logs) = configure(change, env)?;
    if !config.settings.includes.iter().any(|plugin| plugin == "accounts") {
        bail!(Refusal::NoAccounts);
    }
    if let Some(problem) = wiring::name_problem(&args.username) {
        bail!(problem);
    }
    let user = wiring::user(&args.username);
    let data = if args.with_data { Data::Delete } else { Data::Keep };
    with_store(&config, |store| {
        let survey = block_on(user::survey(store, &user))?;
        if survey.is_empty() {
            bail!(Refusal::NoUser(args.username.clone()));
        }
        tell(&change.stored.common, &plan(&args.username, &survey, data))?;
        if change.dry_run {
            return tell(&change.stored.common, "Nothing was changed.");
        }
        confirm(change.yes, &format!("Remove the user '{}'?", args.username))?;
        let progress = Progress::new(Unit::Objects, change.stored.common.quiet);
        progress.expect((survey.owned.len() + survey.shared.len()) as u64);
        let advance = |done| progress.advance(done);
        let report = block_on(user::remove(store, &user, &survey, data, &advance))?;
        progress.finish(&format!(
            "The user '{}' is removed: {} deleted, permissions on {} taken away.",
            args.username,
            count(report.deleted, "object", "objects"),
            count(report.released, "object", "objects"),
        ));
        Ok(())
    })
}

/// What there is, and what becomes of it.
fn plan(name: &str, survey: &Survey, data: Data) -> String {
    let mut plan = if survey.account {
        format!("The account '{name}' is removed.")
    } else {
        format!("There is no account '{name}', but something is left of the user.")
    };
    let groups = survey.groups.iter().map(|uri| uri.as_str().into());
    list(&mut plan, "These groups lose the member:", groups);
    let owned = match data {
        Data::Keep => {
            "Only the user may write these, which stay, without the user's permissions \
                       (--with-data deletes them):"
        }
        Data::Delete => "These are deleted, with all that lies below them:",
    };
    list(&mut plan, owned, survey.owned.iter().map(uri));
    list(&mut plan, "The user loses the permissions on these:", survey.shared.iter().map(uri));
    plan
}

fn uri((list, id): &(List, String)) -> String {
    uri_of(list, id)
}

fn list(plan: &mut String, heading: &str, items: impl ExactSizeIterator<Item = String>) {
    let more = items.len().saturating_sub(NAMED);
    if items.len() > 0 {
        let _ = write!(plan, "\n{heading}");
    }
    for item in items.take(NAMED) {
        let _ = write!(plan, "\n  {}", printable(&item));
    }
    if more > 0 {
        let _ = write!(plan, "\n  and {} more", indicatif::HumanCount(more as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_plan_is_cut() {
        let owned = (0..12).map(|n| (List::new("", "bucket"), format!("b{n}"))).collect();
        let survey = Survey { account: true, owned, ..Survey::default() };
        let plan = plan("ann", &survey, Data::Delete);
        assert!(plan.contains("\n  /buckets/b9\n  and 2 more"), "{plan}");
        assert!(!plan.contains("groups"), "{plan}");
    }
}
