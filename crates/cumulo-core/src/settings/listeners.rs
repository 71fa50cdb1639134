//! Event listeners: `event_listeners` names them, and `event_listeners.<name>.<parameter>` says
//! what each of them does.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Settings,
    families::{Family, RESOURCES},
    source::Source,
    value::{either, words},
};
use crate::event::Action;

/// Somebody who is told of changes.
#[derive(Clone, Debug)]
pub struct Listener {
    /// As in the names of its settings.
    pub name: String,
    /// How it is told.
    pub kind: ListenerKind,
    /// What it is told of.
    pub actions: Vec<Action>,
    /// The kinds of objects that it is told of; empty if of all.
    pub resources: Vec<String>,
    /// Whether it is told what the objects were and are.
    pub include_objects: bool,
    /// How long a delivery may take.
    pub timeout_seconds: u32,
    /// How many deliveries may be under way at the same time.
    pub concurrency: usize,
    /// How long it waits after the first failure; twice as long after each further one...
    pub retry_seconds: u32,
    /// ... up to this.
    pub max_retry_seconds: u32,
    /// After how long a message is given up.
    pub max_age_seconds: u32,
}

/// How a listener is told.
#[derive(Clone, Debug)]
pub enum ListenerKind {
    /// Pushed to a list in Redis.
    Redis {
        /// `redis://user:password@host:port/db`
        url: SecretString,
        /// The key of the list.
        list: String,
    },
    /// Posted to a URL.
    Webhook {
        /// The URL.
        url: SecretString,
        /// The keys to sign with, each as `whsec_` and Base64: see [`signing_key`].
        secrets: Vec<SecretString>,
    },
    /// Written to the log.
    Log,
}

/// The settings of a listener.
pub static PARAMETERS: &[Family] = &[
    Family {
        pattern: "event_listeners",
        expects: "a list of names",
        default: "",
        docs: "Who is told of changes, after they are committed. Each name has settings of its own, \
               which follow; in the environment CUMULO_EVENT_LISTENERS_<NAME>_USE and so on. See \
               [Events](events.md).",
    },
    Family {
        pattern: "event_listeners.<name>.use",
        expects: "cumulo.listeners.webhook, cumulo.listeners.redis (or kinto_redis.listeners) or \
                  cumulo.listeners.log",
        default: "",
        docs: "How the listener is told.",
    },
    Family {
        pattern: "event_listeners.<name>.actions",
        expects: "a list of create, update, delete and read",
        default: "create update delete",
        docs: "What the listener is told of.",
    },
    Family {
        pattern: "event_listeners.<name>.resources",
        expects: "a list of kinds of objects: bucket, group, collection, record, account, history",
        default: "all",
        docs: "The objects that the listener is told of.",
    },
    Family {
        pattern: "event_listeners.<name>.include_objects",
        expects: "true or false",
        default: "false",
        docs: "Tell what the objects were and are, too, whoever may read them.",
    },
    Family {
        pattern: "event_listeners.<name>.url",
        expects: "a URL",
        default: "redis://localhost:6379/0 for Redis",
        docs: "Where a webhook is posted, with https:// (http:// only to this machine, or with \
               allow_http); or the Redis server: redis://user:password@host:port/0, rediss:// with \
               TLS.",
    },
    Family {
        pattern: "event_listeners.<name>.secret",
        expects: "a list of secrets",
        default: "",
        docs: "What a webhook is signed with: whsec_ and 24 to 64 random bytes in Base64. While \
               one is replaced by another, both: each message then has both signatures.",
    },
    Family {
        pattern: "event_listeners.<name>.allow_http",
        expects: "true or false",
        default: "false",
        docs: "Post a webhook without TLS to other machines, where everybody between can read it.",
    },
    Family {
        pattern: "event_listeners.<name>.listname",
        expects: "a text",
        default: "kinto.core.events",
        docs: "The list in Redis, to whose head messages are pushed.",
    },
    Family {
        pattern: "event_listeners.<name>.timeout_seconds",
        expects: "a whole number, from 1 to 300",
        default: "10",
        docs: "How long a delivery may take.",
    },
    Family {
        pattern: "event_listeners.<name>.concurrency",
        expects: "a whole number, from 1 to 100",
        default: "8",
        docs: "How many messages are posted to a webhook at the same time.",
    },
    Family {
        pattern: "event_listeners.<name>.retry_seconds",
        expects: "a whole number, from 1 to 3600",
        default: "2",
        docs: "How long a message waits after it could not be delivered; twice as long after each \
               further failure.",
    },
    Family {
        pattern: "event_listeners.<name>.max_retry_seconds",
        expects: "a whole number, from 1 to 86400",
        default: "3600",
        docs: "The longest such wait.",
    },
    Family {
        pattern: "event_listeners.<name>.max_age_seconds",
        expects: "a whole number, from 1 to 31536000",
        default: "259200",
        docs: "After how long a message that could not be delivered is given up.",
    },
];

/// What `use` can be.
#[derive(Clone, Copy)]
enum Use {
    Redis,
    Webhook,
    Log,
}

const USES: &[(&str, Use)] = &[
    ("cumulo.listeners.webhook", Use::Webhook),
    ("cumulo.listeners.redis", Use::Redis),
    ("cumulo.listeners.log", Use::Log),
    ("kinto_redis.listeners", Use::Redis),
];

/// Of Redis in Kinto; here one connection serves all.
const WITHOUT_MEANING: [&str; 2] = ["pool_size", "pool_timeout"];

/// Reads all listeners.
pub(super) fn read(settings: &mut Settings, source: &mut Source) {
    let Some(given) = source.take("event_listeners") else { return };
    let mut names = words(&given.value);
    names.dedup();
    for name in names {
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
            let listener = Reader { source, name: &name }.read();
            settings.event_listeners.extend(listener);
        } else {
            let problem =
                format!("the name of a listener is made of letters, digits, - and _, got '{name}'");
            source.mistake("event_listeners", problem);
        }
    }
}

/// Reads one listener.
struct Reader<'a> {
    source: &'a mut Source,
    name: &'a str,
}

impl Reader<'_> {
    fn read(mut self) -> Option<Listener> {
        let name = self.name.to_owned();
        self.adopt();
        let kind = self.kind();
        let listener = Listener {
            name,
            actions: self.actions(),
            resources: self.resources(),
            include_objects: self.source.read(&self.key("include_objects"), false, None),
            timeout_seconds: self.number("timeout_seconds", 10, 300),
            concurrency: self.number("concurrency", 8, 100) as usize,
            retry_seconds: self.number("retry_seconds", 2, 3600),
            max_retry_seconds: self.number("max_retry_seconds", 3600, 86_400),
            max_age_seconds: self.number("max_age_seconds", 259_200, 31_536_000),
            kind: kind?,
        };
        self.warn_of_others();
        Some(listener)
    }

    fn key(&self, parameter: &str) -> String {
        format!("event_listeners.{}.{parameter}", self.name)
    }

    /// Takes in what comes from the environment alone, where the dots are underscores.
    fn adopt(&mut self) {
        let known = PARAMETERS.iter().filter_map(|family| family.pattern.rsplit_once('.'));
        for parameter in known.map(|(_, parameter)| parameter).chain(WITHOUT_MEANING) {
            let key = self.key(parameter);
            let flat = key.replace(['.', '-'], "_").to_lowercase();
            self.source.rename(&flat, &key);
        }
    }

    fn kind(&mut self) -> Option<ListenerKind> {
        let key = self.key("use");
        let given = self.source.take(&key);
        let wanted = given.map(|given| words(&given.value).join(" ")).unwrap_or_default();
        let Some((_, kind)) = USES.iter().find(|(known, _)| *known == wanted) else {
            let known: Vec<_> = USES.iter().map(|(known, _)| *known).collect();
            let known = either(&known).replace(" or ", " and ");
            let problem = format!("there is no listener '{wanted}'; there are {known}");
            self.source.mistake(&key, problem);
            return None;
        };
        match kind {
            Use::Log => Some(ListenerKind::Log),
            Use::Redis => self.redis(),
            Use::Webhook => self.webhook(),
        }
    }

    fn redis(&mut self) -> Option<ListenerKind> {
        for parameter in WITHOUT_MEANING {
            self.source.take(&self.key(parameter));
        }
        let default = "redis://localhost:6379/0".to_owned().into();
        let (url_key, list_key) = (self.key("url"), self.key("listname"));
        let url: SecretString = self.source.read(&url_key, default, None);
        let list = self.source.read(&list_key, "kinto.core.events".to_owned(), None);
        if !["redis://", "rediss://"].iter().any(|scheme| url.expose_secret().starts_with(scheme)) {
            // The value is not repeated: it may hold a password.
            self.source.mistake(&url_key, "expected redis://user:password@host:port/0");
            return None;
        }
        Some(ListenerKind::Redis { url, list })
    }

    fn webhook(&mut self) -> Option<ListenerKind> {
        let (url_key, secret_key) = (self.key("url"), self.key("secret"));
        let url: SecretString = self.source.read(&url_key, SecretString::default(), None);
        let allow_http = self.source.read(&self.key("allow_http"), false, None);
        let problem = url_problem(url.expose_secret(), allow_http);
        if let Some(problem) = problem {
            self.source.mistake(&url_key, problem);
        }
        let given = self.source.take(&secret_key);
        let secrets = given.map(|given| words(&given.value)).unwrap_or_default();
        let secrets: Vec<SecretString> = secrets.into_iter().map(Into::into).collect();
        if secrets.is_empty() || secrets.iter().any(|secret| signing_key(secret).is_none()) {
            let problem = "expected whsec_ and 24 to 64 random bytes in Base64: \
                           echo whsec_$(openssl rand -base64 32)";
            self.source.mistake(&secret_key, problem);
            return None;
        }
        problem.is_none().then_some(ListenerKind::Webhook { url, secrets })
    }

    fn actions(&mut self) -> Vec<Action> {
        let key = self.key("actions");
        let Some(given) = self.source.take(&key) else {
            return vec![Action::Create, Action::Update, Action::Delete];
        };
        let mut actions = Vec::new();
        for word in words(&given.value) {
            match Action::ALL.into_iter().find(|action| action.as_str() == word.to_lowercase()) {
                Some(action) => actions.push(action),
                None => {
                    let known = Action::ALL.map(Action::as_str);
                    let problem = format!("expected {}, got '{word}'", either(&known));
                    self.source.mistake(&key, problem);
                }
            }
        }
        actions
    }

    fn resources(&mut self) -> Vec<String> {
        let key = self.key("resources");
        let Some(given) = self.source.take(&key) else { return Vec::new() };
        let resources = words(&given.value);
        let known: Vec<_> =
            RESOURCES.iter().copied().filter(|it| !NOT_OBJECTS.contains(it)).collect();
        for word in resources.iter().filter(|word| !known.contains(&word.as_str())) {
            self.source.mistake(&key, format!("expected {}, got '{word}'", either(&known)));
        }
        resources
    }

    fn number(&mut self, parameter: &str, default: u32, most: u32) -> u32 {
        self.source.read(&self.key(parameter), default, Some(1..=most.into()))
    }

    fn warn_of_others(&mut self) {
        for given in self.source.take_beginning(&self.key("")) {
            let name = self.name;
            let warning = format!("'{}' means nothing to the listener '{name}'.", given.typed);
            self.source.warnings.push(warning);
        }
    }
}

/// What is in the table of resources for the sake of permissions only.
const NOT_OBJECTS: [&str; 2] = ["permissions", "user-data"];

/// What is wrong with the URL of a webhook. It is not repeated: it may hold a password.
fn url_problem(url: &str, allow_http: bool) -> Option<&'static str> {
    let host = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
    };
    if let Some(rest) = url.strip_prefix("https://") {
        return host(rest).is_empty().then_some("expected https://host/path");
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return Some("expected https://host/path");
    };
    let host = host(rest);
    let name = if host.starts_with('[') { &*host } else { host.split(':').next().unwrap_or("") };
    let is_here = name == "localhost" || name.starts_with("[::1]") || is_loopback(name);
    let refused = "expected https://: with http:// everybody between can read it. If that is meant, \
                   set allow_http = true beside it";
    (!is_here && !allow_http || name.is_empty()).then_some(refused)
}

fn is_loopback(name: &str) -> bool {
    name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The bytes of a secret: `whsec_` and 24 to 64 bytes in Base64, as the Standard Webhooks
/// specification has it.
pub fn signing_key(secret: &SecretString) -> Option<Vec<u8>> {
    let text = secret.expose_secret().strip_prefix("whsec_")?;
    STANDARD.decode(text).ok().filter(|key| (24..=64).contains(&key.len()))
}

impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis { .. } => "redis",
            Self::Webhook { .. } => "webhook",
            Self::Log => "log",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn load(pairs: &[(&str, &str)], env: &[(&str, &str)]) -> (Vec<Listener>, Vec<String>) {
        let owned = |pairs: &[(&str, &str)]| {
            let one = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
            pairs.iter().map(one).collect::<Vec<_>>()
        };
        match Settings::load(&owned(pairs), &owned(env)) {
            Ok(loaded) => (loaded.settings.event_listeners, loaded.warnings),
            Err(mistakes) => {
                let text =
                    |it: &crate::settings::Mistake| format!("{}: {}", it.setting, it.problem);
                (Vec::new(), mistakes.0.iter().map(text).collect())
            }
        }
    }

    #[test]
    fn the_file_of_a_user_of_redis_is_understood() {
        let (listeners, complaints) = load(
            &[
                ("kinto.event_listeners", "redis"),
                ("kinto.event_listeners.redis.use", "kinto_redis.listeners"),
                ("kinto.event_listeners.redis.url", "redis://:secret@host:6380/1"),
                ("kinto.event_listeners.redis.pool_size", "5"),
                ("kinto.event_listeners.redis.listname", "queue"),
                ("kinto.event_listeners.redis.actions", "create READ"),
                ("kinto.event_listeners.redis.resources", "bucket record"),
            ],
            &[],
        );
        assert_eq!(complaints, [""; 0]);
        let [listener] = &listeners[..] else { panic!("{listeners:?}") };
        assert_eq!(listener.actions, [Action::Create, Action::Read]);
        assert_eq!(listener.resources, ["bucket", "record"]);
        let ListenerKind::Redis { url, list } = &listener.kind else { panic!("{listener:?}") };
        assert_eq!((url.expose_secret(), &**list), ("redis://:secret@host:6380/1", "queue"));
        assert!(!format!("{listener:?}").contains("secret@"));
    }

    #[test]
    fn the_environment_is_enough() {
        let env = [
            ("KINTO_EVENT_LISTENERS", "my-hook audit"),
            ("KINTO_EVENT_LISTENERS_MY_HOOK_USE", "cumulo.listeners.webhook"),
            ("CUMULO_EVENT_LISTENERS_MY_HOOK_URL", "https://example.org/hook"),
            ("CUMULO_EVENT_LISTENERS_MY_HOOK_SECRET", SECRET),
            ("CUMULO_EVENT_LISTENERS_MY_HOOK_TIMEOUT_SECONDS", "3"),
            ("CUMULO_EVENT_LISTENERS_AUDIT_ACTIONS", "delete"),
        ];
        let file = [("event_listeners.audit.use", "cumulo.listeners.log")];
        let (listeners, complaints) = load(&file, &env);
        assert_eq!(complaints, [""; 0]);
        assert_eq!((listeners[0].name.as_str(), listeners[0].timeout_seconds), ("my-hook", 3));
        assert_eq!(listeners[0].actions.len(), 3);
        assert_eq!(listeners[1].actions, [Action::Delete]);
    }

    #[test]
    fn mistakes_name_the_setting_and_what_exists() {
        let (_, mistakes) = load(
            &[
                ("event_listeners", "a b c d.e"),
                ("event_listeners.a.use", "kinto_pusher.listener"),
                ("event_listeners.a.actions", "create remove"),
                ("event_listeners.a.resources", "records"),
                ("event_listeners.b.use", "cumulo.listeners.webhook"),
                ("event_listeners.b.url", "http://user:hidden@example.org/"),
                ("event_listeners.b.secret", "whsec_c2hvcnQ="),
                ("event_listeners.b.timeout_seconds", "0"),
            ],
            &[],
        );
        let all = mistakes.join("\n");
        for expected in [
            "event_listeners.a.use: there is no listener 'kinto_pusher.listener'; there are \
             cumulo.listeners.webhook, cumulo.listeners.redis, cumulo.listeners.log and \
             kinto_redis.listeners",
            "event_listeners.a.actions: expected create, update, delete or read, got 'remove'",
            "event_listeners.a.resources: expected bucket, collection, group, record,",
            "event_listeners.b.url: expected https://",
            "event_listeners.b.secret: expected whsec_",
            "event_listeners.b.timeout_seconds: expected a number from 1 to 300, got 0",
            "event_listeners.c.use: there is no listener ''",
            "event_listeners: the name of a listener is made of letters",
        ] {
            assert!(all.contains(expected), "{expected}\nin\n{all}");
        }
        assert!(!all.contains("hidden") && !all.contains("c2hvcnQ"), "{all}");
    }

    #[test]
    fn plain_http_is_for_this_machine_unless_it_is_allowed() {
        for url in ["http://localhost:8000/x", "http://127.0.0.2", "http://[::1]:80/", "https://a"]
        {
            assert_eq!(url_problem(url, false), None, "{url}");
        }
        for url in ["http://example.org/", "http://localhost.example.org", "http://10.0.0.1:80/x"] {
            assert!(url_problem(url, false).is_some(), "{url}");
            assert_eq!(url_problem(url, true), None, "{url}");
        }
        for url in ["", "ftp://a", "https://", "http://", "https:///path"] {
            assert!(url_problem(url, true).is_some(), "{url}");
        }
    }

    #[test]
    fn parameters_without_meaning_are_warned_of() {
        let (_, warnings) = load(
            &[
                ("event_listeners", "audit"),
                ("event_listeners.audit.use", "cumulo.listeners.log"),
                ("event_listeners.audit.colour", "red"),
            ],
            &[],
        );
        let expected = "'event_listeners.audit.colour' means nothing to the listener 'audit'.";
        assert_eq!(warnings, [expected]);
    }
}
