//! The arrows of ARCHITECTURE.md, as the manifests have them.

use std::collections::BTreeSet;
use std::fs;

use crate::project;

/// The dependencies of a crate, without those of its tests.
fn dependencies(name: &str) -> BTreeSet<String> {
    let path = project::root().join("crates").join(name).join("Cargo.toml");
    let manifest = fs::read_to_string(path).expect("every crate has a manifest");
    let section = manifest.split("[dependencies]").nth(1).expect("every crate has dependencies");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split(['.', ' ', '=']).next()).map(str::to_owned).collect()
}

#[track_caller]
fn is_free_of(name: &str, forbidden: &[&str]) {
    let dependencies = dependencies(name);
    assert!(!dependencies.is_empty());
    for other in forbidden {
        assert!(!dependencies.contains(*other), "{name} must not depend on {other}");
    }
}

#[test]
fn the_core_knows_no_runtime_no_server_and_no_database() {
    // Of the caches it knows the trait only.
    let others = ["cumulo-store", "cumulo-http", "cumulo-plugins", "cumulo"];
    is_free_of("cumulo-core", &others);
    is_free_of("cumulo-core", &["tokio", "hyper", "hyper-util", "rusqlite", "configparser"]);
}

#[test]
fn only_the_store_and_the_cache_know_sql() {
    for name in
        ["cumulo", "cumulo-core", "cumulo-http", "cumulo-moving", "cumulo-plugins", "cumulo-upkeep"]
    {
        is_free_of(name, &["rusqlite", "tokio-postgres"]);
    }
}

#[test]
fn one_client_asks_servers_of_kinto() {
    assert!(dependencies("cumulo-moving").contains("cumulo-client"));
    for name in ["cumulo-core", "cumulo-store", "cumulo-moving", "cumulo-cli", "cumulo-upkeep"] {
        is_free_of(name, &["reqwest"]);
    }
}

#[test]
fn arrows_point_one_way() {
    is_free_of(
        "cumulo-kvs",
        &["cumulo-core", "cumulo-store", "cumulo-http", "cumulo-plugins", "cumulo", "hyper"],
    );
    is_free_of("cumulo-store", &["cumulo-kvs", "cumulo-http", "cumulo-plugins", "cumulo", "hyper"]);
    let servers = [
        "cumulo-core",
        "cumulo-kvs",
        "cumulo-store",
        "cumulo-http",
        "cumulo-moving",
        "cumulo-plugins",
        "cumulo-upkeep",
        "cumulo",
    ];
    is_free_of("cumulo-wire", &servers);
    is_free_of("cumulo-client", &servers);
    is_free_of("cumulo-cli", &servers);
    is_free_of("cumulo-http", &["cumulo-store", "cumulo-plugins", "cumulo"]);
    is_free_of(
        "cumulo-moving",
        &["cumulo-kvs", "cumulo-store", "cumulo-http", "cumulo-plugins", "cumulo"],
    );
    is_free_of("cumulo-plugins", &["cumulo-store", "cumulo-http", "cumulo"]);
    is_free_of(
        "cumulo-upkeep",
        &["cumulo-kvs", "cumulo-store", "cumulo-http", "cumulo-plugins", "cumulo", "tokio"],
    );
}
