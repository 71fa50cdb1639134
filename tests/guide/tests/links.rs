//! Links between pages lead to pages, and to headings that are there.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The guide, and the pages of the repository around it.
fn pages() -> Vec<PathBuf> {
    let folders = [Path::new(ROOT).to_owned(), Path::new(ROOT).join("docs")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|it| it == "md")).collect()
}

/// The lines of a page that are not code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// What the links of a page lead to.
fn links(page: &str) -> Vec<&str> {
    let ends = prose(page).flat_map(|line| line.split("](").skip(1));
    ends.filter_map(|rest| rest.split_once(')').map(|(link, _)| link)).collect()
}

/// The anchors of headings, as GitHub and mdBook name them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

fn problem(from: &Path, page: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let to = if path.is_empty() { from.to_owned() } else { from.parent()?.join(path) };
    if !to.exists() {
        return Some(format!("{}: {link} is not there", from.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let other = fs::read_to_string(&to).unwrap();
    let there = anchors(if path.is_empty() { page } else { &other });
    (!there.contains(anchor)).then(|| format!("{}: {link} has no such heading", from.display()))
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    let mut problems = Vec::new();
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        let links = links(&page);
        count += links.len();
        problems.extend(links.into_iter().filter_map(|link| problem(&path, &page, link)));
    }
    assert!(count > 50, "only {count} links are found");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_summary_has_every_page() {
    let docs = Path::new(ROOT).join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<_> = links(&summary).into_iter().map(str::to_owned).collect();
    for path in pages().iter().filter(|path| path.parent() == Some(&docs)) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || listed.contains(name), "{name} is not in SUMMARY.md");
    }
}
