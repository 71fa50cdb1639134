//! Addresses of databases, and how connections to them are encrypted.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_postgres::{Config, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Result};

/// Reads an address as Kinto's settings have it.
pub(super) fn configure(url: &str) -> Result<(Config, MakeRustlsConnect)> {
    let (url, root_file) = understood(url);
    // What it says may quote the address, and with it a password.
    let config: Config = url.parse().map_err(|_| refuse("is not an address of PostgreSQL"))?;
    let roots = match root_file {
        Some(file) => from_file(&file)?,
        None if config.get_ssl_mode() == SslMode::Disable => RootCertStore::empty(),
        None => of_the_system(),
    };
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(&error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((config, MakeRustlsConnect::new(tls)))
}

fn refuse(problem: &str) -> Error {
    Error::Configuration(format!("the URL of the cache {problem}"))
}

/// The address without what the driver does not know: the name of a Python driver, and what libpq
/// has beyond `sslmode=require`. Beside it, the file of `sslrootcert`.
fn understood(url: &str) -> (String, Option<String>) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let scheme = scheme.split('+').next().unwrap_or_default();
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (mut root_file, mut kept) = (None, Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslrootcert", file)) => root_file = Some(file.to_owned()),
            Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
            _ => kept.push(pair),
        }
    }
    let mark = if kept.is_empty() { "" } else { "?" };
    (format!("{scheme}://{address}{mark}{}", kept.join("&")), root_file)
}

fn from_file(file: &str) -> Result<RootCertStore> {
    let fail = |problem: String| refuse(&format!("names sslrootcert={file}: {problem}"));
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|error| fail(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| fail(error.to_string()))?;
        roots.add(certificate).map_err(|error| fail(error.to_string()))?;
    }
    if roots.is_empty() { Err(fail("no certificate".to_owned())) } else { Ok(roots) }
}

fn of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_kinto_are_understood() {
        let (url, file) =
            understood("postgresql+psycopg2://a:b@h:1/d?sslmode=verify-full&sslrootcert=/a.pem");
        assert_eq!(url, "postgresql://a:b@h:1/d?sslmode=require");
        assert_eq!(file.as_deref(), Some("/a.pem"));
        assert_eq!(understood("postgres://h/d").0, "postgres://h/d");
        assert!(configure("postgresql://kinto@127.0.0.1:1/kinto").is_ok());
    }

    #[test]
    fn bad_addresses_are_refused_without_their_password() {
        for url in ["postgresql://u:secret@h/d?nonsense=1", "postgresql://u:secret@h:port/d"] {
            let Err(Error::Configuration(text)) = configure(url) else { panic!("{url}") };
            assert!(!text.contains("secret"), "{text}");
        }
        assert!(configure("postgresql://h/d?sslrootcert=/nowhere").is_err());
    }
}
