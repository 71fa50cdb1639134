//! The settings file: an INI file as the reference server reads it.
//!
//! Settings are in `[app:main]`, host and port in `[server:main]`. What is in `[DEFAULT]` counts in
//! both, and `%(name)s` stands for another value; other sections are for others.

use std::{collections::BTreeMap, fs, path::Path, time::UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail, ensure};
use configparser::ini::Ini;
use cumulo_core::{
    object::Timestamp,
    settings::{ConfigFile, date},
};
use sha2::{Digest as _, Sha256};

use crate::secrets::hex;

type Section = BTreeMap<String, String>;

/// What one file says.
#[derive(Debug, Default)]
pub(crate) struct IniFile {
    /// The pairs of `[app:main]`.
    pub(crate) app: Vec<(String, String)>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) warnings: Vec<String>,
}

/// Reads a file. `http_port` is what `%(http_port)s` stands for.
pub(crate) fn read(path: &Path, http_port: u16) -> anyhow::Result<(IniFile, ConfigFile)> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("can't read the settings file {shown}"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("{shown} is not UTF-8"))?;
    let here = fs::canonicalize(path)?;
    let here = here.parent().unwrap_or(&here).to_string_lossy().into_owned();
    let globals =
        [("here", here), ("__file__", shown.to_string()), ("http_port", http_port.to_string())];
    let file = parse(&text, &globals.map(|(name, value)| (name.to_owned(), value)))
        .with_context(|| format!("the settings file {shown} can't be used"))?;
    let modified = fs::metadata(path)?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified = Timestamp(i64::try_from(modified.as_millis()).unwrap_or_default());
    let about = ConfigFile {
        path: shown.to_string(),
        hash: hex(&Sha256::digest(text.as_bytes())),
        modified: date::iso(modified),
    };
    Ok((file, about))
}

fn parse(text: &str, globals: &[(String, String)]) -> anyhow::Result<IniFile> {
    let mut ini = Ini::new_cs();
    ini.set_default_section("DEFAULT");
    ini.set_multiline(true);
    // Otherwise URLs and secrets end at the first `#` or `;`.
    ini.set_inline_comment_symbols(Some(&[]));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let sections = ini.read(text.to_owned()).map_err(|error| anyhow!(error))?;

    let mut defaults: Section = globals.iter().cloned().collect();
    let defined = section(&sections, "DEFAULT")?.unwrap_or_default();
    defaults.extend(defined.clone());
    let app = section(&sections, "app:main")?.context("it has no section [app:main]")?;
    let app = expanded(&defined.into_iter().chain(app).collect(), &defaults, "app:main")?;
    if app.get("use").is_some_and(|other| other.starts_with("config:")) {
        bail!("[app:main] use: other files can't be included");
    }
    let server = section(&sections, "server:main")?.unwrap_or_default();
    let server = expanded(&server, &defaults, "server:main")?;
    let port = match server.get("port").map(|port| port.trim()) {
        None | Some("") => None,
        Some(port) => Some(port.parse().map_err(|_| {
            anyhow!("[server:main] port: expected a number from 0 to 65535, got '{port}'")
        })?),
    };
    let ignored = ["listen", "unix_socket", "bind"];
    let mut warnings: Vec<_> = ignored
        .iter()
        .filter(|name| server.contains_key(**name))
        .map(|name| format!("'{name}' in [server:main] has no effect here: use host and port."))
        .collect();
    let has_format = app.keys().any(|name| name.ends_with("log_format"));
    if !has_format && wants_json_logs(&sections) {
        warnings.push(JSON_LOGS.into());
    }
    let host = server.get("host").filter(|host| !host.is_empty()).cloned();
    Ok(IniFile { app: app.into_iter().collect(), host, port, warnings })
}

const JSON_LOGS: &str = "Sections for Python's logging have no effect here: for lines in JSON, set \
                         'log_format = json' in [app:main].";

/// Whether the sections for Python's logging, which are for Kinto, have lines written in JSON.
fn wants_json_logs<M, S>(sections: &M) -> bool
where
    for<'a> &'a M: IntoIterator<Item = (&'a String, &'a S)>,
    for<'a> &'a S: IntoIterator<Item = (&'a String, &'a Option<String>)>,
{
    let mut formatters = sections.into_iter().filter(|(name, _)| name.starts_with("formatter_"));
    formatters.any(|(_, pairs)| {
        pairs.into_iter().any(|(key, class)| {
            let class = class.as_deref().unwrap_or_default();
            key == "class" && (class.contains("JsonLog") || class.contains("Mozlog"))
        })
    })
}

fn section<M, S>(sections: &M, name: &str) -> anyhow::Result<Option<Section>>
where
    for<'a> &'a M: IntoIterator<Item = (&'a String, &'a S)>,
    for<'a> &'a S: IntoIterator<Item = (&'a String, &'a Option<String>)>,
{
    let Some((_, pairs)) = sections.into_iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    let mut section = Section::new();
    for (key, value) in pairs {
        let value = value.as_ref().with_context(|| {
            format!("[{name}] the line '{key}' has no '=': is it the end of a value above?")
        })?;
        // Lines end as they do in the parser, whatever the system.
        section.insert(key.clone(), value.replace("\r\n", "\n"));
    }
    Ok(Some(section))
}

/// The section with its `%(name)s` replaced.
fn expanded(section: &Section, defaults: &Section, name: &str) -> anyhow::Result<Section> {
    let expand_one = |(key, value): (&String, &String)| {
        let value =
            expand(value, section, defaults, 10).with_context(|| format!("[{name}] {key}"))?;
        Ok((key.clone(), value))
    };
    section.iter().map(expand_one).collect()
}

fn expand(
    value: &str,
    section: &Section,
    defaults: &Section,
    depth: usize,
) -> anyhow::Result<String> {
    ensure!(depth > 0, "its %(name)s refer to each other");
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        result.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            result.push('%');
            rest = after;
            continue;
        }
        let reference = after.strip_prefix('(').and_then(|after| after.split_once(")s"));
        let Some((name, after)) = reference else {
            bail!("a '%' must be doubled, or begin %(name)s");
        };
        let other = section.get(name).or_else(|| defaults.get(name));
        let other = other.with_context(|| format!("there is no value for %({name})s"))?;
        // What the program fills in is not text of the file.
        let filled_in = matches!(name, "here" | "__file__" | "http_port");
        if filled_in {
            result.push_str(other);
        } else {
            result.push_str(&expand(other, section, defaults, depth - 1)?);
        }
        rest = after;
    }
    Ok(result + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globals() -> Vec<(String, String)> {
        vec![("here".into(), "/etc/100%".into()), ("http_port".into(), "8888".into())]
    }

    fn parsed(text: &str) -> IniFile {
        parse(text, &globals()).expect("the file is right")
    }

    fn mistake(text: &str) -> String {
        format!("{:#}", parse(text, &globals()).expect_err("the file is wrong"))
    }

    fn value(text: &str, key: &str) -> String {
        let pairs = parsed(text).app;
        pairs.into_iter().find(|(name, _)| name == key).expect("the key is there").1
    }

    #[test]
    fn values_are_kept_as_they_are_written() {
        let text = "[app:main]\nkinto.Mixed-Case.key = a#b;c = d : e\n";
        assert_eq!(value(text, "kinto.Mixed-Case.key"), "a#b;c = d : e");
    }

    #[test]
    fn lists_go_over_lines_and_comments() {
        let text = "[app:main]\nkinto.includes = kinto.plugins.default_bucket\n                 \
                    kinto.plugins.flush\n#                kinto.plugins.history\n\n# more\nreadonly = true\n";
        assert_eq!(
            value(text, "kinto.includes").split_whitespace().collect::<Vec<_>>(),
            ["kinto.plugins.default_bucket", "kinto.plugins.flush"]
        );
        assert_eq!(value(text, "readonly"), "true");
    }

    #[test]
    fn host_and_port_are_in_the_server_section() {
        let file = parsed(
            "[server:main]\nuse = egg:waitress#main\nhost = 0.0.0.0\nport = %(http_port)s\n\
             listen = *:80\n[app:main]\nuse = egg:kinto\n[loggers]\nkeys = root, kinto\n\
             [formatter_x]\nformat = %(asctime)s %(message)s\n",
        );
        assert_eq!((file.host.as_deref(), file.port), (Some("0.0.0.0"), Some(8888)));
        assert_eq!(file.warnings.len(), 1);
        assert!(mistake("[app:main]\n[server:main]\nport = many").contains("got 'many'"));
    }

    #[test]
    fn who_wants_lines_in_json_is_told_how() {
        let sections = "[loggers]\nkeys = root\n[handler_console]\nargs = (sys.stderr,)\n\
                        [formatter_json]\nclass = kinto.core.JsonLogFormatter\n";
        let warnings = |app: &str| parsed(&format!("[app:main]\n{app}\n{sections}")).warnings;
        assert_eq!(warnings(""), [JSON_LOGS]);
        assert!(warnings("kinto.log_format = text").is_empty());
    }

    #[test]
    fn references_are_replaced() {
        let text = "[DEFAULT]\nroot = %(here)s/data\nkinto.readonly = true\n[app:main]\n\
                    a = %(root)s/x\nb = 100%%\nkinto.readonly = false\n";
        assert_eq!(value(text, "a"), "/etc/100%/data/x");
        assert_eq!(value(text, "b"), "100%");
        assert_eq!(value(text, "kinto.readonly"), "false");
    }

    #[test]
    fn defaults_are_inherited() {
        assert_eq!(
            value("[DEFAULT]\nkinto.readonly = true\n[app:main]\n", "kinto.readonly"),
            "true"
        );
    }

    #[test]
    fn mistakes_say_where_they_are() {
        assert_eq!(
            mistake("[app:main]\na = %(nothing)s"),
            "[app:main] a: there is no value for %(nothing)s"
        );
        assert_eq!(
            mistake("[app:main]\na = 5%"),
            "[app:main] a: a '%' must be doubled, or begin %(name)s"
        );
        assert!(mistake("[app:main]\na = %(b)s\nb = %(a)s").contains("refer to each other"));
        assert_eq!(mistake("[server:main]\n"), "it has no section [app:main]");
        assert!(mistake("[app:main]\nkinto.readonly").contains("'kinto.readonly' has no '='"));
        assert!(mistake("[app:main]\nuse = config:other.ini").contains("can't be included"));
    }
}
