//! Settings whose names are made of parts, such as `bucket_create_principals`.

use super::{
    AuthPolicy, KEYS, PolicyKind, Settings, elsewhere,
    elsewhere::Elsewhere,
    openid,
    source::{Given, Source, is_prefixed, spelled_like},
    value::{IdGenerator, either, words},
};
use crate::authentication;

/// One family, for the reference page.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Names, with the variable parts in angle brackets.
    pub pattern: &'static str,
    /// What values they take.
    pub expects: &'static str,
    /// What they have without being set.
    pub default: &'static str,
    /// Documentation.
    pub docs: &'static str,
}

/// Every family, in the order of the documentation.
pub static FAMILIES: &[Family] = &[
    Family {
        pattern: "<resource>_<permission>_principals",
        expects: "a list of principals",
        default: "bucket_create_principals = system.Authenticated, \
                  permissions_read_principals = system.Everyone, \
                  counters_read_principals = system.Everyone",
        docs: "Who has a permission on every object of a resource, whatever the objects' own \
               permissions say: bucket_create_principals, collection_write_principals, \
               record_read_principals, account_create_principals, user-data_delete_principals, \
               counters_read_principals (of the plugin counters).",
    },
    Family {
        pattern: "<resource>_cache_expires_seconds",
        expects: "a whole number",
        default: "",
        docs: "For how long clients and proxies may keep what anonymous users read of a resource. \
               For records, the bucket and the collection can be named: \
               blog.record_cache_expires_seconds, blog.articles.record_cache_expires_seconds \
               (or with underscores instead of the dots).",
    },
    Family {
        pattern: "<plural|object>_<resource>_<method>_enabled",
        expects: "true or false",
        default: "true",
        docs: "Switches one method of one endpoint off: plural_bucket_post_enabled = false.",
    },
    Family {
        pattern: "<resource>_id_generator",
        expects: "kinto.views.NameGenerator, kinto.views.RelaxedUUID or \
                  kinto.core.storage.generators.UUID4",
        default: "kinto.views.NameGenerator for buckets, collections and groups, \
                  kinto.views.RelaxedUUID for records",
        docs: "How objects that are created without an id get one, and which ids are accepted.",
    },
    Family {
        pattern: "multiauth.policies",
        expects: "a list of names",
        default: "",
        docs: "The authentication policies, tried in this order. Without any, everybody is \
               anonymous. This name and the next have no prefix.",
    },
    Family {
        pattern: "multiauth.policy.<name>.use",
        expects: "kinto.core.authentication.BasicAuthAuthenticationPolicy, \
                  kinto.plugins.accounts.AccountsPolicy or \
                  kinto.plugins.openid.OpenIDConnectPolicy",
        default: "kinto.core.authentication.BasicAuthAuthenticationPolicy for the name basicauth",
        docs: "The kind of an authentication policy. The name becomes the first part of user ids; \
               of accounts that is always account.",
    },
    Family {
        pattern: "multiauth.policy.<name>.issuer",
        expects: "a URL",
        default: "",
        docs: "The address of an OpenID provider: what stands before \
               /.well-known/openid-configuration. This and all that follow are for policies of \
               kinto.plugins.openid.OpenIDConnectPolicy: see [OpenID](openid.md). It must begin \
               with https://, unless it is this machine.",
    },
    Family {
        pattern: "multiauth.policy.<name>.allow_http",
        expects: "true or false",
        default: "false",
        docs: "Take an issuer on another machine that begins with http://. Whoever listens on the \
               way learns secrets and tokens.",
    },
    Family {
        pattern: "multiauth.policy.<name>.client_id",
        expects: "a text",
        default: "",
        docs: "What the provider calls this service.",
    },
    Family {
        pattern: "multiauth.policy.<name>.client_secret",
        expects: "a secret text",
        default: "",
        docs: "The secret that the provider has given to this service. Nothing: there is none.",
    },
    Family {
        pattern: "multiauth.policy.<name>.audience",
        expects: "a text",
        default: "",
        docs: "Take only tokens that are JWTs for this audience. Nothing: take every token with \
               which the provider tells who the user is, whatever application it was made for.",
    },
    Family {
        pattern: "multiauth.policy.<name>.header_type",
        expects: "a word",
        default: "Bearer",
        docs: "What stands before the token in the Authorization header.",
    },
    Family {
        pattern: "multiauth.policy.<name>.userid_field",
        expects: "a text",
        default: "sub",
        docs: "The part of the user's profile that follows the name of the policy in user ids: sub, \
               or email.",
    },
    Family {
        pattern: "multiauth.policy.<name>.verification_ttl_seconds",
        expects: "a whole number, from 1 to 31536000",
        default: "86400",
        docs: "How long a token counts as right once it was found so, unless it expires before. \
               So long may a token be used that the provider has revoked.",
    },
    Family {
        pattern: "multiauth.policy.<name>.state_ttl_seconds",
        expects: "a whole number, from 1 to 31536000",
        default: "3600",
        docs: "How long users may take to log in at the provider.",
    },
    Family {
        pattern: "multiauth.policy.<name>.state_length",
        expects: "a whole number, from 16 to 128",
        default: "32",
        docs: "How many random bytes tell one login from others.",
    },
    Family {
        pattern: "multiauth.policy.<name>.allowed_scopes",
        expects: "a list of words",
        default: "openid email profile",
        docs: "What clients may ask for when users log in.",
    },
    Family {
        pattern: "multiauth.policy.<name>.trusted_callback_urls",
        expects: "a list of URLs, in which * stands for anything",
        default: "http://localhost:*/* http://127.0.0.1:*/*",
        docs: "Where tokens may be sent after a login: the pages of your applications. The default \
               is for programs on the user's machine; with the plugin admin, its page is added.",
    },
];

const BASIC: &str = "kinto.core.authentication.BasicAuthAuthenticationPolicy";
const ACCOUNTS: &str = "kinto.plugins.accounts.AccountsPolicy";
const OPENID: &str = "kinto.plugins.openid.OpenIDConnectPolicy";
/// The classes of policies.
const CLASSES: &[(&str, PolicyKind)] = &[
    (BASIC, PolicyKind::Basic),
    ("basicauth", PolicyKind::Basic),
    (ACCOUNTS, PolicyKind::Plugin("accounts")),
    ("kinto.plugins.accounts.AccountsAuthenticationPolicy", PolicyKind::Plugin("accounts")),
    (
        "kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy",
        PolicyKind::Plugin("accounts"),
    ),
    (OPENID, PolicyKind::Plugin("openid")),
];
/// The kinds of objects, and what else has permissions by settings.
pub(super) const RESOURCES: &[&str] = &[
    "bucket",
    "collection",
    "group",
    "record",
    "account",
    "history",
    "permissions",
    "user-data",
    "counters",
];
const PERMISSIONS: &[&str] = &["read", "write", "create", "delete"];
const METHODS: &[&str] = &["get", "head", "options", "post", "put", "patch", "delete"];

/// Reads what the table left over, and judges what then remains.
pub(super) fn read(settings: &mut Settings, source: &mut Source) {
    read_policies(settings, source);
    for given in source.take_all() {
        let taken = principals(settings, source, &given)
            || cache_expires(settings, source, &given)
            || endpoint(settings, source, &given)
            || id_generator(settings, source, &given);
        if !taken {
            warn_about(source, &given);
        }
    }
}

fn read_policies(settings: &mut Settings, source: &mut Source) {
    let Some(given) = source.take("multiauth.policies") else { return };
    for name in words(&given.value) {
        let key = format!("multiauth.policy.{name}.use");
        let class = match source.take(&key).map(|given| words(&given.value).join(" ")) {
            Some(class) => class,
            None if name == "basicauth" => BASIC.into(),
            None => {
                let problem = format!("the policy '{name}' has no setting '{key}'");
                source.mistake("multiauth.policies", problem);
                continue;
            }
        };
        match CLASSES.iter().find(|(known, _)| *known == class) {
            Some((_, kind)) => {
                let policy = read_policy(&name, *kind, settings, source);
                settings.auth_policies.push(policy);
            }
            None => {
                let problem = format!(
                    "there is no policy '{class}'; there are {BASIC}, {ACCOUNTS} and {OPENID}"
                );
                source.mistake(&key, problem);
            }
        }
    }
}

fn read_policy(
    name: &str,
    kind: PolicyKind,
    settings: &mut Settings,
    source: &mut Source,
) -> AuthPolicy {
    let basic = authentication::BASIC.to_owned();
    match kind {
        PolicyKind::Basic => AuthPolicy { name: name.to_lowercase(), kind, scheme: basic },
        PolicyKind::Plugin("openid") => {
            let provider = openid::read(name, source);
            let scheme = provider.header_type.clone();
            settings.openid_providers.push(provider);
            AuthPolicy { name: name.to_lowercase(), kind, scheme }
        }
        // The user ids of accounts are the same whatever their policy is called.
        PolicyKind::Plugin(_) => AuthPolicy { name: "account".into(), kind, scheme: basic },
    }
}

fn principals(settings: &mut Settings, source: &mut Source, given: &Given) -> bool {
    let Some(grant) = given.name.strip_suffix("_principals") else { return false };
    let well_formed = grant.rsplit_once('_').is_some_and(|(resource, permission)| {
        PERMISSIONS.contains(&permission)
            && RESOURCES.iter().any(|known| resource.starts_with(known))
    });
    if !well_formed {
        // Kept nevertheless: a plugin may know more resources than we do.
        let known = RESOURCES.iter().flat_map(|resource| {
            PERMISSIONS.iter().map(move |permission| format!("{resource}_{permission}_principals"))
        });
        let warning = unknown(given, known);
        source.warnings.push(warning);
    }
    settings.principals.insert(grant.into(), words(&given.value));
    true
}

fn cache_expires(settings: &mut Settings, source: &mut Source, given: &Given) -> bool {
    let Some(of) = given.name.strip_suffix("_cache_expires_seconds") else { return false };
    if let Some(Some(seconds)) = source.parse::<Option<u32>>(given) {
        settings.cache_expires.insert(of.into(), seconds);
    }
    true
}

fn endpoint(settings: &mut Settings, source: &mut Source, given: &Given) -> bool {
    let Some(endpoint) = given.name.strip_suffix("_enabled") else { return false };
    let Some((kind, rest)) = endpoint.split_once('_') else { return false };
    let Some((_, method)) = rest.rsplit_once('_') else { return false };
    let method = method.to_lowercase();
    if !matches!(kind, "plural" | "object") || !METHODS.contains(&method.as_str()) {
        return false;
    }
    if source.parse::<bool>(given) == Some(false) {
        let end = endpoint.len() - method.len();
        settings.disabled_endpoints.insert(format!("{}{method}", &endpoint[..end]));
    }
    true
}

fn id_generator(settings: &mut Settings, source: &mut Source, given: &Given) -> bool {
    let Some(resource) = given.name.strip_suffix("_id_generator") else { return false };
    if let Some(generator) = source.parse::<IdGenerator>(given) {
        settings.id_generators.insert(resource.into(), generator);
    }
    true
}

fn warn_about(source: &mut Source, given: &Given) {
    match elsewhere::find(&given.name) {
        Some(Elsewhere::Warn) if !matches!(given.value.as_str(), "" | "null" | "false") => {
            source.warnings.push(format!("'{}' has no effect here yet.", given.typed));
        }
        None if is_prefixed(&given.typed) && !given.name.starts_with("multiauth.") => {
            let known = KEYS.iter().map(|key| key.name.to_owned());
            let warning = unknown(given, known.chain(common_members()));
            source.warnings.push(warning);
        }
        // Without a prefix it may be for anybody: `use`, `pyramid.includes`.
        _ => {}
    }
}

/// Members of families that are worth a suggestion.
fn common_members() -> impl Iterator<Item = String> {
    RESOURCES.iter().flat_map(|resource| {
        ["read_principals", "write_principals", "create_principals", "cache_expires_seconds"]
            .into_iter()
            .chain(["id_generator"])
            .map(move |end| format!("{resource}_{end}"))
    })
}

fn unknown(given: &Given, known: impl Iterator<Item = String>) -> String {
    let typed = &given.typed;
    match nearest(&given.name, known) {
        Some(name) => {
            let name = spelled_like(typed, &name);
            format!("There is no setting '{typed}', did you mean '{name}'?")
        }
        None => format!("There is no setting '{typed}'."),
    }
}

/// The name that is most like `name`, if any is like it at all.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, &candidate), candidate))
        .filter(|(distance, _)| *distance <= (name.chars().count() / 4).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Checks the plugins that are named in `includes` and keeps their short names.
pub(super) fn read_plugins(settings: &mut Settings, more: &[&str], source: &mut Source) {
    let known: Vec<_> = super::PLUGINS.iter().chain(more).copied().collect();
    let mut plugins = Vec::new();
    for include in std::mem::take(&mut settings.includes) {
        let name = ["kinto.plugins.", "cumulo.plugins."]
            .iter()
            .find_map(|prefix| include.strip_prefix(prefix))
            .unwrap_or(&include)
            .to_owned();
        if !known.contains(&name.as_str()) {
            let near = nearest(&name, known.iter().map(|&plugin| plugin.into()));
            let hint = near.map_or_else(String::new, |near| format!(" Did you mean '{near}'?"));
            let existing = either(&known).replace(" or ", " and ");
            let problem = format!("there is no plugin '{include}'; there are {existing}.{hint}");
            source.mistake("includes", problem);
        } else if !plugins.contains(&name) {
            plugins.push(name);
        }
    }
    for plugin in more {
        let own = source.take_beginning(&format!("{plugin}."));
        settings.of_plugins.extend(own.into_iter().map(|given| (given.name, given.value)));
    }
    settings.includes = plugins;
}
