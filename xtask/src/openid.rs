//! `cargo xtask openid`: users of real identity providers log in to the real program.

use anyhow::{Result, ensure};
use cumulo_e2e::server::free_port;

use crate::clients;
use crate::project;
use crate::server::ServerArguments;
use crate::steps::Tally;

const CLASS: &str = "kinto.plugins.openid.OpenIDConnectPolicy";
const SECRET: &str = "a-secret-that-is-in-no-log";
const AUDIENCE: &str = "urn:cumulo";

pub(crate) fn run(arguments: &ServerArguments) -> Result<Tally> {
    let one = format!("http://127.0.0.1:{}", free_port()?);
    let two = format!("http://127.0.0.1:{}", free_port()?);
    let mut settings = vec![
        ("kinto.includes".to_owned(), "openid default_bucket flush"),
        ("multiauth.policies".to_owned(), "one two basicauth"),
        ("multiauth.policy.two.audience".to_owned(), AUDIENCE),
        ("kinto.log_level".to_owned(), "debug"),
    ];
    let names = [("one", "client-one", &one), ("two", "client-two", &two)];
    for (name, client, issuer) in names {
        let key = |field: &str| format!("multiauth.policy.{name}.{field}");
        settings.extend([
            (key("use"), CLASS),
            (key("issuer"), issuer),
            (key("client_id"), client),
            (key("client_secret"), SECRET),
            (key("verification_ttl_seconds"), "2"),
        ]);
    }
    let settings: Vec<_> = settings.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let (_data, server) = arguments.start(&settings)?;
    let variables = [
        ("SERVER_URL", server.url()),
        ("ONE_URL", one),
        ("TWO_URL", two),
        ("CLIENT_SECRET", SECRET.to_owned()),
        ("AUDIENCE", AUDIENCE.to_owned()),
    ];
    let tally = clients::node(&project::root().join("tests/openid"), &variables)?;
    if tally.failed > 0 {
        println!("the end of the server's log:\n{}", server.log_tail());
    }
    let log = std::fs::read_to_string(&server.log)?;
    ensure!(!log.contains(SECRET), "the secret is in the log");
    ensure!(!log.contains("access_token"), "an answer of a provider is in the log");
    server.stop()?;
    Ok(tally)
}
