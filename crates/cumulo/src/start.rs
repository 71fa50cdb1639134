//! `cumulo start`: listens, says where, and serves until it is told to stop.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs as _},
};

use anyhow::{Context as _, anyhow};
use cumulo_core::settings::{PolicyKind, Settings};
use secrecy::ExposeSecret as _;
use tokio::{signal, sync::watch};

#[cfg(unix)]
use crate::reload::Reload;
use crate::{
    administrator::{self, Administrator},
    args,
    config::{Config, Env, Storage},
    logging, say, wiring,
};

/// Runs the command.
pub(crate) fn run(args: &args::Start, env: &Env) -> anyhow::Result<()> {
    let config = Config::load(args, env)?;
    let logs = logging::start(&config.settings, &args.common)?;
    config.log_warnings();
    let Settings { project_name, project_version, .. } = &config.settings;
    let running = format!("Running {project_name} {project_version}.");
    tracing::info!("{running}");
    if let Some(sentry) = &logs.sentry {
        sentry.tell(&running);
    }
    let listener = listen(&config.host, config.port)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let service = wiring::service(&config)?;
        let administrator = administrator::prepare(&*service.store, &config, args).await?;
        // Before anybody is told that we listen: from here on signals do what they should.
        let stop = stop_signal()?;
        #[cfg(unix)]
        let hangups = signal::unix::signal(signal::unix::SignalKind::hangup())?;
        let (current, service) = watch::channel(service);
        if !args.common.quiet {
            say(&announcement(&config, &administrator, listener.local_addr()?))?;
        }
        #[cfg(unix)]
        tokio::spawn(
            Reload {
                current,
                config,
                args: args.clone(),
                env: env.clone(),
                level: logs.level.clone(),
            }
            .on_hangup(hangups),
        );
        #[cfg(not(unix))]
        let _ = current;
        wiring::serve(service, listener, stop).await
    })
}

fn listen(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    // Python servers take `*` for every address.
    let name = if host == "*" { "0.0.0.0" } else { host.trim_matches(['[', ']']) };
    let addresses: Vec<_> = (name, port)
        .to_socket_addrs()
        .with_context(|| format!("'{host}' is not an address to listen on"))?
        .collect();
    TcpListener::bind(addresses.as_slice()).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("can't listen on {host}, port {port}: the address is already in use")
        }
        _ => anyhow!(error).context(format!("can't listen on {host}, port {port}")),
    })
}

/// Done when the process is asked to stop: SIGTERM, or Ctrl-C.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = signal::unix::signal(signal::unix::SignalKind::interrupt())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = signal::ctrl_c().await;
        tracing::info!("stopping");
    })
}

/// What a user wants to know at first.
fn announcement(config: &Config, administrator: &Administrator, address: SocketAddr) -> String {
    let settings = &config.settings;
    let major = settings.http_api_version.split('.').next().unwrap_or("1");
    let host = match address.ip() {
        ip if ip.is_unspecified() => "localhost".to_owned(),
        _ if address.is_ipv6() => format!("[{}]", address.ip()),
        ip => ip.to_string(),
    };
    let url = format!("http://{host}:{}/v{major}", address.port());
    let data = match &config.storage {
        Storage::Sqlite(file) => format!("{}", file.display()),
        // The URL may hold a password.
        Storage::Postgresql(_) => "in PostgreSQL".to_owned(),
        Storage::Memory => "in memory, gone when the service stops".to_owned(),
    };
    let anybody = settings.auth_policies.iter().any(|policy| policy.kind == PolicyKind::Basic);
    let has_default = settings.includes.iter().any(|plugin| plugin == "default_bucket");
    let login = match administrator {
        Administrator::New(password) => {
            Some(format!("{}:{}", administrator::NAME, password.expose_secret()))
        }
        // curl asks for the password.
        Administrator::Known => Some(administrator::NAME.to_owned()),
        Administrator::Elsewhere => anybody.then(|| "ann:secret".to_owned()),
    };
    let example = match login {
        Some(login) if has_default && !settings.readonly => format!(
            "curl -u {login} -H 'Content-Type: application/json' \\\n    \
             -d '{{\"data\": {{\"title\": \"Hello\"}}}}' \\\n    \
             {url}/buckets/default/collections/notes/records"
        ),
        Some(login) => format!("curl -u {login} {url}/"),
        None => format!("curl {url}/"),
    };
    format!("Cumulo listens on {url}/\nData: {data}\n{administrator}Try it:\n  {example}")
}

#[cfg(test)]
mod tests {
    use cumulo_core::settings::Settings;

    use super::*;

    fn config(settings: Settings, storage: Storage) -> Config {
        let (warnings, host) = (vec![], String::new());
        let (cache_file, is_unconfigured) = (None, false);
        let plugins = Vec::new();
        Config { settings, warnings, host, port: 0, storage, cache_file, plugins, is_unconfigured }
    }

    #[test]
    fn a_port_in_use_is_said_to_be() {
        let first = listen("127.0.0.1", 0).unwrap();
        let error = listen("127.0.0.1", first.local_addr().unwrap().port()).unwrap_err();
        assert!(error.to_string().contains("already in use"), "{error}");
    }

    #[test]
    fn hosts_have_several_spellings() {
        assert!(listen("localhost", 0).is_ok());
        assert!(listen("*", 0).unwrap().local_addr().unwrap().ip().is_unspecified());
        assert!(listen("no such host", 0).unwrap_err().to_string().contains("no such host"));
    }

    #[test]
    fn the_announcement_says_where_everything_is() {
        let loaded = Settings::load(
            &[
                ("includes".into(), "default_bucket".into()),
                ("multiauth.policies".into(), "basicauth".into()),
            ],
            &[],
        );
        let settings = loaded.unwrap().settings;
        let text = announcement(
            &config(settings, Storage::Sqlite("data/cumulo.sqlite".into())),
            &Administrator::Elsewhere,
            "127.0.0.1:8888".parse().unwrap(),
        );
        for part in [
            "listens on http://127.0.0.1:8888/v1/\n",
            "Data: data/cumulo.sqlite\n",
            "curl -u ann:secret ",
            "http://127.0.0.1:8888/v1/buckets/default/collections/notes/records",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = announcement(
            &config(Settings::default(), Storage::Memory),
            &Administrator::Elsewhere,
            "[::]:80".parse().unwrap(),
        );
        assert!(text.contains("curl http://localhost:80/v1/"), "{text}");
        assert!(text.contains("in memory"), "{text}");
    }
}
