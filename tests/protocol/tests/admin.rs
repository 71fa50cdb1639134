//! The page for administrators.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;

use http::Method;
use protocol_tests::{App, Response};
use serde_json::json;
use tempfile::TempDir;

/// A folder with an app, beside a file that is not in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    fs::create_dir_all(app.join("assets/deep")).unwrap();
    for (name, text) in [
        ("VERSION", "42.0.0\n"),
        ("index.html", "<p>mine"),
        ("script.js", "1"),
        ("assets/deep/style.css", "a{}"),
        ("assets/logo", "?"),
        ("../secret.txt", "secret"),
    ] {
        fs::write(app.join(name), text).unwrap();
    }
    folder
}

fn over(folder: &TempDir) -> App {
    let path = folder.path().join("app");
    App::with(&[("includes", "admin"), ("admin_assets_path", path.to_str().unwrap())])
}

fn get(app: &App, path: &str) -> Response {
    app.anonymous().get(path)
}

#[test]
fn the_folder_is_served() {
    let folder = folder();
    let app = over(&folder);
    let page = get(&app, "/admin/").is(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").starts_with("default-src 'self'; img-src"));
    assert_eq!(page.header("cache-control"), "");
    for (path, kind) in [
        ("script.js", "text/javascript; charset=utf-8"),
        ("assets/deep/style.css", "text/css; charset=utf-8"),
        ("assets/logo", "application/octet-stream"),
    ] {
        let asset = get(&app, &format!("/admin/{path}")).is(200);
        assert_eq!(asset.header("content-type"), kind);
        assert_eq!(asset.header("cache-control"), "max-age=3600");
        assert_eq!(asset.header("x-content-type-options"), "nosniff");
    }
    let capability = &get(&app, "/").json["capabilities"]["admin"];
    assert_eq!(capability["version"], "42.0.0");
}

#[test]
fn nothing_else_is_served() {
    let folder = folder();
    let app = over(&folder);
    for path in [
        "../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "%2e%2e%2fsecret.txt",
        "assets/../../secret.txt",
        "..\\secret.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "assets",
        "assets/",
        "./script.js",
        "script.js/",
        "page.css",
        "favicon.png",
        "index.html%00",
    ] {
        let answer = get(&app, &format!("/admin/{path}"));
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
    }
    get(&app, "/administrator").expect(404);
}

#[test]
fn the_page_answers_every_method_and_its_files_only_reading() {
    let folder = folder();
    let app = over(&folder);
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
        app.anonymous().send(&method, "/admin/", Vec::new()).expect(200);
    }
    app.anonymous().put("/admin/script.js", &json!({})).expect(405);
    let known = get(&app, "/admin/script.js").header("etag").to_owned();
    let again = app.anonymous().header("if-none-match", &format!("\"x\", {known}"));
    again.get("/admin/script.js").expect(304);
    app.anonymous().header("if-none-match", "\"x\"").get("/admin/script.js").expect(200);
}

#[test]
fn without_a_slash_the_page_is_found_too() {
    let app = App::with(&[("includes", "admin"), ("http_host", "example.org")]);
    let answer = get(&app, "/admin?x=1").is(307);
    assert_eq!(answer.header("location"), "http://example.org/v1/admin/?x=1");
}

#[test]
fn there_is_a_page_without_a_folder() {
    let app = App::with(&[
        ("includes", "admin"),
        ("project_name", "<b>Shop & {url}"),
        ("project_docs", "javascript:alert(1)"),
        ("experimental_permissions_endpoint", "false"),
    ]);
    let page = app.text("/admin/");
    assert!(page.contains("&lt;b&gt;Shop &amp; &#123;url}"), "{page}");
    assert!(!page.contains("javascript:"), "{page}");
    assert!(page.contains("kinto.admin_assets_path"));
    assert!(!page.contains("{facts}") && !page.contains("{url}/"), "{page}");
    let csp = get(&app, "/admin/").header("content-security-policy").to_owned();
    assert!(csp.contains("script-src 'none'") && !csp.contains("unsafe"), "{csp}");
    get(&app, "/admin/page.css").expect(200);
    get(&app, "/admin/page.html").expect(404);
    let capabilities = get(&app, "/").json["capabilities"].clone();
    assert!(capabilities["admin"]["version"].is_string());
    assert!(capabilities["permissions_endpoint"].is_object(), "the app needs it");
    app.user("ann").get("/permissions").expect(200);
}
