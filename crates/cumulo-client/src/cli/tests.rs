use clap::{CommandFactory as _, Parser};
use secrecy::ExposeSecret as _;

use super::*;

#[derive(Debug, Parser)]
#[command(name = "script")]
struct Script {
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Parser)]
struct OfOneCollection {
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Parser)]
#[command(mut_arg("server", |it| it.default_value("https://kinto.example.com/v1")))]
#[command(mut_arg("auth", |it| it.default_value("reader:secret")))]
#[command(mut_arg("bucket", |it| it.default_value("blocklists")))]
#[command(mut_arg("collection", |it| it.default_value("certificates")))]
#[command(mut_arg("retry", |it| it.default_value("10")))]
struct WithDefaults {
    #[command(flatten)]
    client: ClientArgs,
}

fn parse(options: &[&str]) -> ClientArgs {
    let server = ["script", "--server", "http://localhost:8888/v1"];
    Script::try_parse_from(server.iter().chain(options)).unwrap().client
}

fn no_terminal(_question: &str) -> io::Result<String> {
    Err(io::Error::other("no terminal"))
}

async fn authorization(client: &Client) -> Option<String> {
    let auth = client.transport().0.config().auth.clone()?;
    Some(auth.authorization("").await.unwrap().to_str().unwrap().to_owned())
}

#[test]
fn the_options_are_those_of_kinto_http_and_some_more() {
    let command = Script::command();
    let shown = |arg: &clap::Arg| match arg.get_short() {
        Some(short) => format!("-{short} --{}", arg.get_long().unwrap()),
        None => format!("--{}", arg.get_long().unwrap()),
    };
    let mut options: Vec<_> = command.get_arguments().map(shown).collect();
    options.sort();
    let expected = [
        "--dry-run",
        "--header",
        "--ignore-batch-4xx",
        "--retry",
        "--retry-after",
        "--timeout",
        "-D --debug",
        "-a --auth",
        "-b --bucket",
        "-c --collection",
        "-q --quiet",
        "-s --server",
        "-v --verbose",
    ];
    assert_eq!(options, expected);
    let others = OfOneCollection::command();
    assert_eq!(others.get_arguments().count(), expected.len() - 2);
    assert!(
        others.get_arguments().all(|it| it.get_id() != "bucket" && it.get_id() != "collection")
    );
}

#[tokio::test]
async fn credentials_are_read_as_they_are_typed() {
    for (typed, expected) in [
        ("ann:secret", Some("Basic YW5uOnNlY3JldA==")),
        ("ann:a b", Some("Basic YW5uOmEgYg==")),
        ("Bearer a:b", Some("Bearer a:b")),
        ("Bearer+OIDC XYZ", Some("Bearer+OIDC XYZ")),
        ("", None),
    ] {
        let args = parse(&["--auth", typed]);
        let client = args.connection.builder_asking(no_terminal).unwrap().build().unwrap();
        assert_eq!(authorization(&client).await.as_deref(), expected, "{typed}");
    }
}

#[tokio::test]
async fn a_password_that_is_missing_is_asked_for() {
    let args = parse(&["-a", "ann"]);
    let ask = |question: &str| {
        assert_eq!(question, "Password of ann: ");
        Ok("secret".to_owned())
    };
    let client = args.connection.builder_asking(ask).unwrap().build().unwrap();
    assert_eq!(authorization(&client).await.unwrap(), "Basic YW5uOnNlY3JldA==");
    let error = args.connection.builder_asking(no_terminal).unwrap_err();
    assert!(matches!(error, Error::Login(_)), "{error}");
}

#[tokio::test]
async fn a_script_has_defaults_of_its_own() {
    let args = WithDefaults::parse_from(["script"]).client;
    let client = args.client().unwrap();
    let config = client.transport().0.config();
    assert_eq!(config.server, "https://kinto.example.com/v1");
    assert_eq!(config.retry.times, 10);
    assert_eq!(
        (client.default_bucket(), client.default_collection()),
        ("blocklists", Some("certificates"))
    );
    assert_eq!(authorization(&client).await.unwrap(), "Basic cmVhZGVyOnNlY3JldA==");
    let args = WithDefaults::parse_from(["script", "-c", "gfx", "-a", "Bearer XYZ"]).client;
    let client = args.client().unwrap();
    assert_eq!(client.default_collection(), Some("gfx"));
    assert_eq!(authorization(&client).await.unwrap(), "Bearer XYZ");
}

#[test]
fn options_become_settings_of_the_client() {
    let args = parse(&[
        "--retry=7",
        "--retry-after=1.5",
        "--timeout=20",
        "--header=Allow-Access: CDN",
        "--header=X-Key: a:b",
        "--dry-run",
        "--ignore-batch-4xx",
    ]);
    let client = args.client().unwrap();
    let config = client.transport().0.config();
    assert_eq!((config.retry.times, config.retry.forced), (7, Some(Duration::from_millis(1500))));
    assert_eq!(config.timeout, Some(Duration::from_secs(20)));
    assert_eq!(
        (&config.headers["allow-access"], &config.headers["x-key"]),
        (&"CDN".parse().unwrap(), &"a:b".parse().unwrap())
    );
    assert!(config.plan.is_some());
    assert!(format!("{:?}", client.batch()).contains("ignores_refusals: true"));
    assert_eq!(client.default_bucket(), "default");
    assert_eq!(parse(&[]).connection.retry, Retry::default().times);
}

#[test]
fn what_is_wrong_is_named() {
    for (option, expected) in [
        ("--timeout=-1", "--timeout"),
        ("--timeout=soon", "expected a number of seconds"),
        ("--header=CDN", "expected 'Name: value'"),
        ("--retry=-1", "--retry"),
    ] {
        let error = Script::try_parse_from(["script", option]).unwrap_err().to_string();
        assert!(error.contains(expected), "{option}: {error}");
    }
    let error = Script::parse_from(["script"]).client.builder().unwrap_err();
    assert!(error.to_string().contains("--server"), "{error}");
}

#[test]
fn secrets_are_not_shown() {
    let args = parse(&["--auth=ann:secret", "--header=X-Key: secret"]);
    let server = Script::parse_from(["script", "--server=http://ann:secret@localhost/v1"]);
    assert!(format!("{server:?}").contains("localhost/v1"));
    assert_eq!(args.connection.headers[0].value.expose_secret(), "secret");
    let builder = args.builder().unwrap();
    let client = args.client().unwrap();
    let help = WithDefaults::command().render_long_help().to_string();
    for shown in [format!("{args:?} {server:?}"), format!("{builder:?} {client:?}"), help] {
        assert!(!shown.contains("secret") && !shown.contains("YW5u"), "{shown}");
    }
}

#[test]
fn of_several_levels_the_last_counts() {
    for (options, expected) in [
        (&[][..], LevelFilter::WARN),
        (&["-v"], LevelFilter::INFO),
        (&["-q"], LevelFilter::ERROR),
        (&["-D"], LevelFilter::DEBUG),
        (&["-D", "-q"], LevelFilter::ERROR),
        (&["-v", "-q"], LevelFilter::ERROR),
        (&["-D", "-v"], LevelFilter::INFO),
        (&["-q", "-v"], LevelFilter::INFO),
    ] {
        assert_eq!(parse(options).connection.verbosity.level(), expected, "{options:?}");
    }
}
