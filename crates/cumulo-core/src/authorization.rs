//! Who may do what: principals, inherited rights, and what the settings give.

use std::sync::Arc;

use crate::{
    error::{ApiError, Result},
    object::Acl,
    resource::{Resource, Right, Target},
    settings::Settings,
    store::Transaction,
};

/// Everybody.
pub const EVERYONE: &str = "system.Everyone";
/// Everybody who is logged in.
pub const AUTHENTICATED: &str = "system.Authenticated";

/// Everything that a request may act as.
pub fn principals(user: Option<&str>, tx: &mut dyn Transaction) -> Result<Vec<String>> {
    let mut principals = vec![EVERYONE.to_owned()];
    if let Some(user) = user {
        principals.push(AUTHENTICATED.to_owned());
        principals.push(user.to_owned());
        principals.extend(tx.groups(&[AUTHENTICATED, user])?.iter().cloned());
    }
    Ok(principals)
}

/// What the settings give: `{resource}_{permission}_principals`.
#[derive(Debug, Default)]
pub struct ConfiguredRights {
    entries: Vec<(&'static str, String, Vec<String>)>,
}

impl ConfiguredRights {
    /// Reads what the settings say of these kinds of objects.
    pub fn new(settings: &Settings, resources: impl Iterator<Item = &'static Resource>) -> Self {
        let mut entries = Vec::new();
        for resource in resources {
            for (key, principals) in &settings.principals {
                if let Some(permission) =
                    key.strip_prefix(resource.name).and_then(|rest| rest.strip_prefix('_'))
                {
                    entries.push((resource.name, permission.to_owned(), principals.clone()));
                }
            }
        }
        Self { entries }
    }

    /// The permissions on objects of `resource` that the settings give to any of `principals`,
    /// those to create its children included.
    pub fn of(&self, resource: &Resource, principals: &[String]) -> Vec<String> {
        resource
            .permissions
            .iter()
            .filter(|permission| match permission.split_once(':') {
                Some((child, verb)) => self.gives(child, verb, principals),
                None => self.gives(resource.name, permission, principals),
            })
            .map(|permission| (*permission).to_owned())
            .collect()
    }

    /// Whether the settings let any of `principals` create objects of `resource` at the root.
    pub fn may_create(&self, resource: &Resource, principals: &[String]) -> bool {
        self.grant(resource, "create", principals)
    }

    /// Whether the settings give `permission`, on the way to an object of `resource`, to any of
    /// `principals`. A permission such as `record:create` counts as `create` for records.
    fn grant(&self, resource: &Resource, permission: &str, principals: &[String]) -> bool {
        let verb = permission
            .strip_prefix(resource.name)
            .and_then(|rest| rest.strip_prefix(':'))
            .unwrap_or(permission);
        self.gives(resource.name, verb, principals)
    }

    /// Whether `{resource}_{verb}_principals` names any of `principals`.
    fn gives(&self, resource: &str, verb: &str, principals: &[String]) -> bool {
        self.entries.iter().any(|(name, configured, holders)| {
            *name == resource
                && is_same_permission(configured, verb)
                && holders.iter().any(|holder| principals.contains(holder))
        })
    }
}

/// Requires a permission on what is no object, by the name of its setting without `_principals`.
pub fn require_named(
    settings: &Settings,
    name: &str,
    principals: &[String],
    user: Option<&str>,
) -> Result<()> {
    let holders = settings.principals.get(name);
    if holders.is_some_and(|holders| holders.iter().any(|holder| principals.contains(holder))) {
        Ok(())
    } else {
        Err(ApiError::denied(user.is_some()))
    }
}

/// Setting names have `_` where permissions have `:`.
fn is_same_permission(configured: &str, permission: &str) -> bool {
    configured.len() == permission.len()
        && configured
            .bytes()
            .zip(permission.bytes())
            .all(|(a, b)| a == b || (a == b'_' && b == b':'))
}

/// What a request may see of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    /// All of it.
    All,
    /// Only the objects with these ids.
    Shared(Vec<String>),
}

/// Decides for one user.
pub struct Authorizer<'a> {
    /// What the settings give.
    pub configured: &'a ConfiguredRights,
    /// What the request acts as.
    pub principals: &'a [String],
    /// Whether somebody is logged in.
    pub authenticated: bool,
}

impl Authorizer<'_> {
    fn denied(&self) -> ApiError {
        ApiError::denied(self.authenticated)
    }

    /// Whether any of `rights` is held on the target's ancestors or, as `own` tells, on itself.
    fn holds(
        &self,
        target: &Target,
        own: Option<&Acl>,
        rights: &[Right],
        tx: &mut dyn Transaction,
    ) -> Result<bool> {
        if rights
            .iter()
            .any(|right| self.configured.grant(target.resource, right.permission, self.principals))
        {
            return Ok(true);
        }
        let grants = |acl: &Acl, name: &str| {
            rights
                .iter()
                .any(|right| right.on == name && acl.grants(right.permission, self.principals))
        };
        if own.is_some_and(|acl| grants(acl, target.resource.name)) {
            return Ok(true);
        }
        for ancestor in target.ancestors.iter().rev() {
            let matters = rights.iter().any(|right| right.on == ancestor.resource.name);
            if matters
                && let Some(acl) = tx.acl(&ancestor.list, &ancestor.id)?
                && grants(&acl, ancestor.resource.name)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Requires `permission` on an object; `own` is its access control list.
    pub fn require_on_object(
        &self,
        target: &Target,
        own: Option<&Arc<Acl>>,
        permission: &str,
        tx: &mut dyn Transaction,
    ) -> Result<()> {
        let rights = target.resource.object_granters(permission);
        self.require(target, own.map(Arc::as_ref), rights, tx)
    }

    /// Requires the right to write an object that is not there: who may not even read the list
    /// does not learn that.
    pub fn require_write_on_missing(
        &self,
        target: &Target,
        tx: &mut dyn Transaction,
    ) -> Result<()> {
        match target.holder() {
            Some(holder) => self.require(target, None, holder.resource.granters("read"), tx),
            None => self.require_configured(target.resource, "write"),
        }
    }

    /// Requires the right to create objects in the target's list.
    pub fn require_create(&self, target: &Target, tx: &mut dyn Transaction) -> Result<()> {
        let permission = target.resource.create_permission();
        match target.holder() {
            Some(holder) => self.require(target, None, holder.resource.granters(permission), tx),
            None => self.require_configured(target.resource, permission),
        }
    }

    fn require(
        &self,
        target: &Target,
        own: Option<&Acl>,
        rights: &[Right],
        tx: &mut dyn Transaction,
    ) -> Result<()> {
        if self.holds(target, own, rights, tx)? { Ok(()) } else { Err(self.denied()) }
    }

    /// Requires a permission that only settings give.
    fn require_configured(&self, resource: &Resource, permission: &str) -> Result<()> {
        if self.configured.grant(resource, permission, self.principals) {
            Ok(())
        } else {
            Err(self.denied())
        }
    }

    /// Whether `permission`, `read` or `write`, is held on all of the target's list.
    fn holds_list(
        &self,
        target: &Target,
        permission: &str,
        tx: &mut dyn Transaction,
    ) -> Result<bool> {
        match target.holder() {
            Some(holder) => self.holds(target, None, holder.resource.granters(permission), tx),
            None => Ok(self.configured.grant(target.resource, permission, self.principals)),
        }
    }

    /// Requires `permission`, `read` or `write`, on all of the target's list.
    pub fn require_on_list(
        &self,
        target: &Target,
        permission: &str,
        tx: &mut dyn Transaction,
    ) -> Result<()> {
        if self.holds_list(target, permission, tx)? { Ok(()) } else { Err(self.denied()) }
    }

    /// What of the target's list is visible with `permission`, `read` or `write`.
    ///
    /// Who may create in a list sees at least that it is empty.
    pub fn visible(
        &self,
        target: &Target,
        permission: &str,
        tx: &mut dyn Transaction,
    ) -> Result<Visible> {
        if self.holds_list(target, permission, tx)? {
            return Ok(Visible::All);
        }
        let own: Vec<_> = target
            .resource
            .object_granters(permission)
            .iter()
            .filter(|right| right.on == target.resource.name)
            .map(|right| right.permission)
            .collect();
        let ids = if target.everywhere {
            self.shared_everywhere(target.resource, &own, tx)?
        } else {
            tx.shared(&target.list, self.principals, &own)?
        };
        if ids.is_empty() && !self.may_create(target, tx)? {
            return Err(self.denied());
        }
        Ok(Visible::Shared(ids))
    }

    /// Ids of the objects of all lists of `resource` that give any of `permissions`.
    fn shared_everywhere(
        &self,
        resource: &Resource,
        permissions: &[&str],
        tx: &mut dyn Transaction,
    ) -> Result<Vec<String>> {
        let mut grants = tx.granted(self.principals, Some(&[resource.name]))?;
        grants
            .retain(|grant| permissions.iter().any(|held| grant.acl.grants(held, self.principals)));
        Ok(grants.into_iter().map(|grant| grant.id).collect())
    }

    fn may_create(&self, target: &Target, tx: &mut dyn Transaction) -> Result<bool> {
        let permission = target.resource.create_permission();
        match target.holder() {
            Some(holder) => {
                let direct = [Right { on: holder.resource.name, permission }];
                self.holds(target, None, &direct, tx)
            }
            None => Ok(self.configured.grant(target.resource, permission, self.principals)),
        }
    }
}
