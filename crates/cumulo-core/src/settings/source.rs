//! Who says what: brings the file and the environment together.

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::{
    KEYS, Mistake, elsewhere,
    value::{Value, words},
};

/// Both prefixes mean the same, and so does none.
const PREFIXES: [&str; 2] = ["kinto.", "cumulo."];

/// Variables that mean the same to many programs.
const EVERYWHERE: [&str; 5] = [
    "SENTRY_DSN",
    "SENTRY_ENV",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_SERVICE_NAME",
];

/// One setting as it was given.
#[derive(Debug)]
pub(super) struct Given {
    /// Name without prefix.
    pub(super) name: String,
    /// The name that the user typed, or the environment variable.
    pub(super) typed: String,
    /// Undecoded text.
    pub(super) value: String,
}

/// The settings that nobody took yet, and what was found wrong on the way.
#[derive(Debug, Default)]
pub(super) struct Source {
    given: BTreeMap<String, Given>,
    /// Names as typed, of those taken too.
    typed: BTreeMap<String, String>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
}

impl Source {
    /// Merges the pairs of the file with the variables of the environment, which win.
    pub(super) fn new(pairs: &[(String, String)], env: &[(String, String)]) -> Self {
        let mut source = Self::default();
        for (typed, value) in pairs {
            let name = unprefixed(typed).to_owned();
            let given =
                Given { name: name.clone(), typed: typed.clone(), value: value.trim().into() };
            if let Some(other) = source.given.insert(name.clone(), given) {
                source.check_conflict(&name, &other);
            }
        }
        let mut overrides = BTreeMap::<String, Given>::new();
        for (variable, value) in env {
            let Some((name, prefixed)) = source.setting_of(variable) else { continue };
            let given =
                Given { name: name.clone(), typed: variable.clone(), value: value.trim().into() };
            match overrides.get(&name) {
                // `KINTO_MULTIAUTH_POLICIES` wins over `MULTIAUTH_POLICIES`.
                Some(_) if !prefixed => {}
                Some(other) if is_prefixed(&other.typed) && other.value != given.value => {
                    source.mistakes.push(conflict(&other.typed, variable));
                }
                _ => drop(overrides.insert(name, given)),
            }
        }
        source.given.extend(overrides);
        source.typed = source.given.values().map(|g| (g.name.clone(), g.typed.clone())).collect();
        source
    }

    fn check_conflict(&mut self, name: &str, other: &Given) {
        let given = &self.given[name];
        // The same spelling twice: the last one counts, as in any INI file.
        if given.typed != other.typed && given.value != other.value {
            self.mistakes.push(conflict(&other.typed, &given.typed));
        }
    }

    /// The setting that an environment variable sets, and whether the variable has our prefix.
    fn setting_of(&self, variable: &str) -> Option<(String, bool)> {
        let (rest, prefixed) = match env_rest(variable) {
            Some(rest) => (rest, true),
            None if variable.starts_with("MULTIAUTH_") => (variable, false),
            None if EVERYWHERE.contains(&variable) => (variable, false),
            None => return None,
        };
        // For the program and its commands; or set by Kubernetes for a service that is named like us.
        let not_ours = matches!(
            rest,
            "INI" | "DATA" | "PORT" | "HOST" | "ADMIN_PASSWORD" | "SERVER" | "AUTH" | "PROFILE"
        );
        if not_ours || rest.starts_with("PORT_") || rest.starts_with("SERVICE_") {
            return None;
        }
        let in_file = self.given.keys().find(|name| env_name(name) == rest).cloned();
        let name = in_file.or_else(|| self.policy_setting(rest));
        Some((name.unwrap_or_else(|| name_from_env(rest)), prefixed))
    }

    /// The setting of an authentication policy that the file names. Of policies of which one is
    /// called like the start of another, the longest name counts.
    fn policy_setting(&self, rest: &str) -> Option<String> {
        let names = words(&self.given.get("multiauth.policies")?.value);
        let fits = names.iter().filter_map(|name| {
            let start = env_name(&format!("multiauth.policy.{name}."));
            Some((start.len(), name, rest.strip_prefix(&start)?.to_lowercase()))
        });
        let (_, name, field) = fits.max()?;
        Some(format!("multiauth.policy.{name}.{field}"))
    }

    /// Reads one setting of the table.
    pub(super) fn read<T: Value>(
        &mut self,
        name: &str,
        default: T,
        range: Option<RangeInclusive<i128>>,
    ) -> T {
        let Some(given) = self.take(name) else { return default };
        match T::parse(&given.value) {
            None => self.expected::<T>(&given),
            Some(value) => match (range, value.number()) {
                (Some(range), Some(number)) if !range.contains(&number) => {
                    let (low, high) = range.into_inner();
                    self.mistakes.push(Mistake::new(
                        &given.typed,
                        format!("expected a number from {low} to {high}, got {number}"),
                    ));
                }
                _ => return value,
            },
        }
        default
    }

    /// Reads a value and leaves it, for somebody else to take and to check.
    pub(super) fn peek<T: Value>(&self, name: &str) -> Option<T> {
        T::parse(&self.given.get(name)?.value)
    }

    /// Reads the value of a member of a family.
    pub(super) fn parse<T: Value>(&mut self, given: &Given) -> Option<T> {
        let value = T::parse(&given.value);
        if value.is_none() {
            self.expected::<T>(given);
        }
        value
    }

    fn expected<T: Value>(&mut self, given: &Given) {
        let expected = T::expects();
        let problem = if T::SECRET {
            format!("expected {expected}")
        } else {
            format!("expected {expected}, got '{}'", given.value)
        };
        self.mistakes.push(Mistake::new(&given.typed, problem));
    }

    /// Takes one setting.
    pub(super) fn take(&mut self, name: &str) -> Option<Given> {
        self.given.remove(name)
    }

    /// Takes what is left of the settings whose names begin so.
    pub(super) fn take_beginning(&mut self, start: &str) -> Vec<Given> {
        let is_one = |name: &&String| name.starts_with(start);
        let names: Vec<_> = self.given.keys().filter(is_one).cloned().collect();
        names.iter().filter_map(|name| self.take(name)).collect()
    }

    /// Gives a setting another name, unless that is given too.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if !self.given.contains_key(to)
            && let Some(given) = self.take(from)
        {
            self.typed.insert(to.to_owned(), given.typed.clone());
            self.given.insert(to.to_owned(), Given { name: to.to_owned(), ..given });
        }
    }

    /// Takes everything that is left.
    pub(super) fn take_all(&mut self) -> Vec<Given> {
        std::mem::take(&mut self.given).into_values().collect()
    }

    /// The name as the user typed it, or else with our prefix.
    pub(super) fn typed(&self, name: &str) -> String {
        self.typed.get(name).cloned().unwrap_or_else(|| format!("cumulo.{name}"))
    }

    /// Records a mistake about a setting.
    pub(super) fn mistake(&mut self, name: &str, problem: impl Into<String>) {
        let typed = self.typed(name);
        self.mistakes.push(Mistake::new(&typed, problem));
    }
}

fn conflict(one: &str, other: &str) -> Mistake {
    let mut names = [one, other];
    names.sort_unstable();
    Mistake::new(one, format!("Settings '{}', '{}' are in conflict.", names[0], names[1]))
}

/// The name without one of our prefixes.
pub(super) fn unprefixed(typed: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| typed.strip_prefix(prefix)).unwrap_or(typed)
}

/// Whether the name, or the environment variable, is surely meant for us.
pub(super) fn is_prefixed(typed: &str) -> bool {
    unprefixed(typed) != typed || env_rest(typed).is_some()
}

/// `name` spelled as `typed` is: with the same prefix, or for the environment.
pub(super) fn spelled_like(typed: &str, name: &str) -> String {
    if let Some(rest) = env_rest(typed) {
        return format!("{}{}", &typed[..typed.len() - rest.len()], env_name(name));
    }
    format!("{}{name}", &typed[..typed.len() - unprefixed(typed).len()])
}

fn env_rest(variable: &str) -> Option<&str> {
    variable.strip_prefix("KINTO_").or_else(|| variable.strip_prefix("CUMULO_"))
}

fn env_name(name: &str) -> String {
    name.replace(['.', '-'], "_").to_uppercase()
}

/// The name of a setting that the file does not mention.
fn name_from_env(rest: &str) -> String {
    let known = KEYS.iter().map(|key| key.name).chain(elsewhere::names());
    if let Some(name) = { known }.find(|name| env_name(name) == rest) {
        return name.into();
    }
    let name = rest.to_lowercase();
    if name == "multiauth_policies" {
        return "multiauth.policies".into();
    }
    if let Some(policy) = name.strip_prefix("multiauth_policy_")
        && let Some((policy, field)) = policy.split_once('_')
    {
        return format!("multiauth.policy.{policy}.{field}");
    }
    if let Some(rest) = name.strip_prefix("user_data_") {
        return format!("user-data_{rest}");
    }
    name
}
