//! The end of old entries.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{Mutex, PoisonError},
};

use cumulo_core::{
    error::Result,
    query::{Field, Filter, Op, Query, Sort},
    store::Transaction,
};
use serde_json::Value;

use super::{entries::Family, rules::Trim};

/// How many entries are removed in one transaction. If there are more, the next ones go on.
const AT_ONCE: u64 = 10_000;

/// How many families are remembered.
const MAX_BUDGETS: usize = 10_000;

/// How many more entries there may be before they have to be counted again. Counting them at each
/// write would cost more than the write. Other copies of the service write too, and what is undone
/// is not given back: then old entries stay a little longer, or are counted a little earlier.
#[derive(Default)]
pub(super) struct Budgets(Mutex<HashMap<Family, u64>>);

impl Budgets {
    /// Takes as many; false if there are less.
    fn take(&self, which: &Family, many: u64) -> bool {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match budgets.get_mut(which) {
            Some(left) if *left >= many => {
                *left -= many;
                true
            }
            _ => false,
        }
    }

    fn set(&self, which: Family, left: u64) {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if budgets.len() >= MAX_BUDGETS {
            budgets.clear();
        }
        budgets.insert(which, left);
    }
}

/// Removes old entries where new ones were written.
pub(super) fn run(
    rule: &Trim,
    budgets: &Budgets,
    written: HashMap<Family, u64>,
    tx: &mut dyn Transaction,
) -> Result<()> {
    let of_all = rule.users.is_empty();
    for (mut which, many) in written {
        if of_all {
            which.user = None;
        } else if !which.user.as_ref().is_some_and(|user| rule.users.contains(user)) {
            continue;
        }
        if !budgets.take(&which, many) {
            let left = trim(rule, &which, tx)?;
            budgets.set(which, left);
        }
    }
    Ok(())
}

/// Counts entries, and removes the oldest if there are too many. Returns how many more there may be
/// before that is done again.
fn trim(rule: &Trim, which: &Family, tx: &mut dyn Transaction) -> Result<u64> {
    let mut filters = vec![equals("resource_name", which.resource)];
    filters.extend(which.user.as_deref().map(|user| equals("user_id", user)));
    let mut query = Query { filters, ..Query::default() };
    let count = tx.count(&which.list, &query)?;
    let most = rule.keep.saturating_add(rule.threshold);
    if count <= most {
        return Ok(most - count);
    }
    let surplus = (count - rule.keep).min(AT_ONCE);
    query.sort = vec![Sort { field: Field::LastModified, descending: false }];
    query.limit = usize::try_from(surplus).ok();
    let mut ids = Vec::new();
    tx.list(&which.list, &query, &mut |row| {
        ids.push(row.id.to_owned());
        Ok(ControlFlow::Continue(()))
    })?;
    tx.erase(&which.list, &ids)?;
    tracing::info!(removed = ids.len(), bucket = which.list.parent, "removed old history");
    Ok(most.saturating_sub(count - surplus))
}

fn equals(field: &str, text: &str) -> Filter {
    Filter { field: Field::Data(vec![field.to_owned()]), op: Op::Eq(Value::from(text)) }
}
