//! Makes each Rust snippet of the guide to the client a function that compiles alone.

use std::{env, error::Error, fs, path::PathBuf};

const PAGE: &str = "../../docs/client.md";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PAGE}");
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(PathBuf::from(out).join("client.md"), compilable(&fs::read_to_string(PAGE)?)?)?;
    Ok(())
}

/// The page with its first snippet, which has what is imported, in each of the others. What is added
/// goes to the first and the last line of a snippet, so that errors name the lines of the page. A
/// whole program, which is not run either, is left as it is.
fn compilable(page: &str) -> Result<String, String> {
    let mut lines: Vec<String> = page.lines().map(str::to_owned).collect();
    let mut imports = None;
    let mut begin = None;
    for number in 0..lines.len() {
        match (lines[number].as_str(), begin) {
            ("```rust", None) => begin = Some(number + 1),
            ("```", Some(first)) => {
                begin = None;
                let code = &mut lines[first..number];
                match &imports {
                    None => imports = Some(code.join(" ")),
                    Some(imports) => wrap(code, imports)
                        .map_err(|problem| format!("{PAGE}:{first}: {problem}"))?,
                }
            }
            _ => {}
        }
    }
    Ok(lines.join("\n"))
}

fn wrap(code: &mut [String], imports: &str) -> Result<(), &'static str> {
    let empty = "a snippet has nothing in it";
    let head = format!("{imports} async fn snippet(client: Client) -> Result<()> {{ ");
    code.first_mut().ok_or(empty)?.insert_str(0, &head);
    let last = code.last_mut().ok_or(empty)?;
    if last.trim_start().starts_with("//") {
        return Err("a snippet must not end with a comment");
    }
    last.push_str(" Ok(()) }");
    Ok(())
}
